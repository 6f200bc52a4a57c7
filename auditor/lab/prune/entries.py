"""Pruned networks as entries of a benchmark: ``rd:resnet32@0.90``, ``ftwt:vgg16_bn@r0.92``, ``ftwt:vgg16_bn@f0.40``."""

from __future__ import annotations

from functools import partial

from auditor.core.errors import UsageError
from auditor.lab.prune.dynamic import DynamicNetwork
from auditor.lab.prune.pruned import PrunedNetwork
from auditor.train.budget import BudgetClass
from auditor.train.published import final_network


def _parts(text: str, form: str, kinds: str = "") -> tuple[str, str, float]:
    """Network, kind of level (its first letter, one of `kinds`, where there are kinds) and level."""
    name, at, level = text.rpartition("@")
    if not at or not name:
        raise UsageError(f"{text!r} does not name a network and how much to prune.", f"Write {form}.")
    kind = level[:1] if kinds else ""
    if kinds and (not kind or kind not in kinds):
        raise UsageError(f"{level!r} is neither a share of mass nor a reduction.", f"Write {form}.")
    try:
        return name, kind, float(level[len(kind) :])
    except ValueError as error:
        raise UsageError(f"{level[len(kind) :]!r} is not a number.", f"Write {form}.") from error


def _pruned(method: str, text: str, budget: BudgetClass, device: str) -> PrunedNetwork:
    """``NETWORK@SPARSITY`` by a method of weight pruning."""
    name, _, sparsity = _parts(text, f"{method}:NETWORK@SPARSITY, e.g. {method}:resnet32@0.90")
    return PrunedNetwork.of(final_network(name, budget, device), method, sparsity)


def _dynamic(method: str, text: str, budget: BudgetClass, device: str) -> DynamicNetwork:
    """``NETWORK@rMASS`` or ``NETWORK@fREDUCTION`` by FTWT or one of its controls."""
    name, kind, level = _parts(text, f"{method}:NETWORK@rMASS or @fREDUCTION, e.g. {method}:vgg16_bn@r0.92", "rf")
    dense = final_network(name, budget, device)
    return DynamicNetwork.of(dense, method, **{"r" if kind == "r" else "reduction": level})


rd, uniform, uniform_plus, erk, lamp, global_magnitude = (
    partial(_pruned, method) for method in ("rd", "uniform", "uniform_plus", "erk", "lamp", "global")
)
ftwt, ftwt_joint, ftwt_uniform, ftwt_static = (
    partial(_dynamic, method) for method in ("ftwt", "ftwt_joint", "ftwt_uniform", "ftwt_static")
)
