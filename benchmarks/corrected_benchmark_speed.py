"""How long a corrected benchmark takes: 34 models, 50,000 items, 10,000 bootstrap draws. Goal: under 20 s on 2 cores.

Run from a checkout::

    python benchmarks/corrected_benchmark_speed.py [--models 34] [--items 50000] [--draws 10000]

Answers are made up (items of different difficulty, models of different strength, 1,000 classes), in the size of the
ImageNet validation set with 5,440 judged items. Timed: everything `auditor benchmark` computes once
predictions are read.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np

from auditor.benchmark.given_labels import GivenLabels
from auditor.benchmark.readers.base import Prediction
from auditor.benchmark.run import benchmark
from auditor.benchmark.verdicts.published import judge_published
from auditor.core.files import write_json
from auditor.core.machine import describe_machine, package_versions
from auditor.review.published import PublishedItem, parse_published

CLASSES = 1000


def made_up(
    models: int, items: int, judged: int, seed: int
) -> tuple[GivenLabels, list[PublishedItem], list[Prediction]]:
    """Labels, verdicts in the published form, and one prediction per model."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, items)
    difficulty = rng.normal(size=items)
    wrong = (labels[:, None] + rng.integers(1, CLASSES, (items, 3))) % CLASSES
    predictions = []
    for m in range(models):
        right = rng.normal(size=items) * 0.8 + difficulty + 0.9 + 0.03 * m > 0
        guess = wrong[np.arange(items), rng.choice(3, items, p=[0.7, 0.2, 0.1])]
        predictions.append(Prediction(f"model{m:02d}_pytorch", np.where(right, labels, guess), "made up"))
    rows = np.sort(rng.choice(items, judged, replace=False))
    votes = [rng.multinomial(5, p) for p in rng.dirichlet([1.2, 0.9, 0.4, 0.4], judged)]
    raw = [
        {
            "id": int(row),
            "url": "",
            "given_original_label": int(labels[row]),
            "given_original_label_name": "a",
            "our_guessed_label": int(wrong[row, 0]),
            "our_guessed_label_name": "b",
            "mturk": dict(zip(("given", "guessed", "both", "neither"), map(int, v), strict=True)),
        }
        for row, v in zip(rows, votes, strict=True)
    ]
    return GivenLabels(labels.astype(np.int64), "made-up labels"), parse_published(raw), predictions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=34)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--judged", type=int, default=5_440)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "corrected-benchmark-speed.json"
    )
    options = parser.parse_args()
    given_labels, items, predictions = made_up(options.models, options.items, options.judged, 0)
    # The first call compiles two small functions (kept on disk afterwards); a user pays it once per installation.
    benchmark(predictions[:2], judge_published(items, given_labels), given_labels, draws=100)
    began, cpu = time.perf_counter(), time.process_time()
    result = benchmark(predictions, judge_published(items, given_labels), given_labels, draws=options.draws)
    found = {
        "models": options.models,
        "items": options.items,
        "judged": options.judged,
        "draws": options.draws,
        "seconds": round(time.perf_counter() - began, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "pairs": result.n_pairs,
        "crossovers": len(result.crossovers),
        "machine": describe_machine(),
        "versions": package_versions(),
    }
    write_json(options.out, found)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
