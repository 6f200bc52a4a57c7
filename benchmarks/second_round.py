"""Does the guard of the second cleaning round accept what helps and refuse what harms?

Run from a checkout::

    python benchmarks/second_round.py [--data ../shared/data] [--seeds 3] [--folds 5] [--cases agnews digits]

writes benchmarks/results/second-round.json and .md. Both rounds are fitted whatever the guard says, so that its
decision can be held against the average precision (AP) of finding the wrong labels, which it never sees. Cases:
NoisyAG-News (human labels, 10,000 texts) with TF-IDF, and scikit-learn's 1,797 digits with injected symmetric and pair
noise and the kernel classifier on pixels. The guard is tried without verdicts, and with 200 verdicts on items drawn
uniformly.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from auditor.audit.plan import AuditPlan
from auditor.audit.stages.second_round import reduced_tasks
from auditor.core.machine import describe_machine, package_versions
from auditor.detect.base import Verdicts
from auditor.detect.margins import log_odds_margin
from auditor.detect.second_round import SecondRound, second_round
from auditor.lab.detectors.metrics import Ranked, flag_counts
from auditor.train.base import Trainer, TrainingData
from auditor.train.crossval import run_tasks
from auditor.train.folds import plan_folds
from auditor.train.pixels import PixelTrainer
from auditor.train.text import TfidfTrainer

RESULTS = Path(__file__).parent / "results"
VERDICTS = 200


def agnews(data: Path) -> tuple[TrainingData, np.ndarray]:
    table = pd.read_csv(data / "text" / "noisy_agnews_10k.csv")
    text = next(c for c in table.columns if table[c].astype(str).str.len().mean() > 50)
    labels = table["label"].to_numpy(np.int64)
    return TrainingData("text", table[text].tolist(), labels, 4), labels != table["gt"].to_numpy()


def digits(kind: str, rate: float, seed: int) -> tuple[TrainingData, np.ndarray]:
    bunch = load_digits()
    rng = np.random.default_rng(seed)
    truth = bunch.target.astype(np.int64)
    wrong = rng.random(len(truth)) < rate
    shift = rng.integers(1, 10, len(truth)) if kind == "symmetric" else np.ones(len(truth), np.int64)
    labels = np.where(wrong, (truth + shift) % 10, truth)
    images = np.repeat((bunch.images * 15.9).astype(np.uint8)[..., None], 3, axis=-1)
    return TrainingData("image", images, labels, 10), wrong


def cases(options: argparse.Namespace) -> Iterator[tuple[str, int, Trainer, TrainingData, np.ndarray]]:
    for seed in range(options.seeds):
        if "digits" in options.cases:
            for kind, rate in (("symmetric", 0.1), ("symmetric", 0.4), ("pair", 0.2), ("pair", 0.4), ("pair", 0.55)):
                data, wrong = digits(kind, rate, seed)
                yield f"digits, {kind} {rate:.0%}", seed, PixelTrainer(), data, wrong
    if "agnews" in options.cases:
        data, wrong = agnews(options.data)
        for seed in range(options.text_seeds):
            yield "NoisyAG-News, TF-IDF", seed, TfidfTrainer(), data, wrong


def measure(trainer: Trainer, data: TrainingData, wrong: np.ndarray, folds: int, seed: int) -> dict[str, Any]:
    n, labels = len(data), data.labels
    ids = np.char.zfill(np.arange(n).astype(str), 6)
    planned = plan_folds(ids, labels, data.n_classes, folds, seed)
    rows = np.arange(n)
    tasks = tuple(planned.tasks(seed, rows, np.empty(0, np.int64)))
    plan = AuditPlan("cross-validation", "", rows, planned.fold, tasks, rows, (), 0)

    def fit(todo):  # type: ignore[no-untyped-def]
        return run_tasks(trainer, data, list(todo))

    now = np.zeros((n, data.n_classes))
    for task, result in zip(tasks, fit(tasks), strict=True):
        now[task.predict] = result.probabilities
    fitted = [now]
    for number in (1, 2):
        kept = fitted[-1].argmax(axis=1) == labels
        new = np.zeros_like(now)
        for task, result in zip(tasks, fit(reduced_tasks(plan, kept, number)), strict=True):
            new[task.predict] = result.probabilities
        fitted.append(new)
    scores = [log_odds_margin(p, labels) for p in fitted]
    flags = [p.argmax(axis=1) != labels for p in fitted]
    reviewed = np.random.default_rng(seed).choice(n, VERDICTS, replace=False)
    verdicts = Verdicts(reviewed, wrong[reviewed])
    return {
        "errors": int(wrong.sum()),
        "n": n,
        "ap": [round(100 * Ranked.of(wrong, s).average_precision(), 2) for s in scores],
        "f1_argmax": [round(100 * flag_counts(wrong, f).f1, 2) for f in flags],
        "guard": decided(fitted, labels, None).facts(),
        "guard_verdicts": decided(fitted, labels, verdicts).facts(),
    }


def decided(fitted: list[np.ndarray], labels: np.ndarray, verdicts: Verdicts | None) -> SecondRound:
    """What the guard does with rounds that are fitted already."""
    answers = iter(fitted[1:])
    return second_round(fitted[0], labels, lambda kept: next(answers), verdicts=verdicts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--text-seeds", type=int, default=1)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--cases", nargs="+", default=["digits", "agnews"])
    options = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    rows: list[dict[str, Any]] = []
    for name, seed, trainer, data, wrong in cases(options):
        begin = time.process_time()
        row = {"case": name, "seed": seed, "folds": options.folds, **measure(trainer, data, wrong, options.folds, seed)}
        row["cpu_seconds"] = round(time.process_time() - begin, 1)
        rows.append(row)
        print(
            json.dumps({k: row[k] for k in ("case", "seed", "ap", "cpu_seconds")}),
            row["guard"]["accepted"],
            row["guard_verdicts"]["accepted"],
            flush=True,
        )
        # After each case: an interrupted run keeps what it has measured.
        result = {
            "schema": "auditor.benchmark.second-round/1",
            "verdicts": VERDICTS,
            "rows": rows,
            "machine": describe_machine(),
            "versions": package_versions(),
        }
        (RESULTS / "second-round.json").write_text(json.dumps(result, indent=1) + "\n")
        (RESULTS / "second-round.md").write_text(markdown(result))


def markdown(result: dict[str, Any]) -> str:
    lines = [
        "# The guarded second round",
        "",
        "Made by `python benchmarks/second_round.py`. AP and F1 (flag: most probable class differs) in % against the "
        "known truth, before, after one and after two rounds, fitted whatever the guard says. Accepted: rounds the "
        f"guard took, without verdicts and with {result['verdicts']} drawn uniformly. Gain: AP of what it kept minus "
        "AP before.",
        "",
        "| case | seed | errors | AP | F1 | accepted | gain | accepted, verdicts | gain, verdicts |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in result["rows"]:
        plain, told = r["guard"]["accepted"], r["guard_verdicts"]["accepted"]
        lines.append(
            f"| {r['case']} | {r['seed']} | {r['errors']:,} of {r['n']:,} | {' -> '.join(map(str, r['ap']))} | "
            f"{' -> '.join(map(str, r['f1_argmax']))} | {plain} | {r['ap'][plain] - r['ap'][0]:+.2f} | {told} | "
            f"{r['ap'][told] - r['ap'][0]:+.2f} |"
        )
    reasons = sorted(
        {
            f"- {r['case']}, seed {r['seed']}: {last['reason']}"
            for r in result["rows"]
            for last in r["guard"]["rounds"][-1:]
            if not last["accepted"]
        }
    )
    if reasons:
        lines += ["", "Refused without verdicts:", "", *reasons]
    return "\n".join([*lines, "", f"Machine: {json.dumps(result['machine'])}", ""])


if __name__ == "__main__":
    main()
