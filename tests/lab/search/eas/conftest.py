"""One thread: these networks are too small to share among threads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    device = pytest.importorskip("auditor.train.device")
    with device.torch_threads(1):
        yield
