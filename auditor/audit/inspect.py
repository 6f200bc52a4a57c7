"""One item of a finished run: everything the run knows about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from auditor.audit.why import Explainer, explanation_lines
from auditor.core.config import Settings
from auditor.core.errors import UnknownNameError, UsageError
from auditor.core.files import atomic_path, atomic_write
from auditor.core.progress import Progress
from auditor.data.open import open_dataset
from auditor.runs.run import Run

__all__ = ["inspect_item", "item_lines", "save_item"]

ITEM_SCHEMA = "auditor.item/1"


def inspect_item(run: Run, item: str, progress: Progress | None = None) -> dict[str, Any]:
    """Facts about one item as JSON values; ``explanation`` is what `auditor.audit.why` says about it.

    Parameters
    ----------
    run : Run
    item : str
        Item id.
    progress : Progress, optional
        Told when the detectors are computed, once per run.

    Raises
    ------
    UnknownNameError
        If the run has no such item; with the nearest ids.
    """
    items = run.items
    rows = np.flatnonzero(items["id"].to_numpy() == item)
    if not len(rows):
        import difflib

        near = difflib.get_close_matches(item, items["id"].head(20_000).tolist(), n=3)
        raise UnknownNameError("item", item, [f"{len(items):,} items, see {run.path / 'items.parquet'}"], near)
    row = int(rows[0])
    record = items.iloc[row]
    facts: dict[str, Any] = {
        "schema": ITEM_SCHEMA,
        "id": item,
        "index": int(record["index"]),
        "split": record["split"],
        "given": record["given"],
        "status": record["status"],
        "fold": int(record["fold"]),
        "content_hash": record["content_hash"],
        "duplicates": items["id"][(items["group"] == record["group"]) & (items["id"] != item)].tolist(),
    }
    place = np.flatnonzero(run.audited == row)
    if len(place):
        probabilities = np.asarray(run.pred_probs[place[0]], dtype=np.float64)
        order = np.argsort(-probabilities, kind="stable")[:5]
        facts["probabilities"] = {run.class_names[k]: round(float(probabilities[k]), 6) for k in order}
        score = run.scores[run.scores["id"] == item].iloc[0]
        facts |= {
            "rank": int(score["rank"]),
            "flagged": bool(score["flagged"]),
            "suggested": score["suggested"],
            "scores": {c.removeprefix("score_"): float(score[c]) for c in score.index if c.startswith("score")},
        }
    findings = run.findings[run.findings["id"] == item]
    facts["findings"] = [{"code": f["code"], "message": f["message"]} for _, f in findings.iterrows()]
    facts["explanation"] = Explainer(run, progress).explain(item)
    return facts


def item_lines(facts: dict[str, Any]) -> list[str]:
    """The facts for people."""
    lines = [f"{facts['id']}  (row {facts['index']} of {facts['split']}), labelled {facts['given']}: {facts['status']}"]
    if "rank" in facts:
        word = "flagged" if facts["flagged"] else "not flagged"
        lines.append(f"rank {facts['rank']:,}, {word}; the model suggests {facts['suggested']}")
        lines.append("probabilities: " + ", ".join(f"{k} {v:.3f}" for k, v in facts["probabilities"].items()))
        lines.append("scores: " + ", ".join(f"{k} {v:.3f}" for k, v in facts["scores"].items()))
    if facts["duplicates"]:
        lines.append("same group: " + ", ".join(facts["duplicates"][:10]))
    lines += [f"{f['code']}: {f['message']}" for f in facts["findings"]]
    lines += explanation_lines(facts["explanation"])
    lines.append("Next: auditor show RUN --item ID --save FILE writes the item itself")
    return lines


def save_item(run: Run, item: str, path: Path, settings: Settings) -> None:
    """Write the item's image (by the file name's suffix) or text to `path`.

    Raises
    ------
    UsageError
        If the run has probabilities only.
    """
    data = run.manifest["data"]
    if data["modality"] == "probabilities":
        raise UsageError("this run has probabilities only, no items to save.")
    dataset = open_dataset(data["reference"], settings)
    place = np.flatnonzero(dataset.ids == item)
    if not len(place) or dataset.content_hashes[place[0]] != _hash_of(run, item):
        raise UsageError(f"item {item!r} in {data['reference']!r} is no longer the one this run saw.")
    content = dataset.item(int(place[0]))
    if dataset.modality == "image":
        with atomic_path(path) as temporary:
            content.save(temporary, format=_image_format(path))
    else:
        with atomic_write(path) as handle:
            handle.write(str(content).encode())


def _hash_of(run: Run, item: str) -> str:
    return str(run.items.loc[run.items["id"] == item, "content_hash"].iloc[0])


def _image_format(path: Path) -> str:
    from PIL import Image

    known = Image.registered_extensions()
    suffix = path.suffix.lower()
    if suffix not in known:
        raise UsageError(f"{path.name!r} has no image suffix.", "Use for example .png.")
    return known[suffix]
