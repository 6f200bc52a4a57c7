"""What a corrected copy remembers, so that every change can be taken back: ``.labelpatch/state.json``."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import psutil
from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError

from auditor.core.errors import DataError, UsageError, storage_errors
from auditor.core.files import TEMPORARY, read_json, sync_to_disk, write_json

STATE_SCHEMA: Final = "auditor.labelpatch-copy/1"
#: Folder inside a copy; hidden, so that no adapter takes it for data.
ASIDE: Final = ".labelpatch"
#: Multi labels of formats that have no place for them.
MULTI_FILE: Final = "multi_labels.jsonl"


@dataclass(frozen=True)
class Change:
    """One changed row of a copy.

    Attributes
    ----------
    key : str
        The row in the data before any patch; what it is depends on the format.
    id, op, from_label, to :
        As in the record that changed it.
    was : str
        Label just before the change; differs from `from_label` only where ``--force-index`` was used.
    raw : str or None
        The label as it was spelled in a text file.
    """

    key: str
    id: str
    op: str
    from_label: str
    to: tuple[str, ...]
    was: str
    raw: str | None = None


class OpenAs(BaseModel):
    """How a copy is opened: `path` is relative to it, the options named in `inside` are paths in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    scheme: str
    path: Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
    options: dict[str, str]
    inside: list[str] = []


class _OfFile(BaseModel):
    """What `RowFile.extra` gives."""

    hub: str | None = None
    dtype: str | None = None


class Extra(BaseModel):
    """What formats remember: where images were moved to, and what `RowFile.extra` gives of each file."""

    model_config = ConfigDict(extra="forbid")

    moved: dict[str, str] = {}
    files: dict[str, _OfFile] = {}


class _Applied(BaseModel):
    """What `CopyState.patches` holds of each patch."""

    digest: str
    name: str


@dataclass(frozen=True)
class CopyState:
    """The memory of a copy.

    Attributes
    ----------
    reference : str
        Reference of the data the copy was made from.
    open_as : dict
        ``scheme``, ``path`` (relative to the copy) and ``options`` that open the copy.
    class_names : tuple of str
        All classes, also those the copy has no item of any more.
    hash_scheme, label_column : str
    patches : list of dict
        ``digest``, ``name`` and ``forced`` (rows found by index, against the refusal rules) of each applied patch.
    changes : list of Change
    extra : dict
        What the format needs besides.
    """

    reference: str
    open_as: dict[str, Any]
    class_names: tuple[str, ...]
    hash_scheme: str
    label_column: str
    patches: list[dict[str, Any]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def dropped(self) -> set[str]:
        """Keys of the rows set aside."""
        return {c.key for c in self.changes if c.op == "drop"}

    @property
    def multi(self) -> dict[str, tuple[str, ...]]:
        """Key to all labels, for rows with several."""
        return {c.key: c.to for c in self.changes if c.op == "multi"}

    def write(self, folder: Path) -> None:
        """Write it into the copy at `folder`."""
        write_json(folder / ASIDE / "state.json", {"schema": STATE_SCHEMA, **asdict(self)})


def copy_state(folder: Path) -> CopyState | None:
    """The memory of the copy at `folder`, or None if it is no copy.

    Raises
    ------
    DataError
        If it is damaged or of a newer version.
    """
    path = folder / ASIDE / "state.json"
    if not path.is_file():
        return None
    value = read_json(path)
    schema = value.pop("schema", None) if isinstance(value, dict) else None
    if schema != STATE_SCHEMA:
        raise DataError(f"{str(path)!r} has the layout {schema!r}; this version reads {STATE_SCHEMA!r}.")
    try:
        state = TypeAdapter(CopyState).validate_python(value)
        OpenAs.model_validate(state.open_as)
        Extra.model_validate(state.extra)
        TypeAdapter(list[_Applied]).validate_python(state.patches)
        return state
    except ValidationError as error:
        raise DataError(
            f"{str(path)!r} is damaged: {error.errors()[0]['msg']}.", "Make the copy again with auditor patch apply."
        ) from error


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a folder beside `out` that takes its name once everything in it is written.

    A killed process leaves a hidden ``.<name>.tmp-<pid>`` folder beside it, never half a copy under the real name;
    the next call for the same name sweeps it away.

    Raises
    ------
    UsageError
        If `out` exists.
    """
    out = Path(os.path.abspath(out))
    if out.exists() or out.is_symlink():
        raise UsageError(f"{str(out)!r} exists already; nothing is overwritten.", "Give another folder with --out.")
    temporary = out.with_name(f".{out.name}.tmp-{os.getpid()}")
    with storage_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        for stale in out.parent.glob(f".{glob.escape(out.name)}.tmp-*"):
            made_by = TEMPORARY.search(stale.name)
            if made_by and (int(made_by[1]) == os.getpid() or not psutil.pid_exists(int(made_by[1]))):
                shutil.rmtree(stale, ignore_errors=True)
        temporary.mkdir()
        try:
            yield temporary
            _sync(temporary)
            os.rename(temporary, out)
            sync_to_disk(out.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _sync(folder: Path) -> None:
    for place, _, names in os.walk(folder):
        for name in names:
            sync_to_disk(Path(place) / name)
        sync_to_disk(Path(place))
