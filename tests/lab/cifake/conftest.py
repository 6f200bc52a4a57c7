"""CIFAKE is opened, and its 120,000 files hashed, once for all tests of a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from auditor.core.config import Settings
from auditor.data import open as opening
from auditor.data.base import Dataset
from auditor.lab.cifake import labels
from auditor.lab.cifake.grid import data


@pytest.fixture(scope="package", autouse=True)
def _one_opening() -> Iterator[None]:
    opened: dict[tuple[str, str], Dataset] = {}

    def open_dataset(reference: str, settings: Settings) -> Dataset:
        key = reference, str(settings.data_dirs)
        if key not in opened:
            opened[key] = opening.open_dataset(reference, settings)
        return opened[key]

    with pytest.MonkeyPatch.context() as patch:
        for module in (labels, data):
            patch.setattr(module, "open_dataset", open_dataset)
        yield
