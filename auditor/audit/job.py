"""The stages of one run. `find_errors` reads as the list of them; each is content-addressed and resumable."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auditor.audit.config import AuditConfig
from auditor.audit.content import load_content, training_data
from auditor.audit.evidence import run_evidence
from auditor.audit.findings import make_findings, weak_model_note
from auditor.audit.merge import merge_dynamics, merge_probabilities, training_log
from auditor.audit.plan import AuditPlan, NotAuditableClass, plan_audit, training_size
from auditor.audit.rounds import keep_second_round, not_possible
from auditor.audit.stages.embed import keep_embeddings
from auditor.core.errors import ProbabilityError
from auditor.core.files import load_npy, read_json, sweep_temporary, write_json
from auditor.core.hashing import hash_array, hash_json
from auditor.core.machine import cpu_count, describe_machine, package_versions
from auditor.core.progress import Progress
from auditor.core.version import __version__
from auditor.data.base import BadItem, Dataset
from auditor.data.kinds import ProbabilityDataset
from auditor.explain.opening import report_maps
from auditor.report.find_errors import write_report
from auditor.runs import layout
from auditor.runs.run import Run, refuse_other_data
from auditor.runs.stages import Stages
from auditor.runs.tables import write_array, write_arrays, write_table
from auditor.train.base import Trainer
from auditor.train.choose import choose_trainer
from auditor.train.choose_embedding import Embedding, choose_embedding
from auditor.train.cluster import Cluster
from auditor.train.crossval import run_tasks

__all__ = ["AuditJob"]


@dataclass
class AuditJob:
    """One run in the making. `begin`, then the stages in order, then `finish`."""

    dataset: Dataset
    config: AuditConfig
    folder: Path
    progress: Progress
    stages: Stages
    supplied: ProbabilityDataset | None
    trainer: Trainer | None
    started: str
    clock: float
    notes: list[str] = field(default_factory=list)
    outcomes: list[dict[str, str]] = field(default_factory=list)
    bad_items: list[BadItem] = field(default_factory=list)
    not_auditable: tuple[NotAuditableClass, ...] = ()
    audited: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    model: dict[str, Any] = field(default_factory=dict)
    scheme: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    embeddings: dict[str, Any] = field(default_factory=dict)
    second_round: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def begin(
        cls,
        dataset: Dataset,
        config: AuditConfig,
        folder: Path,
        progress: Progress,
        clock: float,
        supplied: ProbabilityDataset | None = None,
        trainer: Trainer | None = None,
    ) -> AuditJob:
        """Take possession of the run folder; refuse one that belongs to other data.

        `clock` is the `time.perf_counter` at which the command began.
        """
        data = {
            "name": dataset.name,
            "reference": dataset.reference,
            "modality": dataset.modality,
            "fingerprint": dataset.fingerprint,
            "hash_scheme": dataset.hash_scheme,
            "n_items": len(dataset),
            "class_names": list(dataset.class_names),
        }
        path = folder / layout.CONFIG
        if path.is_file():
            refuse_other_data(path, data, folder)
        sweep_temporary(folder)
        # The manifest says "finished": it goes before anything changes.
        (folder / layout.MANIFEST).unlink(missing_ok=True)
        write_json(path, {"schema": layout.RUN_SCHEMA, "data": data, "config": config.model_dump()})
        return cls(
            dataset,
            config,
            folder,
            progress,
            Stages(folder),
            supplied,
            trainer,
            datetime.now(UTC).isoformat(timespec="seconds"),
            clock,
            list(dataset.notes),
        )

    def _inputs(self, **more: Any) -> dict[str, Any]:
        return {"schema": layout.RUN_SCHEMA, "version": __version__, "data": self.dataset.fingerprint, **more}

    # ---- data ------------------------------------------------------------------------------------------------

    def decode(self) -> np.ndarray:
        """Decode the items into the run folder. Returns which could not be decoded, bool (n,)."""
        self.progress.stage("decode", f"{len(self.dataset):,} items")
        outcome = load_content(self.dataset, self.folder, self.stages, self._inputs(), self.progress)
        self.bad_items = outcome.bad_items
        self.notes += outcome.notes
        bad = np.zeros(len(self.dataset), bool)
        bad[[b.position for b in self.bad_items]] = True
        if self.bad_items:
            self.progress.note(f"{len(self.bad_items)} item(s) cannot be decoded; listed as DQ001, the run goes on")
        return bad

    def group_duplicates(self, bad: np.ndarray) -> np.ndarray:
        """Number the groups that must stay together: duplicates joined with the user's groups. int64 (n,)."""
        from auditor.audit.grouping import find_groups

        self.progress.stage("duplicates", "so that copies never lie on both sides of a fold")
        path = layout.WORK + "/groups.npy"
        record = self.stages.run(
            "duplicates",
            self._inputs(near=self.config.near_duplicates, bad=hash_array(bad)),
            [path],
            lambda: find_groups(self.dataset, self.folder, path, bad, self.config.near_duplicates),
        )
        self.outcomes.append({"part": "duplicates", "status": "done", "detail": record.info["detail"]})
        self.counts.update(record.info["counts"])
        return load_npy(self.folder / path)

    # ---- models ----------------------------------------------------------------------------------------------

    def choose(self, bad: np.ndarray) -> Trainer:
        """The trainer, and why."""
        trainer, reason = self.trainer, "given by the caller"
        if trainer is None:
            trainer, reason = choose_trainer(
                self.config.model,
                self.config.budget,
                training_data(self.dataset, self.folder, np.flatnonzero(~bad)),
                training_size(self.dataset, bad, self.config),
                self.config.device,
                self.folder / layout.WORK,
            )
        self.model = {"name": trainer.name, "reason": reason, "recipe": trainer.recipe()}
        self.progress.stage("model", f"{trainer.name}: {reason}")
        return trainer

    def plan(self, trainer: Trainer, groups: np.ndarray, bad: np.ndarray) -> AuditPlan:
        """Decide who is audited and what is trained on what."""
        plan = plan_audit(self.dataset, groups, bad, self.config, getattr(trainer, "seeds", 1))
        self.progress.stage("plan", plan.description)
        self.audited, self.not_auditable = plan.audited, plan.not_auditable
        self.scheme = {"scheme": plan.scheme, "description": plan.description, "left_out": plan.left_out}
        self._write_items(plan.fold, groups, bad)
        for entry in plan.not_auditable:
            self.progress.note(f"not auditable: class {entry.name!r} ({entry.n_items} items): {entry.reason}")
        if plan.left_out:
            self.progress.note(f"{plan.left_out} training item(s) left out: copies of them are audited")
        return plan

    def train(self, trainer: Trainer, plan: AuditPlan, workers: int | None, cluster: Cluster | None = None) -> None:
        """Fit the planned models and write the out-of-sample probabilities of the audited items."""
        data = training_data(self.dataset, self.folder, plan.usable)
        workers = _workers(trainer, workers)
        where = f"{min(workers, len(plan.tasks))} at a time" if cluster is None else "on the cluster"
        self.progress.stage("train", f"{len(plan.tasks)} model(s), {where}")
        inputs = self._inputs(
            recipe=trainer.recipe(),
            tasks=hash_json([[t.name, t.seed, hash_array(t.train), hash_array(t.predict)] for t in plan.tasks]),
            usable=hash_array(plan.usable),
        )
        outputs = [layout.PRED_PROBS, layout.AUDITED, layout.FOLDS, layout.DYNAMICS]

        def produce() -> dict[str, Any]:
            results = run_tasks(
                trainer,
                data,
                list(plan.tasks),
                workers=workers,
                progress=self.progress,
                folder=self.folder / layout.TASKS,
                cluster=cluster,
            )
            probabilities = merge_probabilities(plan, results, data.n_classes)
            write_array(self.folder / layout.PRED_PROBS, probabilities)
            write_array(self.folder / layout.AUDITED, plan.audited)
            write_table(self.folder / layout.FOLDS, training_log(plan, results, data.labels), "auditor.folds/1")
            dynamics = merge_dynamics(plan, results)
            write_arrays(self.folder / layout.DYNAMICS, dynamics)
            return {
                "fit_seconds": {t.name: round(r.seconds, 2) for t, r in zip(plan.tasks, results, strict=True)},
                "details": results[0].details,
                "has_dynamics": bool(dynamics),
            }

        record = self.stages.run("train", inputs, outputs, produce)
        self.model |= record.info
        status = "done" if record.info["has_dynamics"] else "not applicable"
        detail = "logits per epoch kept" if record.info["has_dynamics"] else "the trainer has no epochs"
        self.outcomes += [
            {"part": "training", "status": "done", "detail": plan.description},
            {"part": "dynamics", "status": status, "detail": detail},
        ]

    def clean_again(self, trainer: Trainer, plan: AuditPlan, workers: int | None, cluster: Cluster | None) -> None:
        """Where asked for: fit again without the suspects, and go on with that if its guard agrees."""
        if not self.config.second_round:
            return
        if (reason := not_possible(plan)) is not None:
            self.outcomes.append({"part": "second round", "status": "not applicable", "detail": reason})
            return
        self.progress.stage("second round", "the same folds without the suspected items")
        data = training_data(self.dataset, self.folder, plan.usable)
        fit = partial(
            run_tasks,
            trainer,
            data,
            workers=_workers(trainer, workers),
            progress=self.progress,
            folder=self.folder / layout.TASKS,
            cluster=cluster,
        )
        inputs = self._inputs(recipe=trainer.recipe())
        labels = self.dataset.labels[plan.audited]
        self.second_round = keep_second_round(plan, labels, fit, self.folder, self.stages, inputs)
        detail = "; ".join(f"round {r['number']}: {r['reason']}" for r in self.second_round["rounds"])
        self.outcomes.append({"part": "second round", "status": "done", "detail": detail})
        self.notes.append(f"second round: {detail}")

    def choose_embedding(self, trainer: Trainer | None) -> Embedding:
        """What embeds the items; asked before the training, so that a missing encoder is said at once."""
        kind = "probabilities" if trainer is None else self.dataset.modality
        return choose_embedding(self.config.embeddings, kind, trainer, self.config.budget)

    def embed(self, embedding: Embedding, usable: np.ndarray | None = None) -> None:
        """Keep the embeddings of the audited items, for the detectors that compare neighbours."""
        outcome = {"part": "embeddings", "status": "not applicable", "detail": embedding.reason}
        if embedding.name is not None:
            self.progress.stage("embeddings", f"{embedding.name}: {embedding.reason}")
            rows = self.audited if usable is None else usable
            data = None if embedding.encoder() is None else training_data(self.dataset, self.folder, rows)
            self.embeddings = keep_embeddings(
                embedding,
                data,
                rows,
                self.audited,
                self.folder,
                self.stages,
                self._inputs(),
                self.config.device,
                self.progress,
            )
            outcome |= {"status": "done", "detail": f"{embedding.name}: {embedding.reason}"}
        self.outcomes.append(outcome)

    def take_supplied(self) -> None:
        """Use the caller's probabilities instead of training."""
        if self.supplied is None:
            raise ProbabilityError("no probabilities were supplied.")
        source = self.supplied
        self.progress.stage("probabilities", "supplied by you; nothing is trained")
        n = len(self.dataset)
        self.audited = np.arange(n)
        self.scheme = {"scheme": "supplied", "description": "probabilities supplied by the user", "left_out": 0}
        self.model = {"name": "supplied", "reason": "probabilities were given", "recipe": {}}
        if source is not self.dataset:
            self.notes += source.notes
        self._write_items(np.full(n, -1), None, np.zeros(n, bool))

        def produce() -> None:
            write_array(self.folder / layout.PRED_PROBS, np.asarray(source.probabilities))
            write_array(self.folder / layout.AUDITED, self.audited)
            empty = pd.DataFrame({"task": pd.Series(dtype=str), "epoch": pd.Series(dtype=np.int64)})
            write_table(self.folder / layout.FOLDS, empty, "auditor.folds/1")

        self.stages.run(
            "probabilities",
            self._inputs(probabilities=source.fingerprint),
            [layout.PRED_PROBS, layout.AUDITED, layout.FOLDS],
            produce,
        )
        for part in ("duplicates", "training", "dynamics"):
            self.outcomes.append({"part": part, "status": "not applicable", "detail": "probabilities were supplied"})

    def _write_items(self, fold: np.ndarray, groups: np.ndarray | None, bad: np.ndarray) -> None:
        items, names = self.dataset.items, np.array(self.dataset.class_names, dtype=object)
        status = np.full(len(items.ids), "not audited", dtype=object)
        status[np.isin(names[items.labels], [c.name for c in self.not_auditable])] = "not auditable"
        status[self.audited] = "audited"
        status[bad] = "undecodable"
        table = pd.DataFrame(
            {
                "id": items.ids.astype(object),
                "index": items.index,
                "split": items.splits.astype(object),
                "label": items.labels,
                "given": names[items.labels],
                "status": status,
                "fold": fold,
                "group": groups if groups is not None else np.arange(len(items.ids)),
                "content_hash": self.dataset.content_hashes.astype(object),
                "path": items.paths.astype(object) if items.paths is not None else None,
            }
        )
        write_table(self.folder / layout.ITEMS, table, "auditor.items/1")

    # ---- findings ----------------------------------------------------------------------------------------------

    def find(self) -> None:
        """Score, rank and flag."""
        self.progress.stage("find", f"{len(self.audited):,} audited items")
        accepted = self.second_round.get("accepted", 0)
        probabilities = load_npy(self.folder / (layout.SECOND_ROUND if accepted else layout.PRED_PROBS))

        def produce() -> dict[str, Any]:
            evidence = run_evidence(self._so_far())
            tables = make_findings(
                self.dataset, self.audited, probabilities, self.config.rule, self.bad_items, evidence
            )
            write_table(self.folder / layout.SCORES, tables.scores, "auditor.scores/1")
            write_table(self.folder / layout.FINDINGS, tables.findings, "auditor.findings/1")
            return {
                "n_flagged": int((tables.findings["code"] == "LE001").sum()),
                "detector": tables.detector,
                "rule": tables.rule,
            }

        record = self.stages.run(
            "findings",
            self._inputs(
                probabilities=hash_array(probabilities),
                # Dynamics, embeddings and groups, which the default ranking reads too.
                evidence=[stage.outputs for stage in self.stages.done],
                rule=self.config.rule,
                bad=[asdict(b) for b in self.bad_items],
            ),
            [layout.SCORES, layout.FINDINGS],
            produce,
        )
        labels = self.dataset.labels[self.audited]
        agreement = self.model["out_of_sample_accuracy"] = float((probabilities.argmax(axis=1) == labels).mean())
        self.counts |= {
            "n_items": len(self.dataset),
            "n_audited": len(self.audited),
            "n_flagged": record.info["n_flagged"],
            "n_undecodable": len(self.bad_items),
        }
        if caution := weak_model_note(labels, agreement, record.info["n_flagged"]):
            self.notes.append(caution)
        self.outcomes.append(
            {
                "part": "findings",
                "status": "done",
                "detail": f"ranked by {record.info['detector']}, flagged by {record.info['rule']}",
            }
        )

    def _so_far(self) -> Run:
        """What the run holds before it is finished."""
        known = {"class_names": list(self.dataset.class_names)}
        return Run(self.folder, {"data": known, "embeddings": self.embeddings, "second_round": self.second_round})

    def finish(self) -> Run:
        """Write the report, and the manifest last."""
        manifest = {
            "schema": layout.RUN_SCHEMA,
            "auditor": __version__,
            "started": self.started,
            "seconds": round(time.perf_counter() - self.clock, 2),
            **{k: v for k, v in read_json(self.folder / layout.CONFIG).items() if k != "schema"},
            "plan": self.scheme,
            "model": self.model,
            "second_round": self.second_round,
            "embeddings": self.embeddings,
            "counts": self.counts,
            "not_auditable": [asdict(c) for c in self.not_auditable],
            "outcomes": self.outcomes,
            "notes": self.notes,
            "stages": [
                {"name": r.name, "seconds": r.seconds, "reused": r.name in self.stages.reused, "outputs": r.outputs}
                for r in self.stages.done
            ],
            "machine": describe_machine(),
            "versions": package_versions(),
        }
        run = Run(self.folder, manifest)
        self.progress.stage("report")
        write_report(run, self.dataset, report_maps(run, self.dataset))
        write_json(self.folder / layout.MANIFEST, manifest)
        return run


def _workers(trainer: Trainer, asked: int | None) -> int:
    """Threads of one fit are part of the recipe; workers share out what cores are left."""
    return asked or max(1, cpu_count() // getattr(trainer, "threads", 1))
