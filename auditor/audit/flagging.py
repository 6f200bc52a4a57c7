"""Flagging alone: probabilities and labels, from a finished run or from files, through one rule or detector."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auditor.audit.evidence import run_evidence
from auditor.core.errors import MemoryGuardError, UsageError
from auditor.core.machine import available_memory
from auditor.data.intake import open_supplied
from auditor.detect.base import Detection, Evidence, NotApplicable
from auditor.detect.ensemble import convex_weights
from auditor.detect.findings import IN_MEMORY_VALUES, STREAMED_RANKING, default_findings, default_ranking
from auditor.detect.margins import rank_order
from auditor.detect.registry import run_detector
from auditor.detect.streamed import default_findings_streamed
from auditor.engine.analysis import Analysis, analyze
from auditor.engine.executors import Executor
from auditor.engine.files import open_probabilities
from auditor.engine.memory import plan_memory
from auditor.engine.mixture import MixtureSource, given_probabilities, source_step
from auditor.engine.rules import check_rule, flag, rank
from auditor.engine.semantics import MAX_CLIP
from auditor.engine.sources import ProbabilitySource, as_source, compute_dtype
from auditor.engine.validate import compact_labels
from auditor.runs.run import Run

__all__ = ["Flagging", "Inputs", "flag_inputs", "inputs_from_files", "inputs_from_run", "peak_memory"]

#: The rule when neither a rule nor a detector is named: the one `find-errors` uses.
DEFAULT_RULE = "default"


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


@dataclass(frozen=True)
class Flagging:
    """The result.

    Attributes
    ----------
    flagged : int64 array
        Positions of the flagged items, most suspicious first.
    score : array (N,)
        Higher = more likely wrong.
    suggested : int array (N,)
        Class preferred to the given one.
    rule, detector : str or None
        What flagged; one of them is None.
    weights : list of float
        Of the sources.
    """

    flagged: np.ndarray
    score: np.ndarray
    suggested: np.ndarray
    rule: str | None
    detector: str | None
    weights: list[float]
    analysis: Analysis
    seconds: float

    def document(self, ids: np.ndarray | None = None) -> dict[str, Any]:
        """The JSON document of `auditor flag`."""
        result: dict[str, Any] = {
            "n_items": self.analysis.n_items,
            "n_classes": self.analysis.n_classes,
            "n_flagged": len(self.flagged),
            "flagged_indices": self.flagged.tolist(),
            "rule": self.rule,
            "detector": self.detector,
            "weights": self.weights,
            "rows_clipped": self.analysis.rows_clipped,
            "confident_joint": self.analysis.confident_joint.tolist(),
            "seconds": round(self.seconds, 6),
            "peak_memory_bytes": peak_memory(),
        }
        if ids is not None:
            result["flagged_ids"] = [str(ids[i]) for i in self.flagged]
        return result


def peak_memory() -> int:
    """Largest resident memory of this process so far, bytes."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Not getrusage: its maximum is inherited from the process that started this one.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def inputs_from_run(run: Run) -> Inputs:
    """Probabilities, labels and ids of a finished run."""
    return Inputs((open_probabilities(run.pred_probs_path),), np.asarray(run.labels), np.asarray(run.ids), run)


def inputs_from_files(
    pred_probs: Sequence[str], labels: str | None, class_names: Sequence[str] | None = None
) -> Inputs:
    """Open files as `auditor.data.intake.open_supplied` does; every row needs a label."""
    supplied = open_supplied(pred_probs, labels, class_names)
    return Inputs(supplied.sources, supplied.labels.complete(supplied.sources[0].name), supplied.ids)


def _combined(inputs: Inputs) -> tuple[ProbabilitySource, list[float]]:
    """One source; several are weighted by how well they fit the labels they never saw."""
    if len(inputs.sources) == 1:
        return inputs.sources[0], [1.0]
    # Shapes are compared before anything is read.
    MixtureSource(inputs.sources, [1 / len(inputs.sources)] * len(inputs.sources))
    labels, _ = compact_labels(inputs.labels, inputs.sources[0].shape[1])
    # The weights depend on the given labels' probabilities alone: one column each, so nothing else is kept.
    columns = [given_probabilities(source, labels)[:, None] for source in inputs.sources]
    weights = convex_weights(columns, np.zeros(len(labels), np.int64)).tolist()
    return MixtureSource(inputs.sources, weights), weights


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
    """Flag and score.

    Parameters
    ----------
    rule : str or None
        A rule of the engine, whose score is ``1 - normalized_margin``; or ``"default"``, as in `find-errors`
        (`auditor.detect.findings`).
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
    if detector is None:
        rule = rule or DEFAULT_RULE
    if rule not in (None, DEFAULT_RULE):
        check_rule(rule)
    say = note or (lambda message: None)
    started = time.perf_counter()
    source, weights = _combined(inputs)
    n_rows, n_classes = source.shape
    say("memory need " + plan_memory(n_rows, n_classes, compute_dtype(source.dtype).itemsize).describe())
    analysis = analyze(
        as_source(source), inputs.labels, clip=MAX_CLIP, chunk_rows=chunk_rows, threads=threads, executor=executor
    )
    if analysis.rows_clipped:
        say(f"{analysis.rows_clipped:,} rows had values up to {MAX_CLIP:g} outside [0, 1]; they were clipped")
    ids = np.arange(n_rows) if inputs.ids is None else np.asarray(inputs.ids)
    if rule in (None, DEFAULT_RULE):
        if detector is not None:
            found = _detect(detector, inputs, ids, n_classes)
        elif (detector := default_ranking(n_rows, n_classes)) == STREAMED_RANKING:
            say(f"more than {IN_MEMORY_VALUES:,} probabilities: ranked by {detector}, which streams")
            found = _streamed(source, analysis.labels, ids, chunk_rows)
        else:
            found = default_findings(_evidence(inputs, ids, n_classes))
        score, suggested = found.score, np.asarray(found.suggested)
        if found.flagged is None:
            say(f"detector {detector!r} ranks and has no flag rule of its own: nothing is flagged; see --scores")
        flagged = np.zeros(n_rows, np.bool_) if found.flagged is None else found.flagged
        order = rank_order(score, ids)
        positions = order[flagged[order]]
    else:
        score = 1 - analysis.normalized_margin
        positions = rank(analysis, flag(analysis, rule), analysis.normalized_margin)
        suggested = analysis.predicted
    seconds = time.perf_counter() - started
    return Flagging(positions, score, suggested, rule, detector, weights, analysis, seconds)


def _streamed(source: ProbabilitySource, labels: np.ndarray, ids: np.ndarray, chunk_rows: int | None) -> Detection:
    """The findings of `find-errors` on large data."""
    n_rows, n_classes = source.shape
    step = chunk_rows or source_step(source)

    def blocks() -> Iterator[tuple[int, np.ndarray]]:
        for start in range(0, n_rows, step):
            yield start, np.clip(source.read(start, min(n_rows, start + step)), 0, 1)

    return default_findings_streamed(blocks, labels.astype(np.int64), ids, n_classes)


def _detect(name: str, inputs: Inputs, ids: np.ndarray, n_classes: int) -> Detection:
    n_rows = len(inputs.labels)
    need = n_rows * n_classes * 8 * (len(inputs.sources) + 3)
    if need > available_memory():
        raise MemoryGuardError(
            f"detector {name!r} holds all probabilities in memory: about {need / 2**30:.1f} GiB are needed.",
            "Use a rule (--rule), which streams.",
        )
    result = run_detector(name, _evidence(inputs, ids, n_classes))
    if isinstance(result, NotApplicable):
        raise UsageError(f"detector {name!r} cannot run here: {result.reason}.", "Choose another, or use --rule.")
    return result


def _evidence(inputs: Inputs, ids: np.ndarray, n_classes: int) -> Evidence:
    """Everything a run kept, or the probabilities of files; in memory."""
    if inputs.run is not None:
        return run_evidence(inputs.run)
    arrays = [np.clip(source.read(0, len(inputs.labels)).astype(np.float64), 0, 1) for source in inputs.sources]
    labels = np.asarray(inputs.labels).astype(np.int64)
    return Evidence(ids=ids, labels=labels, n_classes=n_classes, probabilities=arrays)
