"""Open a data set, from one string or from what is in memory: `open_dataset`. And the registry of what strings name.

To add a data set: one class with the methods of `Adapter`, and one line in `DATASETS` (or an entry point in the
group ``auditor.datasets``).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from auditor.core.config import Settings, load_settings
from auditor.core.errors import DataError, UnknownNameError, UnreadableError, UsageError
from auditor.core.reading import usable_paths
from auditor.core.registry import Registry
from auditor.data.base import Dataset, validate_items
from auditor.data.label_kinds import AUTO
from auditor.data.reference import PATH_SCHEME, Reference, is_held, nearest, parse_reference
from auditor.data.tables import CONLL, TEXT_TABLES, table_suffix


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
        "conll": "auditor.data.table:Conll",
        "parquet": "auditor.data.table:Parquet",
        "probs": "auditor.data.intake:Probabilities",
        "memory": "auditor.data.stored:Stored",
    },
    entry_point_group="auditor.datasets",
)


@usable_paths()
def open_dataset(data: Any, settings: Settings | None = None, *, any_kind: bool = False, **options: Any) -> Dataset:
    """Open a data set.

    Parameters
    ----------
    data : str, Path or object
        A name (``"cifar10"``), a URI (``"folder:///data/pets"``, ``"csv:///x.csv?image=path&label=y"``,
        ``"hf://org/name?split=test"``), a plain path to a folder or a table, what is in memory
        (`auditor.data.memory.open_held`), or a data set that is open already.
    settings : Settings, optional
        Where named sets are looked for and whether the network may be used.
    any_kind : bool
        Whether labels may be more than classes: sets of tags and numbers are then told by looking, where ``kind`` does
        not say what they are, and `Dataset.form` says which.
    **options
        The same as the query part (``split="test"``, ``label="y"``); a list is joined by commas. ``None``
        counts as not given. Of data in memory ``label``, ``group`` and ``id`` may be sequences (n,) too.

    Returns
    -------
    Dataset
        All splits, or the one asked for. `Dataset.reference` opens the same again from anywhere; that of data in memory
        says what they were (``memory:DataFrame``).

    Raises
    ------
    UsageError, UnknownNameError
        For a name, split, column or option that does not exist; with the nearest that does.
    OfflineError
        If a named set is not on this machine and cannot be fetched.
    DataError
        If what lies there cannot be audited.

    Examples
    --------
    >>> import auditor
    >>> data = auditor.open_dataset({"text": ["a cat", "a dog", "the cat"], "label": ["cat", "dog", "cat"]})
    >>> data.modality, data.class_names, data.labels.tolist(), data.item(1)
    ('text', ('cat', 'dog'), [0, 1, 0], 'a dog')
    """
    options = {key: value for key, value in options.items() if value is not None}
    if isinstance(data, Dataset):
        if unknown := sorted(options.keys() - {"split"}):
            raise UsageError(f"{data.name!r} is open already: {', '.join(unknown)} cannot be chosen any more.")
        return restrict_to_split(data, options["split"]) if "split" in options else data
    if not isinstance(data, str | Path):
        return _said(_open_held(data, {"kind": AUTO, **options} if any_kind else options))
    settings = settings or load_settings()
    parsed = _with_options(parse_reference(str(data), DATASETS.names()), options)
    if is_held(parsed.scheme):
        raise DataError(
            f"the data of {str(data)!r} were in memory: nothing opens them again.",
            "Name the run folder that was made of them, memory:///RUN, or give the data.",
        )
    if parsed.scheme == PATH_SCHEME:
        parsed = replace(parsed, scheme=_scheme_of(parsed.path))
    adapter = DATASETS.load(parsed.scheme)()
    _check_roles(data, parsed, adapter.options)
    parsed.check_options({*adapter.options, "split"})
    if any_kind and "kind" in adapter.options:
        parsed = replace(parsed, options={"kind": AUTO, **parsed.options})
    dataset = adapter.open(parsed, settings)
    if split := parsed.options.get("split"):
        dataset = restrict_to_split(dataset, split)
    return _said(dataset)


def _said(dataset: Dataset) -> Dataset:
    """The reference names the kind of labels that was told by looking, and the columns they are in."""
    parsed = parse_reference(dataset.reference, DATASETS.names())
    if parsed.options.get("kind") == AUTO:
        options = {key: value for key, value in parsed.options.items() if key != "kind"}
        if dataset.form is not None:
            options |= {"kind": dataset.form.kind, "label": dataset.label or options.get("label", "label")}
        dataset.reference = str(replace(parsed, options=options))
    return dataset


def _open_held(data: Any, options: dict[str, Any]) -> Dataset:
    from auditor.data.memory import OPTIONS, open_held

    split = options.pop("split", None)
    Reference("memory", "", dict.fromkeys(options, "")).check_options(OPTIONS)
    dataset = open_held(data, options)
    return dataset if split is None else restrict_to_split(dataset, split)


def with_options(reference: str, options: dict[str, Any]) -> str:
    """A reference with more options; those that are None are not given. Errors as `open_dataset`."""
    if all(value is None for value in options.values()):
        return reference
    return str(_with_options(parse_reference(reference, DATASETS.names()), options))


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


def open_split(reference: str, split: str | None, settings: Settings) -> Dataset:
    """One split of a data set: the one named, the only one, or ``test``."""
    if split is not None:
        return open_dataset(reference, settings, split=split)
    dataset = open_dataset(reference, settings)
    splits = sorted(set(dataset.items.splits.tolist()))
    if len(splits) == 1:
        return dataset
    if "test" not in splits:
        raise UsageError(f"{reference!r} has the splits {', '.join(splits)}.", "Name one with --split.")
    return open_dataset(reference, settings, split="test")


def list_datasets(settings: Settings) -> list[dict[str, str]]:
    """``name, description, example, status, where`` of every known data set and form of reference, the last two as in
    `Adapter.status`. Never uses the network."""
    rows = []
    for name in DATASETS:
        adapter = DATASETS.load(name)()
        about = {"name": name, "description": adapter.summary, "example": adapter.example}
        rows.append(about | dict(zip(("status", "where"), adapter.status(settings), strict=True)))
    return rows


def _check_roles(data: str | Path, parsed: Reference, known: frozenset[str]) -> None:
    """Refuse the name of a column where the data set has none.

    Raises
    ------
    UsageError
        With the names that were given.
    """
    from auditor.data.roles import ROLE_OPTIONS

    if ROLE_OPTIONS & known:
        return
    if given := sorted(key for key in ROLE_OPTIONS & set(parsed.options) if not nearest(key, known)):
        labels = "Labels are the names of its folders" if parsed.scheme == "folder" else "Its labels are fixed"
        named = ", ".join(f"{key}={parsed.options[key]}" for key in given)
        raise UsageError(
            f"{str(data)!r} has no columns: {named} cannot name one.",
            f"{labels}: leave {', '.join(given)} out, or name a table that lists the items.",
        )


def _with_options(reference: Reference, options: dict[str, Any]) -> Reference:
    merged = dict(reference.options)
    for key, value in options.items():
        if value is None:
            continue
        if key in ("label", "group", "id") and not isinstance(value, str) and hasattr(value, "__len__"):
            raise UsageError(f"{key}= names a column of {str(reference)!r}; its values are for data in memory.")
        text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        if merged.get(key, text) != text:
            raise UsageError(f"option {key!r} is given twice: {merged[key]!r} in {str(reference)!r} and {text!r}.")
        merged[key] = text
    return replace(reference, options=merged)


_SCHEMES = {**TEXT_TABLES, **dict.fromkeys(CONLL, "conll"), ".parquet": "parquet", ".npy": "probs", ".npz": "probs"}


def _scheme_of(path: Path) -> str:
    """Which adapter reads what lies at `path`."""
    from auditor.data.folder import holds_images
    from auditor.data.hub import is_saved
    from auditor.data.stored import is_stored
    from auditor.data.table import table_files

    try:
        if path.is_dir():
            if is_stored(path):
                return "memory"
            if any(path.glob("*.parquet")) or any(path.glob("data/*.parquet")) or is_saved(path):
                return "hf"
            tables = table_files(path)
            return _SCHEMES[table_suffix(tables[0][1])] if tables and not holds_images(path) else "folder"
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
            "Known: a folder of class folders or of tables, and one in the Hub's layout; a file ending in "
            f"{', '.join(_SCHEMES)}.",
        )
    return _SCHEMES[suffix]
