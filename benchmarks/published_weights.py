"""Accuracy of the CIFAR-10 networks with published weights on the test split, one look at each image, and their times.

    python benchmarks/published_weights.py [--data-dir DIR] [--out FOLDER]

The files are those of ``weights/cifar10`` in the data folder; each network is opened by name, as in every command
(``resnet56@FILE``).
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from auditor.core.config import Settings
from auditor.core.files import write_json, write_text
from auditor.core.machine import describe_machine, package_versions
from auditor.data.open import open_dataset
from auditor.models.counter import count
from auditor.models.weights import PUBLISHED
from auditor.stats.intervals import wilson
from auditor.train.device import torch_threads
from auditor.train.latency import latency
from auditor.train.networks import open_network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("AUDITOR_DATA_DIR", "../shared/data")))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    data_dir = arguments.data_dir.resolve()
    settings = Settings(data_dirs=(data_dir,), offline=True)
    dataset = open_dataset("cifar10?split=test", settings)
    images, _ = dataset.load_images()
    rows = []
    for published in PUBLISHED.values():
        file = data_dir / "weights" / "cifar10" / f"{published.network}.safetensors"
        network = open_network(f"{published.network}@{file}")
        begin = time.process_time()
        with torch_threads(1):
            right = network.probabilities(images).argmax(1) == dataset.labels
        size = count(network.model, (3, *network.size))
        interval = wilson(int(right.sum()), len(right))
        rows.append(
            {
                "network": published.network,
                "sha256": network.facts["sha256"],
                "source": network.facts["source"],
                "accuracy": float(right.mean()),
                "interval": [float(interval.low), float(interval.high)],
                "published": published.top1 / 100,
                "parameters": size.parameters,
                "macs": size.macs,
                "image_ms": round(latency(network.model, network.size, "cpu"), 2),
                "seconds": round(time.process_time() - begin, 1),
            }
        )
        print(f"{published.network}: {rows[-1]['accuracy']:.4f} (published {published.top1 / 100:.4f})", flush=True)
    if arguments.out is not None:
        machine, versions = describe_machine(), package_versions()
        write_json(
            arguments.out / "published-weights.json",
            {"n": len(dataset), "rows": rows, "machine": machine, "versions": versions},
        )
        write_text(arguments.out / "published-weights.md", page(rows, len(dataset), machine, versions))


def page(rows: list[dict], n: int, machine: dict, versions: dict) -> str:
    """The table for people."""
    lines = [
        "# Networks with published weights on the CIFAR-10 test split",
        "",
        f"Made by `python benchmarks/published_weights.py --out benchmarks/results`. {n:,} images, given labels, one "
        "look at each image (no mirrored views), fp32, one thread; nothing is trained. Intervals are Wilson's, 95 %, "
        "over images. Published: the README of akamaster/pytorch_resnet_cifar10, whose training kept the state of the "
        "epoch with the best accuracy on this same split. Latency: processor time of one image, median of ten passes.",
        "",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB; torch {versions['torch']}",
        "",
        "| network | file, sha256 | accuracy % | 95 % | published % | parameters | MACs, millions | ms for one image | "
        "seconds for all |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = row["interval"]
        lines.append(
            f"| {row['network']} | {row['sha256'].removeprefix('sha256:')[:8]} | {100 * row['accuracy']:.2f} | "
            f"{100 * low:.2f} to {100 * high:.2f} | {100 * row['published']:.2f} | {row['parameters']:,} | "
            f"{row['macs'] / 1e6:.1f} | {row['image_ms']:.2f} | {row['seconds']:.0f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
