"""Where a run lies. Told before what reads one is imported, which takes seconds: nothing here is heavy."""

from __future__ import annotations

from pathlib import Path

from auditor.core.errors import RunError
from auditor.core.reading import usable_paths
from auditor.runs import layout


@usable_paths()
def result_folder(path: str | Path, runs_dir: Path | None = None) -> Path:
    """The folder of a result: `path`, or what has this name inside `runs_dir` (by default ``runs``).

    Raises
    ------
    RunError
        If neither is a folder.
    """
    folder = Path(path)
    if folder.is_dir():
        return folder
    beside = (runs_dir or Path("runs")) / str(path)
    if not beside.is_dir():
        raise RunError(
            f"no run folder {str(path)!r}, neither as a path nor in {str(beside.parent)!r}.",
            "Make one with: auditor find-errors DATASET",
        )
    return beside


@usable_paths()
def run_folder(path: str | Path, runs_dir: Path | None = None) -> Path:
    """`result_folder` of a finished run; its manifest is there, and not read.

    Raises
    ------
    RunError
        If it is absent, unfinished, or the folder of something else.
    """
    folder = result_folder(path, runs_dir)
    if (folder / layout.MANIFEST).is_file():
        return folder
    if (folder / layout.CONFIG).is_file():
        raise RunError(
            f"the run {str(folder)!r} is not finished: it has no {layout.MANIFEST}.",
            "Repeat the command that started it; it continues where it was.",
        )
    raise RunError(f"{str(folder)!r} is not a run folder: it has no {layout.MANIFEST}.")
