"""Every detector on a finished run, computed once and kept in the run folder."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from auditor.audit.evidence import run_evidence
from auditor.core.errors import MemoryGuardError, storage_errors
from auditor.core.files import load_npz
from auditor.core.hashing import hash_array, hash_file
from auditor.core.machine import available_memory
from auditor.core.progress import Progress, SilentProgress
from auditor.core.version import __version__
from auditor.detect.base import Evidence, NotApplicable
from auditor.detect.findings import findings_of
from auditor.detect.neighbours import is_exact
from auditor.detect.registry import DETECTORS, run_detector
from auditor.engine.api import analyze
from auditor.engine.joint import cells_of
from auditor.runs import layout
from auditor.runs.run import Run
from auditor.runs.stages import Stages
from auditor.runs.tables import read_table, write_arrays, write_table

DETECTORS_SCHEMA = "auditor.detectors/1"
#: Neighbours kept per item. Detectors use more; people look at a handful.
SHOWN = 10
#: Asked for at once, as the neighbour detectors do, so that one search serves all.
SEARCHED = 50


@dataclass(frozen=True)
class DetectorScores:
    """What every detector says about every audited item. Rows are those of ``run.pred_probs``.

    Attributes
    ----------
    table : DataFrame
        ``id``, and per applicable detector ``score_NAME`` (float64), ``rank_NAME`` (1 = most suspicious),
        ``suggested_NAME`` (class number, never the given one) and, where it has a flag rule, ``flagged_NAME``.
    not_applicable : dict
        Detector to reason.
    neighbours : int64 array (m, 10) or None
        Rows of the nearest audited items, nearest first; -1 where there are fewer. None without embeddings.
    cosines : float32 array (m, 10) or None
    exact_neighbours : bool
        Whether the search was exact.
    confident_joint : int64 csr_array (K, K)
        Items confidently counted as (given, other class).
    """

    table: pd.DataFrame
    not_applicable: dict[str, str]
    neighbours: np.ndarray | None
    cosines: np.ndarray | None
    exact_neighbours: bool
    confident_joint: csr_array


def detector_scores(run: Run, progress: Progress | None = None) -> DetectorScores:
    """Run every registered detector on a run, or read what an earlier call kept.

    A content-addressed stage of the run folder: computed again only when the run's probabilities, dynamics,
    embeddings or items changed, or another version or detector is there.

    Raises
    ------
    MemoryGuardError
        If the probabilities do not fit into memory.
    StorageError
        If the run folder cannot be written.
    """
    progress = progress or SilentProgress()
    # Hashes of the arrays the detectors read, as the stages that wrote them recorded them.
    recorded = {file: digest for stage in run.manifest["stages"] for file, digest in stage["outputs"].items()}
    read = (run.pred_probs_path.name, layout.DYNAMICS, layout.EMBEDDINGS, layout.CLASS_EMBEDDINGS)
    inputs = {
        "schema": DETECTORS_SCHEMA,
        "version": __version__,
        "detectors": [[name, DETECTORS.target(name)] for name in DETECTORS.names()],
        "items": hash_file(run.path / layout.ITEMS),
        "files": {file: recorded[file] for file in read if file in recorded},
        "audited": hash_array(run.audited),
    }

    def produce() -> dict[str, Any]:
        progress.stage("detectors", f"{len(run.audited):,} items, once for this run")
        return _compute(run)

    with storage_errors(run.path):
        record = Stages(run.path).run("detectors", inputs, [layout.DETECTORS, layout.NEIGHBOURS], produce)
    table, arrays = read_table(run.path / layout.DETECTORS), load_npz(run.path / layout.NEIGHBOURS)
    reasons, exact = dict(record.info["not_applicable"]), bool(record.info["exact_neighbours"])
    near, cosines = arrays.get("neighbours"), arrays.get("cosines")
    if (joint := arrays.get("confident_joint")) is not None:  # older folders hold the matrix
        return DetectorScores(table, reasons, near, cosines, exact, csr_array(joint))
    given, guessed, count = arrays["confident_pairs"].T
    joint = csr_array((count, (given, guessed)), shape=(len(run.class_names),) * 2)
    return DetectorScores(table, reasons, near, cosines, exact, joint)


def _compute(run: Run) -> dict[str, Any]:
    m, n_classes = run.pred_probs.shape
    need = 5 * m * n_classes * 8
    if need > available_memory():
        raise MemoryGuardError(
            f"the detectors hold all probabilities in memory: about {need / 2**30:.1f} GiB are needed.",
            "Use `auditor flag`, whose rules stream.",
        )
    evidence = run_evidence(run)
    arrays = {"confident_pairs": cells_of(analyze(np.asarray(run.pred_probs), run.labels).joint)}
    if evidence.embeddings is not None:
        ordered, order = evidence.by_id
        positions, cosines = ordered.neighbours(SEARCHED)
        positions, back = np.where(positions >= 0, order[positions], -1), np.argsort(order)
        arrays["neighbours"], arrays["cosines"] = positions[back, :SHOWN], cosines[back, :SHOWN]
    table, info = score_table(evidence)
    write_table(run.path / layout.DETECTORS, table, DETECTORS_SCHEMA)
    write_arrays(run.path / layout.NEIGHBOURS, arrays)
    return {**info, "exact_neighbours": is_exact(m)}


def score_table(evidence: Evidence) -> tuple[pd.DataFrame, dict[str, Any]]:
    """`DetectorScores.table` of some evidence; and ``not_applicable, seconds`` by detector."""
    columns: dict[str, np.ndarray] = {"id": evidence.ids}
    reasons: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for name in DETECTORS:
        begin = time.perf_counter()
        detection = run_detector(name, evidence)
        seconds[name] = round(time.perf_counter() - begin, 3)
        if isinstance(detection, NotApplicable):
            reasons[name] = detection.reason
            continue
        findings = findings_of(evidence, name, detection)
        rank = np.empty(len(evidence), dtype=np.int64)
        rank[findings.order] = np.arange(1, len(evidence) + 1)
        columns |= {f"score_{name}": findings.score, f"rank_{name}": rank, f"suggested_{name}": findings.suggested()}
        if findings.flag_rule is not None:
            columns[f"flagged_{name}"] = findings.flagged
    return pd.DataFrame(columns), {"not_applicable": reasons, "seconds": seconds}
