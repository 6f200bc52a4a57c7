"""Scores, ranks and flags of the audited items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from auditor.audit.context import Context
from auditor.audit.evidence import run_evidence
from auditor.audit.findings import make_findings, weak_model_note
from auditor.audit.manifest import StageResult, done
from auditor.core.hashing import hash_array
from auditor.data.base import BadItem
from auditor.detect.registry import caution
from auditor.runs import layout
from auditor.runs.run import Run
from auditor.runs.tables import write_table


def find(context: Context, run: Run, bad_items: Sequence[BadItem] = ()) -> StageResult[None]:
    """Score, rank and flag by the evidence the run holds so far; undecodable items are listed after the suspects."""
    dataset, rule = context.dataset, context.config.rule
    context.progress.stage("find", f"{len(run.audited):,} audited items")

    def produce() -> dict[str, Any]:
        tables = make_findings(dataset, run.audited, run_evidence(run), rule, bad_items, run.model_probs)
        write_table(context.folder / layout.SCORES, tables.scores, "auditor.scores/1")
        write_table(context.folder / layout.FINDINGS, tables.findings, "auditor.findings/1")
        n_flagged = int((tables.findings["code"] == "LE001").sum())
        return {"n_flagged": n_flagged, "detector": tables.detector, "rule": tables.rule}

    inputs = context.inputs(
        probabilities=hash_array(run.pred_probs),
        # Dynamics, embeddings and groups, which the default ranking reads too.
        evidence=[stage.outputs for stage in context.stages.done],
        rule=rule,
        bad=[asdict(b) for b in bad_items],
    )
    info = context.stages.run("findings", inputs, [layout.SCORES, layout.FINDINGS], produce).info
    agreement = float((run.pred_probs.argmax(axis=1) == run.labels).mean())
    counts = {"n_items": len(dataset), "n_audited": len(run.audited)}
    counts |= {"n_flagged": info["n_flagged"], "n_undecodable": len(bad_items)}
    return StageResult(
        None,
        [done("findings", f"ranked by {info['detector']}, flagged by {info['rule']}")],
        [note for note in (caution(rule), weak_model_note(run.labels, agreement, info["n_flagged"])) if note],
        {"model": {"out_of_sample_accuracy": agreement}, "counts": counts},
    )
