"""How long the budget ``hour`` takes for each of its networks: time of single training steps, times the steps of the
recipe. Nothing is trained to an end, and no accuracy is known from it.

    python benchmarks/hour_budget.py [NETWORK ...] [--batch 32] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from torch.nn import functional as F

from auditor.core.files import write_json
from auditor.core.machine import describe_machine, package_versions
from auditor.models.counter import count
from auditor.models.registry import build_model
from auditor.train.device import choose_precision, torch_threads
from auditor.train.final import AMOUNTS, benchmark_recipe

NETWORKS = (
    "vgg16_bn:w0.25",
    "mobilenet_v1",
    "densenet121:g8",
    "nasnet_a:n1-f16",
    "proxyless:mobile",
    "eas:reports/search/eas/found.json",
)
IMAGES = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--batch", type=int, default=32, help="images of a timed step")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = []
    for name in arguments.networks:
        recipe = benchmark_recipe("hour", name)
        model = build_model(name, 10, 32, 0).to(memory_format=torch.channels_last)
        images, hours = IMAGES - AMOUNTS["hour"].validation, 0.0
        for stage in recipe.stages:
            size = max(round(32 * stage.scale), getattr(model, "min_size", 1))
            hours += stage.epochs * images * seconds_per_image(model, size, arguments.batch) / 3600
        size = count(model.eval(), (3, 32, 32))
        rows.append(
            {
                "network": name,
                "parameters": size.parameters,
                "macs": size.macs,
                "epochs": [stage.epochs for stage in recipe.stages],
                "thread_hours": round(hours, 2),
                "hours_of_two_cores": round(hours / 2, 2),
            }
        )
        print(rows[-1], flush=True)
    if arguments.out is not None:
        machine, versions = describe_machine(), package_versions()
        facts = {"precision": choose_precision("cpu"), "batch": arguments.batch, "machine": machine}
        write_json(arguments.out / "hour-budget.json", {"rows": rows, **facts, "versions": versions})


def seconds_per_image(model: torch.nn.Module, side: int, batch: int) -> float:
    """Processor time of a training step on one thread, the faster of two after one that is not counted."""
    images = torch.randn(batch, 3, side, side).contiguous(memory_format=torch.channels_last)
    labels, times = torch.arange(batch) % 10, []
    with torch_threads(1), torch.autocast("cpu", torch.bfloat16, enabled=choose_precision("cpu") == "bf16"):
        model.train()
        for _ in range(3):
            begin = time.process_time()
            F.cross_entropy(model(images).float(), labels).backward()
            model.zero_grad()
            times.append((time.process_time() - begin) / batch)
    return min(times[1:])


if __name__ == "__main__":
    main()
