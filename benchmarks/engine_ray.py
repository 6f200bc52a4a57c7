"""The engine on a local Ray cluster with 1, 2 and 4 workers: exactness against threads, and scaling.

python benchmarks/engine_ray.py [--rows 1000000]
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import ray
from engine_data import conditions, save, synthetic, timed

from auditor.engine import api
from auditor.engine.ray_executor import RayExecutor

CLASSES = 100


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    root = str(Path(__file__).resolve().parents[1])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.npy"
        p, y = synthetic(options.rows, CLASSES)
        np.save(path, p)
        del p
        source = api.open_probabilities(path)

        def job(executor: RayExecutor | None = None, threads: int | None = None):
            analysis = api.analyze(source, y, executor=executor, threads=threads, chunk_rows=options.rows // 32)
            return analysis, api.flag(analysis)

        job(threads=1)
        expected, expected_mask = job(threads=1)
        local = [timed(lambda: job(threads=1))[0] for _ in range(options.repeats)]
        for workers in (1, 2, 4):
            ray.init(
                address="local",
                num_cpus=workers,
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=False,
                runtime_env={"env_vars": {"PYTHONPATH": root, "NUMBA_NUM_THREADS": "1"}},
            )
            executor = RayExecutor(workers=workers)
            job(executor)  # starts the workers and compiles
            seconds = []
            for _ in range(options.repeats):
                elapsed, (analysis, mask) = timed(partial(job, executor))
                seconds.append(elapsed)
            equal = (
                np.array_equal(mask, expected_mask)
                and np.array_equal(analysis.calibrated_joint, expected.calibrated_joint)
                and np.array_equal(analysis.thresholds, expected.thresholds)
                and np.array_equal(analysis.self_confidence, expected.self_confidence)
            )
            rows.append({"workers": workers, "seconds": seconds, "equal_to_threads": equal})
            print(f"{workers} workers: {statistics.median(seconds):.2f} s, equal {equal}", flush=True)
            ray.shutdown()
    print(f"threads=1: {statistics.median(local):.2f} s")
    save(
        "engine-ray.json",
        {
            "what": __doc__,
            "conditions": conditions(),
            "ray": ray.__version__,
            "rows": options.rows,
            "classes": CLASSES,
            "one_thread_s": local,
            "runs": rows,
            "note": "4 workers share the cores of one machine; see conditions for their number.",
        },
    )


if __name__ == "__main__":
    main()
