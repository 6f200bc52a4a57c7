"""The four budget classes of what a paper describes with a full recipe, and tables of settings by budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, get_args

from auditor.core.errors import UnknownNameError

T = TypeVar("T")

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


def budget_table(make: Callable[..., T], rows: Mapping[str, Mapping[str, Any]], **common: Any) -> dict[str, T]:
    """Settings by budget: `make` called with what all budgets have in `common` and with the values of each row."""
    return {budget: make(**{**common, **own}) for budget, own in rows.items()}
