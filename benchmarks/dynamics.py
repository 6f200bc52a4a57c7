"""Where in-sample dynamics help the default ranking: behind `OTHERWISE` and `ALIKE` of `auditor.detect.combined`.

    python benchmarks/dynamics.py [--work runs/benchmark-detection/work] [--budget quick] [--seeds 3] [SET ...]

Audits the sets of the detection benchmark, or takes the runs that `pipelines/detection.py` left in its work folder, and
ranks each three times with `combined`: without dynamics, with them at full weight (the squared correlation of the score
with -AUM), and as the rule weighs them. Writes benchmarks/results/dynamics.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from auditor.core.config import load_settings
from auditor.core.files import atomic_write
from auditor.core.machine import conditions
from auditor.detect import combined
from auditor.detect.base import Detection
from auditor.detect.registry import run_detector
from auditor.lab.detectors.metrics import Ranked
from auditor.lab.detectors.sets import BenchmarkContext, BenchmarkOptions, Case, select_sets
from auditor.report.markdown import table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "dynamics.md"
SETS = ("text", "text-sentence", "text-two", "table", "digits", "cifar10", "cifar10n-aggre-two", "cifar10n-random1-two")
RULE = combined.aum_weight


def precision(case: Case, weight: Callable[[float], float]) -> tuple[float, float]:
    """Average precision with another weight of the dynamics, and the correlation that it was asked about."""
    asked: list[float] = []

    def instead(correlation: float) -> float:
        asked.append(correlation)
        return weight(correlation)

    combined.aum_weight = instead
    try:
        found = run_detector("combined", case.evidence)
    finally:
        combined.aum_weight = RULE
    assert isinstance(found, Detection)
    return Ranked.of(case.wrong, found.score).average_precision(), asked[0] if asked else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "benchmark-detection" / "work")
    parser.add_argument("--budget", choices=["quick", "standard"], default="quick")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    options = BenchmarkOptions(audit_budget=asked.budget, seeds=asked.seeds)
    context = BenchmarkContext(load_settings(), asked.work, options)
    rows = []
    for each in select_sets(asked.sets):
        if why := each.absent(context):
            print(f"{each.name}: {why}")
            continue
        measured = []
        for seed in range(each.seeds(context, asked.seeds)):
            case = each.case(context, seed)
            (without, correlation), (full, _), (rule, _) = (
                precision(case, weight) for weight in (lambda r: 0.0, lambda r: r * r, RULE)
            )
            measured.append([correlation, without, full, rule])
        if np.isnan(measured).any():
            print(f"{each.name}: no dynamics")
            continue
        correlation, without, full, rule = np.mean(measured, axis=0)
        rows.append(
            [each.name, str(len(measured)), f"{correlation:.3f}"]
            + [f"{100 * x:.1f}" for x in (without, full - without, rule - without)]
        )
        print(*rows[-1])
    rows.sort(key=lambda row: -float(row[2]))
    head = ["set", "seeds", "correlation", "AP without", "full weight", "as the rule weighs"]
    lines = [
        "# In-sample dynamics in the default ranking",
        "",
        f"`python benchmarks/dynamics.py --budget {asked.budget} --seeds {asked.seeds}`: means over the seeds, AP in",
        "per cent and its difference to the ranking without dynamics. The rule decides by the correlation of its own",
        "score with -AUM.",
        "",
        *table(head, rows),
        "",
        f"{conditions('auditor', 'numpy', 'scikit-learn', 'torch')}.",
    ]
    with atomic_write(RESULTS, "w") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
