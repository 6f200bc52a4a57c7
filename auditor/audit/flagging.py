"""Flagging alone: probabilities and labels, from a finished run or from files, through one rule or detector."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from auditor.audit.evidence import run_evidence
from auditor.core.errors import MemoryGuardError, UsageError
from auditor.core.machine import available_memory, peak_memory
from auditor.data.intake import open_supplied
from auditor.detect.base import Evidence
from auditor.detect.findings import DEFAULT, IN_MEMORY_VALUES, Findings, check_rule, find, streams
from auditor.detect.registry import caution
from auditor.engine.analysis import Analysis, analyze
from auditor.engine.executors import Executor
from auditor.engine.files import open_probabilities
from auditor.engine.joint import joint_document
from auditor.engine.memory import plan_memory
from auditor.engine.rules import RULES
from auditor.engine.semantics import MAX_CLIP
from auditor.engine.sources import ProbabilitySource, compute_dtype
from auditor.engine.validate import check_columns, compact_labels
from auditor.runs import layout
from auditor.runs.run import Run, open_run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Inputs:
    """What is to be flagged.

    Attributes
    ----------
    sources : tuple of ProbabilitySource
        Of the same items.
    labels : array (N,)
    ids : array (N,) of str, or None
    run : Run or None
        The run they come from: it may hold dynamics, embeddings and groups of duplicates for a detector.
    """

    sources: tuple[ProbabilitySource, ...]
    labels: np.ndarray
    ids: np.ndarray | None = None
    run: Run | None = None


@dataclass(frozen=True, repr=False)
class Flagging:
    """The result.

    Attributes
    ----------
    findings : Findings
    flagged : int64 array
        Positions of the flagged items, most suspicious first.
    suggested : int64 array
        The class each of them should have.
    rule, detector : str or None
        What was asked for; with the default rule, `detector` is what ranked.
    weights : list of float
        Of the sources.
    """

    findings: Findings
    flagged: np.ndarray
    suggested: np.ndarray
    rule: str | None
    detector: str | None
    weights: list[float]
    analysis: Analysis
    seconds: float

    def to_frame(self, ids: np.ndarray | None = None) -> pd.DataFrame:
        """The flagged items, most suspicious first: ``id`` where `ids`, array (N,), are given, ``index`` (row),
        ``given`` and ``suggested`` (class numbers), ``score``."""
        import pandas as pd

        at = self.flagged
        columns = {} if ids is None else {"id": np.asarray(ids)[at]}
        columns |= {"index": at, "given": self.analysis.labels[at], "suggested": self.suggested}
        return pd.DataFrame({**columns, "score": self.findings.score[at]})

    def __repr__(self) -> str:
        n, by = self.analysis.n_items, f"rule {self.rule!r}" if self.rule else f"detector {self.detector!r}"
        return f"Flagging({len(self.flagged):,} of {n:,} items ({len(self.flagged) / n:.2%}) by {by})"

    def document(self, ids: np.ndarray | None = None) -> dict[str, Any]:
        """The JSON document of `auditor flag`."""
        result: dict[str, Any] = {
            "n_items": self.analysis.n_items,
            "n_classes": self.analysis.n_classes,
            "n_flagged": len(self.flagged),
            "flagged_indices": self.flagged.tolist(),
            "rule": self.rule,
            "detector": self.detector,
            "ranking": self.findings.ranking,
            "weights": self.weights,
            "rows_clipped": self.analysis.rows_clipped,
            **joint_document(self.analysis.joint),
            "seconds": round(self.seconds, 6),
            "peak_memory_bytes": peak_memory(),
        }
        if ids is not None:
            result["flagged_ids"] = [str(ids[i]) for i in self.flagged]
        return result


def inputs_from_run(run: Run) -> Inputs:
    """Probabilities, labels and ids of a finished run."""
    return Inputs((open_probabilities(run.pred_probs_path),), np.asarray(run.labels), np.asarray(run.ids), run)


def inputs_from_files(
    pred_probs: Sequence[Any], labels: Any = None, class_names: Sequence[str] | None = None
) -> Inputs:
    """Open files, or what is in memory, as `auditor.data.intake.open_supplied` does; every row needs a label."""
    supplied = open_supplied(pred_probs, labels, class_names)
    return Inputs(supplied.sources, supplied.labels.complete(supplied.sources[0].name), supplied.ids)


def flag(
    data: Any,
    labels: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    rule: str | None = None,
    detector: str | None = None,
    chunk_rows: int | None = None,
    threads: int | None = None,
    executor: Executor | None = None,
) -> Flagging:
    """Flag suspicious labels from probabilities that are there, without training.

    Parameters
    ----------
    data : Run, or probabilities (N, K), or several of these
        A run or its folder; or out-of-sample probabilities, a row an item: array, frame with a column a class, list of
        rows, or a file (``.npy``, ``.npz``, ``.zarr``, ``.parquet``, ``.csv``, fsspec URI). A list of such sets is
        combined.
    labels : sequence (N,) or path, optional
        Given labels: class names or positions. A run has its own; files may hold them.
    class_names : sequence of str, optional
        In the order of the columns.
    rule : str, optional
        ``"default"``, as `auditor.find_errors` flags, a confident-learning rule by cleanlab's name, or ``"paper"``.
    detector : str, optional
        A detector by name instead (docs/detectors.md).
    chunk_rows, threads : int, optional
        Rows of a piece, and threads; neither changes the result.
    executor : Executor, optional
        Where pieces are worked on, e.g. `auditor.engine.ray_executor.RayExecutor`.

    Returns
    -------
    Flagging
        ``flagged`` int64 positions, most suspicious first; ``suggested`` int64, the class number each of them should
        have; ``findings.score`` float64 (N,), higher is more suspicious; `to_frame`. Sources: docs/detectors.md.

    Raises
    ------
    UsageError
        Labels for a run, none for probabilities, a rule and a detector, or a detector that lacks what it needs.
    UnknownNameError, ProbabilityError, LabelError, MemoryGuardError

    Examples
    --------
    >>> import numpy as np, auditor
    >>> y = np.repeat([0, 1, 2], 20)
    >>> p = np.full((60, 3), 0.1) + 0.7 * np.eye(3)[y]
    >>> y[[3, 44]] = [1, 0]
    >>> flagging = auditor.flag(p, y)
    >>> sorted(flagging.flagged.tolist())
    [3, 44]
    >>> flagging.to_frame().sort_values("index")[["given", "suggested"]].values.tolist()
    [[1, 0], [0, 2]]
    """
    how = {"rule": rule, "detector": detector, "chunk_rows": chunk_rows, "threads": threads, "executor": executor}
    if isinstance(data, str | Path) and (Path(data) / layout.MANIFEST).is_file():
        data = open_run(data)
    if isinstance(data, Run):
        if labels is not None or class_names is not None:
            raise UsageError("labels and class names go with probabilities; a run has its own.")
        return flag_inputs(inputs_from_run(data), **how)  # type: ignore[arg-type]
    several = isinstance(data, list | tuple) and all(isinstance(one, str | Path) or np.ndim(one) == 2 for one in data)
    return flag_inputs(inputs_from_files(data if several else [data], labels, class_names), **how)  # type: ignore[arg-type]


def flag_inputs(
    inputs: Inputs,
    *,
    rule: str | None = None,
    detector: str | None = None,
    chunk_rows: int | None = None,
    threads: int | None = None,
    executor: Executor | None = None,
    note: Callable[[str], None] | None = None,
) -> Flagging:
    """Flag and score by `auditor.detect.findings.find`.

    Parameters
    ----------
    rule : str or None
        ``"default"``, as in `find-errors`, or a rule of the engine.
    detector : str or None
        A detector by name instead; it needs the probabilities in memory.
    note : callable, optional
        Receives the memory need before the run, and what else is worth saying.

    Raises
    ------
    UsageError
        A rule and a detector, or a detector that lacks what it needs: files give probabilities only, a run
        also dynamics and embeddings where it kept them.
    UnknownNameError, ProbabilityError, LabelError, MemoryGuardError
    """
    if rule is not None and detector is not None:
        raise UsageError("--rule and --detector exclude each other.", "Give one of them.")
    asked = detector or rule or DEFAULT
    check_rule(asked)
    rule, detector = (asked, None) if asked == DEFAULT or asked in RULES else (None, asked)
    say = note or (lambda message: None)
    started = time.perf_counter()
    n_rows, n_classes = inputs.sources[0].shape
    evidence = _evidence(inputs, n_classes, streams(asked, n_rows, n_classes))
    source = evidence.source
    say("memory need " + plan_memory(n_rows, n_classes, compute_dtype(source.dtype).itemsize).describe())
    analysis = analyze(source, inputs.labels, clip=MAX_CLIP, chunk_rows=chunk_rows, threads=threads, executor=executor)
    if analysis.rows_clipped:
        say(f"{analysis.rows_clipped:,} rows had values up to {MAX_CLIP:g} outside [0, 1]; they were clipped")
    need = n_rows * n_classes * 8 * (len(inputs.sources) + 3)
    if detector is not None and need > available_memory():
        raise MemoryGuardError(
            f"detector {detector!r} holds all probabilities in memory: about {need / 2**30:.1f} GiB are needed.",
            "Use a rule (--rule), which streams.",
        )
    if warning := caution(asked):
        say(warning)
    findings = find(evidence, asked, analysis=analysis, chunk_rows=chunk_rows)
    if findings.flag_rule is None:
        say(f"detector {detector!r} ranks and has no flag rule of its own: nothing is flagged; see --scores")
    flagged = findings.flagged_in_order
    weights = [evidence.network_weights[name] for name in evidence.networks]
    if rule == DEFAULT:
        detector = findings.ranking
        if streams(rule, n_rows, n_classes):
            say(
                f"more than {IN_MEMORY_VALUES:,} probabilities or pairs of classes: ranked by {detector}, which streams"
            )
    suggested = findings.suggested(flagged)
    return Flagging(findings, flagged, suggested, rule, detector, weights, analysis, time.perf_counter() - started)


def _evidence(inputs: Inputs, n_classes: int, probabilities_only: bool) -> Evidence:
    """Everything a run kept, or the probabilities alone, where nothing else is looked at."""
    if inputs.run is not None and not probabilities_only:
        return run_evidence(inputs.run)
    check_columns(inputs.sources[0].shape[0], len(inputs.labels), n_classes)
    labels, _ = compact_labels(inputs.labels, n_classes)
    ids = np.arange(len(labels)) if inputs.ids is None else np.asarray(inputs.ids)
    return Evidence(ids, labels.astype(np.int64), n_classes, probabilities=inputs.sources)
