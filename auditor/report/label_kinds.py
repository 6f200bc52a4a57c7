"""The report of a run whose labels are no classes: the run folder alone, but for what the suspects look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from auditor.data.base import item_word
from auditor.data.token_labels import OUTSIDE
from auditor.quality.document import by_reason
from auditor.report.rendering import render
from auditor.runs.run import Run

#: Quantiles that the picture of given against predicted numbers reaches beyond by a tenth: wrong ones can lie anywhere.
_EDGES = (0.01, 0.99)


def render_kind_html(
    run: Run,
    suspects: Sequence[Mapping[str, Any]],
    undecodable: Sequence[Mapping[str, Any]],
    quality: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The self-contained page; `suspects` have ``image`` and ``text`` beside the columns of findings, and ``runs``
    (`tagged_runs`) where tokens have tags; `quality` are outcomes of the data-quality checks."""
    word = item_word(run.manifest["data"]["modality"])
    return render(
        "find_errors_kind.html.jinja", **_facts(run), word=word, suspects=suspects, undecodable=undecodable,
        quality=quality,
        not_applicable=by_reason((c["name"], c["reason"]) for c in quality if c["status"] == "not applicable"),
        scatter=scatter(run.manifest["labels"]["points"]),
    )  # fmt: skip


def tagged_runs(text: str, given: str, suggested: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Tokens of an item that stand together and have one given and one suggested tag.

    Parameters
    ----------
    text, given, suggested : str
        Tokens, and tags as `auditor.core.label_forms.TokenTags` writes them.
    names : sequence of str
        All tags.

    Returns
    -------
    list of dict
        ``words``, ``given``, ``suggested``, ``wrong`` (they differ), and ``hue`` of the suggested tag in degrees; None
        for `OUTSIDE`, which has no colour.
    """
    rows: list[dict[str, Any]] = []
    for word, was, to in zip(text.split(" "), given.split(" "), suggested.split(" "), strict=True):
        if rows and (rows[-1]["given"], rows[-1]["suggested"]) == (was, to):
            rows[-1]["words"] += f" {word}"
            continue
        hue = None if to == OUTSIDE else round(360 * names.index(to) / len(names))
        rows.append({"words": word, "given": was, "suggested": to, "wrong": was != to, "hue": hue})
    return rows


def render_kind_markdown(
    run: Run, suspects: Sequence[Mapping[str, Any]], undecodable: Sequence[Mapping[str, Any]]
) -> str:
    """The facts of the page without its pictures."""
    return render("find_errors_kind.md.jinja", **_facts(run), suspects=suspects, undecodable=undecodable)


def _facts(run: Run) -> dict[str, Any]:
    return {"manifest": run.manifest, "labels": run.manifest["labels"]}


def scatter(points: Sequence[Sequence[Any]]) -> dict[str, Any] | None:
    """Given numbers against predicted ones in a square of side 1, flagged ones last; None without any.

    Parameters
    ----------
    points : sequence of (given, predicted, flagged)
    """
    if not points:
        return None
    given, predicted = (np.array([point[k] for point in points], np.float64) for k in (0, 1))
    low, high = np.quantile(np.concatenate([given, predicted]), _EDGES)
    margin = 0.1 * (high - low) or 1.0
    low, high = low - margin, high + margin
    x, y = ((values - low) / (high - low) for values in (predicted, given))
    outside = (np.minimum(x, y) < 0) | (np.maximum(x, y) > 1)
    rows = [
        {"x": a, "y": b, "given": f"{g:.6g}", "predicted": f"{p:.4g}", "flagged": bool(point[2])}
        for a, b, g, p, point in zip(np.clip(x, 0, 1), np.clip(y, 0, 1), given, predicted, points, strict=True)
    ]
    rows.sort(key=lambda row: row["flagged"])
    return {"points": rows, "low": f"{low:.4g}", "high": f"{high:.4g}", "outside": int(outside.sum())}
