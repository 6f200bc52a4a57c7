"""Engine against cleanlab 2.9 in the same process, on the same arrays.

Ours: thresholds, both joints, the confident_learning and prune_by_noise_rate masks and both scores.
cleanlab: find_label_issues with its default rule alone (best of one job and its default number of jobs where
both are feasible). Floor: one np.sum of the array by all cores.

    python benchmarks/engine_speed.py [--sizes small,large] [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from cleanlab.filter import find_label_issues
from engine_data import conditions, save, synthetic, timed

from auditor.core.machine import available_memory, cpu_count
from auditor.engine import api

#: rows, classes, cleanlab repeats, goal (times faster than cleanlab)
SIZES = {
    "small": [(50_000, 10, 5, 10), (1_000_000, 10, 5, None), (1_000_000, 100, 5, 20), (200_000, 1000, 5, None)],
    "large": [(10_000_000, 10, 5, 15), (1_280_000, 1000, 5, 60)],
}


def ours(p: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Everything the goal asks for."""
    analysis = api.analyze(p, y)
    return {
        "confident_learning": api.flag(analysis, "confident_learning"),
        "prune_by_noise_rate": api.flag(analysis),
        "self_confidence": api.scores(analysis, "self_confidence"),
        "normalized_margin": analysis.normalized_margin,
        "calibrated_joint": analysis.calibrated_joint,
    }


def theirs(p: np.ndarray, y: np.ndarray, jobs: int | None) -> np.ndarray:
    """cleanlab's default rule."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return find_label_issues(y, p, n_jobs=jobs)


def plain_read(p: np.ndarray) -> float:
    """Sum of the array by all cores."""
    edges = [len(p) * i // cpu_count() for i in range(cpu_count() + 1)]
    with ThreadPoolExecutor(cpu_count()) as pool:
        return sum(pool.map(lambda i: float(p[edges[i] : edges[i + 1]].sum()), range(cpu_count())))


def measure(n: int, k: int, repeats: int, cleanlab_repeats: int, goal: int | None) -> dict[str, Any]:
    """One size: medians, and whether the masks agree."""
    p, y = synthetic(n, k)
    ours(p[:30_000], y[:30_000])  # compile
    mine, floor, reference = [], [], []
    for _ in range(repeats):
        floor.append(timed(lambda: plain_read(p))[0])
        seconds, result = timed(lambda: ours(p, y))
        mine.append(seconds)
    row: dict[str, Any] = {"n": n, "k": k, "ours_s": mine, "read_s": floor, "goal": goal}
    # cleanlab holds the array about three times over; without that memory it would only be killed.
    if available_memory() < 2.2 * p.nbytes:
        row["cleanlab"] = f"not run: needs about {2.2 * p.nbytes / 1e9:.0f} GB more memory than there is"
    else:
        for jobs in (1, None) if n * k <= 100_000_000 else (1,):
            for _ in range(cleanlab_repeats):
                seconds, mask = timed(lambda jobs=jobs: theirs(p, y, jobs))
                reference.append((jobs or "default", seconds))
        row["cleanlab_s"] = reference
        row["masks_equal"] = bool(np.array_equal(mask, result["prune_by_noise_rate"]))
        by_jobs = {j: statistics.median(s for i, s in reference if i == j) for j, _ in reference}
        row["cleanlab_median_s"] = min(by_jobs.values())
    row["ours_median_s"] = statistics.median(mine)
    row["read_median_s"] = statistics.median(floor)
    row["times_plain_read"] = row["ours_median_s"] / row["read_median_s"]
    if "cleanlab_median_s" in row:
        row["times_faster"] = row["cleanlab_median_s"] / row["ours_median_s"]
    return row


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="small,large")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    for name in options.sizes.split(","):
        rows = []
        for n, k, cleanlab_repeats, goal in SIZES[name]:
            row = measure(n, k, options.repeats, cleanlab_repeats, goal)
            rows.append(row)
            print(
                f"{n:>10,} x {k:<5} ours {row['ours_median_s']:.4f} s  cleanlab {row.get('cleanlab_median_s', '-')} s  "
                f"faster {row.get('times_faster', float('nan')):.1f}x (goal {goal})  plain read "
                f"{row['read_median_s']:.4f} s, ours/read {row['times_plain_read']:.1f}  "
                f"equal {row.get('masks_equal', '-')}",
                flush=True,
            )
            save(f"engine-speed-{name}.json", {"what": __doc__, "conditions": conditions(), "rows": rows})


if __name__ == "__main__":
    main()
