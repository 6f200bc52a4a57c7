"""Every format of stored predictions, and the walk over a folder of models.

To add a format: one file here with a class that fulfils `Reader`, and one line in `READERS`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from auditor.benchmark.given_labels import GivenLabels
from auditor.benchmark.readers.base import Claim, Prediction, Reader
from auditor.core.errors import AuditorError, DataError, UnreadableError
from auditor.core.registry import Registry

#: In the order of their claims: pairs before single arrays.
READERS: Final[Registry[type[Reader]]] = Registry(
    "prediction format",
    {
        "top-k": "auditor.benchmark.readers.top_k:TopK",
        "npy": "auditor.benchmark.readers.single_files:Arrays",
        "npz": "auditor.benchmark.readers.single_files:Npz",
        "table": "auditor.benchmark.readers.single_files:Tables",
    },
    entry_point_group="auditor.prediction_readers",
)

#: Files that may lie beside predictions without being any.
_ASIDE: Final = re.compile(r"^(?:labels?|original_labels|index|manifest|readme.*|ids)\.\w+$", re.IGNORECASE)


def read_predictions(path: Path, given_labels: GivenLabels) -> list[Prediction]:
    """Predictions of all models in a folder (and its folders), or in one file.

    A model is called as its file is. Where two folders hold files of one name (as for two platforms), and where the
    name says nothing (``preds.npy``), the folder's name is put before it.

    Raises
    ------
    DataError
        If there is none, two files of one folder are of one model, or a file is wrong; naming the file.
    """
    path = Path(path)
    if not path.exists():
        raise UnreadableError(f"no predictions at {str(path)!r}.", "Check the path.")
    base = path if path.is_dir() else path.parent
    by_folder: dict[Path, list[Path]] = {}
    for file in sorted(path.rglob("*")) if path.is_dir() else _with_partner(path):
        hidden = any(part.startswith(".") for part in file.relative_to(base).parts)
        if file.is_file() and not hidden and not _ASIDE.match(file.name):
            by_folder.setdefault(file.parent, []).append(file)
    found: list[tuple[str, Prediction]] = []
    for folder, files in by_folder.items():
        place = "" if folder == base else folder.relative_to(base).as_posix()
        for reader, claim in _claims(files):
            found += [(place, one) for one in _read(reader, claim, given_labels)]
    if not found:
        forms = "; ".join(READERS.load(name).summary for name in READERS)
        raise DataError(f"there are no stored predictions in {str(path)!r}.", f"Formats read: {forms}.")
    return _named(found)


def _with_partner(path: Path) -> list[Path]:
    """One file, and the one that makes a pair with it."""
    other = path.with_name(re.sub(r"preds(\.npy)$", r"probs\1", path.name))
    return [path] if other == path or not other.is_file() else [path, other]


def _claims(files: Sequence[Path]) -> list[tuple[Reader, Claim]]:
    left, found = list(files), []
    for name in READERS:
        reader = READERS.load(name)()
        claims = reader.claim(left)
        taken = {file for claim in claims for file in claim.files}
        left = [file for file in left if file not in taken]
        found += [(reader, claim) for claim in claims]
    return found


def _read(reader: Reader, claim: Claim, given_labels: GivenLabels) -> list[Prediction]:
    try:
        return reader.read(claim, given_labels)
    except AuditorError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"{str(claim.files[0])!r} cannot be read as predictions: {error}.") from error


def _named(found: list[tuple[str, Prediction]]) -> list[Prediction]:
    """Unique names, by folder where needed."""
    places: dict[str, set[str]] = {}
    for place, one in found:
        places.setdefault(one.name, set()).add(place)
    named: dict[str, Prediction] = {}
    for place, one in found:
        name = one.name
        if place and (not name or len(places[name]) > 1):
            name = f"{place}/{name}" if name else place
        if not name:
            name = Path(one.source).stem
        if name in named:
            raise DataError(
                f"the model {name!r} occurs twice: {named[name].source!r} and {one.source!r}.",
                "Name every model once; platform and model together make a name.",
            )
        named[name] = Prediction(name, one.top1, one.source, one.top)
    return list(named.values())
