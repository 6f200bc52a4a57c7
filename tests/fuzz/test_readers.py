"""Damaged files of every kind: a reader reads them or refuses them, in bounded time and memory.

``AUDITOR_FUZZ_INPUTS=100000`` tries that many inputs (default: what fits into a tenth of a second for each reader),
``AUDITOR_FUZZ_SEED`` others.
What broke a reader once is kept in ``corpus/`` and tried first, every time.
"""

from __future__ import annotations

import os

import pytest

from tests.fuzz.harness import run_fuzz
from tests.fuzz.readers import READERS

INPUTS = int(os.environ.get("AUDITOR_FUZZ_INPUTS", "0"))
SEED = int(os.environ.get("AUDITOR_FUZZ_SEED", "0"))


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What went wrong, by reader."""
    inputs, seconds = (-(-INPUTS // len(READERS)), float("inf")) if INPUTS else (100, 0.1)
    return run_fuzz(list(READERS), inputs, SEED, tmp_path_factory.mktemp("fuzz"), seconds)


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_read_or_refused(name: str, failures: dict[str, list[str]]) -> None:
    assert failures.get(name, []) == []
