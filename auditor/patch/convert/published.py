"""Published crowd verdicts (``mturk.json``), all schemas with one label per item."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from auditor.core.files import write_json
from auditor.patch.convert.base import Correction, DataView, Options
from auditor.patch.records import Patch, PatchRecord
from auditor.review.published import category, place_published, published_votes, read_index, read_published

_OUTCOMES = {"correctable": "suggested", "multi-label": "both", "neither": "neither", "non-error": "given"}


class Published:
    """k of five people decide: guessed -> relabel, both -> multi, neither -> drop."""

    summary = "crowd verdicts as published: a list of items with five votes each (mturk.json)"
    needs_data_to_write = True

    def read(self, path: Path, data: DataView, options: Options) -> tuple[list[Correction], list[str]]:
        items = read_published(path)
        places = None if options.index is None else read_index(options.index)
        items, rows, notes = place_published(
            items, data.part.class_names, data.names, places, data.part.items.index.tolist()
        )
        corrections = []
        undecided = 0
        for item, row in zip(items, rows.tolist(), strict=True):
            outcome = _OUTCOMES.get(category(item, options.k))
            if outcome is None:
                undecided += 1
                continue
            labels = {"suggested": item.guessed, "both": (*item.given, *item.guessed), "given": item.given}
            votes = dict(sorted(Counter(v for v, _ in published_votes(item)).items()))
            more = {"verdict": outcome, "votes": votes, "n": item.n}
            corrections.append(Correction(row, labels.get(outcome, ()), "neither", more))
        if undecided:
            notes.append(f"{undecided} items without {options.k} equal votes are left as they are")
        return corrections, notes

    def write(self, patch: Patch, path: Path, data: DataView, options: Options) -> list[str]:
        number = {name: k for k, name in enumerate(patch.header.classes)}
        written: list[dict[str, Any]] = []
        left_out: Counter[str] = Counter()
        for record in patch.records:
            votes = _votes(record)
            rows = data.rows_of(record)
            guess = _guess(record)
            if votes is None or guess is None or not rows:
                left_out["no votes" if votes is None else "not in the data" if not rows else "no single guess"] += 1
                continue
            entry = {
                "url": record.path or "",
                "given_original_label": number[record.from_label],
                "given_original_label_name": record.from_label,
                "our_guessed_label": number.get(guess, -1),
                "our_guessed_label_name": guess,
                "mturk": votes,
            }
            written += [{"id": int(data.part.items.index[row]), **entry} for row in rows]
        write_json(path, sorted(written, key=lambda entry: entry["id"]))
        return [f"{n} records were left out: {why}" for why, n in left_out.items()]


def _guess(record: PatchRecord) -> str | None:
    """The one other class; for a drop none is kept, which the file says as an empty name and the number -1."""
    if record.op == "drop":
        return "" if record.reason == "neither" else None
    others = [name for name in record.to if name != record.from_label]
    fits = len(others) == 1 and (record.op == "relabel" or record.from_label in record.to)
    return others[0] if fits else None


def _votes(record: PatchRecord) -> dict[str, int] | None:
    if not record.votes:
        return None
    to = record.to[0] if record.op == "relabel" else None
    names = {"given": "given", "both": "both", "neither": "neither", "suggested": "guessed", f"other:{to}": "guessed"}
    counts = {"given": 0, "guessed": 0, "neither": 0, "both": 0}
    for verdict, n in record.votes.items():
        if verdict in names:
            counts[names[verdict]] += n
    return counts
