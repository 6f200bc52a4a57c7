"""The manifest of accepted rows: what is in it has been judged, all else is new or changed."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

from auditor.core.errors import DataError, UnreadableError
from auditor.core.files import read_json, write_json
from auditor.core.version import __version__
from auditor.policy.rows import Rows

SCHEMA: Final = "auditor.baseline/1"


def write_baseline(path: Path, rows: Rows) -> None:
    """Accept all rows: write how often each (content, label, split) occurs, by its hash. Holds no content."""
    document = {
        "schema": SCHEMA,
        "auditor": __version__,
        "dataset": rows.name,
        "hash_scheme": rows.hash_scheme,
        "n_items": len(rows),
        "rows": dict(sorted(Counter(rows.keys()).items())),
    }
    write_json(path, document)


def is_baseline(path: Path) -> bool:
    """Whether a baseline lies there, of whatever version."""
    with suppress(UnreadableError, AttributeError):
        return str(read_json(path).get("schema")).startswith(SCHEMA.partition("/")[0])
    return False


def read_baseline(path: Path) -> dict[str, Any]:
    """Read a manifest.

    Raises
    ------
    DataError
        If it is no such manifest, or damaged.
    """
    baseline = read_json(path)
    rows = baseline.get("rows") if isinstance(baseline, dict) else None
    if not isinstance(rows, dict) or baseline.get("schema") != SCHEMA:
        raise DataError(
            f"{str(path)!r} is no baseline of this version ({SCHEMA}).",
            "Write one with: auditor check DATASET --write-baseline FILE",
        )
    if not all(isinstance(n, int) and n > 0 for n in rows.values()) or sum(rows.values()) != baseline.get("n_items"):
        raise DataError(f"{str(path)!r}: the rows do not add up; the file is damaged.")
    return baseline


def new_rows(baseline: dict[str, Any], rows: Rows) -> np.ndarray:
    """Rows that the manifest does not hold, bool (n,): another content, label or split, or one copy more.

    Raises
    ------
    DataError
        If its contents were hashed in another way: then everything would look new.
    """
    if rows.hash_scheme and baseline["hash_scheme"] and baseline["hash_scheme"] != rows.hash_scheme:
        raise DataError(
            f"the baseline holds {baseline['hash_scheme']!r} hashes, the data has {rows.hash_scheme!r}.",
            "Write a new one with --all --write-baseline.",
        )
    left = dict(baseline["rows"])
    new = np.zeros(len(rows), bool)
    for i, key in enumerate(rows.keys()):
        if left.get(key, 0):
            left[key] -= 1
        else:
            new[i] = True
    return new
