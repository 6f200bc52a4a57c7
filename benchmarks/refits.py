"""What refits do to ranking and flags: the default detector after 0, 1, 2 and 3 of them.

    OMP_NUM_THREADS=1 python benchmarks/refits.py --work DIR [--data ../shared/data] [--seeds 3] [--cases digits ...]

writes benchmarks/results/refits.json and .md. DIR keeps the runs: an interrupted benchmark goes on where it was. Each
row is `find_errors` as users get it, with the models that `auto` takes (of images the frozen encoder of the quick
budget, because networks are not fitted again), in five folds. No refit sees which labels are wrong.

Cases: ``weather``, ``penguins``, ``wine`` and ``cancer``, the tables of `auditor.lab.detectors.planted`; ``digits``,
scikit-learn's 1,797 with the kernel classifier on pixels; ``cifar10``, 4,000 train images; ``text``, the 10,000 of
NoisyAG-News. Labels: human ones, noise made here (symmetric, by pair of classes, by instance), ``one class`` (four in
nine of its given labels belong to one other class), or ``right``: none is wrong, and every flag is false.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auditor.audit.find_errors import find_errors
from auditor.core.config import Settings
from auditor.core.files import atomic_write, read_json, write_json
from auditor.core.machine import describe_machine, package_versions
from auditor.core.progress import SilentProgress
from auditor.data.base import Dataset
from auditor.data.kinds import ImageDataset
from auditor.data.open import open_dataset
from auditor.lab.detectors.metrics import Ranked, flag_counts
from auditor.lab.detectors.noise import inject, standardised, uniforms
from auditor.lab.detectors.planted import TABLES
from auditor.lab.detectors.sets import BenchmarkContext, Family
from auditor.lab.detectors.trained import TEXTS, Labelled, TrainedSet, relabelled

RESULTS = Path(__file__).parent / "results"
REFITS, IMAGES = 3, 4000
ONE_CLASS = "one class"
MADE = (("symmetric", 0.1), ("pair", 0.3), (ONE_CLASS, 0), ("right", 0))
#: Labels of every case: kind of noise and rate.
CASES: dict[str, tuple[tuple[str, float], ...]] = {
    "penguins": MADE,
    "wine": MADE,
    "cancer": (("symmetric", 0.1), ("pair", 0.3), ("right", 0)),
    "digits": (("symmetric", 0.1), ("pair", 0.2), ("pair", 0.4), ("instance", 0.2), (ONE_CLASS, 0), ("right", 0)),
    "cifar10": (("symmetric", 0.1), ("pair", 0.4), ("instance", 0.2), (ONE_CLASS, 0), ("right", 0)),
    "text": (("human", 0), ("right", 0)),
    "weather": MADE,
}
#: Models of the cases that are not tables, as options of `find_errors`.
MODELS = {
    "digits": {"model": "pixels", "second_model": "none"},
    "cifar10": {"model": "frozen", "second_model": "none", "budget": "quick"},
    "text": {"model": "sentence", "second_model": "tfidf"},
}


def known_set(family: Family, name: str) -> TrainedSet:
    known = family.make(name)
    assert isinstance(known, TrainedSet)
    return known


def items(name: str, context: BenchmarkContext) -> Labelled:
    """The items with human labels where there are any, and the true ones."""
    if name == "text":
        news = known_set(TEXTS, "text-two")
        return news.label(context, news.source(context), 0)
    if name == "digits":
        dataset = open_dataset("digits", context.settings)
    elif name == "cifar10":
        train = open_dataset("cifar10?split=train", context.settings)
        dataset = train.subset(np.sort(np.argsort(uniforms(train.ids, 0, "subset"), kind="stable")[:IMAGES]))
    else:
        dataset = known_set(TABLES, f"table-{name}").source(context)
    return dataset, dataset.labels


def labelled(noise: str, rate: float, dataset: Dataset, truth: np.ndarray, seed: int) -> np.ndarray:
    if noise in ("human", "right"):
        return dataset.labels if noise == "human" else truth
    if noise == ONE_CLASS:
        sources, number = np.flatnonzero(truth == 1), int(0.8 * (truth == 0).sum())
        moved = np.random.default_rng(seed).choice(sources, min(number, len(sources) * 4 // 5), replace=False)
        return np.where(np.isin(np.arange(len(truth)), moved), 0, truth)
    by_picture = noise == "instance" and isinstance(dataset, ImageDataset)
    features = standardised(dataset.load_images()[0]) if by_picture else None
    return inject(noise, dataset.ids, truth, len(dataset.class_names), rate, seed, features)


def measure(name: str, noise: str, rate: float, seed: int, context: BenchmarkContext) -> dict[str, Any]:
    dataset, truth = items(name, context)
    given = labelled(noise, rate, dataset, truth, seed)
    true = dict(zip(dataset.ids.tolist(), truth.tolist(), strict=True))
    dataset = relabelled(dataset, given, f"{name}-{noise}-{rate}".replace(" ", "-"))
    row: dict[str, Any] = {"case": name, "noise": noise, "rate": rate, "seed": seed, "after": []}
    for number in range(REFITS + 1):
        begin = time.perf_counter()
        run = find_errors(
            dataset,
            audit="all",
            quality=False,
            refits=number,
            workers=1,
            seed=seed,
            out=context.work / f"{dataset.name}-{seed}",
            settings=context.settings,
            progress=SilentProgress(),
            **MODELS.get(name, {}),
        )
        scores = run.scores.set_index("id").loc[run.ids]
        known = np.array([true[item] for item in run.ids])
        wrong, rounds = run.labels != known, run.manifest.get("refits", {}).get("rounds", [])
        trusted = [share for share in rounds[-1]["trust_by_class"] if share is not None] if rounds else []
        counts = flag_counts(wrong, scores["flagged"].to_numpy())
        step = {
            "ap": Ranked.of(wrong, scores["score"].to_numpy()).average_precision() if wrong.any() else None,
            "f1": counts.f1 if wrong.any() else None,
            "flagged": int(scores["flagged"].sum()),
            "accuracy": float((run.pred_probs.argmax(axis=1) == known).mean()),
            "least_trust": min(trusted, default=None),
            "seconds": round(time.perf_counter() - begin, 2),
        }
        row["after"].append(step)
    return row | {"n": len(wrong), "models": list(run.models), "wrong": int(wrong.sum())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    options = parser.parse_args()
    settings = Settings(data_dirs=(options.data,), offline=True, embeddings_dir=options.work / "embeddings")
    context = BenchmarkContext(settings, options.work)
    path = RESULTS / "refits.json"
    rows = read_json(path)["rows"] if path.is_file() else []
    known = ("case", "noise", "rate", "seed")
    for seed in range(options.seeds):
        for name in options.cases:
            for noise, rate in CASES[name]:
                if any([row[k] for k in known] == [name, noise, rate, seed] for row in rows):
                    continue
                rows.append(measure(name, noise, rate, seed, context))
                steps = [step["ap"] or step["flagged"] for step in rows[-1]["after"]]
                print(name, noise, rate, seed, [round(step, 3) for step in steps], flush=True)
                # After each row: an interrupted run keeps what it has measured.
                machine = {"machine": describe_machine(), "versions": package_versions()}
                write_json(path, {"schema": "auditor.benchmark.refits/2", "rows": rows, **machine})
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
        "%, after 0, 1, 2 and 3 refits; means over seeds, five folds. Where all labels are right: flags. Accuracy of "
        "the models against the true labels in %, before and after three. Trust: smallest mean trust in the labels of "
        "a class, of the third refit. Seconds: without refits, and what the first one adds, on one busy core.",
        "",
        "| case | models | labels | n | wrong | seeds | AP | F1 | accuracy | trust | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (case, noise, rate), group in table.groupby(["case", "noise", "rate"], sort=False):
        means = group.groupby("after")[["ap", "f1", "flagged", "accuracy", "least_trust", "seconds"]].mean()
        right = noise == "right"
        percent = {name: " -> ".join(f"{100 * v:.1f}" for v in means[name].astype(float)) for name in ("ap", "f1")}
        flags = " -> ".join(f"{v:.0f}" for v in means["flagged"])
        lines.append(
            f"| {case} | {', '.join(group['models'].iloc[0])} | {noise}{f' {rate:.0%}' if rate else ''} | "
            f"{group['n'].iloc[0]:,} | {group.groupby('seed')['wrong'].first().mean():,.0f} | "
            f"{group['seed'].nunique()} | {'-' if right else percent['ap']} | "
            f"{f'flags {flags}' if right else percent['f1']} | "
            f"{100 * means['accuracy'].loc[0]:.1f} -> {100 * means['accuracy'].iloc[-1]:.1f} | "
            f"{means['least_trust'].iloc[-1]:.2f} | {means['seconds'].loc[0]:.0f}, {means['seconds'].loc[1]:.0f} |"
        )
    machine = ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    versions = ", ".join(f"{key} {value}" for key, value in result["versions"].items())
    return "\n".join([*lines, "", f"Machine: {machine}. {versions}.", ""])


if __name__ == "__main__":
    main()
