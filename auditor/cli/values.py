"""From the values of options to what they name: settings, runs, stores, clusters; and tables into files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from auditor.core.config import Settings, load_settings
from auditor.core.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from auditor.cli.options import Roles
    from auditor.engine.ray_executor import RayExecutor
    from auditor.runs.run import Run


def settings_for(data_dir: Path | None, offline: bool = False) -> Settings:
    """The settings, with the options of the call."""
    return load_settings({"data_dir": data_dir, "offline": True if offline else None})


@overload
def data_named(data: str, roles: Roles) -> str: ...
@overload
def data_named(data: str | None, roles: Roles) -> str | None: ...
def data_named(data: str | None, roles: Roles) -> str | None:
    """The reference of a DATASET argument, with the columns that options name; None where none is given.

    Raises
    ------
    UsageError
        If columns are named and no data set. Else as `open_dataset`.
    """
    from auditor.data.open import with_options

    if data is not None:
        return with_options(data, dict(roles))
    if named := [role for role, column in roles.items() if column is not None]:
        raise UsageError(f"--{named[0]} names a column of a data set, and none is given.", "Name the data set, too.")
    return None


def run_named(run: str) -> Run:
    """The run of a RUN argument. Errors as `open_run`."""
    from auditor.runs.run import open_run

    return open_run(run, load_settings().runs_dir)


#: What `write_frame` writes.
TABLE_SUFFIXES = (".csv", ".parquet")


def check_suffix(option: str, path: Path, suffixes: Sequence[str]) -> None:
    """Refuse a file for results, before anything is computed, where its suffix is none of these."""
    if path.suffix not in suffixes:
        raise UsageError(f"{option} {str(path)!r}: the file must end in {' or '.join(suffixes)}.")


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a table to a file with one of `TABLE_SUFFIXES`."""
    from auditor.core.files import atomic_path

    with atomic_path(path) as temporary:
        if path.suffix == ".csv":
            temporary.write_text(frame_csv(frame), encoding="utf-8", newline="")
        else:
            frame.to_parquet(temporary, index=False)


def frame_csv(frame: pd.DataFrame, show: Callable[[str], str] = str) -> str:
    """`csv_text` of a table."""
    from auditor.core.escaping import csv_text

    return csv_text(
        [str(name) for name in frame], zip(*(_values(frame[name].to_numpy()) for name in frame), strict=True), show
    )


def _values(column: np.ndarray) -> Iterable[Any]:
    # Python's own numbers are written faster; those of 32 bits would get digits that they do not have.
    return column.tolist() if column.dtype.itemsize == 8 else column


def choose_executor(engine: str, address: str | None) -> RayExecutor | None:
    """The cluster for ``--engine ray [--address A]``; None for ``local``."""
    if engine == "ray":
        from auditor.engine.ray_executor import RayExecutor

        return RayExecutor(address=address)
    if engine != "local":
        raise UsageError(f"unknown --engine {engine!r}.", "Choose local or ray.")
    if address is not None:
        raise UsageError("--address goes with --engine ray.")
    return None


def parse_class_names(value: str | None) -> list[str] | None:
    """``"cat,dog"`` or a text file with one name per line."""
    from auditor.core.files import read_lines

    if value is None:
        return None
    path = Path(value)
    if "," not in value and path.is_file():
        names = read_lines(path)
    else:
        names = value.split(",")
    names = [name.strip() for name in names if name.strip()]
    if len(names) < 2:
        raise UsageError(
            f"--class-names {value!r} gives {len(names)} name(s); at least two are needed.",
            "Write them as a,b,c or give a file with one name per line.",
        )
    return names
