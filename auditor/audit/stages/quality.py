"""The data-quality checks on the items of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from auditor.audit.content import IMAGES
from auditor.core.version import __version__
from auditor.data.kinds import ProbabilityDataset
from auditor.quality.document import document, item_table, write_quality
from auditor.quality.open_subject import make_subject, neighbours_of
from auditor.quality.registry import CHECKS, run_checks
from auditor.quality.subject import Subject
from auditor.runs import layout
from auditor.runs.run import Run

if TYPE_CHECKING:
    from auditor.audit.job import AuditJob

__all__ = ["check_quality"]


def check_quality(job: AuditJob) -> None:
    """The stage of `find_errors`: all checks on the items of the run, with the embeddings it kept.

    Pixels that the run has decoded are not decoded again. Splits are compared with the training split. What came
    of it is added to the outcomes of the job.
    """
    if not job.config.quality:
        return
    outcome = {"part": "quality", "status": "not applicable", "detail": "the items themselves are not here"}
    if not isinstance(job.dataset, ProbabilityDataset):
        job.progress.stage("quality", "checks beside the labels")
        # The embeddings and decoded pixels of earlier stages decide too.
        earlier = [r.outputs for r in job.stages.done if r.name in ("decode", "embeddings", "train", "probabilities")]
        record = job.stages.run(
            "quality",
            {**job._inputs(), "checks": CHECKS.names(), "earlier": earlier},
            [layout.QUALITY_ITEMS, layout.QUALITY],
            lambda: _check(job),
        )
        codes = record.info["codes"]
        found = f"{len(codes)} check(s) found something: {', '.join(codes)}"
        outcome |= {"status": "done", "detail": found if codes else "no check found anything"}
    job.outcomes.append(outcome)


def _check(job: AuditJob) -> dict[str, Any]:
    dataset, pixels = job.dataset, job.folder / IMAGES
    subject = make_subject(dataset, None, job.progress, decoded=pixels if pixels.is_file() else None)
    _with_embeddings(subject, job._so_far())
    outcomes = run_checks(subject, None, job.progress)
    data = {"name": dataset.name, "reference": dataset.reference, "modality": dataset.modality}
    about = {"auditor": __version__, "data": data, "against": None, "split": None}
    write_quality(job.folder, document(subject, outcomes, about), item_table(subject, outcomes))
    return {"codes": [o.code for o in outcomes if o.status == "found"]}


def _with_embeddings(subject: Subject, run: Run) -> None:
    """Give the subject the neighbours of the audited items, where the run kept embeddings of them."""
    vectors = run.embeddings
    if vectors is None or len(vectors) < 2:
        return
    order = np.argsort(run.audited, kind="stable")
    name = str(run.manifest["embeddings"]["name"])
    subject.neighbours = neighbours_of(name, np.asarray(vectors)[order], run.audited[order], len(subject))
