"""From verdicts to a label patch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args

import numpy as np
import pandas as pd

from auditor.core.config import Settings
from auditor.core.errors import DataError, UnknownNameError, UsageError
from auditor.core.hashing import hash_file, hash_strings
from auditor.core.version import __version__
from auditor.data.open import DATASETS
from auditor.data.reference import parse_reference
from auditor.patch.open_target import open_target
from auditor.patch.records import (
    EVALUATION_SPLITS,
    OPS,
    REASONS,
    Patch,
    PatchHeader,
    PatchRecord,
    check_patch,
    disagreements,
    record_of,
    unique_records,
)
from auditor.review.consensus import ItemConsensus
from auditor.review.vocabulary import NEW, Treatment
from auditor.runs import layout
from auditor.runs.run import Run

#: References whose labels are no column, or always in one of this name.
_FIXED_COLUMNS = {**dict.fromkeys(("folder", "cifar10", "cifake", "probs", "digits"), "label"), "cifake:class": "class"}


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        return f"Created({len(self.patch.records):,} records; {sum(self.left_out.values()):,} items left out)"


def corrected_labels(consensus: ItemConsensus, given: str, treatment: Treatment) -> tuple[str, ...]:
    """Labels after a consensus: the given one where it changes nothing, none where the item is to be dropped.

    Raises
    ------
    DataError
        If the consensus names no class although its verdict needs one.
    """
    verdict, label = consensus.verdict, consensus.label
    # A patch cannot add a class to a data set: no class of it applies.
    if verdict in REASONS or verdict.startswith(NEW):
        return ()
    if not verdict.startswith(("suggested", "other:", "both")) or (verdict == "both" and treatment == "lenient"):
        return (given,)
    if label is None or (verdict == "both" and label == given):
        raise DataError(f"item {consensus.item_id!r}: the consensus is {verdict!r}, but it names no other class.")
    return (given, label) if verdict == "both" else (label,)


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
    UsageError
        For an unknown treatment or operation.
    """
    if treatment not in get_args(Treatment):
        raise UsageError(f"unknown treatment {treatment!r}.", f"Choose {' or '.join(get_args(Treatment))}.")
    if strange := sorted(set(only) - set(OPS)):
        raise UsageError(f"unknown operation {strange[0]!r}.", f"Known: {', '.join(OPS)}.")
    items, consensus = run.items, list(consensus)
    places = pd.Index(items["id"]).get_indexer([decided.item_id for decided in consensus])
    if (places < 0).any():
        unknown = consensus[int(places.argmin())].item_id
        raise UnknownNameError("item", unknown, [f"{len(items):,} items of {run.path}"], [])
    ranks = dict(zip(run.findings["id"], run.findings["rank"], strict=True))
    judged: list[tuple[ItemConsensus, dict[str, Any], PatchRecord | None]] = []
    left_out: Counter[str] = Counter()
    order = np.argsort(places)
    for k, row in zip(order, items.iloc[places[order]].to_dict("records"), strict=True):
        decided = consensus[k]
        labels = corrected_labels(decided, row["given"], treatment)
        new = decided.verdict.startswith(NEW)
        reason = "neither" if new else decided.verdict
        record = record_of(
            row["given"],
            labels,
            reason,
            id=row["content_hash"],
            verdict=reason,
            votes=dict(decided.votes),
            n=decided.n,
            posterior=decided.posterior,
            index=row["index"],
            path=row["path"] if isinstance(row.get("path"), str) else None,
            rank=ranks.get(decided.item_id),
            note=f"new class: {decided.verdict.removeprefix(NEW)}" if new else None,
        )
        left_out.update([decided.verdict] if record is None else [])
        judged.append((decided, row, record))
    # An item found right beside a corrected copy disagrees with it too.
    conflicts = list(
        disagreements(
            ((row["content_hash"], row["given"]), record, decided)
            for decided, row, record in judged
            if record is not None or decided.verdict == "given"
        )
    )
    words = [f"{a.item_id} and {b.item_id}: {a.verdict} and {b.verdict}" for _, a, b in conflicts]
    if conflicts and not leave_out_conflicts:
        raise DataError(
            "exact copies of one item were judged differently:\n    " + "\n    ".join(words[:10]),
            "Judge them again in the review, or leave them out with --leave-out-conflicts.",
        )
    contested = {key for key, _, _ in conflicts}
    agreed = [(row["split"], r) for _, row, r in judged if r is not None and (r.id, r.from_label) not in contested]
    left_out.update(f"{record.verdict} ({record.op})" for _, record in agreed if record.op not in only)
    chosen = [(split, record) for split, record in agreed if record.op in only]
    require_human_verdicts(chosen)
    header = _header(run, items, sorted({split for split, _ in chosen}), settings, license, created)
    ranked = sorted((record for _, record in chosen), key=lambda record: (record.rank is None, record.rank))
    records = tuple(unique_records(ranked).values())
    check_patch(header, records, "the new patch")
    return Created(Patch(header, records), dict(left_out), words)


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
    names = data["class_names"] if run.form is None else run.form.order(set(items["given"]))
    rows = [data["hash_scheme"], *names]
    for row in zip(part["id"], part["content_hash"], part["label"], part["split"], strict=True):
        rows.extend(map(str, row))
    return PatchHeader(
        name=data["name"],
        split=None if len(splits) != 1 or splits[0] == "all" else splits[0],
        n=len(part),
        fingerprint=hash_strings(rows),
        hash_scheme=data["hash_scheme"],
        label_form=data.get("label_form"),
        classes=tuple(data["class_names"]) if run.form is None else (),
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
    return parsed.options.get("label") or open_target(reference, settings).column
