"""The latency table of this machine: measured, held against whole random networks, stored."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

from auditor.core.errors import UnreadableError, UsageError
from auditor.core.files import read_json, write_json
from auditor.core.machine import describe_machine
from auditor.models.proxyless import MbBlock, network_of, tree_op
from auditor.search.proxyless.gates import Zero
from auditor.search.proxyless.latency import LatencyTable
from auditor.search.proxyless.supernet import Supernet, random_path
from auditor.train.device import describe_device, torch_threads

__all__ = ["Measured", "measure_table", "operation_of", "stored_table", "time_module", "validate"]

SCHEMA = "auditor.latency/1"
#: Networks the time of the unsearched part is taken from.
BASE_NETWORKS = 5


def time_module(module: nn.Module, shape: Sequence[int], repeats: int, device: str, warmup: int = 5) -> float:
    """Median time of a forward pass in evaluation mode, in milliseconds.

    On a CPU one thread computes, and its own processor time is read: on an idle machine that is the wall time, and on
    a busy one it still is nearly the same. On a GPU it is the wall time until the device has finished.
    """
    module = module.to(device).to(memory_format=torch.channels_last).eval()
    x = torch.zeros(tuple(shape), device=device).to(memory_format=torch.channels_last)
    clock = time.perf_counter if device == "cuda" else time.thread_time
    times = []
    with torch.no_grad(), torch_threads(1):
        for number in range(warmup + repeats):
            if device == "cuda":
                torch.cuda.synchronize()
            started = clock()
            module(x)
            if device == "cuda":
                torch.cuda.synchronize()
            if number >= warmup:
                times.append(clock() - started)
    return 1e3 * median(times)


def operation_of(key: str) -> tuple[nn.Module, tuple[int, int, int]]:
    """The operation of a table key, and its input's channels, height and width.

    Raises
    ------
    UsageError
        For a key of no space.
    """
    parts = key.split("/")
    if parts[0] == "tree":
        _, letter, width, side = parts
        return tree_op(letter, int(width)), (int(width), int(side), int(side))
    if parts[0] == "mbconv":
        _, name, channels, stride, side = parts
        inputs, outputs = map(int, channels.split("-"))
        block = Zero() if name == "zero" else MbBlock(inputs, outputs, int(name[1]), int(name[3]), int(stride))
        return block, (inputs, int(side), int(side))
    raise UsageError(f"no latency is measured for {key!r}.")


def measure_table(
    supernet: Supernet, n_classes: int, side: int, images: int, repeats: int, device: str
) -> LatencyTable:
    """Measure every operation once per shape, and the network without them.

    The base is the median over whole networks minus the predicted share of their operations: what is between the
    operations (sums, copies) is in no operation's own time.
    """
    entries = {}
    for key in sorted({key for keys in supernet.latency_keys for key in keys}):
        module, shape = operation_of(key)
        free = isinstance(module, nn.Identity | Zero)
        entries[key] = 0.0 if free else time_module(module, (images, *shape), repeats, device)
    bare = LatencyTable(entries, 0.0, images, repeats, device)
    random = torch.Generator().manual_seed(0)
    rest = []
    for _ in range(BASE_NETWORKS):
        path = random_path(supernet, random)
        whole = time_module(network_of(supernet.genotype(path), n_classes), (images, 3, side, side), repeats, device)
        rest.append(whole - bare.of_path(supernet, path))
    return LatencyTable(entries, max(0.0, median(rest)), images, repeats, device)


def validate(
    table: LatencyTable, supernet: Supernet, n_classes: int, side: int, nets: int, seed: int
) -> dict[str, Any]:
    """Predicted beside measured latency of random networks, with the root mean square error, in milliseconds."""
    random = torch.Generator().manual_seed(seed)
    pairs = []
    for _ in range(nets):
        path = random_path(supernet, random)
        network = network_of(supernet.genotype(path), n_classes)
        measured = time_module(network, (table.images, 3, side, side), table.repeats, table.device)
        pairs.append([table.of_path(supernet, path), measured])
    error = (sum((a - b) ** 2 for a, b in pairs) / nets) ** 0.5
    return {"networks": nets, "rmse_ms": error, "mean_measured_ms": sum(b for _, b in pairs) / nets, "pairs": pairs}


@dataclass(frozen=True)
class Measured:
    """A table with what is known about it.

    Attributes
    ----------
    table : LatencyTable
    validation : dict
        See `validate`.
    machine : dict
        That measured it.
    """

    table: LatencyTable
    validation: dict[str, Any]
    machine: dict[str, Any]

    def summary(self) -> dict[str, Any]:
        """For people: without the entries."""
        costs = {key: value for key, value in self.table.entries.items() if value > 0}
        return {
            "entries": len(self.table.entries), "base_ms": self.table.base,
            "cheapest": min(costs.items(), key=lambda e: e[1]), "dearest": max(costs.items(), key=lambda e: e[1]),
            "images": self.table.images, "repeats": self.table.repeats, "machine": self.machine,
            "validation": {key: value for key, value in self.validation.items() if key != "pairs"},
        }  # fmt: skip


def stored_table(
    path: Path, supernet: Supernet, n_classes: int, side: int, images: int, repeats: int, nets: int, device: str
) -> Measured:
    """The table stored at `path`; without one it is measured, validated on `nets` random networks, and stored.

    The caller's random state is left as it was.

    Raises
    ------
    UnreadableError
        If the file holds a table of other operations or another kind of measurement: it is not replaced, because a
        search may depend on it.
    """
    wanted = {"keys": sorted({k for keys in supernet.latency_keys for k in keys}), "images": images, "device": device}
    if path.is_file():
        row = read_json(path)
        found = row.get("table", {}) if isinstance(row, dict) and row.get("schema") == SCHEMA else {}
        same = {"keys": sorted(found.get("entries", {})), "images": found.get("images"), "device": found.get("device")}
        if same != wanted:
            raise UnreadableError(
                f"{str(path)!r} holds no latencies for this search's operations on {device}.",
                "Delete it to measure again, or search in another folder.",
            )
        return Measured(LatencyTable(**found), row["validation"], row["machine"])
    with torch.random.fork_rng(devices=[]):
        table = measure_table(supernet, n_classes, side, images, repeats, device)
        checked = validate(table, supernet, n_classes, side, nets, seed=1)
    machine = {**describe_machine(), "device": describe_device(device)}
    write_json(path, {"schema": SCHEMA, "table": table.as_dict(), "validation": checked, "machine": machine})
    return Measured(table, checked, machine)
