"""Pruned networks as entries of a benchmark: ``rd:resnet32@0.90``, ``ftwt:vgg16_bn@r0.92``, ``ftwt:vgg16_bn@f0.40``."""

from __future__ import annotations

from auditor.core.errors import UsageError
from auditor.lab.prune.dynamic import DynamicNetwork
from auditor.lab.prune.pruned import PrunedNetwork
from auditor.train.budget import BudgetClass
from auditor.train.final import FinalNetwork

__all__ = [
    "erk",
    "ftwt",
    "ftwt_joint",
    "ftwt_static",
    "ftwt_uniform",
    "global_magnitude",
    "lamp",
    "rd",
    "uniform",
    "uniform_plus",
]


def _parts(text: str, form: str) -> tuple[str, str]:
    name, at, level = text.rpartition("@")
    if not at or not name:
        raise UsageError(f"{text!r} does not name a network and how much to prune.", f"Write {form}.")
    return name, level


def _number(text: str, form: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a number.", f"Write {form}.") from error


def _pruned(method: str, text: str, budget: BudgetClass, device: str) -> PrunedNetwork:
    form = f"{method}:NETWORK@SPARSITY, e.g. {method}:resnet32@0.90"
    name, level = _parts(text, form)
    return PrunedNetwork.of(FinalNetwork.of(name, budget, device), method, _number(level, form))


def rd(text: str, budget: BudgetClass, device: str) -> PrunedNetwork:
    """``NETWORK@SPARSITY`` by RD."""
    return _pruned("rd", text, budget, device)


def uniform(text: str, budget: BudgetClass, device: str) -> PrunedNetwork:
    """``NETWORK@SPARSITY``, uniform."""
    return _pruned("uniform", text, budget, device)


def uniform_plus(text: str, budget: BudgetClass, device: str) -> PrunedNetwork:
    """``NETWORK@SPARSITY`` by Unif+."""
    return _pruned("uniform_plus", text, budget, device)


def erk(text: str, budget: BudgetClass, device: str) -> PrunedNetwork:
    """``NETWORK@SPARSITY`` by ERK."""
    return _pruned("erk", text, budget, device)


def lamp(text: str, budget: BudgetClass, device: str) -> PrunedNetwork:
    """``NETWORK@SPARSITY`` by LAMP."""
    return _pruned("lamp", text, budget, device)


def global_magnitude(text: str, budget: BudgetClass, device: str) -> PrunedNetwork:
    """``NETWORK@SPARSITY`` by global magnitude."""
    return _pruned("global", text, budget, device)


def _dynamic(method: str, text: str, budget: BudgetClass, device: str) -> DynamicNetwork:
    form = f"{method}:NETWORK@rMASS or @fREDUCTION, e.g. {method}:vgg16_bn@r0.92"
    name, level = _parts(text, form)
    if level[:1] not in ("r", "f"):
        raise UsageError(f"{level!r} is neither a share of mass nor a reduction.", f"Write {form}.")
    value = _number(level[1:], form)
    dense = FinalNetwork.of(name, budget, device)
    if level[0] == "r":
        return DynamicNetwork.of(dense, method, r=value)
    return DynamicNetwork.of(dense, method, reduction=value)


def ftwt(text: str, budget: BudgetClass, device: str) -> DynamicNetwork:
    """``NETWORK@rMASS`` or ``NETWORK@fREDUCTION`` by FTWT, decoupled."""
    return _dynamic("ftwt", text, budget, device)


def ftwt_joint(text: str, budget: BudgetClass, device: str) -> DynamicNetwork:
    """The same, joint."""
    return _dynamic("ftwt_joint", text, budget, device)


def ftwt_uniform(text: str, budget: BudgetClass, device: str) -> DynamicNetwork:
    """Control: per image, but the same share of filters in every layer, at the same estimated MACs."""
    return _dynamic("ftwt_uniform", text, budget, device)


def ftwt_static(text: str, budget: BudgetClass, device: str) -> DynamicNetwork:
    """Control: as many filters per layer as FTWT's targets, but the same ones for every image."""
    return _dynamic("ftwt_static", text, budget, device)
