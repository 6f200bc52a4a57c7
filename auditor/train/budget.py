"""The four budget classes of what a paper describes with a full recipe."""

from __future__ import annotations

from typing import Literal, get_args

from auditor.core.errors import UnknownNameError

#: ``smoke``: seconds, for tests. ``cpu``: the smallest honest run on two cores. ``gpu10``: ten minutes of one GPU.
#: ``paper``: the documented full recipe, as far as it is known.
BudgetClass = Literal["smoke", "cpu", "gpu10", "paper"]


def check_budget_class(name: str) -> None:
    """Raises `UnknownNameError` for another word."""
    if name not in get_args(BudgetClass):
        raise UnknownNameError("budget class", name, get_args(BudgetClass))


#: What stands beside a number. Few deserve the second: it takes a paper's network, its recipe and nothing left open; a
#: budget class alone does not say so.
NOT_A_REPRODUCTION, PAPERS_RECIPE = "not a reproduction", "the paper's recipe"


def reproduction_label(papers: bool) -> str:
    """What stands beside a number, by whether it comes from a paper's network trained by all that paper's recipe."""
    return PAPERS_RECIPE if papers else NOT_A_REPRODUCTION
