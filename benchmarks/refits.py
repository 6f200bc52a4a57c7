"""What refits do to ranking and flags: the default detector after 0, 1, 2 and 3 of them.

    OMP_NUM_THREADS=1 python benchmarks/refits.py --work DIR [--data ../shared/data] [--seeds 3] [--cases digits ...]

writes benchmarks/results/refits.json and .md. DIR keeps embeddings and fits: an interrupted run goes on where it was.
Trainers are those of the standard budget (of images the quick one, at 64 px), cross-validated in five folds, and the
evidence is what `find_errors` has by default: probabilities, and the trainer's own features for neighbours where it has
any. Weights come from `auditor.detect.cleaning.refit_weights`, as in a run. No refit sees which labels are wrong.

Cases: ``weather`` and ``penguins``, tables drawn by `auditor.lab.detectors.planted`; ``digits``, scikit-learn's 1,797
with the kernel classifier on pixels; ``cifar10``, 4,000 train images with a linear head on the packaged encoder;
``tfidf`` and ``sentence``, the 10,000 texts of NoisyAG-News. Labels: human ones, noise made here (symmetric, by pair of
classes, by instance), ``one class`` (four in nine of its given labels belong to one other class), or ``right``: none
is wrong, and every flag is false.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from auditor.audit.plan import AuditPlan
from auditor.audit.stages.refit import weighted_tasks
from auditor.core.config import Settings
from auditor.core.files import atomic_write, read_json, write_json
from auditor.core.machine import describe_machine, package_versions
from auditor.core.progress import SilentProgress
from auditor.data.kinds import ImageDataset
from auditor.data.open import open_dataset
from auditor.detect.base import Evidence
from auditor.detect.cleaning import refit_weights
from auditor.detect.combined import Combined
from auditor.detect.neighbours import is_costly, narrowed
from auditor.lab.detectors.metrics import Ranked, flag_counts
from auditor.lab.detectors.noise import inject, standardised, uniforms
from auditor.lab.detectors.planted import LABEL, penguins, weather
from auditor.train.base import Trainer, TrainingData
from auditor.train.choose_embedding import fit_for_cosine
from auditor.train.crossval import run_tasks
from auditor.train.embeddings import embed
from auditor.train.folds import plan_folds
from auditor.train.frozen import FrozenTrainer
from auditor.train.pixels import PixelTrainer
from auditor.train.table import TableTrainer
from auditor.train.text import TfidfTrainer

RESULTS = Path(__file__).parent / "results"
REFITS, FOLDS, IMAGES = 3, 5, 4000
ONE_CLASS = "one class"
#: Labels of every case: kind of noise and rate.
CASES: dict[str, tuple[tuple[str, float], ...]] = {
    "weather": (("symmetric", 0.1), ("pair", 0.3), ("right", 0)),
    "penguins": (("symmetric", 0.1), ("pair", 0.3), ("right", 0)),
    "digits": (("symmetric", 0.1), ("pair", 0.2), ("pair", 0.4), ("instance", 0.2), (ONE_CLASS, 0), ("right", 0)),
    "sentence": (("human", 0), ("right", 0)),
    "cifar10": (("symmetric", 0.1), ("pair", 0.4), ("instance", 0.2), ("right", 0)),
    "tfidf": (("human", 0), ("right", 0)),
}


def items(name: str, data: Path, work: Path, seed: int) -> tuple[Trainer, TrainingData, np.ndarray | None]:
    """Trainer, items with their true labels, and human ones where there are any."""
    if name in ("weather", "penguins"):
        table = (weather if name == "weather" else penguins)(seed=seed)
        names, truth = np.unique(table.pop(LABEL), return_inverse=True)
        return TableTrainer(), TrainingData("table", table, truth.astype(np.int64), len(names)), None
    if name == "digits":
        bunch = load_digits()
        images = np.repeat((bunch.images * 15.9).astype(np.uint8)[..., None], 3, axis=-1)
        return PixelTrainer(), TrainingData("image", images, bunch.target.astype(np.int64), 10), None
    if name == "cifar10":
        dataset = open_dataset("cifar10?split=train", Settings(data_dirs=(data,), offline=True))
        chosen = np.argsort(uniforms(dataset.ids, 0, "subset"), kind="stable")[:IMAGES]
        part = dataset.subset(np.sort(chosen))
        assert isinstance(part, ImageDataset)
        trainer = FrozenTrainer.from_budget("quick", cache_dir=work)
        return trainer, TrainingData("image", part.load_images()[0], part.labels, 10), None
    table = pd.read_csv(data / "text" / "noisy_agnews_10k.csv")
    truth, human = (table[column].to_numpy(np.int64) for column in ("gt", "label"))
    text = TfidfTrainer() if name == "tfidf" else FrozenTrainer.from_budget("standard", "minilm", cache_dir=work)
    return text, TrainingData("text", table["text"].astype(str).tolist(), truth, 4), human


def labelled(noise: str, rate: float, ids: np.ndarray, data: TrainingData, human: Any, seed: int) -> np.ndarray:
    truth = data.labels
    if noise == "human":
        return human
    if noise == "right":
        return truth
    if noise == ONE_CLASS:
        sources = np.flatnonzero(truth == 1)
        moved = np.random.default_rng(seed).choice(sources, int(0.8 * (truth == 0).sum()), replace=False)
        return np.where(np.isin(np.arange(len(truth)), moved), 0, truth)
    features = standardised(data.features) if noise == "instance" else None
    return inject(noise, ids, truth, data.n_classes, rate, seed, features)


def own_features(trainer: Trainer, data: TrainingData, work: Path) -> np.ndarray | None:
    """As the stage of a run makes them."""
    if not isinstance(trainer, FrozenTrainer):
        return None
    encoder = trainer._encoder()
    rows = fit_for_cosine(np.asarray(embed(encoder, data.features, work, "cpu", 1, SilentProgress(), "embed")), encoder)
    return narrowed(rows) if is_costly(*rows.shape) else rows


def measure(name: str, noise: str, rate: float, seed: int, data_dir: Path, work: Path) -> dict[str, Any]:
    trainer, data, human = items(name, data_dir, work, seed)
    ids, truth = np.char.zfill(np.arange(len(data)).astype(str), 6), data.labels
    data = replace(data, labels=labelled(noise, rate, ids, data, human, seed))
    planned, rows = plan_folds(ids, data.labels, data.n_classes, FOLDS, seed), np.arange(len(data))
    audited = np.flatnonzero(planned.fold >= 0)
    tasks = list(planned.tasks(seed, rows, np.empty(0, np.int64)))
    plan = AuditPlan("cross-validation", "", audited, planned.fold, tuple(tasks), rows, (), 0)
    labels, wrong = data.labels[audited], (data.labels != truth)[audited]
    features = own_features(trainer, data, work)
    row: dict[str, Any] = {"case": name, "noise": noise, "rate": rate, "seed": seed, "n": len(audited)}
    row |= {"model": trainer.name, "wrong": int(wrong.sum()), "after": []}
    for number in range(REFITS + 1):
        results = run_tasks(trainer, data, tasks, folder=work / "fits" / f"{name}-{noise}-{rate}-{seed}")
        probabilities = np.empty((len(data), data.n_classes))
        for task, result in zip(tasks, results, strict=True):
            probabilities[task.predict] = result.probabilities
        probabilities = probabilities[audited]
        known = None if features is None else features[audited]
        answer = Combined().detect(
            Evidence(ids[audited], labels, data.n_classes, probabilities=probabilities, embeddings=known)
        )
        counts, how = flag_counts(wrong, answer.flagged), refit_weights(probabilities, labels)
        trust = np.bincount(labels, how.trust, minlength=data.n_classes) / np.maximum(np.bincount(labels), 1)
        step = {
            "ap": Ranked.of(wrong, answer.score).average_precision() if wrong.any() else None,
            "f1": counts.f1 if wrong.any() else None,
            "flagged": int(answer.flagged.sum()),
            "accuracy": float((probabilities.argmax(axis=1) == truth[audited]).mean()),
            "least_trust": float(trust.min()),
            "fit_seconds": round(sum(result.seconds for result in results), 2),
        }
        row["after"].append(step)
        if number < REFITS:
            tasks = weighted_tasks(plan, plan.tasks, how.weights, number + 1)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    options = parser.parse_args()
    path = RESULTS / "refits.json"
    rows = read_json(path)["rows"] if path.is_file() else []
    known = ("case", "noise", "rate", "seed")
    for seed in range(options.seeds):
        for name in options.cases:
            for noise, rate in CASES[name]:
                if any([row[k] for k in known] == [name, noise, rate, seed] for row in rows):
                    continue
                begin = time.perf_counter()
                row = measure(name, noise, rate, seed, options.data, options.work)
                row["seconds"] = round(time.perf_counter() - begin, 1)
                rows.append(row)
                print(name, noise, rate, seed, [round(100 * s["ap"], 1) for s in row["after"] if s["ap"]], flush=True)
                # After each row: an interrupted run keeps what it has measured.
                machine = {"machine": describe_machine(), "versions": package_versions()}
                write_json(path, {"schema": "auditor.benchmark.refits/1", "folds": FOLDS, "rows": rows, **machine})
                with atomic_write(RESULTS / "refits.md") as handle:
                    handle.write(markdown({"rows": rows, **machine}).encode())


def markdown(result: dict[str, Any]) -> str:
    table = pd.DataFrame(
        [row | {"after": number} | step for row in result["rows"] for number, step in enumerate(row["after"])]
    )
    lines = [
        "# Refits",
        "",
        "Made by `python benchmarks/refits.py`. Average precision (AP) and F1 of the flags of the default detector in "
        f"%, after 0, 1, 2 and 3 refits; means over seeds, {FOLDS} folds. Where all labels are right: flags. Accuracy "
        "of the model against the true labels in %, before and after three. Trust: smallest mean trust in the labels "
        "of a class, before. Seconds of one fit of all folds, on one core that does other work.",
        "",
        "| case | labels | n | wrong | seeds | AP | F1 | accuracy | trust | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (case, noise, rate), group in table.groupby(["case", "noise", "rate"], sort=False):
        means = group.groupby("after")[["ap", "f1", "flagged", "accuracy", "least_trust", "fit_seconds"]].mean()
        first, right = means.loc[0], noise == "right"
        percent = {name: " -> ".join(f"{100 * v:.1f}" for v in means[name].astype(float)) for name in ("ap", "f1")}
        flags = " -> ".join(f"{v:.0f}" for v in means["flagged"])
        lines.append(
            f"| {case} | {noise}{f' {rate:.0%}' if rate else ''} | {group['n'].iloc[0]:,} | "
            f"{group.groupby('seed')['wrong'].first().mean():,.0f} | {group['seed'].nunique()} | "
            f"{'-' if right else percent['ap']} | {f'flags {flags}' if right else percent['f1']} | "
            f"{100 * first['accuracy']:.1f} -> {100 * means['accuracy'].iloc[-1]:.1f} | {first['least_trust']:.2f} | "
            f"{first['fit_seconds']:.0f} |"
        )
    machine = ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    versions = ", ".join(f"{key} {value}" for key, value in result["versions"].items())
    return "\n".join([*lines, "", f"Machine: {machine}. {versions}.", ""])


if __name__ == "__main__":
    main()
