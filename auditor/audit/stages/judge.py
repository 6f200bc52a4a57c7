"""Scores, ranks and flags of audited items whose labels are no classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from auditor.audit.context import Context
from auditor.audit.findings import MANY_FLAGGED, bad_rows, identity
from auditor.audit.manifest import StageResult, done
from auditor.core.hashing import hash_array
from auditor.data.base import BadItem
from auditor.data.kinds import TextDataset
from auditor.kinds.base import AuditedKind, Judged
from auditor.runs import layout
from auditor.runs.run import Run
from auditor.runs.tables import write_table

#: Pairs of given and predicted numbers that a report shows, at most.
POINTS_SHOWN = 2000


def judge(context: Context, run: Run, kind: AuditedKind, bad_items: Sequence[BadItem]) -> StageResult[None]:
    """Score, rank and flag by the kind of the labels; undecodable items are listed after the suspects."""
    dataset, form = context.dataset, context.dataset.form
    if form is None:
        raise TypeError("labels that are classes are found by their detectors")
    context.progress.stage("find", f"{len(run.audited):,} audited items")

    def produce() -> dict[str, Any]:
        texts = [dataset.texts[row] for row in run.audited] if isinstance(dataset, TextDataset) else None
        judged = kind.judge(np.asarray(run.predictions), dataset.label_values[run.audited], form, texts)
        scores, findings = _tables(context, run.audited, judged, bad_items)
        write_table(context.folder / layout.SCORES, scores, "auditor.scores/1")
        write_table(context.folder / layout.FINDINGS, findings, "auditor.findings/1")
        codes, counts = np.unique(judged.codes[judged.flagged].astype(str), return_counts=True)
        return {
            "n_flagged": int(judged.flagged.sum()),
            "counts": dict(zip(codes.tolist(), counts.tolist(), strict=True)),
            "expected_wrong": judged.expected_wrong,
            "expected_f1": judged.expected_f1,
            "agreement": dict(zip(("name", "value"), judged.agreement, strict=True)),
            "tables": [asdict(table) for table in judged.tables],
            "points": _points(judged),
        }

    inputs = context.inputs(
        kind=kind.name, predictions=hash_array(np.asarray(run.predictions)), bad=[asdict(b) for b in bad_items]
    )
    info = dict(context.stages.run("findings", inputs, [layout.SCORES, layout.FINDINGS], produce).info)
    n_flagged = info.pop("n_flagged")
    words = f"each a {form.word}" + (f", made of {len(form.names)} names" if form.names else "")
    return StageResult(
        None,
        [done("findings", f"ranked and flagged as labels of the kind {kind.name}")],
        [note] if (note := many_flagged_note(n_flagged, len(run.audited), info["expected_wrong"])) else [],
        sections={
            "counts": {"n_items": len(dataset), "n_audited": len(run.audited), "n_flagged": n_flagged}
            | {"n_undecodable": len(bad_items)},
            "labels": {"kind": kind.name, "described": f"labels of the kind {kind.name}, {words}"}
            | {"codes": dict(kind.codes), **info},
        },
    )


def many_flagged_note(n_flagged: int, n_audited: int, expected: float) -> str | None:
    """A caution where the flags say more about the model than about the labels, or None."""
    if n_flagged <= MANY_FLAGGED * n_audited:
        return None
    return (
        f"{n_flagged:,} of {n_audited:,} items ({n_flagged / n_audited:.0%}) are flagged, and about {expected:,.0f} "
        "wrong labels are expected: many flags will be errors of the model. Read the list from the top, or let "
        "verdicts set the cut."
    )


def _tables(
    context: Context, audited: np.ndarray, judged: Judged, bad_items: Sequence[BadItem]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """As `auditor.audit.findings.make_findings`; what a model gives the suggested label is not known."""
    dataset = context.dataset
    table = pd.DataFrame(
        {
            **identity(dataset, audited),
            "row": audited,
            "given": dataset.given[audited],
            "suggested": judged.suggested,
            "p_given": 1 - judged.wrong,
            "p_suggested": np.nan,
            "score": judged.score,
            "flagged": judged.flagged,
            "margin": judged.score,
            "code": judged.codes,
            "message": judged.messages,
        }
    )
    order = np.lexsort((dataset.ids[audited], -judged.score))
    table = table.iloc[order].reset_index(drop=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    findings = table[table["flagged"]].reset_index(drop=True)
    findings["rank"] = np.arange(1, len(findings) + 1)
    findings = findings[list(layout.FINDING_COLUMNS)]
    return table.drop(columns=["code", "message"]), bad_rows(findings, dataset, bad_items)


def _points(judged: Judged) -> list[list[float | bool]]:
    """Given and predicted numbers and whether they are flagged, spread evenly over the items; all flagged ones."""
    if judged.points is None:
        return []
    given, predicted = judged.points
    spread = np.linspace(0, len(given) - 1, min(len(given), POINTS_SHOWN)).astype(np.int64)
    shown = np.unique(np.concatenate([spread, np.flatnonzero(judged.flagged)[:POINTS_SHOWN]]))
    return [[float(given[k]), float(predicted[k]), bool(judged.flagged[k])] for k in shown]
