"""The report of one find-errors run: data first (`ReportData`), one view of it second (the template)."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.files import atomic_write
from auditor.data.base import Dataset
from auditor.runs.run import Run

__all__ = [
    "CalibrationBin",
    "Pair",
    "ReportData",
    "Suspect",
    "collect",
    "picture_of",
    "render_html",
    "thumbnail_uri",
    "write_report",
]

#: Suspects shown with picture or text.
SHOWN = 60
#: Longer side of a thumbnail in pixels; small images are enlarged by whole factors, so that pixels stay square.
THUMBNAIL = 96
#: Characters of a text item shown.
EXCERPT = 400


@dataclass(frozen=True)
class Suspect:
    """One flagged item as the page shows it; `looked` is the picture with what speaks for the suggested class."""

    rank: int
    id: str
    given: str
    suggested: str
    p_given: float
    p_suggested: float
    score: float
    image: str | None
    text: str | None
    looked: str | None = None


@dataclass(frozen=True)
class Pair:
    """Flagged items of one (given, suggested) pair of classes."""

    given: str
    suggested: str
    n: int


@dataclass(frozen=True)
class CalibrationBin:
    """Items whose highest probability falls in (low, high]: mean confidence and share that agrees with the label."""

    low: float
    high: float
    n: int
    confidence: float
    agreement: float


@dataclass(frozen=True)
class ReportData:
    """Everything the report says."""

    run: Run
    suspects: tuple[Suspect, ...]
    undecodable: tuple[dict[str, Any], ...]
    class_names: tuple[str, ...]
    flagged_pairs: np.ndarray
    top_pairs: tuple[Pair, ...]
    class_rows: tuple[dict[str, Any], ...]
    calibration: tuple[CalibrationBin, ...]
    expected_calibration_error: float
    tasks: tuple[dict[str, Any], ...]
    quality: tuple[dict[str, Any], ...]
    """Outcomes of the data-quality checks, those that found something first; empty where they were not run."""


def collect(run: Run, dataset: Dataset, maps: Mapping[str, str] | None = None) -> ReportData:
    """Gather the report's content from a run and the data set it came from.

    `maps` are pictures of some items, by id, with what the network looked at, as data URIs.
    """
    findings = run.findings
    label_findings = findings[findings["code"] == "LE001"]
    names = run.class_names
    labels = run.labels
    probabilities = np.asarray(run.pred_probs, dtype=np.float64)
    pairs = _pair_counts(label_findings, names)
    bins, ece = calibration_bins(probabilities, labels)
    audited, flagged = np.bincount(labels, minlength=len(names)), pairs.sum(axis=1)
    agree = np.bincount(labels[probabilities.argmax(axis=1) == labels], minlength=len(names))
    order = np.argsort(-flagged, kind="stable")
    folds = run.folds
    final = folds[folds["epoch"] == -1] if len(folds) else folds
    return ReportData(
        run=run,
        suspects=_suspects(label_findings.head(SHOWN), run, dataset, maps or {}),
        undecodable=_records(findings[findings["code"] == "DQ001"].head(50)),
        class_names=names,
        flagged_pairs=pairs,
        top_pairs=_top_pairs(pairs, names),
        class_rows=tuple(
            {
                "name": names[k],
                "audited": int(audited[k]),
                "flagged": int(flagged[k]),
                "agreement": agree[k] / audited[k] if audited[k] else None,
            }
            for k in order
            if audited[k]
        ),
        calibration=bins,
        expected_calibration_error=ece,
        tasks=_records(final),
        quality=_quality(run),
    )


def _quality(run: Run) -> tuple[dict[str, Any], ...]:
    """Checks by status, then severity, then code."""
    if run.quality is None:
        return ()
    status = {"found": 0, "passed": 1, "not applicable": 2}
    severity = {"error": 0, "warning": 1, "info": 2}
    checks = run.quality["checks"]
    return tuple(sorted(checks, key=lambda c: (status[c["status"]], severity[c["severity"]], c["code"])))


def _records(frame: Any) -> tuple[dict[str, Any], ...]:
    return tuple({str(k): v for k, v in row.items()} for row in frame.to_dict(orient="records"))


def calibration_bins(
    probabilities: np.ndarray, labels: np.ndarray, n_bins: int = 10
) -> tuple[tuple[CalibrationBin, ...], float]:
    """Reliability of the highest probability against the given labels.

    Parameters
    ----------
    probabilities : float array (n, K)
    labels : int array (n,)
    n_bins : int
        Equal-width bins on [0, 1].

    Returns
    -------
    bins : tuple of CalibrationBin
        Bins that hold items.
    float
        Expected calibration error: mean of ``|agreement - confidence|`` weighted by bin size (Guo et al. 2017).
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    bins, error = [], 0.0
    for b in range(n_bins):
        inside = place == b
        n = int(inside.sum())
        if not n:
            continue
        mean, share = float(confidence[inside].mean()), float(correct[inside].mean())
        bins.append(CalibrationBin(b / n_bins, (b + 1) / n_bins, n, mean, share))
        error += n * abs(share - mean)
    return tuple(bins), error / max(1, len(labels))


def _pair_counts(findings: Any, names: Sequence[str]) -> np.ndarray:
    place = {name: k for k, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    given = findings["given"].map(place).to_numpy(dtype=np.int64)
    suggested = findings["suggested"].map(place).to_numpy(dtype=np.int64)
    np.add.at(counts, (given, suggested), 1)
    return counts


def _top_pairs(counts: np.ndarray, names: Sequence[str], limit: int = 15) -> tuple[Pair, ...]:
    order = np.argsort(-counts, axis=None, kind="stable")[:limit]
    rows = [(int(p) // len(names), int(p) % len(names)) for p in order]
    return tuple(Pair(names[g], names[s], int(counts[g, s])) for g, s in rows if counts[g, s])


def _suspects(findings: Any, run: Run, dataset: Dataset, maps: Mapping[str, str]) -> tuple[Suspect, ...]:
    position = {item: row for row, item in enumerate(dataset.ids.tolist())}
    shown = []
    for row in findings.itertuples():
        image, text = picture_of(dataset, position[row.id])
        shown.append(
            Suspect(
                int(row.rank),
                str(row.id),
                str(row.given),
                str(row.suggested),
                float(row.p_given),
                float(row.p_suggested),
                float(row.score),
                image,
                text,
                maps.get(str(row.id)),
            )
        )
    return tuple(shown)


def picture_of(dataset: Dataset, position: int) -> tuple[str | None, str | None]:
    """Thumbnail as a data URI, or an excerpt of the text or the row."""
    if dataset.modality == "probabilities":
        return None, None
    item = dataset.item(position)
    if dataset.modality == "image":
        return thumbnail_uri(item), None
    text = item if isinstance(item, str) else ", ".join(f"{k} = {v}" for k, v in item.items())
    return None, text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…"


def thumbnail_uri(image: Any) -> str:
    """``data:image/png;base64,...`` of a PIL image, at most `THUMBNAIL` pixels on its longer side."""
    from PIL import Image

    longest = max(image.size)
    if longest < THUMBNAIL:
        factor = max(1, THUMBNAIL // longest)
        small = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    else:
        small = image.copy()
        small.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.convert("RGB").save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def render_html(data: ReportData) -> str:
    """The self-contained page: no script, no request to anywhere."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("auditor.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["thousands"] = lambda n: f"{n:,}"
    environment.filters["percent"] = lambda x: f"{100 * x:.2f} %"
    return environment.get_template("find_errors.html.jinja").render(
        data=data, run=data.run, manifest=data.run.manifest, peak=int(data.flagged_pairs.max(initial=0))
    )


def write_report(run: Run, dataset: Dataset, maps: Mapping[str, str] | None = None) -> Path:
    """Write ``report.html`` into the run folder and return its path; `maps` as in `collect`."""
    html = render_html(collect(run, dataset, maps))
    with atomic_write(run.report_path) as handle:
        handle.write(html.encode())
    return run.report_path
