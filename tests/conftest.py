"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:
    # One thread for each worker, set before NumPy or PyTorch is imported: threads of several workers would wait for
    # one another.
    for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(_name, "1")

import pytest

from tests.running import Done, call_process, made_once

ROOT = Path(__file__).resolve().parents[1]


def _data_dir() -> Path:
    return Path(os.environ.get("AUDITOR_DATA_DIR", ROOT.parent / "shared" / "data")).resolve()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the real data sets; the test is skipped where it is absent, and fails there in CI."""
    folder = _data_dir()
    if not folder.is_dir():
        reason = f"real data not found at {folder}; set AUDITOR_DATA_DIR"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def digits_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished ``run`` over digits and with what the command printed; copy it before use."""

    def make(folder: Path) -> None:
        done = call_process("find-errors", "digits", "--json", "--out", folder / "run")
        (folder / "stdout").write_text(done.stdout)
        (folder / "stderr").write_text(done.stderr)

    return made_once(tmp_path_factory, "digits", make)


@dataclass(frozen=True)
class DigitsRun:
    """A finished run over digits in a folder of the test's own, and what the command printed."""

    path: Path
    document: dict[str, Any]
    stderr: str


@pytest.fixture
def digits_run(digits_source: Path, tmp_path: Path) -> DigitsRun:
    """A copy as ``run`` in the test's folder, without verdicts."""
    shutil.copytree(digits_source / "run", tmp_path / "run")
    printed = Done(0, *((digits_source / name).read_text() for name in ("stdout", "stderr")))
    return DigitsRun(tmp_path / "run", printed.document, printed.stderr)
