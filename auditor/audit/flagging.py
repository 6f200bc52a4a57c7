"""Flagging alone: probabilities and labels, from a finished run or from files, through one rule or detector."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auditor.audit.evidence import run_evidence
from auditor.core.errors import MemoryGuardError, UsageError
from auditor.core.machine import available_memory
from auditor.data.intake import open_supplied
from auditor.detect.base import Evidence
from auditor.detect.findings import DEFAULT, IN_MEMORY_VALUES, Findings, check_rule, find, streams
from auditor.engine.analysis import Analysis, analyze
from auditor.engine.executors import Executor
from auditor.engine.files import open_probabilities
from auditor.engine.joint import joint_document
from auditor.engine.memory import plan_memory
from auditor.engine.rules import RULES
from auditor.engine.semantics import MAX_CLIP
from auditor.engine.sources import ProbabilitySource, compute_dtype
from auditor.engine.validate import check_columns, compact_labels
from auditor.runs.run import Run


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
