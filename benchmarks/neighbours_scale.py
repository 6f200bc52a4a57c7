"""A million embeddings of 256 dimensions: time, memory and recall of the approximate neighbour search.

Run from a checkout::

    python benchmarks/neighbours_scale.py [--data ../shared/data] [--items 1000000] [--queries 1000] [--cache FOLDER]

writes benchmarks/results/neighbours-scale.json and .md. Each set is searched in a process of its own, whose largest
resident memory is reported with the embeddings in it. Recall@10 is the mean share of an item's 10 exact neighbours that
the search returns, over randomly drawn items whose exact neighbours are found by comparing them with all others.

Sets, none of them a million real photographs:

- real-interpolated: EfficientNet-Lite0 features (48 px) of the 60,000 CIFAR-10 images, standardised, on their 256
  leading principal axes; all other items lie between an image and one of its 10 nearest (a random share of up to a half
  of the way), with Gaussian noise of a tenth of the distance between the two.
- real-jittered: the same images; the others are images with Gaussian noise of a fifth of the distance to the nearest.
- mixture-100: 100 isotropic Gaussians of equal weight, centres drawn from a Gaussian twice as wide. Inside one, all
  items are nearly equally far in 256 dimensions: the hard case for every index.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from engine_data import DATA

from auditor.core.config import load_settings
from auditor.core.machine import describe_machine, package_versions
from auditor.core.progress import SilentProgress
from auditor.data.kinds import ImageDataset
from auditor.data.open import open_dataset
from auditor.detect.approximate import PROBES, approximate_neighbours
from auditor.detect.neighbours import nearest, unit_rows
from auditor.train.choose_embedding import standardised

K, WIDTH, SIDE = 10, 256, 48
RESULTS = Path(__file__).parent / "results"
SETS = ("real-interpolated", "real-jittered", "mixture-100")


def real_embeddings(data: Path, cache: Path) -> np.ndarray:
    """Principal components of the features of CIFAR-10, float32 (60000, 256); kept in `cache`."""
    path = cache / "cifar10-efficientnet-lite0-256.npy"
    if path.is_file():
        return np.load(path)
    from auditor.train.embeddings import embed
    from auditor.train.encoders import make_encoder

    dataset = open_dataset("cifar10", load_settings({"data_dir": data, "offline": True}))
    if not isinstance(dataset, ImageDataset):
        raise TypeError("cifar10 is not an image data set")
    images, _ = dataset.load_images()
    features = embed(make_encoder("efficientnet-lite0", SIDE), images, cache, "cpu", 2, SilentProgress(), "features")
    rows = standardised(np.asarray(features)).astype(np.float32)
    sample = rows[np.random.default_rng(0).choice(len(rows), 10_000, replace=False)].astype(np.float64)
    _, axes = np.linalg.eigh(sample.T @ sample)
    components = rows @ axes[:, -WIDTH:].astype(np.float32)
    np.save(path, components)
    return components


def make_set(name: str, n: int, data: Path, cache: Path) -> np.ndarray:
    """Embeddings, float32 (n, WIDTH)."""
    rng = np.random.default_rng(0)
    if name == "mixture-100":
        out = rng.standard_normal((n, WIDTH), dtype=np.float32)
        out += 2 * rng.standard_normal((100, WIDTH), dtype=np.float32)[rng.integers(0, 100, n)]
        return out
    real = real_embeddings(data, cache)
    positions, _ = nearest(real[: min(len(real), 50_000)], 10)
    base = len(positions)
    out = np.empty((n, WIDTH), np.float32)
    out[: min(n, len(real))] = real[:n]
    for start in range(len(real), n, 50_000):
        rows = rng.integers(0, base, min(50_000, n - start))
        near = rng.integers(0, 10, len(rows)) if name == "real-interpolated" else np.zeros(len(rows), np.int64)
        step = real[positions[rows, near]] - real[rows]
        length = np.linalg.norm(step, axis=1, keepdims=True) / np.sqrt(WIDTH)
        noise = rng.standard_normal((len(rows), WIDTH), dtype=np.float32) * length
        if name == "real-interpolated":
            out[start : start + len(rows)] = real[rows] + rng.uniform(0, 0.5, (len(rows), 1)) * step + 0.1 * noise
        else:
            out[start : start + len(rows)] = real[rows] + 0.2 * noise
    return out


def search_one(path: Path, n_queries: int, probes: int) -> dict:
    """Search the embeddings at `path`; times, memory and recall. Runs in a process of its own."""
    unit = unit_rows(np.load(path))
    n = len(unit)
    # Compilation is not search: a tiny set first.
    approximate_neighbours(unit[:2000].copy(), np.arange(2000), K)
    begin, cpu = time.perf_counter(), time.process_time()
    found, _ = approximate_neighbours(unit, np.arange(n), K, probes)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    queries = np.sort(np.random.default_rng(1).choice(n, min(n_queries, n), replace=False))
    shares = []
    for start in range(0, len(queries), 100):
        at = queries[start : start + 100]
        similar = unit[at] @ unit.T
        similar[np.arange(len(at)), at] = -2
        exact = np.argpartition(-similar, K - 1, axis=1)[:, :K]
        shares += [len(set(a) & set(b)) / K for a, b in zip(exact.tolist(), found[at].tolist(), strict=True)]
    half = 1.96 * float(np.std(shares)) / np.sqrt(len(shares))
    return {
        "n": n,
        "d": unit.shape[1],
        "k": K,
        "probes": probes,
        "queries": len(queries),
        "recall": round(float(np.mean(shares)), 4),
        "recall_interval": round(half, 4),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "peak_gib": round(peak, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--probes", type=int, nargs="+", default=[PROBES])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--search", type=Path, help="search this file and print one JSON line (used by itself)")
    options = parser.parse_args()
    if options.search is not None:
        print(json.dumps(search_one(options.search, options.queries, options.probes[0])))
        return
    rows = []
    options.cache.mkdir(parents=True, exist_ok=True)
    for name in options.sets:
        path = options.cache / f"set-{name}.npy"
        np.save(path, make_set(name, options.items, options.data, options.cache))
        for probes in options.probes:
            command = [
                sys.executable,
                __file__,
                "--search",
                str(path),
                "--queries",
                str(options.queries),
                "--probes",
                str(probes),
            ]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            rows.append({"set": name, **json.loads(done.stdout)})
            print(rows[-1], flush=True)
            write(rows)
        path.unlink()


def write(rows: list[dict]) -> None:
    """After each measurement: an interrupted run keeps what it has."""
    result = {
        "schema": "auditor.benchmark.neighbours-scale/1",
        "rows": rows,
        "machine": describe_machine(),
        "versions": package_versions(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "neighbours-scale.json").write_text(json.dumps(result, indent=1) + "\n")
    lines = ["# Neighbours of a million embeddings", "", "Made by `python benchmarks/neighbours_scale.py`.", ""]
    text = str(__doc__)
    lines += [text[text.index("Each set") :].strip(), ""]
    lines += [
        f"The default is {PROBES} lists searched per item. Peak memory is all of the process.",
        "",
        "| set | n | d | k | lists searched | recall@10 (95 %) | seconds | CPU s | peak GiB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['set']} | {r['n']:,} | {r['d']} | {r['k']} | {r['probes']} | {r['recall']:.3f} ± "
        f"{r['recall_interval']:.3f} | {r['seconds']} | {r['cpu_seconds']} | {r['peak_gib']} |"
        for r in rows
    ]
    (RESULTS / "neighbours-scale.md").write_text(
        "\n".join([*lines, "", f"Machine: {json.dumps(result['machine'])}", ""])
    )


if __name__ == "__main__":
    main()
