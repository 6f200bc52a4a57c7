"""The report of one find-errors run: data first (`ReportData`), views of it second (the templates)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auditor.core.errors import UnreadableError
from auditor.core.files import read_json, write_json, write_text
from auditor.core.hashing import hash_file
from auditor.core.label_forms import TokenTags
from auditor.data.base import Dataset, item_word
from auditor.data.kinds import TextDataset
from auditor.quality.document import by_reason
from auditor.report.label_kinds import render_kind_html, render_kind_markdown, tagged_runs
from auditor.report.pictures import excerpt, picture_of
from auditor.report.rendering import render
from auditor.runs import layout
from auditor.runs.run import Run

#: Suspects shown with picture or text, undecodable items, and pairs of classes.
SHOWN, BAD_SHOWN, PAIRS_SHOWN = 60, 50, 15
#: Classes up to which the table of all pairs is shown.
MATRIX_SHOWN = 25


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
    """Everything the page says.

    Attributes
    ----------
    run : Run
    suspects : tuple of dict
        The first label findings: their columns, ``image`` or ``text``, and ``looked``, the picture with what speaks for
        the suggested class.
    undecodable : tuple of dict
    flagged_pairs : int64 array (K, K) or None
        Flagged items by given (row) and suggested class; None above `MATRIX_SHOWN` classes.
    top_pairs : tuple of (given, suggested, n)
    class_rows : tuple of dict
        Audited classes, those with the most flags first.
    calibration : tuple of CalibrationBin
    expected_calibration_error : float
    tasks : tuple of dict
        Trained models.
    quality : tuple of dict
        Outcomes of the data-quality checks, those that found something first; empty where they were not run.
    not_applicable : str
        Those of them that could not look at these items, and why; empty where all could.
    """

    run: Run
    suspects: tuple[dict[str, Any], ...]
    undecodable: tuple[dict[str, Any], ...]
    flagged_pairs: np.ndarray | None
    top_pairs: tuple[tuple[str, str, int], ...]
    class_rows: tuple[dict[str, Any], ...]
    calibration: tuple[CalibrationBin, ...]
    expected_calibration_error: float
    tasks: tuple[dict[str, Any], ...]
    quality: tuple[dict[str, Any], ...]
    not_applicable: str


def collect(run: Run, dataset: Dataset, maps: Mapping[str, str] | None = None) -> ReportData:
    """Gather the page's content from a run and the data set it came from.

    `maps` are pictures of some items, by id, with what the network looked at, as data URIs.
    """
    names, labels, folds = run.class_names, run.labels, run.folds
    suspects = run.suspects
    probabilities = np.asarray(run.pred_probs, dtype=np.float64)
    bins, error = calibration_bins(probabilities, labels)
    number = {name: k for k, name in enumerate(names)}
    given, suggested = (suspects[column].map(number).to_numpy(np.int64) for column in ("given", "suggested"))
    audited, flagged = (np.bincount(codes, minlength=len(names)) for codes in (labels, given))
    pairs = None
    if len(names) <= MATRIX_SHOWN:
        pairs = np.bincount(given * len(names) + suggested, minlength=len(names) ** 2).reshape(len(names), -1)
    agree = np.bincount(labels[probabilities.argmax(axis=1) == labels], minlength=len(names))
    shown = []
    for row in _with_contents(suspects.head(SHOWN), dataset):
        # Who sees the other class: the model, or which of two.
        seen = row["message"].removeprefix(f"labelled {row['given']}, ").removesuffix(f" {row['suggested']}")
        shown.append({**row, "looked": (maps or {}).get(str(row["id"])), "seen": seen})
    quality = tuple(gravest_first(run.quality["checks"] if run.quality else ()))
    return ReportData(
        run=run,
        suspects=tuple(shown),
        undecodable=_records(_undecodable(run)),
        flagged_pairs=pairs,
        top_pairs=_top_pairs(suspects),
        class_rows=tuple(
            {"name": names[k], "audited": audited[k], "flagged": flagged[k], "agreement": agree[k] / audited[k]}
            for k in np.argsort(-flagged, kind="stable")
            if audited[k]
        ),
        calibration=bins,
        expected_calibration_error=error,
        tasks=_records(folds[folds["epoch"] == -1] if len(folds) else folds),
        quality=quality,
        not_applicable=by_reason((c["name"], c["reason"]) for c in quality if c["status"] == "not applicable"),
    )


def gravest_first(checks: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Outcomes of data-quality checks by status, then severity, then code."""
    status, severity = ("found", "passed", "not applicable"), ("error", "warning", "info")
    return sorted(checks, key=lambda c: (status.index(c["status"]), severity.index(c["severity"]), c["code"]))


def _records(frame: pd.DataFrame) -> tuple[dict[str, Any], ...]:
    return tuple({str(k): v for k, v in row.items()} for row in frame.to_dict(orient="records"))


def _undecodable(run: Run) -> pd.DataFrame:
    return run.findings[run.findings["code"] == "DQ001"].head(BAD_SHOWN)


def _top_pairs(suspects: pd.DataFrame) -> tuple[tuple[str, str, int], ...]:
    pairs = Counter(zip(suspects["given"], suspects["suggested"], strict=True))
    return tuple((given, suggested, n) for (given, suggested), n in pairs.most_common(PAIRS_SHOWN))


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
    bin_of = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    n, sure, agree = (np.bincount(bin_of, weights, n_bins) for weights in (None, confidence, correct))
    bins = tuple(
        CalibrationBin(b / n_bins, (b + 1) / n_bins, int(n[b]), float(sure[b] / n[b]), float(agree[b] / n[b]))
        for b in np.flatnonzero(n).tolist()
    )
    return bins, sum(b.n * abs(b.agreement - b.confidence) for b in bins) / max(1, len(labels))


def render_html(data: ReportData) -> str:
    """The self-contained page: no script, no request to anywhere."""
    peak = 0 if data.flagged_pairs is None else int(data.flagged_pairs.max(initial=0))
    word = item_word(data.run.manifest["data"]["modality"])
    return render("find_errors.html.jinja", data=data, run=data.run, manifest=data.run.manifest, peak=peak, word=word)


def render_markdown(run: Run) -> str:
    """The facts of the page without its pictures: counts, conditions, the first suspects, and what was not audited.

    Needs the run folder alone.
    """
    suspects = run.suspects
    if run.form is not None:
        return render_kind_markdown(run, _records(suspects.head(SHOWN)), _records(_undecodable(run)))
    return render(
        "find_errors.md.jinja",
        manifest=run.manifest,
        suspects=_records(suspects.head(SHOWN)),
        undecodable=_records(_undecodable(run)),
        pairs=_top_pairs(suspects),
    )


def write_report(run: Run, dataset: Dataset, maps: Mapping[str, str] | None = None) -> Path:
    """Write ``report.html`` into the run folder and return its path; `maps` as in `collect`.

    What the first suspects look like is kept for `kept_contents` too.
    """
    if run.form is None:
        data = collect(run, dataset, maps)
        shown, page = data.suspects, render_html(data)
    else:
        shown = tuple(_with_contents(run.suspects.head(SHOWN), dataset))
        if isinstance(run.form, TokenTags) and isinstance(dataset, TextDataset):
            texts = dict(zip(dataset.ids.tolist(), dataset.texts, strict=True))
            for row in shown:
                row["runs"] = tagged_runs(texts[row["id"]], row["given"], row["suggested"], run.form.names)
        quality = gravest_first(run.quality["checks"] if run.quality else ())
        page = render_kind_html(run, shown, _records(_undecodable(run)), quality)
    write_text(run.report_path, page)
    write_json(run.path / layout.SUSPECTS, [[row["id"], row["image"], row["text"]] for row in shown])
    return run.report_path


def _with_contents(suspects: pd.DataFrame, dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Rows of findings with ``image`` and ``text``."""
    position = {item: row for row, item in enumerate(dataset.ids.tolist())}
    for row in _records(suspects):
        image, text = picture_of(dataset, position[row["id"]])
        yield {**row, "image": image, "text": text}


#: A picture as a page may show it: it asks no other host, whatever was put into a run folder.
_PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/]+=*")


def kept_contents(run: Run) -> dict[str, tuple[str | None, str | None]]:
    """Picture (a data URI) and text or row of the first suspects as the run saw them, by id; without opening its data.

    Empty where an earlier version made the run, or the file is not what the run wrote: what it holds can be made from
    the data.
    """
    path, contents = run.path / layout.SUSPECTS, {}
    if not path.is_file() or hash_file(path) != run.recorded.get(layout.SUSPECTS):
        return {}
    try:
        for name, image, text in read_json(path):
            if not isinstance(name, str) or (image is not None and not _PICTURE.fullmatch(image)):
                return {}
            contents[name] = (image, None if text is None else excerpt(text))
    except (UnreadableError, AttributeError, TypeError, ValueError):  # somebody wrote it, and its hash
        return {}
    return contents
