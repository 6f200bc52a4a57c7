"""How often is a flip declared between models that are equal? Goal: at most 5 % of 1,000 simulations.

Run from a checkout::

    python benchmarks/corrected_benchmark_equal_models.py [--simulations 1000]

In each simulation all models are right with the same probability on every row, before and after correction; one flip
declared anywhere among the pairs counts. Writes benchmarks/results/corrected-benchmark-equal-models.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from auditor.benchmark.models import ComparedModels, Model
from auditor.benchmark.pairs import change_p, compare_pairs, real_flips
from auditor.core.files import write_json
from auditor.core.machine import describe_machine, package_versions

#: Models, seeds each, benign rows, correctable rows, how far models fail on the same rows.
CASES = (
    (2, 1, 10_000, 18, 0.8),
    (2, 1, 1_000, 300, 0.5),
    (13, 1, 2_000, 100, 0.8),
    (13, 1, 500, 300, 0.0),
    (6, 3, 1_000, 100, 0.7),
)


def equal_models(
    rng: np.random.Generator, models: int, benign: int, correctable: int, shared: float, seeds: int = 1
) -> ComparedModels:
    """Models of one law: on every row all are right with the same probability, whatever the label.

    Parameters
    ----------
    shared : float
        How far the models fail on the same rows: 0 = independently.
    """
    n = benign + correctable
    networks = models * seeds
    difficulty = rng.normal(size=n) * shared
    noise = rng.normal(size=(models, seeds, n)) * np.sqrt(1 - shared**2)
    right = (difficulty + noise > -1.2).reshape(networks, n)
    corrected = right.copy()
    # On correctable rows the model answers the given label, the corrected one, or neither.
    answer = rng.choice(3, size=(networks, correctable), p=[0.35, 0.45, 0.2])
    right[:, benign:], corrected[:, benign:] = answer == 0, answer == 1
    return ComparedModels(
        tuple(
            Model(f"m{k}", None, tuple(range(seeds)) if seeds > 1 else (), tuple(range(k * seeds, (k + 1) * seeds)))
            for k in range(models)
        ),
        (),
        right,
        corrected,
        corrected,
        np.zeros(n, np.int64),
    )


def declared(compared: ComparedModels, correctable: int) -> int:
    """Number of flips the rule calls real."""
    n = compared.given.shape[1]
    everything, on_c = np.ones(n, bool), np.arange(n) >= n - correctable
    before, after = (
        compare_pairs(compared, compared.given, everything),
        compare_pairs(compared, compared.corrected, everything),
    )
    return real_flips(before, after, change_p(compared, on_c))[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=1000)
    default = Path(__file__).parent / "results" / "corrected-benchmark-equal-models.json"
    parser.add_argument("--out", type=Path, default=default)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for k, (models, seeds, benign, correctable, shared) in enumerate(CASES):
        began = time.perf_counter()
        rng = np.random.default_rng(k)
        hits = sum(
            declared(equal_models(rng, models, benign, correctable, shared, seeds), correctable) > 0
            for _ in range(options.simulations)
        )
        rows.append(
            {
                "models": models,
                "seeds": seeds,
                "benign": benign,
                "correctable": correctable,
                "shared": shared,
                "simulations": options.simulations,
                "with_a_declared_flip": hits,
                "share": hits / options.simulations,
                "seconds": round(time.perf_counter() - began, 1),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    worst = max(row["share"] for row in rows)
    write_json(
        options.out,
        {
            "goal": 0.05,
            "worst": worst,
            "holds": worst <= 0.05,
            "cases": rows,
            "machine": describe_machine(),
            "versions": package_versions(),
        },
    )


if __name__ == "__main__":
    main()
