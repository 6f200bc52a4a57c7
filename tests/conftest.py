"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
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


@dataclass(frozen=True)
class Plugin:
    """A package of a third party: its folder on ``sys.path`` is all that makes it known, as after an installation."""

    folder: Path

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """``auditor ARGUMENTS`` in a process that has the package."""
        return self._python("-m", "auditor", *map(str, arguments))

    def python(self, code: str) -> str:
        """What a script prints in a process that has the package."""
        return self._python("-c", dedent(code)).stdout

    def _python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(self.folder), str(ROOT), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path, "AUDITOR_DATA_DIR": str(_data_dir())},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done


@pytest.fixture(scope="session")
def make_plugin(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Plugin]:
    """Make a package with entry points: ``make_plugin(name, modules, entries)``.

    ``modules`` maps a module's name to its source, ``entries`` a group to its lines (``{"shout": "command:shout"}``,
    the module inside the package).
    """

    def make(name: str, modules: Mapping[str, str], entries: Mapping[str, Mapping[str, str]]) -> Plugin:
        folder = tmp_path_factory.mktemp(name)
        package, info = folder / name, folder / f"{name}-1.0.dist-info"
        package.mkdir()
        info.mkdir()
        (package / "__init__.py").touch()
        for module, source in modules.items():
            (package / f"{module}.py").write_text(dedent(source))
        lines = [
            line
            for group, points in entries.items()
            for line in (f"[{group}]", *(f"{point} = {name}.{target}" for point, target in points.items()))
        ]
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("\n".join(lines))
        return Plugin(folder)

    return make
