"""Sets that are audited here: the digits, CIFAR-10 images and news texts, whose true labels are known.

The evidence is that of a run of `find_errors` with ``--embeddings auto``: detectors are measured on what users get.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auditor.audit.evidence import run_evidence
from auditor.audit.find_errors import find_errors
from auditor.audit.stages.refit import choose_refits
from auditor.core.errors import AuditorError, DataError, OfflineError
from auditor.core.hashing import hash_array, hash_file
from auditor.data.base import Dataset, ItemTable
from auditor.data.kinds import ImageDataset, TextDataset
from auditor.data.open import open_dataset
from auditor.lab.detectors.noise import KINDS, inject, standardised, uniforms
from auditor.lab.detectors.sets import BenchmarkContext, Case, Family, find_data, label_array, slug
from auditor.runs.run import Run, open_run
from auditor.train.choose import make_trainer

CIFAR10_TRAIN = "cifar10?split=train"
NEWS = "text/noisy_agnews_10k.csv"
ENCODED = "linear head on a frozen encoder, neighbours among its embeddings"

#: A data set with its given labels, and the true ones of its items.
Labelled = tuple[Dataset, np.ndarray]


@dataclass(frozen=True)
class TrainedSet:
    """A data set that `find_errors` audits, its models trained in cross-validation.

    Attributes
    ----------
    name, summary, limits : str
        See `BenchmarkSet`.
    model : str or None
        Trainer by name; None: the one the user chose.
    source : callable
        Opens what the labels belong to; raises where something is missing.
    label : callable
        Given and true labels of the source, for a seed.
    second : str
        Second model, as ``--second-model``.
    large : bool
        Trained on only where a budget was named; finished runs on the same labels serve as well.
    """

    name: str
    summary: str
    limits: str
    model: str | None
    source: Callable[[BenchmarkContext], Dataset]
    label: Callable[[BenchmarkContext, Dataset, int], Labelled]
    second: str = "none"
    large: bool = False

    def seeds(self, context: BenchmarkContext, wanted: int) -> int:
        """As many as wanted; of large sets without a budget, the run folders given."""
        return wanted if context.options.audit_budget or not self.large else len(self._runs(context))

    def absent(self, context: BenchmarkContext) -> str | None:
        """See `BenchmarkSet.absent`."""
        config = self._config(context, 0)
        try:
            self.source(context)
            make_trainer(config["model"], config["budget"]).recipe()
        except AuditorError as error:
            return f"{error.what} {error.way_out or ''}".strip()
        if self.large and context.options.audit_budget is None and not self._runs(context):
            return (
                "trains on 50,000 images; say so with --budget quick or --budget standard, or give a finished run on "
                "these labels with --run"
            )
        return None

    def _config(self, context: BenchmarkContext, seed: int) -> dict[str, Any]:
        options = context.options
        model, budget = self.model or options.model, options.audit_budget or "quick"
        config = {"model": model, "budget": budget, "folds": options.folds, "seed": seed, "embeddings": "auto"}
        return config if self.second == "none" else {**config, "second_model": self.second}

    def _labelled(self, context: BenchmarkContext, seed: int) -> Labelled:
        return self.label(context, self.source(context), seed)

    def _runs(self, context: BenchmarkContext) -> list[Run]:
        """Run folders given whose items and labels are those of this set."""
        runs = [open_run(path, context.settings.runs_dir) for path in context.runs]
        if not self.large or not runs:
            return []
        dataset, _ = self._labelled(context, 0)
        given = dict(zip(dataset.ids.tolist(), dataset.labels.tolist(), strict=True))
        return [run for run in runs if [given.get(item) for item in run.ids] == run.labels.tolist()]

    def inputs(self, context: BenchmarkContext, seed: int) -> dict[str, Any]:
        """See `BenchmarkSet.inputs`."""
        dataset, truth = self._labelled(context, seed)
        how, runs = self._config(context, seed), self._runs(context)
        names = [how["model"], how.get("second_model")]
        trainers = [make_trainer(name, how["budget"]) for name in names if name is not None]
        if refits := choose_refits("auto", trainers, "cross-validation", how["budget"]).count:
            how["refits"] = refits
        if seed < len(runs):
            how = {"probabilities": hash_file(runs[seed].pred_probs_path), "run": runs[seed].manifest["config"]}
        return {"data": dataset.fingerprint, "truth": hash_array(truth), **how}

    def case(self, context: BenchmarkContext, seed: int) -> Case:
        """See `BenchmarkSet.case`."""
        dataset, truth = self._labelled(context, seed)
        runs = self._runs(context)
        run = runs[seed] if seed < len(runs) else self._audit(context, dataset, seed)
        evidence, model, refits = run_evidence(run), run.manifest["model"], run.manifest.get("refits", {})
        seconds = [*model["fit_seconds"].values(), *refits.get("fit_seconds", {}).values()]
        true = dict(zip(dataset.ids.tolist(), truth.tolist(), strict=True))
        facts = {
            "network": " and ".join(run.models),
            "recipe": model["recipe"],
            "labels": dataset.name,
            "folds": run.config["folds"],
            "budget": run.config["budget"],
            "embeddings": run.manifest["embeddings"].get("name"),
            "trained here": True,
            "training seconds": round(sum(seconds), 2),
            "refits": run.refits,
            "evidence": hash_array(evidence.mean_probabilities)[7:23],
        }
        return Case(evidence, np.array([true[item] for item in run.ids], dtype=np.int64), facts)

    def _audit(self, context: BenchmarkContext, dataset: Dataset, seed: int) -> Run:
        config = self._config(context, seed)
        models = "-".join([config["model"], *([self.second] if self.second != "none" else [])])
        name = "-".join([slug(self.name), models, config["budget"], str(config["folds"]), str(seed)])
        return find_errors(
            dataset,
            audit="all",
            quality=False,
            workers=context.workers,
            out=context.work / "runs" / f"{name}-{dataset.fingerprint.removeprefix('sha256:')[:8]}",
            # The same items for every seed and model: an encoder sees them once.
            settings=replace(context.settings, embeddings_dir=context.work / "embeddings"),
            progress=context.progress,
            **config,
        )


def relabelled(dataset: Dataset, given: np.ndarray, name: str) -> Dataset:
    """The same items with other labels."""
    if len(dataset) != len(given):
        raise DataError(f"{len(given)} labels for the {len(dataset)} items of {dataset.name!r}.")
    part = dataset.subset(np.arange(len(dataset)))
    part.items, part.name = replace(part.items, labels=np.asarray(given, dtype=np.int64)), name
    return part


def _files(context: BenchmarkContext, *names: str) -> list[Path]:
    paths = [find_data(context.settings, name) for name in names]
    if missing := [name for name, path in zip(names, paths, strict=True) if path is None]:
        raise OfflineError(f"not found below the data folders: {', '.join(missing)}")
    return [path for path in paths if path is not None]


def _noisy(name: str, kind: str, model: str | None, summary: str, limits: str) -> TrainedSet:
    """Noise of one kind on a clean image set; noise, folds and training change with the seed."""

    def source(context: BenchmarkContext) -> Dataset:
        if name.startswith("digits"):
            return open_dataset("digits", context.settings)
        dataset = open_dataset(CIFAR10_TRAIN, context.settings)
        chosen = np.argsort(uniforms(dataset.ids, 0, "subset"), kind="stable")[: context.options.subset]
        return dataset.subset(np.sort(chosen))

    def label(context: BenchmarkContext, dataset: Dataset, seed: int) -> Labelled:
        features = None
        if kind == "instance" and isinstance(dataset, ImageDataset):
            features = standardised(dataset.load_images()[0])
        truth, n_classes = dataset.labels, len(dataset.class_names)
        given = inject(kind, dataset.ids, truth, n_classes, context.options.noise_rate, seed, features)
        return relabelled(dataset, given, name), truth

    limits = f"Injected noise; not a reproduction of any paper's networks or sizes.{limits}"
    return TrainedSet(name, summary.format(kind=kind), limits, model, source, label)


def _human(name: str, kind: str, model: str, how: str, second: str = "none") -> TrainedSet:
    """CIFAR-10 train images with human labels."""

    def source(context: BenchmarkContext) -> Dataset:
        _files(context, f"cifar10n/{kind}.npy", "cifar10n/clean.npy")
        return open_dataset(CIFAR10_TRAIN, context.settings)

    def label(context: BenchmarkContext, dataset: Dataset, seed: int) -> Labelled:
        paths = _files(context, f"cifar10n/{kind}.npy", "cifar10n/clean.npy")
        given, clean = (label_array(path, len(dataset)) for path in paths)
        return relabelled(dataset, given, f"cifar10n-{kind}"), clean

    summary = f"CIFAR-10N {kind} labels; cross-validated {how}"
    limits = (
        "One realisation of annotators. The truth is itself wrong for about 0.5 % of the items. The networks are small "
        "ones trained on a CPU: not a reproduction of any paper's."
    )
    return TrainedSet(name, summary, limits, model, source, label, second, large=True)


def _news(name: str, model: str, how: str, second: str = "none") -> TrainedSet:
    """NoisyAG-News: 10,000 texts; labels of one annotator each, about one in five wrong."""

    def table(context: BenchmarkContext) -> pd.DataFrame:
        table = pd.read_csv(_files(context, NEWS)[0])
        if missing := {"label", "gt", "text"} - set(table.columns):
            raise DataError(f"{NEWS} has no column {', '.join(sorted(missing))}.")
        return table

    def source(context: BenchmarkContext) -> Dataset:
        rows = table(context)
        names, labels = np.unique(rows[["label", "gt"]].to_numpy(), return_inverse=True)
        ids = np.array([f"text/{row:05d}" for row in range(len(rows))])
        items = ItemTable(ids, labels.reshape(-1, 2)[:, 0], np.full(len(rows), "all"), np.arange(len(rows)))
        column = rows["text"].astype(str).to_numpy(dtype=object)
        return TextDataset(
            name="noisy-agnews", reference=NEWS, class_names=tuple(map(str, names)), items=items, column=column
        )

    def label(context: BenchmarkContext, dataset: Dataset, seed: int) -> Labelled:
        number = {text: k for k, text in enumerate(dataset.class_names)}
        return dataset, table(context)["gt"].astype(str).map(number).to_numpy(dtype=np.int64)

    summary = f"NoisyAG-News, human labels, 4 classes; cross-validated here: {how}"
    limits = "One realisation of annotators, whose errors are systematic: the model learns them. Seeds change folds."
    return TrainedSet(name, summary, limits, model, source, label, second)


def _family(*sets: TrainedSet) -> Family:
    by_name = {each.name: each for each in sets}
    return Family(tuple(by_name), by_name.get)


def _make_human(name: str) -> TrainedSet | None:
    """A set of any labels that lie beside the two usual ones."""
    match = re.fullmatch(r"cifar10n-(\w+?)(-frozen|-two)?", name)
    if match is None:
        return None
    if match[2] == "-frozen":
        return _human(name, match[1], "frozen", ENCODED)
    if match[2] == "-two":
        return _human(name, match[1], "fastnet", f"network (fastnet), pooled with a {ENCODED}", "frozen")
    return _human(name, match[1], "fastnet", "network (fastnet) with training dynamics")


_ON_DIGITS = "scikit-learn digits with {kind} label noise made here; cross-validated kernel classifier on pixels"
_ON_CIFAR10 = "a subset of the CIFAR-10 train images with {kind} label noise made here; cross-validated " + ENCODED
DIGITS = _family(*(_noisy(f"digits+{kind}", kind, "pixels", _ON_DIGITS, "") for kind in KINDS))
CIFAR10 = _family(
    *(_noisy(f"cifar10+{k}", k, None, _ON_CIFAR10, " The given CIFAR-10 labels count as true.") for k in KINDS)
)
TEXTS = _family(
    _news("text", "tfidf", "TF-IDF and logistic regression"),
    _news("text-sentence", "sentence", "frozen sentence encoder with a linear head"),
    _news("text-two", "sentence", "frozen sentence encoder with a linear head, pooled with TF-IDF", "tfidf"),
)
HUMAN = Family(
    tuple(f"cifar10n-{labels}{models}" for models in ("", "-frozen", "-two") for labels in ("aggre", "random1")),
    _make_human,
)
