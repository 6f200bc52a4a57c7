"""Recall of the approximate neighbour search against the exact one, on real embeddings.

Run from a checkout::

    python benchmarks/neighbours.py [--data ../shared/data] [--images 20000] [--queries 1000] [--cache FOLDER]

writes benchmarks/results/neighbours.json and .md. Recall@50 is the mean share of an item's 50 exact neighbours that
the approximate search returns, over randomly drawn items. Sets: the standardised log-probabilities of five networks on
CIFAR-10 train, and EfficientNet-Lite0 features (48 px, standardised) of its first images; `--cache` keeps the latter.
"""

from __future__ import annotations

import argparse
import json
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
from auditor.detect.neighbours import unit_rows
from auditor.train.choose_embedding import standardised
from auditor.train.embeddings import embed
from auditor.train.encoders import make_encoder

NETWORKS = ("resnet18", "resnet50d", "efficientnet_b1", "twins_pcpvt_base", "swin_base_patch4_window7_224")
K, SIDE = 50, 48
RESULTS = Path(__file__).parent / "results"


def log_probabilities(data: Path) -> np.ndarray:
    """Standardised log-probabilities of the five networks side by side, float32 (50000, 50)."""
    parts = []
    for name in NETWORKS:
        with np.load(data / "oof" / "cifar10n_aggre" / f"{name}.npz") as file:
            parts.append(np.log(file["pred_probs"].astype(np.float64) + 1e-4))
    return standardised(np.concatenate(parts, axis=1)).astype(np.float32)


def image_features(data: Path, count: int, cache: Path | None) -> np.ndarray:
    dataset = open_dataset("cifar10", load_settings({"data_dir": data, "offline": True}))
    if not isinstance(dataset, ImageDataset):
        raise TypeError("cifar10 is not an image data set")
    rows = np.flatnonzero(dataset.items.splits == "train")[:count]
    images, _ = dataset.load_images(rows)
    encoder = make_encoder("efficientnet-lite0", SIDE)
    return standardised(np.asarray(embed(encoder, images, cache, "cpu", 2, SilentProgress(), "features")))


def exact_among(unit: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The K nearest other rows of the queries, exactly."""
    found = np.empty((len(queries), K), np.int64)
    for start in range(0, len(queries), 250):
        at = queries[start : start + 250]
        similar = unit[at] @ unit.T
        similar[np.arange(len(at)), at] = -2
        found[start : start + 250] = np.argpartition(-similar, K - 1, axis=1)[:, :K]
    return found


def measure(name: str, embeddings: np.ndarray, n_queries: int) -> list[dict]:
    unit = unit_rows(embeddings)
    codes = np.arange(len(unit))
    queries = np.sort(np.random.default_rng(0).choice(len(unit), min(n_queries, len(unit)), replace=False))
    begin = time.process_time()
    exact = exact_among(unit, queries)
    exact_seconds = (time.process_time() - begin) / len(queries) * len(unit)
    rows = []
    for probes in (8, 16, 32, 64):
        begin = time.process_time()
        found, _ = approximate_neighbours(unit, codes, K, probes)
        seconds = time.process_time() - begin
        shares = [len(set(a) & set(b)) / K for a, b in zip(exact.tolist(), found[queries].tolist(), strict=True)]
        rows.append(
            {
                "set": name,
                "n": len(unit),
                "d": unit.shape[1],
                "k": K,
                "probes": probes,
                "queries": len(queries),
                "recall": round(float(np.mean(shares)), 4),
                "recall_sd": round(float(np.std(shares)), 4),
                "cpu_seconds": round(seconds, 1),
                "exact_cpu_seconds_projected": round(exact_seconds, 1),
            }
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    rows = measure("log-probabilities of five networks", log_probabilities(options.data), options.queries)
    write(rows)
    if options.images:
        features = image_features(options.data, options.images, options.cache)
        write(rows + measure(f"EfficientNet-Lite0, {SIDE} px", features, options.queries))


def write(rows: list[dict]) -> None:
    """After each set: an interrupted run keeps what it has measured."""
    result = {
        "schema": "auditor.benchmark.neighbours/1",
        "default_probes": PROBES,
        "rows": rows,
        "machine": describe_machine(),
        "versions": package_versions(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "neighbours.json").write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "neighbours.md").write_text(markdown(result))


def markdown(result: dict) -> str:
    lines = [
        "# Approximate neighbours",
        "",
        "Made by `python benchmarks/neighbours.py`. Recall@50 against the exact search, mean over randomly drawn "
        f"items. The default is {result['default_probes']} lists per item. CPU seconds on a shared machine; those of "
        "the exact search are projected from the drawn items.",
        "",
        "| embeddings | n | d | lists searched | recall@50 | sd over items | CPU s | exact, CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['set']} | {r['n']:,} | {r['d']} | {r['probes']} | {r['recall']:.3f} | {r['recall_sd']:.3f} | "
        f"{r['cpu_seconds']} | {r['exact_cpu_seconds_projected']} |"
        for r in result["rows"]
    ]
    machine = result["machine"]
    return "\n".join([*lines, "", f"Machine: {json.dumps(machine)}", ""])


if __name__ == "__main__":
    main()
