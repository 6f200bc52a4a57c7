"""Every format of stored predictions, and the walk over a folder of models.

To add a format: one file here with a class that fulfils `Reader`, and one line in `READERS`.
"""

from __future__ import annotations

import re
from dataclasses import replace
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
    predictions: list[tuple[str, Prediction]] = []
    for folder, files in by_folder.items():
        where = "" if folder == base else folder.relative_to(base).as_posix()
        for name in READERS:
            reader = READERS.load(name)()
            for claim in reader.claim(files):
                files = [file for file in files if file not in claim.files]
                predictions += [(where, prediction) for prediction in _read(reader, claim, given_labels)]
    if not predictions:
        forms = "; ".join(READERS.load(name).summary for name in READERS)
        raise DataError(f"there are no stored predictions in {str(path)!r}.", f"Formats read: {forms}.")
    return _named(predictions)


def _with_partner(path: Path) -> list[Path]:
    """One file, and the one that makes a pair with it."""
    other = path.with_name(re.sub(r"preds(\.npy)$", r"probs\1", path.name))
    return [path] if other == path or not other.is_file() else [path, other]


def _read(reader: Reader, claim: Claim, given_labels: GivenLabels) -> list[Prediction]:
    try:
        return reader.read(claim, given_labels)
    except AuditorError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"{str(claim.files[0])!r} cannot be read as predictions: {error}.") from error


def _named(predictions: list[tuple[str, Prediction]]) -> list[Prediction]:
    """Unique names, by folder where needed."""
    folders: dict[str, set[str]] = {}
    for folder, prediction in predictions:
        folders.setdefault(prediction.name, set()).add(folder)
    named: dict[str, Prediction] = {}
    for folder, prediction in predictions:
        name = prediction.name
        if folder and (not name or len(folders[name]) > 1):
            name = f"{folder}/{name}" if name else folder
        name = name or Path(prediction.source).stem
        if name in named:
            raise DataError(
                f"the model {name!r} occurs twice: {named[name].source!r} and {prediction.source!r}.",
                "Name every model once; platform and model together make a name.",
            )
        named[name] = replace(prediction, name=name)
    return list(named.values())
