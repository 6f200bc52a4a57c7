"""Open a data set from one string, whatever it is: `open_dataset`. And the registry of everything that can.

To add a data set: one class with the methods of `Adapter`, and one line in `DATASETS` (or an entry point in the
group ``auditor.datasets``).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import UnknownNameError, UnreadableError, UsageError
from auditor.core.registry import Registry
from auditor.data.base import Dataset, validate_items
from auditor.data.reference import PATH_SCHEME, Reference, parse_reference
from auditor.data.tables import table_suffix


class Adapter(Protocol):
    """What opens one kind of reference. Instantiated without arguments.

    Attributes
    ----------
    summary : str
        One line for ``auditor datasets``.
    example : str
        A reference that shows the form.
    options : frozenset of str
        Options it understands besides ``split``.
    """

    summary: str
    example: str
    options: frozenset[str]

    def open(self, reference: Reference, settings: Settings) -> Dataset:
        """Open the data set. It may read only the files of ``reference.options["split"]``."""

    def status(self, settings: Settings) -> tuple[str, str]:
        """(``"found"`` | ``"download"`` | ``"missing"`` | ``"form"``, where it lies or what is missing).

        ``"form"`` is for references with a path: there is nothing to look up. Never uses the network.
        """


#: Every name that may begin a data reference.
DATASETS: Registry[type[Adapter]] = Registry(
    "data set",
    {
        "cifar10": "auditor.data.cifar10:Cifar10",
        "cifake": "auditor.data.cifake:Cifake",
        "cifake:class": "auditor.data.cifake:CifakeClass",
        "digits": "auditor.data.digits:Digits",
        "folder": "auditor.data.folder:Folder",
        "hf": "auditor.data.hub:Hub",
        "csv": "auditor.data.table:Csv",
        "jsonl": "auditor.data.table:Jsonl",
        "parquet": "auditor.data.table:Parquet",
        "probs": "auditor.data.intake:Probabilities",
    },
    entry_point_group="auditor.datasets",
)


def open_dataset(reference: str | Path, settings: Settings, **options: Any) -> Dataset:
    """Open a data set.

    Parameters
    ----------
    reference : str or Path
        A name (``"cifar10"``), a URI (``"folder:///data/pets"``, ``"csv:///x.csv?image=path&label=y"``,
        ``"hf://org/name?split=test"``) or a plain path to a folder or a table.
    settings : Settings
        Where named sets are looked for and whether the network may be used.
    **options
        The same as the query part (``split="test"``, ``label="y"``); a list is joined by commas. ``None``
        counts as not given.

    Returns
    -------
    Dataset
        All splits, or the one asked for. `Dataset.reference` opens the same again from anywhere.

    Raises
    ------
    UsageError, UnknownNameError
        For a name, split, column or option that does not exist; with the nearest that does.
    OfflineError
        If a named set is not on this machine and cannot be fetched.
    DataError
        If what lies there cannot be audited.
    """
    parsed = _with_options(parse_reference(str(reference), DATASETS.names()), options)
    if parsed.scheme == PATH_SCHEME:
        parsed = replace(parsed, scheme=_scheme_of(parsed.path))
    adapter = DATASETS.load(parsed.scheme)()
    parsed.check_options({*adapter.options, "split"})
    dataset = adapter.open(parsed, settings)
    if split := parsed.options.get("split"):
        dataset = restrict_to_split(dataset, split)
    return dataset


def restrict_to_split(dataset: Dataset, split: str) -> Dataset:
    """The items of one split.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    """
    splits = dataset.items.splits
    positions = np.flatnonzero(splits == split)
    if len(positions) == 0:
        raise UnknownNameError("split", split, list(dict.fromkeys(map(str, splits))))
    if len(positions) == len(splits):
        return dataset
    part = dataset.subset(positions)
    validate_items(part.name, part.items, part.class_names)
    return part


def list_datasets(settings: Settings) -> list[dict[str, str]]:
    """``name, description, example, status, where`` of every known data set and form of reference, the last two as in
    `Adapter.status`. Never uses the network."""
    rows = []
    for name in DATASETS:
        adapter = DATASETS.load(name)()
        about = {"name": name, "description": adapter.summary, "example": adapter.example}
        rows.append(about | dict(zip(("status", "where"), adapter.status(settings), strict=True)))
    return rows


def _with_options(reference: Reference, options: dict[str, Any]) -> Reference:
    merged = dict(reference.options)
    for key, value in options.items():
        if value is None:
            continue
        text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        if merged.get(key, text) != text:
            raise UsageError(f"option {key!r} is given twice: {merged[key]!r} in {str(reference)!r} and {text!r}.")
        merged[key] = text
    return replace(reference, options=merged)


_SCHEMES = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_SCHEMES |= {".npy": "probs", ".npz": "probs"}


def _scheme_of(path: Path) -> str:
    """Which adapter reads what lies at `path`."""
    try:
        if path.is_dir():
            return "hf" if any(path.glob("*.parquet")) or any(path.glob("data/*.parquet")) else "folder"
        if not path.exists():
            raise UnreadableError(
                f"{str(path)!r} does not exist.",
                f"A path must exist; a data set name is one of: {', '.join(DATASETS.names())}.",
            )
    except PermissionError as error:
        raise UnreadableError(f"cannot read {str(path)!r}: permission denied.") from error
    suffix = table_suffix(path)
    if suffix not in _SCHEMES:
        raise UnreadableError(
            f"cannot tell what {str(path)!r} is.",
            f"Known: a folder of class folders, or a file ending in {', '.join(_SCHEMES)}.",
        )
    return _SCHEMES[suffix]
