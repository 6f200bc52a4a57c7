"""One fit of two threads on this machine as it is: seconds and CPU, by how its threads wait for one another.

    python benchmarks/thread_waits.py [--rounds 3]

A network of the budget `quick` on 1,000 made-up pictures of 32 px, in a fresh process for each line; the waits take
turns. How busy the machine is decides about the result: the load is printed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import time

import numpy as np

WAITS = {"default": {}, "passive": {"OMP_WAIT_POLICY": "PASSIVE"}}


def fit() -> str:
    """Seconds, CPU seconds and a hash of the probabilities of one fit."""
    from auditor.core.progress import SilentProgress
    from auditor.train.base import FitTask, TrainingData
    from auditor.train.image_network import ImageNetwork
    from auditor.train.results import fit_limited

    labels = np.arange(1000) % 10
    images = np.random.default_rng(0).integers(0, 256, (1000, 32, 32, 3), dtype=np.uint8)
    images[..., 0] = (labels * 20)[:, None, None]
    data = TrainingData("image", images, labels, 10)
    trainer = ImageNetwork.from_budget("quick", device="cpu", min_images=2000).resolved(data)
    task = FitTask("fold", np.arange(800), np.arange(800, 1000), 0)
    started, cpu = time.perf_counter(), time.process_time()
    result = fit_limited(trainer, data, task, SilentProgress(), None)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    content = hashlib.sha256(np.asarray(result.probabilities).tobytes()).hexdigest()[:8]
    return f"{seconds:8.1f} {cpu:8.1f}  {content}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fit", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.fit:
        print(fit())
        return
    print("wait          load  seconds  CPU s  probabilities")
    mine = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    for _ in range(asked.rounds):
        for name, environ in WAITS.items():
            load = os.getloadavg()[0]
            command = [sys.executable, __file__, "--fit"]
            done = subprocess.run(command, env={**mine, **environ}, capture_output=True, text=True, check=True)
            print(f"{name:10s} {load:7.1f} {done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()
