"""ProxylessNAS's search: latency table, supernet, derived networks trained from scratch; random paths beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from auditor.core.progress import Progress
from auditor.core.seeds import derive_seed
from auditor.lab.search.arms import Arm, SearchLog, SearchOutcome
from auditor.lab.search.children import Children
from auditor.lab.search.data import SearchData
from auditor.lab.search.groups import SEARCH, TOLERANCE, draw_equal
from auditor.lab.search.proxyless.cost import path_cost
from auditor.lab.search.proxyless.latency import LatencyTable
from auditor.lab.search.proxyless.measure import Measured, stored_latencies, stored_table
from auditor.lab.search.proxyless.settings import ProxylessSettings
from auditor.lab.search.proxyless.steps import NoiseSteps, noise_null
from auditor.lab.search.proxyless.supernet import Supernet, mobile_supernet, random_path, tree_supernet
from auditor.lab.search.proxyless.training import SupernetStepper, train_supernet
from auditor.models.genotype import MobileGenotype, TreeGenotype
from auditor.models.proxyless import MobileNetwork, TreeNetwork, network_of
from auditor.train.device import choose_device


def make_supernet(settings: ProxylessSettings, n_classes: int, side: int, seed: int) -> Supernet:
    """Untrained, with room for the snapshots; the caller's random state is left as it was."""
    template = settings.size.template()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "supernet", "weights"))
        if isinstance(template, TreeGenotype):
            return tree_supernet(template, n_classes, side, settings.snapshots + 1)
        return mobile_supernet(template, n_classes, side, settings.snapshots + 1)


def search(
    split: SearchData, settings: ProxylessSettings, folder: Path, seed: int, device: str, progress: Progress
) -> SearchOutcome:
    """Search, then random paths until they have cost as much; see `auditor.lab.search.experiment`.

    The found network is the most probable one at the end, the start the most probable one before the first architecture
    step: as random as any of the control, because all operations begin alike. Everything but the latency table is a
    function of the data, the settings and the seed; the table is measured once, stored as ``latency.json`` and used
    again, and with a given table the whole search is such a function. At the end start, found network, best random one
    and that of the noise null (`noise_null`; the first of its runs) are timed in turns.
    """
    chosen_device = choose_device(device)
    classes = split.data.n_classes
    smallest = TreeNetwork.min_size if settings.space == "tree" else MobileNetwork.min_size
    side = max(smallest, round(min(split.data.features.shape[1:3]) * settings.child.scale))
    supernet = make_supernet(settings, classes, side, seed)
    progress.note("measuring the latency of every operation")
    timing = settings.latency_images, settings.latency_repeats, settings.latency_networks
    measured = stored_table(folder / "latency.json", supernet, classes, side, *timing, chosen_device)
    cost = path_cost(supernet, classes, side)
    trained = train_supernet(
        split, settings, supernet, measured.table, cost, folder / "supernet", seed, device, progress
    )
    log = SearchLog(folder / "log.jsonl")
    children = Children(split, settings.child, folder / "children", seed, device)

    def play(arm: Arm[TreeGenotype | MobileGenotype], path: Sequence[int], step: int, extra_cost: float = 0.0) -> None:
        """Train and score one path; what it cost to find goes on the account."""
        genotype = supernet.genotype(path)
        score = children.score(genotype.key(), lambda: network_of(genotype, classes))
        names = [edge.names[k] for edge, k in zip(supernet.edges, path, strict=True)]
        latency = measured.table.of_path(supernet, path)
        arm.add(genotype, score, step, extra_cost, operations=names, latency_ms=latency)

    arm: Arm[TreeGenotype | MobileGenotype] = Arm("search", log, progress, len(trained.history))
    paid = 0.0
    for row in trained.history:
        log.note("supernet", **row)
        play(arm, supernet.snapshot_path(row["snapshot"]), row["snapshot"], row["spent"] - paid)
        paid = row["spent"]
    arm.finish()
    # Random paths, trained as the derived ones, until the account equals the search's, which paid for the supernet too.
    children.forget()
    random = torch.Generator().manual_seed(derive_seed(seed, "random control"))
    control: Arm[TreeGenotype | MobileGenotype] = Arm("control", log, progress, log.spent("search"), "MACs")
    possible, seen = math.prod(len(edge.ops) for edge in supernet.edges), set[tuple[int, ...]]()
    while (len(seen) < settings.controls or log.spent("control") < log.spent("search")) and len(seen) < possible:
        path = random_path(supernet, random)
        if path not in seen:
            play(control, path, len(seen))
            seen.add(path)
    best_random = control.finish()
    chosen, start = (supernet.genotype(supernet.snapshot_path(k)) for k in (settings.snapshots, 0))
    nulls = noise_null(trained.architecture, seed)
    noise = supernet.genotype(nulls[0].path)
    facts = _facts(settings, supernet, measured, trained, nulls)
    log.note("noise null", **facts["entropy"])
    roles = {"found": chosen, "start": start, "control": best_random, "noise": noise}
    facts["latency"] |= _derived_latency(log) | {
        "measured": stored_latencies(folder / "latencies.json", roles, measured.table, classes, side)
    }
    groups: dict[str, list[TreeGenotype | MobileGenotype]] = {}
    if settings.group:
        random = torch.Generator().manual_seed(derive_seed(seed, "random networks of equal latency"))
        path = supernet.snapshot_path(settings.snapshots)
        equal, facts["equal"] = _equal(supernet, measured.table, path, settings.group, random, folder, classes, side)
        groups = {SEARCH: [chosen], "equal": equal}
    return SearchOutcome(chosen, best_random, log.rows, facts, start, noise, groups)


def _equal(
    supernet: Supernet,
    table: LatencyTable,
    path: Sequence[int],
    wanted: int,
    random: torch.Generator,
    folder: Path,
    classes: int,
    side: int,
) -> tuple[list[TreeGenotype | MobileGenotype], dict[str, Any]]:
    """Random networks that take as long as the found one, that of `path`: three times as many as wanted by the table,
    of these the nearest by the clock, all timed in turns."""
    found, paths = supernet.genotype(path), dict[str, Sequence[int]]()

    def draw() -> TreeGenotype | MobileGenotype:
        other = random_path(supernet, random)
        genotype = supernet.genotype(other)
        paths[genotype.key()] = other
        return genotype

    target = table.of_path(supernet, path)
    drawn = draw_equal(draw, lambda genotype: table.of_path(supernet, paths[genotype.key()]), target, 3 * wanted)
    roles = {"found": found, **{f"random {k}": genotype for k, genotype in enumerate(drawn.networks)}}
    ms = stored_latencies(folder / "equal.json", roles, table, classes, side)["ms"]
    near = {role: abs(ms[role] / ms["found"] - 1) for role in roles if role != "found"}
    kept = [role for role in sorted(near, key=lambda role: near[role]) if near[role] <= TOLERANCE][:wanted]
    facts = {
        "cost": "measured latency, ms",
        "found": ms["found"],
        "networks": [ms[role] for role in kept],
        "tolerance": TOLERANCE,
        "draws": drawn.draws,
        "wanted": wanted,
    }
    return [roles[role] for role in kept], facts


def _derived_latency(log: SearchLog) -> dict[str, Any]:
    """By the table: the network derived first, the one derived last, and the mean of the random ones."""
    derived, random = ([row["latency_ms"] for row in log.arm(arm)] for arm in ("search", "control"))
    return {"start_ms": derived[0], "found_ms": derived[-1], "control_mean_ms": sum(random) / len(random)}


def _facts(
    settings: ProxylessSettings,
    supernet: Supernet,
    measured: Measured,
    trained: SupernetStepper,
    nulls: Sequence[NoiseSteps],
) -> dict[str, Any]:
    start, end = trained.history[0], trained.history[-1]
    most = sum(math.log(len(edge.ops)) for edge in supernet.edges) / len(supernet.edges)
    baseline = trained.architecture.baseline
    return {
        "space": settings.space,
        "kind": settings.kind,
        "baseline": {"kind": baseline.kind, "decay": baseline.decay} if settings.kind == "reinforce" else None,
        "chosen": "the most probable operations at the end of the search",
        "latency": {
            "expected_before_ms": start["expected_ms"],
            "expected_after_ms": end["expected_ms"],
            "target_ms": trained.architecture.target,
            "expected_noise_ms": [float(null.expected()) for null in nulls],
            "noise_ms": [measured.table.of_path(supernet, null.path) for null in nulls],
            **measured.summary(),
        },
        "entropy": {
            "before": start["entropy"],
            "after": end["entropy"],
            "largest": most,
            "noise": [null.supernet.entropy() for null in nulls],
        },
        "supernet": {
            "macs": trained.spent,
            "architecture_steps": trained.architecture_steps,
            "weight_steps": trained.marks[-1],
            "edges": len(supernet.edges),
        },
        "deterministic": "by seed, given the latency table; the table is measured and differs from run to run",
    }
