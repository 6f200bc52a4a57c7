"""The data-quality checks on the items of a run."""

from __future__ import annotations

from typing import Any

import numpy as np

from auditor.audit.context import IMAGES, Context
from auditor.audit.manifest import StageResult, done, not_applicable
from auditor.core.version import __version__
from auditor.data.kinds import ProbabilityDataset
from auditor.quality.document import document, item_table, write_quality
from auditor.quality.open_subject import make_subject, neighbours_of, table_neighbours
from auditor.quality.registry import CHECKS, run_checks
from auditor.quality.subject import Predictions
from auditor.runs import layout
from auditor.runs.run import Run

#: Stages whose outputs the checks look at.
EARLIER = ("decode", "train", "probabilities", "refits", "embeddings", "findings")


def check_quality(context: Context, run: Run) -> StageResult[None]:
    """All checks on the items of the run, with the embeddings it kept and what its models predicted.

    Pixels that the run has decoded are not decoded again. Splits are compared with the training split.
    """
    if not context.config.quality:
        return StageResult(None)
    dataset = context.dataset
    if isinstance(dataset, ProbabilityDataset):
        return StageResult(None, [not_applicable("quality", "the items themselves are not here")])
    context.progress.stage("quality", "checks apart from the labels")

    def produce() -> dict[str, Any]:
        pixels = context.folder / IMAGES
        subject = make_subject(dataset, None, context.progress, decoded=pixels if pixels.is_file() else None)
        if run.embeddings is not None and len(run.embeddings) > 1:
            order = np.argsort(run.audited, kind="stable")
            vectors = np.asarray(run.embeddings)[order]
            name = str(run.manifest["embeddings"]["name"])
            subject.neighbours = neighbours_of(name, vectors, run.audited[order], len(subject))
        else:
            subject.neighbours = table_neighbours(subject)
        subject.predictions = _predictions(run)
        outcomes = run_checks(subject, None, context.progress)
        data = {"name": dataset.name, "reference": dataset.reference, "modality": dataset.modality}
        about = {"auditor": __version__, "data": data, "against": None, "split": None}
        write_quality(context.folder, document(subject, outcomes, about), item_table(subject, outcomes))
        return {"codes": [o.code for o in outcomes if o.status == "found"]}

    # What earlier stages decoded, embedded, predicted and flagged decides too.
    earlier = [r.outputs for r in context.stages.done if r.name in EARLIER]
    inputs = context.inputs(checks=CHECKS.names(), earlier=earlier)
    codes = context.stages.run("quality", inputs, [layout.QUALITY_ITEMS, layout.QUALITY], produce).info["codes"]
    detail = f"{len(codes)} check(s) found something: {', '.join(codes)}" if codes else "no check found anything"
    return StageResult(None, [done("quality", detail)])


def _predictions(run: Run) -> Predictions | None:
    """Out-of-sample probabilities and flags of the audited items; None where labels are no classes."""
    if run.form is not None:
        return None
    flagged = np.isin(run.ids.astype("U"), run.suspects["id"].to_numpy().astype("U"))
    if (np.diff(run.audited) > 0).all():  # mapped, not copied: of many items and classes they would not fit
        return Predictions(run.audited, run.pred_probs, flagged)
    order = np.argsort(run.audited, kind="stable")
    return Predictions(run.audited[order], run.pred_probs[order], flagged[order])
