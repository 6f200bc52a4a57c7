"""The latency table of this machine: measured, held against whole random networks, stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter
from torch import nn

from auditor.core.errors import UnreadableError, UsageError
from auditor.core.files import read_json, write_json
from auditor.core.machine import describe_machine
from auditor.core.reading import reading
from auditor.lab.search.proxyless.gates import Zero
from auditor.lab.search.proxyless.latency import LatencyTable
from auditor.lab.search.proxyless.supernet import Supernet, random_path
from auditor.models.genotype import MobileGenotype, TreeGenotype
from auditor.models.proxyless import MbBlock, network_of, tree_op
from auditor.stats.seeds import mean_interval
from auditor.train.device import describe_device
from auditor.train.latency import TURNS, time_modules

SCHEMA = "auditor.latency/1"
#: Networks the time of the unsearched part is taken from.
BASE_NETWORKS = 5


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
    keys = sorted({key for keys in supernet.latency_keys for key in keys})
    operations = {key: operation_of(key) for key in keys}
    timed = {k: (m, (images, *s)) for k, (m, s) in operations.items() if not isinstance(m, nn.Identity | Zero)}
    medians = np.median(time_modules(list(timed.values()), repeats, device), axis=1)
    entries = dict.fromkeys(keys, 0.0) | dict(zip(timed, medians.tolist(), strict=True))
    bare = LatencyTable(entries, 0.0, images, repeats, device)
    random = torch.Generator().manual_seed(0)
    paths = [random_path(supernet, random) for _ in range(BASE_NETWORKS)]
    whole = np.median(_time_paths(bare, supernet, paths, n_classes, side), axis=1)
    rest = [float(ms) - bare.of_path(supernet, path) for ms, path in zip(whole, paths, strict=True)]
    return LatencyTable(entries, max(0.0, median(rest)), images, repeats, device)


def _time_paths(
    table: LatencyTable, supernet: Supernet, paths: Sequence[Sequence[int]], n_classes: int, side: int
) -> np.ndarray:
    """`time_modules` of the networks of `paths`, as the operations of `table` were timed."""
    networks = [network_of(supernet.genotype(path), n_classes) for path in paths]
    return time_modules([(net, (table.images, 3, side, side)) for net in networks], table.repeats, table.device)


def validate(
    table: LatencyTable, supernet: Supernet, n_classes: int, side: int, nets: int, seed: int
) -> dict[str, Any]:
    """Predicted beside measured latency of random networks, with the root mean square error, in milliseconds."""
    random = torch.Generator().manual_seed(seed)
    paths = [random_path(supernet, random) for _ in range(nets)]
    measured = np.median(_time_paths(table, supernet, paths, n_classes, side), axis=1).tolist()
    pairs = [[table.of_path(supernet, path), ms] for path, ms in zip(paths, measured, strict=True)]
    error = (sum((a - b) ** 2 for a, b in pairs) / nets) ** 0.5
    return {"networks": nets, "rmse_ms": error, "mean_measured_ms": sum(measured) / nets, "pairs": pairs}


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
            "entries": len(self.table.entries),
            "base_ms": self.table.base,
            "cheapest": min(costs.items(), key=lambda e: e[1]),
            "dearest": max(costs.items(), key=lambda e: e[1]),
            "images": self.table.images,
            "repeats": self.table.repeats,
            "machine": self.machine,
            "validation": {key: value for key, value in self.validation.items() if key != "pairs"},
        }


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
        with reading(path, "a table of latencies"):
            row = read_json(path)
            stored = TypeAdapter(Measured).validate_python(row) if row["schema"] == SCHEMA else None
        same = stored and {
            "keys": sorted(stored.table.entries),
            "images": stored.table.images,
            "device": stored.table.device,
        }
        if stored is None or same != wanted:
            raise UnreadableError(
                f"{str(path)!r} holds no latencies for this search's operations on {device}.",
                "Delete it to measure again, or search in another folder.",
            )
        return stored
    with torch.random.fork_rng(devices=[]):
        table = measure_table(supernet, n_classes, side, images, repeats, device)
        checked = validate(table, supernet, n_classes, side, nets, seed=1)
    machine = {**describe_machine(), "device": describe_device(device)}
    write_json(path, {"schema": SCHEMA, "table": asdict(table), "validation": checked, "machine": machine})
    return Measured(table, checked, machine)


def stored_latencies(
    path: Path, networks: Mapping[str, TreeGenotype | MobileGenotype], table: LatencyTable, n_classes: int, side: int
) -> dict[str, Any]:
    """Measured latencies of whole networks in turns, as those of `table`, stored at `path` and read from it afterwards.

    Parameters
    ----------
    path : Path
    networks : mapping of str to genotype
        By role; ``found`` is one of them.
    table : LatencyTable
    n_classes, side : int

    Returns
    -------
    dict
        ``ms``: median by role. ``found_less``: by every other role the mean difference of the medians of a turn, with
        Student's 95 % interval over turns. ``turns`` and ``passes``, of each network. Milliseconds.
    """
    keys = {role: genotype.key() for role, genotype in networks.items()}
    if path.is_file():
        with reading(path, "latencies of networks"):
            row = read_json(path)
            if row["keys"] == keys:
                return dict(row["latencies"])
    with torch.random.fork_rng(devices=[]):
        made = [(network_of(genotype, n_classes), (table.images, 3, side, side)) for genotype in networks.values()]
        passes = TURNS * max(2, -(-table.repeats // TURNS))
        times = dict(zip(networks, time_modules(made, passes, table.device), strict=True))
    turns = {role: np.median(row.reshape(TURNS, -1), axis=1) for role, row in times.items()}
    less = {role: mean_interval((turns["found"] - row).tolist()) for role, row in turns.items() if role != "found"}
    latencies = {
        "ms": {role: float(np.median(row)) for role, row in times.items()},
        "found_less": {role: dict(zip(("value", "low", "high"), limits, strict=True)) for role, limits in less.items()},
        "turns": TURNS,
        "passes": passes,
    }
    write_json(path, {"keys": keys, "latencies": latencies})
    return latencies
