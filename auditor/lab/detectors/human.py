"""CIFAR-10 train images with human labels: ``cifar10n-<labels>`` (network trained here) and ``...-frozen``.

The network is trained by `auditor.audit.find_errors` in cross-validation, so that a run folder serves as well
(``--run``): the one whose labels are those of the set.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from auditor.audit.find_errors import find_errors
from auditor.core.errors import AuditorError, DataError, UsageError
from auditor.core.hashing import hash_array, hash_file
from auditor.data.base import Dataset
from auditor.data.kinds import ImageDataset
from auditor.data.open import open_dataset
from auditor.detect.base import Evidence
from auditor.detect.item_dynamics import FitDynamics, ItemDynamics
from auditor.lab.detectors.images import duplicate_groups, embeddings_of, items_identity, pixels_of
from auditor.lab.detectors.sets import Case, Context, find_data, label_array
from auditor.lab.detectors.training import cross_validated, slug
from auditor.runs.run import Run, open_run
from auditor.train.base import TrainingData
from auditor.train.choose import make_trainer

__all__ = ["HUMAN", "FrozenHuman", "HumanLabels", "evidence_of_run"]

REFERENCE = "cifar10?split=train"
NETWORK = "fastnet"


def _label_files(context: Context, labels: str) -> dict[str, Path | None]:
    return {f"cifar10n/{kind}.npy": find_data(context.settings, f"cifar10n/{kind}.npy") for kind in (labels, "clean")}


def _absent(context: Context, labels: str) -> str | None:
    if missing := [name for name, path in _label_files(context, labels).items() if path is None]:
        return f"not found below the data folders: {', '.join(missing)}"
    try:
        open_dataset(REFERENCE, context.settings)
    except AuditorError as error:
        return f"{error.what} {error.way_out or ''}".strip()
    return None


def _labels_and_truth(context: Context, labels: str) -> tuple[np.ndarray, np.ndarray]:
    given, clean = (label_array(cast(Path, path)) for path in _label_files(context, labels).values())
    if given.shape != clean.shape:
        raise DataError(f"CIFAR-10N {labels}: {len(given)} labels, and {len(clean)} clean ones.")
    return given, clean


LIMITS = (
    "One realisation of annotators. The truth is itself wrong for about 0.5 % of the items. The networks are small "
    "ones trained on a CPU: not a reproduction of any paper's."
)


@dataclass(frozen=True)
class HumanLabels:
    """CIFAR-10N labels, a network trained from scratch in cross-validation, its dynamics given to the detectors."""

    name: str
    labels: str

    limits = LIMITS

    @property
    def summary(self) -> str:
        """See `BenchmarkSet.summary`."""
        return f"CIFAR-10N {self.labels} labels; own network ({NETWORK}) cross-validated here, with training dynamics"

    def seeds(self, context: Context, wanted: int) -> int:
        """The run folders given, or with a budget as many as wanted."""
        return wanted if context.options.budget else len(self._runs(context))

    def absent(self, context: Context) -> str | None:
        """See `BenchmarkSet.absent`."""
        if why := _absent(context, self.labels):
            return why
        if context.options.budget is None and not self._runs(context):
            return (
                "trains 5 networks on 40,000 images per seed; say so with --budget quick or --budget standard, or "
                "give a finished run on these labels with --run"
            )
        return None

    def _runs(self, context: Context) -> list[Run]:
        """Run folders given whose labels are those of this set."""
        given, _ = _labels_and_truth(context, self.labels)
        return [run for run in map(open_run, context.runs) if _has_labels(run, given)]

    def inputs(self, context: Context, seed: int) -> dict[str, Any]:
        """See `BenchmarkSet.inputs`."""
        files = {name: hash_file(path) for name, path in _label_files(context, self.labels).items() if path}
        runs = self._runs(context)
        if seed < len(runs):
            run = runs[seed]
            return {"files": files, "probabilities": hash_file(run.pred_probs_path), "run": run.manifest["config"]}
        budget, folds = context.options.budget, context.options.folds
        return {"files": files, "network": NETWORK, "budget": budget, "folds": folds, "seed": seed}

    def case(self, context: Context, seed: int) -> Case:
        """See `BenchmarkSet.case`."""
        given, truth = _labels_and_truth(context, self.labels)
        runs = self._runs(context)
        run = runs[seed] if seed < len(runs) else self._train(context, given, seed)
        evidence = evidence_of_run(run)
        model = run.manifest["model"]
        facts = {
            "network": model["name"],
            "recipe": model["recipe"],
            "labels": f"CIFAR-10N {self.labels}",
            "folds": run.config["folds"],
            "budget": run.config["budget"],
            "trained here": True,
            "training seconds": round(sum(model["fit_seconds"].values()), 2),
            "evidence": hash_array(evidence.mean_probabilities)[7:23],
        }
        index = run.items["index"].to_numpy()[run.audited]
        return Case.in_id_order(evidence, truth[index], facts)

    def _train(self, context: Context, given: np.ndarray, seed: int) -> Run:
        dataset = _relabelled(open_dataset(REFERENCE, context.settings), given, self.labels)
        budget, folds = context.options.budget, context.options.folds
        return find_errors(
            dataset,
            audit="all",
            model=NETWORK,
            budget=budget,
            folds=folds,
            seed=seed,
            workers=context.workers,
            out=context.work / "runs" / f"{slug(self.name)}-{budget}-{folds}-{seed}",
            settings=context.settings,
            progress=context.progress,
        )


def _relabelled(dataset: Dataset, given: np.ndarray, labels: str) -> Dataset:
    """The same images with other labels."""
    if not isinstance(dataset, ImageDataset) or len(dataset) != len(given):
        raise DataError(f"{len(given)} labels for the {len(dataset)} items of {dataset.name!r}.")
    part = dataset.subset(np.arange(len(dataset)))
    part.items = replace(part.items, labels=given[part.items.index])
    part.name = f"cifar10n-{labels}"
    return part


def _has_labels(run: Run, given: np.ndarray) -> bool:
    items = run.items.iloc[run.audited]
    index = items["index"].to_numpy()
    return bool(
        (items["split"] == "train").all() and index.max() < len(given) and np.array_equal(run.labels, given[index])
    )


@dataclass(eq=False)
class _Fit:
    """Dynamics of one fit as the run folder keeps them."""

    train_given: np.ndarray
    train_other: np.ndarray
    train_logsumexp: np.ndarray
    heldout_given: np.ndarray
    heldout_other: np.ndarray
    heldout_logsumexp: np.ndarray


def evidence_of_run(run: Run) -> Evidence:
    """Probabilities, training dynamics and duplicate groups of the audited items of a finished run."""
    stored = run.dynamics()
    dynamics = None
    if stored:
        names = list(dict.fromkeys(key.rpartition("/")[0] for key in stored))
        fits: list[tuple[np.ndarray, np.ndarray, FitDynamics]] = [
            (
                stored[f"{name}/train_rows"],
                stored[f"{name}/heldout_rows"],
                _Fit(**{field: stored[f"{name}/{field}"] for field in _Fit.__dataclass_fields__}),
            )
            for name in names
        ]
        dynamics = ItemDynamics.merge(len(run.items), fits).take(run.audited)
    return Evidence(
        ids=run.ids.astype(str),
        labels=run.labels,
        n_classes=len(run.class_names),
        class_names=run.class_names,
        probabilities=np.asarray(run.pred_probs),
        networks=(run.manifest["model"]["name"],),
        dynamics=dynamics,
        duplicate_groups=run.items["group"].to_numpy()[run.audited],
    )


@dataclass(frozen=True)
class FrozenHuman:
    """CIFAR-10N labels, a linear head on a frozen encoder."""

    name: str
    labels: str

    limits = LIMITS

    @property
    def summary(self) -> str:
        """See `BenchmarkSet.summary`."""
        return (
            f"CIFAR-10N {self.labels} labels; cross-validated linear head on a frozen encoder, neighbours among 128 "
            "principal components of its embeddings"
        )

    def seeds(self, context: Context, wanted: int) -> int:
        """See `BenchmarkSet.seeds`."""
        return wanted

    def absent(self, context: Context) -> str | None:
        """See `BenchmarkSet.absent`."""
        if why := _absent(context, self.labels):
            return why
        if context.options.budget is None:
            return "embeds 50,000 images; say so with --budget quick or --budget standard"
        try:
            make_trainer("frozen", context.options.budget).recipe()
        except AuditorError as error:
            return f"{error.what} {error.way_out or ''}".strip()
        return None

    def inputs(self, context: Context, seed: int) -> dict[str, Any]:
        """See `BenchmarkSet.inputs`."""
        trainer = make_trainer("frozen", context.options.budget or "quick")
        files = {name: hash_file(path) for name, path in _label_files(context, self.labels).items() if path}
        dataset = open_dataset(REFERENCE, context.settings)
        return {
            "files": files,
            "images": items_identity(dataset.ids, dataset.labels, pixels_of(dataset, np.arange(len(dataset)))),
            "recipe": trainer.recipe(),
            "folds": context.options.folds,
            "seed": seed,
        }

    def case(self, context: Context, seed: int) -> Case:
        """See `BenchmarkSet.case`."""
        given, truth = _labels_and_truth(context, self.labels)
        dataset = open_dataset(REFERENCE, context.settings)
        if len(dataset) != len(given):
            raise UsageError(f"{len(given)} labels for {len(dataset)} images.")
        images = pixels_of(dataset, np.arange(len(dataset)))
        trainer = make_trainer("frozen", context.options.budget or "quick", cache_dir=context.work)
        data = TrainingData("image", images, given, len(dataset.class_names))
        embeddings = embeddings_of(context, trainer, images)
        evidence, kept, facts = cross_validated(
            context, self.name, data, dataset.ids, trainer, seed, duplicate_groups(images), embeddings
        )
        return Case.in_id_order(evidence, truth[kept], facts | {"labels": f"CIFAR-10N {self.labels}"})


class _Human:
    names = ("cifar10n-aggre", "cifar10n-random1", "cifar10n-aggre-frozen", "cifar10n-random1-frozen")

    def make(self, name: str) -> HumanLabels | FrozenHuman | None:
        """See `Family.make`."""
        match = re.fullmatch(r"cifar10n-(\w+)(-frozen)?", name)
        if match is None:
            return None
        return FrozenHuman(name, match[1]) if match[2] else HumanLabels(name, match[1])

    def others(self, word: str) -> tuple[str, ...]:
        """Any labels that lie beside the two usual ones."""
        return (word,) if self.make(word) else ()


HUMAN = _Human()
