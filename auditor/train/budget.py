"""The budget classes of what a paper describes with a full recipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from auditor.core.errors import UnknownNameError

#: ``smoke``: seconds, for tests. ``cpu``: the smallest honest run on two cores. ``hour``: an hour of two cores for each
#: network. ``gpu10``: ten minutes of one GPU. ``paper``: the documented full recipe, as far as it is known.
BudgetClass = Literal["smoke", "cpu", "hour", "gpu10", "paper"]
#: Those of what is no training of single networks: a search, a grid.
WITHOUT_HOUR = tuple(name for name in get_args(BudgetClass) if name != "hour")


def check_budget_class(name: str, known: Sequence[str] = get_args(BudgetClass)) -> None:
    """Raises `UnknownNameError` for a word that is not among `known`."""
    if name not in known:
        raise UnknownNameError("budget class", name, known)


#: What stands beside a number. Few deserve the second: it takes a paper's network, its recipe and nothing left open; a
#: budget class alone does not say so.
NOT_A_REPRODUCTION, PAPERS_RECIPE = "not a reproduction", "the paper's recipe"


def reproduction_label(papers: bool) -> str:
    """What stands beside a number, by whether it comes from a paper's network trained by all that paper's recipe."""
    return PAPERS_RECIPE if papers else NOT_A_REPRODUCTION
