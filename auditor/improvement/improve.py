"""Does cleaning help? From a run with verdicts, or with labels published as corrected, to an answer with intervals."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from auditor.audit.config import make_config, stored_values
from auditor.audit.context import Context
from auditor.audit.stages.choose_model import choose_model
from auditor.audit.stages.decode import decode
from auditor.audit.stages.features import leave_out_leaks
from auditor.core.config import Settings, load_settings
from auditor.core.display import shown
from auditor.core.errors import RunError, UsageError
from auditor.core.escaping import printable
from auditor.core.files import json_value, read_sealed, write_sealed, write_text
from auditor.core.hashing import hash_file
from auditor.core.machine import describe_machine, package_versions
from auditor.core.progress import Progress
from auditor.data.base import Dataset
from auditor.data.kinds import ProbabilityDataset
from auditor.data.open import open_dataset
from auditor.detect.cleaning import trust_in_labels
from auditor.improvement.arms import (
    GIVEN,
    WHAT,
    Arm,
    Corrections,
    corrections_of_patch,
    corrections_of_verdicts,
    make_arms,
)
from auditor.improvement.compare import HARMS, HELPS, NOT_TOLD, Trained, compare_arms, split_parts, train_arms
from auditor.improvement.held_out import FEWEST, HeldOut, held_out_by_labels, held_out_by_verdicts, read_reviewed
from auditor.models.weights import names_weights
from auditor.patch.records import Patch
from auditor.report.rendering import render, render_view
from auditor.runs import layout
from auditor.runs.lock import locked
from auditor.runs.run import Run, open_run
from auditor.runs.stages import Stages
from auditor.train.base import Trainer
from auditor.train.folds import merge_groups
from auditor.train.own import name_and_trainer, settled

SCHEMA: Final = "auditor.improvement/1"


@dataclass(frozen=True)
class Improvement:
    """Whether cleaning the labels of a run helps a model that is trained on them.

    Attributes
    ----------
    document : dict
        Everything, as `improvement.json` holds it (docs/improve.md).
    folder : Path
        Where it lies, with `report.md`.
    """

    document: dict[str, Any]
    folder: Path

    @property
    def conclusion(self) -> str:
        """The answer in plain words."""
        return str(self.document["conclusion"])

    @property
    def helps(self) -> list[str]:
        """Names of the ways of cleaning that help."""
        return [row["arm"] for row in _told_by(self.document) if row["verdict"] == HELPS]

    def to_frame(self) -> pd.DataFrame:
        """One row for each training set: items, accuracy on the held-out items, difference from the given labels."""
        compared = pd.DataFrame(_told_by(self.document), columns=_COMPARED).rename(columns={"arm": "name"})
        return pd.DataFrame(self.document["arms"], columns=_ARM).merge(compared, how="left", on="name")

    def lines(self) -> list[str]:
        """For a terminal."""
        return render("improvement.txt.jinja", r=self.document).rstrip("\n").split("\n")

    def __repr__(self) -> str:
        document = self.document
        accuracies = [f"{a['name']} {100 * a['accuracy']:.2f} %" for a in document["arms"] if not a["reason"]]
        lines = [
            f"Improvement of {document['run']}: {self.conclusion}",
            *([", ".join(accuracies)] if accuracies else []),
        ]
        return "\n  ".join(map(printable, [*lines, f"Next: {document['next']}"]))

    def _repr_html_(self) -> str:
        compared = {row["arm"]: row for row in _told_by(self.document)}
        rows = [{**arm, "told": compared.get(arm["name"])} for arm in self.document["arms"]]
        return render_view("improvement", r=self.document, rows=rows)


_MEASURED: Final = ("changed", "removed", "n_train", "accuracy", "by_seed", "seconds")
_ARM: Final = ["name", "what", "reason", *_MEASURED]
_COMPARED: Final = ["arm", "difference", "interval", "level", "better", "worse", "verdict", "enough"]


def improve(
    run: Run | str | Path,
    *,
    data: str | Dataset | None = None,
    labels: Any = None,
    patch: str | Path | Patch | None = None,
    rule: str = "majority",
    store: str | None = None,
    model: Any = None,
    trainer: Any = None,
    budget: str | None = None,
    device: str | None = None,
    seeds: int = 3,
    folds: int | None = None,
    workers: int | None = None,
    settings: Settings | None = None,
    progress: Progress | bool | None = None,
    command: str = "",
) -> Improvement:
    """Train one model on given, thinned, corrected and weighted labels, and compare them on items with a known label.

    Known are labels that people judged (the verdicts of the run) or that were published as corrected (`labels`); never
    those that a model suggests. Held-out items, their copies and the items of their groups are never trained on.

    Parameters
    ----------
    run : Run, str or Path
        Finished run; its suspects and probabilities say which labels are dropped and what each counts.
    data : str or Dataset, optional
        Where the run's items are now; by default its own reference, or what it keeps.
    labels : path or sequence (n,), optional
        Labels published as corrected, instead of the verdicts: one for each item of the run, or for each audited one,
        in their order, or a table with the columns ``id`` and ``label``.
    patch : path or Patch, optional
        Label patch to train on, instead of the labels that the verdicts correct.
    rule : str
        Consensus of several reviewers, as in ``auditor patch create``.
    store : str, optional
        Where the verdicts are, if not in the run folder.
    model, budget, device : str, optional
        Another trainer than the run's, by name.
    trainer : optional
        Your own model, as in `auditor.find_errors`; ``model`` takes it too.
    seeds : int
        Repetitions, each with other folds and another seed of the model.
    folds : int, optional
        Turns in which the items are held out; by default as many as the run had.
    workers : int, optional
        Processes; never changes the result.
    settings : Settings, optional
    progress : Progress or bool, optional
        As in `auditor.find_errors`.
    command : str
        For the report.

    Returns
    -------
    Improvement
        Written to ``improvement/`` in the run folder, where finished fits are found again. Too few held-out items are
        an answer, not an error: nothing is trained then.

    Raises
    ------
    UsageError
        If the run has no items to train on, or audits a split that is not trained on.
    RunError
        If the data is no longer what the run saw, or another process works on the run.
    AuditorError
        Whatever reading verdicts, labels, patch and data, or a fit, raises.

    Examples
    --------
    >>> import numpy as np, pandas as pd, auditor
    >>> df = pd.DataFrame({"size": np.arange(60) / 7, "kind": ["cat"] * 30 + ["dog"] * 30})
    >>> df.loc[4, "kind"] = "dog"
    >>> p = np.where(df.index.to_numpy()[:, None] < 30, [0.9, 0.1], [0.1, 0.9])
    >>> run = auditor.find_errors(df, label="kind", pred_probs=p, progress=False)
    >>> auditor.improve(run, progress=False).conclusion
    'Nothing can be told: nobody has judged an item of the run.'
    """
    started = time.perf_counter()
    if seeds < 1:
        raise UsageError(f"--seeds must be at least 1, not {seeds}.")
    settings = settings or load_settings()
    run = run if isinstance(run, Run) else open_run(run, settings.runs_dir)
    run.require_classes("a comparison of corrected labels (improve)")
    model, own = name_and_trainer(model, trainer)
    pool = _training_rows(run)
    config = make_config(
        **{**stored_values(run.config), **_given(model=model, budget=budget, device=device, folds=folds)}
    )
    if own is None and model is None and run.manifest["model"]["reason"] == "given by the caller":
        raise UsageError(
            f"the model of the run {run.id!r} was given from Python.",
            "Give it again with model=, auditor.improve(run, model=...), or name one with --model.",
        )
    if own is None and names_weights(config.model):
        raise UsageError(
            f"{config.model!r} has the weights of a file and is not trained: cleaning labels cannot change it.",
            "Name a model that is trained: --model auto.",
        )
    reviewed = read_reviewed(run, rule, store)
    usable = run.items["status"].to_numpy() != "undecodable"
    held = held_out_by_verdicts(run, reviewed) if labels is None else held_out_by_labels(run, labels)
    held = held.take(usable[held.rows])
    corrections, reason = None, "nobody has corrected a label: give verdicts (auditor review) or a patch (--patch)"
    if patch is not None:
        corrections, reason = corrections_of_patch(run, patch), "the patch changes no label"
    elif reviewed is not None:
        corrections = corrections_of_verdicts(run, reviewed.consensus, reviewed.rows)
    with shown(progress) as receiver, locked(run.path):
        document = _facts(run, held, corrections, seeds, config.folds)
        if len(held) >= FEWEST:
            dataset = _same_data(run, data, settings)
            if dataset.tensor is None and own is not None and run.manifest["model"]["recipe"].get("tensor"):
                raise UsageError(
                    f"the model of the run {run.id!r} read X as a tensor, which the run does not keep.",
                    "Give the data again: improve(run, model=..., data=auditor.open_dataset((X, y))).",
                )
            own = settled(own, config.budget, config.device, dataset.tensor)
            stages, shared = Stages(run.path), settings.embeddings_dir
            context = Context(dataset, config, run.path, stages, receiver, own, workers, embeddings_dir=shared)
            decode(context)
            context = leave_out_leaks(context, ~usable).value
            chosen = choose_model(context, ~usable).value
            arms = _arms(run, chosen, corrections, reason, usable)
            document |= _compared(run, context, chosen, arms, held, pool, usable, seeds)
        document |= _answer(document, run, held)
        document["conditions"] = {
            "command": command,
            "seed": config.seed,
            "seconds": round(time.perf_counter() - started, 1),
            "machine": describe_machine(),
            "versions": package_versions(),
        }
        return _write(run, json_value(document))


def read_improvement(run: Run) -> Improvement:
    """What `improve` found last.

    Raises
    ------
    RunError
        If it was never asked.
    """
    folder = run.path / layout.IMPROVEMENT
    if not (folder / layout.IMPROVEMENT_RESULT).is_file():
        raise RunError(
            f"nobody has asked whether cleaning helps {run.id!r}.", f"Do so with: auditor improve {run.path}"
        )
    return Improvement(read_sealed(folder / layout.IMPROVEMENT_RESULT), folder)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _training_rows(run: Run) -> np.ndarray:
    """Rows that a model of the run's data is trained on, bool (n,).

    Raises
    ------
    UsageError
        If the run has probabilities only, or what it audits is not trained on.
    """
    if run.manifest["data"]["modality"] == "probabilities":
        raise UsageError(
            f"the run {run.id!r} holds probabilities without the items: there is nothing to train on.",
            "Repeat find-errors with the data set beside --pred-probs.",
        )
    if run.manifest["plan"]["scheme"] == "train-to-test":
        raise UsageError(
            f"the run {run.id!r} audits items that its model is not trained on: cleaning them changes no model.",
            f"Audit the train split: auditor find-errors {run.manifest['data']['reference']} --audit train",
        )
    items = run.items
    splits = set(items["split"].to_numpy()[run.audited])
    if run.manifest["plan"]["scheme"] == "test-folds":
        splits.add("train")
    return (items["status"] != "undecodable").to_numpy() & items["split"].isin(splits).to_numpy()


def _same_data(run: Run, data: str | Dataset | None, settings: Settings) -> Dataset:
    """The items of the run, in its order.

    Raises
    ------
    RunError
        If one is gone, or has another content or label.
    """
    dataset = run.open_data(settings) if data is None else open_dataset(data, settings)
    items, where = run.items, repr(dataset.reference)
    rows = pd.Index(dataset.ids).get_indexer(items["id"])
    again = "Repeat auditor find-errors on the data as it is now."
    if (rows < 0).any():
        raise RunError(f"{where} has no item {items['id'].iloc[int(rows.argmin())]!r}, which the run saw.", again)
    if not np.array_equal(rows, np.arange(len(dataset))):
        dataset = dataset.subset(rows)
    changed = dataset.labels != items["label"].to_numpy()
    if dataset.hash_scheme == run.manifest["data"]["hash_scheme"]:
        changed |= dataset.content_hashes.astype(object) != items["content_hash"].to_numpy()
    if changed.any():
        raise RunError(f"item {items['id'].iloc[int(changed.argmax())]!r} of {where} is not what the run saw.", again)
    if isinstance(dataset, ProbabilityDataset):
        raise UsageError(f"{where} holds probabilities, not items.", "Name the data set with --data.")
    return dataset


def _arms(run: Run, trainer: Trainer, corrections: Corrections | None, reason: str, usable: np.ndarray) -> list[Arm]:
    """Training sets over the usable items."""
    flagged = run.items["id"].isin(run.findings.loc[run.findings["code"] == "LE001", "id"]).to_numpy()
    trust, weighs = None, ""
    if getattr(trainer, "weighs", False):
        trust = np.ones(len(run.items))
        trust[run.audited] = trust_in_labels(np.asarray(run.pred_probs, np.float64), run.labels)
        trust = trust[usable]
    else:
        weighs = f"the trainer {trainer.name!r} gives every item the same weight"
    if corrections is not None:
        corrections = Corrections(
            corrections.labels[usable], corrections.stays[usable], corrections.source, corrections.unmatched
        )
    labels = run.items["label"].to_numpy(np.int64)[usable]
    return make_arms(labels, flagged[usable], trust, corrections, no_corrections=reason, no_weights=weighs)


def _facts(run: Run, held: HeldOut, corrections: Corrections | None, seeds: int, folds: int) -> dict[str, Any]:
    """What is known before a model is trained."""
    given = run.items["label"].to_numpy(np.int64)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "run": run.id,
        "data": run.manifest["data"]["name"],
        "seeds": seeds,
        "folds": folds,
        "held_out": {
            "items": len(held),
            "source": held.source,
            "how": held.how,
            "given_label_wrong": int((given[held.rows] != held.truth).sum()),
            "random_sample": None if held.weights is None else int(np.count_nonzero(held.weights)),
        },
        "corrections": None,
        "model": None,
        "arms": [],
        "comparisons": [],
        "all_audited_items": None,
        "notes": [],
    }
    if corrections is not None:
        changed = int(corrections.changed(given).sum())
        document["corrections"] = {"source": corrections.source, "labels": changed, "unmatched": corrections.unmatched}
    if run.manifest["plan"]["scheme"] == "supplied":
        document["notes"].append("the run did not look for near duplicates: only exact copies are kept apart")
    return document


def _compared(
    run: Run,
    context: Context,
    trainer: Trainer,
    arms: list[Arm],
    held: HeldOut,
    pool: np.ndarray,
    usable: np.ndarray,
    seeds: int,
) -> dict[str, Any]:
    """Train the arms and compare them; sections of the document."""
    config, place = context.config, np.cumsum(usable) - 1  # of a usable row among the usable ones
    groups = merge_groups(len(usable), run.items["group"].to_numpy(), run.items["content_hash"].to_numpy())[usable]
    parts = [
        split_parts(pool[usable], place[held.rows], groups, config.folds, config.seed, number)
        for number in range(seeds)
    ]
    truth = np.full(int(usable.sum()), -1, np.int64)
    truth[place[held.rows]] = held.truth
    able = [arm for arm in arms if not arm.reason]
    fits = sum(map(len, parts)) * len(able)
    context.progress.stage("train", f"{fits} fits: {len(able)} training sets, {seeds} seeds")
    trained = train_arms(
        trainer,
        context.training_data(np.flatnonzero(usable)),
        arms,
        truth,
        parts,
        seed=config.seed,
        folder=run.path / layout.IMPROVEMENT / "fits",
        workers=context.workers_for([trainer]),
        progress=context.progress,
    )
    sections: dict[str, Any] = {
        "model": {"name": trainer.name, "recipe": trainer.recipe()},
        "arms": [_arm_row(arm, arms[0], trained.get(arm.name), pool[usable]) for arm in arms],
        "comparisons": compare_arms(trained),
    }
    if held.weights is not None:
        sections["all_audited_items"] = compare_arms(trained, held.weights)
    return sections


def _arm_row(arm: Arm, given: Arm, trained: Trained | None, pool: np.ndarray) -> dict[str, Any]:
    """One training set, as the document has it; what is not known is None."""
    row: dict[str, Any] = {"name": arm.name, "what": WHAT[arm.name], "reason": arm.reason}
    row |= dict.fromkeys(_MEASURED)
    if trained is not None:
        by_seed = trained.right.mean(axis=1)
        row |= {
            "changed": int(((arm.labels != given.labels) & arm.stays & pool).sum()),
            "removed": int((~arm.stays & pool).sum()),
            "n_train": trained.n_train,
            "accuracy": float(by_seed.mean()),
            "by_seed": by_seed.tolist(),
            "seconds": round(trained.seconds, 2),
        }
    return row


def _told_by(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The comparisons that the answer goes by: for all audited items where there is a random sample of them."""
    rows: list[dict[str, Any]] = document["all_audited_items"] or document["comparisons"]
    return rows


def _answer(document: dict[str, Any], run: Run, held: HeldOut) -> dict[str, Any]:
    """The conclusion in words, and what to do next."""
    sample = f"auditor sample {run.path} --budget {{}}, then auditor review {run.path}"
    if len(held) < FEWEST:
        why = held.how if not len(held) else f"{held.how}; {FEWEST} are needed"
        if held.source == "published":
            way = "Give the corrected labels of more items with --labels."
        else:
            way = f"Review items drawn at random: {sample.format(300)}; or give published labels with --labels FILE."
        return {"conclusion": f"Nothing can be told: {why}.", "next": way}
    whole, rows = document["all_audited_items"], _told_by(document)
    of = "the held-out items" if whole is None else "all audited items"
    if not rows:
        return {
            "conclusion": "Nothing can be told: there is nothing to compare the given labels with.",
            "next": "; ".join(f"{arm['name']}: {arm['reason']}" for arm in document["arms"] if arm["reason"]),
        }
    told = [row for row in rows if row["verdict"] != NOT_TOLD]
    if told:
        best = max(told, key=lambda row: row["difference"])
        words = {HELPS: "help", HARMS: "harm"}
        claims = [
            f"{row['arm']} labels {words[row['verdict']]} ({100 * row['difference']:+.2f} points, "
            f"{100 * row['interval'][0]:+.2f} to {100 * row['interval'][1]:+.2f})"
            for row in sorted(told, key=lambda row: -row["difference"])
        ]
        unclear = [row["arm"] for row in rows if row["verdict"] == NOT_TOLD]
        claims += [f"of {' and '.join(unclear)} labels nothing can be told"] if unclear else []
        advice = {
            GIVEN: "Train on the given labels.",
            "dropped": "Train without the suspects (findings.parquet).",
            "corrected": f"Train on the corrected labels: auditor patch create {run.path}, then auditor patch apply.",
            "weighted": "Train with weights: auditor.RobustClassifier does so.",
        }
        way = advice[best["arm"] if best["verdict"] == HELPS else GIVEN]
        conclusion = f"On {of}, {'; '.join(claims)}."
    else:
        nearest = [row["enough"] for row in rows if row["enough"] is not None]
        way = "The sets of labels make no difference to this model."
        if nearest and held.source == "verdicts":
            way = (
                f"If the largest difference is real, about {min(nearest):,} judged items would show it: "
                f"{sample.format(min(nearest))}."
            )
        elif nearest:
            way = f"If the largest difference is real, about {min(nearest):,} items with known labels would show it."
        conclusion = f"Nothing can be told: on {of} no difference from the given labels is certain."
    if whole is None and held.source == "verdicts":
        conclusion += " The judged items were not drawn at random: this holds for them, not for all items."
    return {"conclusion": conclusion, "next": way}


def _write(run: Run, document: dict[str, Any]) -> Improvement:
    """The report, then the result with the hash of the report."""
    folder = run.path / layout.IMPROVEMENT
    folder.mkdir(exist_ok=True)
    write_text(folder / layout.IMPROVEMENT_REPORT, render("improvement.md.jinja", r=document))
    document["files"] = {layout.IMPROVEMENT_REPORT: hash_file(folder / layout.IMPROVEMENT_REPORT)}
    write_sealed(folder / layout.IMPROVEMENT_RESULT, document)
    return Improvement(document, folder)
