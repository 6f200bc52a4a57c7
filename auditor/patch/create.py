"""From verdicts to a label patch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import DataError, UnknownNameError
from auditor.core.hashing import hash_file, hash_strings
from auditor.core.version import __version__
from auditor.data.open import DATASETS
from auditor.data.reference import parse_reference
from auditor.patch.open_target import open_target
from auditor.patch.records import EVALUATION_SPLITS, OPS, Patch, PatchHeader, PatchRecord, check_patch
from auditor.review.consensus import ItemConsensus
from auditor.runs import layout
from auditor.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd

#: What becomes of items to which both labels apply: ``strict`` counts them as wrong, ``lenient`` as right.
Treatment = Literal["strict", "lenient"]

#: References whose labels are no column, or always in one of this name.
_FIXED_COLUMNS = {**dict.fromkeys(("folder", "cifar10", "cifake", "probs", "digits"), "label"), "cifake:class": "class"}


@dataclass(frozen=True)
class Created:
    """A patch and what it leaves out.

    Attributes
    ----------
    patch : Patch
    left_out : dict
        Reason to number of items that have a consensus and no record.
    conflicts : list of str
        Items left out because copies of them were judged differently; only where that was asked for.
    """

    patch: Patch
    left_out: dict[str, int]
    conflicts: list[str]


def operation(
    consensus: ItemConsensus, given: str, treatment: Treatment
) -> tuple[str, tuple[str, ...], str | None] | None:
    """Operation, labels after and reason of a consensus; None where it changes nothing.

    Raises
    ------
    DataError
        If the consensus names no class although its verdict needs one.
    """
    verdict, label = consensus.verdict, consensus.label
    if verdict in ("neither", "bad_item"):
        return "drop", (), verdict
    if verdict == "both" and treatment == "lenient":
        return None
    if verdict != "both" and verdict != "suggested" and not verdict.startswith("other:"):
        return None
    if label is None or (verdict == "both" and label == given):
        raise DataError(f"item {consensus.item_id!r}: the consensus is {verdict!r}, but it names no other class.")
    if label == given:
        return None
    return ("multi", (given, label), None) if verdict == "both" else ("relabel", (label,), None)


def create_patch(
    run: Run,
    consensus: Iterable[ItemConsensus],
    settings: Settings,
    *,
    treatment: Treatment = "strict",
    license: str = "CC0-1.0",
    leave_out_conflicts: bool = False,
    only: Collection[str] = OPS,
    created: str | None = None,
) -> Created:
    """Make a patch of a run's reviewed items.

    Parameters
    ----------
    run : Run
    consensus : iterable of ItemConsensus
        One row per reviewed item.
    settings : Settings
        To look the label column up, where the run's reference does not name it.
    treatment : {"strict", "lenient"}
        Whether items to which both labels apply become records.
    license : str
        ``"CC0-1.0"`` or ``"CC-BY-4.0"``.
    leave_out_conflicts : bool
        Leave out items whose exact copies were judged differently, instead of refusing.
    only : collection of str
        Operations to keep; the others are counted as left out.
    created : str, optional
        Time of the header; now by default.

    Raises
    ------
    DataError
        If copies of one item were judged differently, or a record of an evaluation split has no human verdict.
    UnknownNameError
        If an item is not in the run.
    """
    items = run.items
    row_of = {item: k for k, item in enumerate(items["id"].tolist())}
    given, hashes = items["given"].to_numpy(), items["content_hash"].to_numpy()
    splits, index = items["split"].to_numpy(), items["index"].to_numpy()
    paths = items["path"].to_numpy() if "path" in items else np.full(len(items), None)
    ranks = dict(zip(run.findings["id"], run.findings["rank"], strict=True))
    judged: list[tuple[ItemConsensus, int, PatchRecord | None]] = []
    left_out: Counter[str] = Counter()
    for one in consensus:
        if one.item_id not in row_of:
            raise UnknownNameError("item", one.item_id, [f"{len(items):,} items of {run.path}"], [])
        row = row_of[one.item_id]
        outcome = operation(one, str(given[row]), treatment)
        record = None
        if outcome is None:
            left_out[one.verdict] += 1
        else:
            op, to, reason = outcome
            record = PatchRecord(
                id=str(hashes[row]),
                op=op,
                from_label=str(given[row]),
                to=to,
                reason=reason,
                verdict=one.verdict,
                votes=dict(one.votes),
                n=one.n,
                posterior=one.posterior,
                index=int(index[row]),
                path=None if paths[row] is None else str(paths[row]),
                rank=None if one.item_id not in ranks else int(ranks[one.item_id]),
            )
        judged.append((one, row, record))
    conflicts = _conflicts(judged, given, hashes)
    if conflicts and not leave_out_conflicts:
        raise DataError(
            "exact copies of one item were judged differently:\n    " + "\n    ".join(conflicts[:10]),
            "Judge them again in the review, or leave them out with --leave-out-conflicts.",
        )
    contested = {item for text in conflicts for item in text.split(": ")[0].split(" and ")}
    kept = [(row, record) for one, row, record in judged if record is not None and one.item_id not in contested]
    left_out.update(f"{record.verdict} ({record.op})" for _, record in kept if record.op not in only)
    kept = [(row, record) for row, record in kept if record.op in only]
    require_human_verdicts([(str(splits[row]), record) for row, record in kept])
    header = _header(run, items, sorted({str(splits[row]) for row, _ in kept}), settings, license, created)
    order = sorted(kept, key=lambda pair: (pair[1].rank is None, pair[1].rank or 0, pair[0]))
    records: dict[tuple[str, str], PatchRecord] = {}
    for _, record in order:
        records.setdefault((record.id, record.from_label), record)
    check_patch(header, list(records.values()), "the new patch")
    return Created(Patch(header, tuple(records.values())), dict(left_out), conflicts)


def _conflicts(
    judged: Sequence[tuple[ItemConsensus, int, PatchRecord | None]], given: np.ndarray, hashes: np.ndarray
) -> list[str]:
    """Copies with one label and two outcomes; an item found right beside a corrected copy is one too."""
    seen: dict[tuple[str, str], tuple[ItemConsensus, Any]] = {}
    found = []
    for one, row, record in judged:
        if record is None and one.verdict != "given":
            continue
        outcome = None if record is None else record.outcome
        first, before = seen.setdefault((str(hashes[row]), str(given[row])), (one, outcome))
        if before != outcome:
            found.append(f"{first.item_id} and {one.item_id}: {first.verdict} and {one.verdict}")
    return found


def require_human_verdicts(records: Iterable[tuple[str | None, PatchRecord]]) -> None:
    """An evaluation split is never changed on a model's word alone.

    Raises
    ------
    DataError
        For the first record of a test or validation split that nobody judged.
    """
    for split, record in records:
        if split is not None and split.lower() in EVALUATION_SPLITS and not sum((record.votes or {}).values()):
            raise DataError(
                f"{record.where()} of the split {split!r} has no human verdict: a test set is never relabelled from "
                "model output alone.",
                "Review the item first, or make the patch for the train split.",
            )


def _header(
    run: Run, items: pd.DataFrame, splits: list[str], settings: Settings, license: str, created: str | None
) -> PatchHeader:
    """The header over one split where all records lie in one, else over all."""
    data = run.manifest["data"]
    whole = len(set(items["split"])) == 1 or len(splits) != 1
    part = items if whole else items[items["split"] == splits[0]]
    rows = [data["hash_scheme"], *data["class_names"]]
    for row in zip(part["id"], part["content_hash"], part["label"], part["split"], strict=True):
        rows.extend(map(str, row))
    return PatchHeader(
        name=data["name"],
        split=None if len(splits) != 1 or splits[0] == "all" else splits[0],
        n=len(part),
        fingerprint=hash_strings(rows),
        hash_scheme=data["hash_scheme"],
        classes=tuple(data["class_names"]),
        label_column=label_column_of(data["reference"], settings),
        created=created or datetime.now(UTC).isoformat(timespec="seconds"),
        tool=f"auditor {__version__}",
        run=hash_file(run.path / layout.MANIFEST),
        license=license,
    )


def label_column_of(reference: str, settings: Settings) -> str:
    """The label column of a data reference; the data is opened only where the reference does not say it."""
    parsed = parse_reference(reference, DATASETS.names())
    if parsed.scheme in _FIXED_COLUMNS:
        return _FIXED_COLUMNS[parsed.scheme]
    return parsed.options.get("label") or open_target(reference, settings).target.column
