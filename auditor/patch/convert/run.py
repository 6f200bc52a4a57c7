"""Convert: read one format, write another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from auditor.core.config import Settings
from auditor.core.errors import UsageError
from auditor.patch.convert.base import FORMATS, DataView, Options, assemble, open_view
from auditor.patch.files import is_patch_name, read_patch, write_patch
from auditor.patch.records import Patch

#: Name of the patch format itself.
PATCH = "patch"


@dataclass(frozen=True)
class Converted:
    """What a conversion did."""

    patch: Patch
    notes: tuple[str, ...]
    source: str
    target: str


def convert(
    source: Path,
    out: Path,
    settings: Settings,
    *,
    read_as: str | None = None,
    write_as: str | None = None,
    reference: str | None = None,
    options: Options | None = None,
    created: str | None = None,
) -> Converted:
    """Convert corrections between a label patch and the formats of `FORMATS`.

    Parameters
    ----------
    source, out : Path
    settings : Settings
    read_as, write_as : str, optional
        Names of formats; ``patch`` is known by its name.
    reference : str, optional
        The data spoken of: needed to read every format but a patch (they have no content hashes), and to write those
        that list every row.
    options : Options, optional
    created : str, optional
        Time of a new header; now by default.

    Raises
    ------
    UsageError, UnknownNameError
        A format or the data is not named.
    DataError
        As the reader and writer of the format.
    """
    options = options or Options()
    read_as = read_as or (PATCH if is_patch_name(source) else None)
    write_as = write_as or (PATCH if is_patch_name(out) else None)
    for name, option in ((read_as, "--from"), (write_as, "--to")):
        if name is None:
            raise UsageError(f"the format is not clear; name it with {option}.", f"Known: patch, {', '.join(FORMATS)}.")
    assert read_as is not None and write_as is not None  # noqa: PT018
    view: DataView | None = None
    notes: list[str] = []
    if read_as == PATCH:
        patch = read_patch(source)
        notes += patch.notes
    else:
        reader = FORMATS.load(read_as)()
        if reference is None:
            raise UsageError(
                f"a {read_as!r} file has no content hashes; the data it speaks of is needed.",
                "Name it with --data DATASET.",
            )
        view = open_view(reference, settings)
        corrections, told = reader.read(source, view, options)
        stamp = created or datetime.now(UTC).isoformat(timespec="seconds")
        patch, more = assemble(view, corrections, stamp)
        notes += [*told, *more]
    if write_as == PATCH:
        write_patch(patch, out)
        return Converted(patch, tuple(notes), read_as, write_as)
    writer = FORMATS.load(write_as)()
    if view is None and reference is not None:
        view = open_view(reference, settings, patch.header.split)
    if view is None and writer.needs_data_to_write:
        raise UsageError(f"writing {write_as!r} needs the data.", "Name it with --data DATASET.")
    notes += writer.write(patch, out, view, options)
    return Converted(patch, tuple(notes), read_as, write_as)
