"""The four budget classes of what a paper describes with a full recipe."""

from __future__ import annotations

from typing import Literal, get_args

from auditor.core.errors import UnknownNameError

#: ``smoke``: seconds, for tests. ``cpu``: the smallest honest run on two cores. ``gpu10``: ten minutes of one GPU.
#: ``paper``: the documented full recipe.
BudgetClass = Literal["smoke", "cpu", "gpu10", "paper"]


def check_budget_class(name: str) -> None:
    """Raises `UnknownNameError` for another word."""
    if name not in get_args(BudgetClass):
        raise UnknownNameError("budget class", name, get_args(BudgetClass))


def reproduction_label(budget: str) -> str:
    """What stands beside every number of this class."""
    return "the paper's recipe" if budget == "paper" else "not a reproduction"
