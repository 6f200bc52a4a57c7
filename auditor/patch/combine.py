"""The union of several patches, and what a patch holds in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from auditor.core.errors import DataError, UsageError
from auditor.patch.records import Patch, check_patch, contradictions, describe, unique_records

SHOW_SCHEMA = "auditor.patch-show/1"


@dataclass(frozen=True)
class Merged:
    """A union of patches.

    Attributes
    ----------
    patch : Patch
    repeated : int
        Records that several patches agree on.
    notes : tuple of str
    """

    patch: Patch
    repeated: int
    notes: tuple[str, ...]


def merge_patches(patches: Sequence[Patch], names: Sequence[str]) -> Merged:
    """Unite patches for one data set.

    Parameters
    ----------
    patches : sequence of Patch
    names : sequence of str
        What to call each in messages, e.g. its file name.

    Raises
    ------
    UsageError
        For less than two patches.
    DataError
        For different hash schemes, label columns or classes, and for conflicts, which are all listed. There is no
        last-wins.
    """
    if len(patches) < 2:
        raise UsageError("merging needs two or more patches.", "auditor patch merge A B --out C.labelpatch.jsonl")
    first = patches[0].header
    notes = []
    for patch, name in zip(patches[1:], names[1:], strict=True):
        other = patch.header
        for what, a, b in (
            ("hash schemes", first.hash_scheme, other.hash_scheme),
            ("label columns", first.label_column, other.label_column),
            ("forms of labels", first.label_form, other.label_form),
        ):
            if a != b:
                raise DataError(
                    f"{names[0]} and {name} have different {what}: {a!r} and {b!r}.",
                    "They cannot be united; apply them one after the other.",
                )
        if set(first.classes) != set(other.classes):
            odd = sorted(set(first.classes) ^ set(other.classes))
            raise DataError(f"{names[0]} and {name} have different classes; {odd[0]!r} is in one of them only.")
        if first.classes != other.classes:
            notes.append(f"{name} lists the classes in another order; they were matched by name")
        if first.split == other.split and first.fingerprint != other.fingerprint:
            notes.append(f"{names[0]} and {name} were made for different states of the data")
    every = [record for patch in patches for record in patch.records]
    name_of = {id(record): name for patch, name in zip(patches, names, strict=True) for record in patch.records}
    conflicts = [
        "; ".join(f"{name_of[id(record)]} {record.where()}: {describe(record)}" for record in pair)
        for pair in contradictions(every)
    ]
    if conflicts:
        more = f"\n    .. and {len(conflicts) - 20:,} more" if len(conflicts) > 20 else ""
        raise DataError(
            f"{len(conflicts):,} conflict(s); nothing was written:\n    " + "\n    ".join(conflicts[:20]) + more,
            "Remove one record of each pair, for example after reviewing the item again.",
        )
    splits = list(dict.fromkeys(p.header.split for p in patches))
    header = first
    if len(splits) > 1:
        sizes = {p.header.split: p.header.n for p in patches}
        header = replace(first, split=None, n=first.n if None in splits else sum(sizes.values()))
        notes.append("the patches are for different splits; row numbers are hints within their split")
    if any(p.header.license != "CC0-1.0" for p in patches):
        header = replace(header, license="CC-BY-4.0")
    records = tuple(unique_records(every).values())
    check_patch(header, records, "the union")
    return Merged(Patch(header, records), len(every) - len(records), tuple(notes))


def summary(patch: Patch) -> dict[str, Any]:
    """What a patch holds, as one JSON document (`SHOW_SCHEMA`)."""
    header = patch.header
    pairs = Counter(
        (r.from_label, " + ".join(r.to) if r.op != "drop" else f"dropped ({r.reason})") for r in patch.records
    )
    votes: Counter[str] = Counter()
    for record in patch.records:
        votes.update(record.votes or {})
    by_count = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
    return {
        "schema": SHOW_SCHEMA,
        "dataset": header.name,
        "split": header.split,
        "n": header.n,
        "hash": header.hash_scheme,
        "fingerprint": header.fingerprint,
        "classes": list(header.classes),
        **{name: getattr(header, name) for name in ("label_column", "created", "tool", "run", "license")},
        "digest": patch.digest,
        "records": len(patch.records),
        "operations": {op: sum(r.op == op for r in patch.records) for op in ("relabel", "multi", "drop")},
        "pairs": [{"from": a, "to": b, "records": count} for (a, b), count in by_count],
        "verdicts": dict(Counter(r.verdict or "not given" for r in patch.records)),
        "votes": dict(votes),
        "reviewers_per_record": dict(sorted(Counter(r.n or 0 for r in patch.records).items())),
        "with_human_verdict": sum(any((r.votes or {}).values()) for r in patch.records),
        "share_of_rows": len(patch.records) / header.n if header.n else None,
        "notes": list(patch.notes),
    }
