"""The four budget classes of a grid: every constant that can change its figures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from auditor.core.errors import UsageError
from auditor.train.budget import BudgetClass, check_budget_class


@dataclass(frozen=True)
class GridBudget:
    """How much of the data the 36 networks see, and for how long.

    Attributes
    ----------
    name : str
    limit : str
        What the class promises, for people.
    train, validation : int or None
        Items of the train split every network of the grid is trained on, and compared on; None: the other 90,000
        of CIFAKE's 100,000.
    epochs, batch : int
    extractors, heads : int or None
        Only so many of each stage; None for all (12 and 24).
    final_train : int or None
        Items of the train split the chosen topology is trained on again; None: all, the validation items too.
    final_epochs, seeds : int
    test : int or None
        Test items; None for all.
    """

    name: BudgetClass
    limit: str
    train: int | None
    validation: int
    epochs: int
    final_train: int | None
    final_epochs: int
    seeds: int = 3
    batch: int = 128
    extractors: int | None = None
    heads: int | None = None
    test: int | None = None

    def __post_init__(self) -> None:
        counts = (self.train, self.validation, self.epochs, self.final_train, self.final_epochs, self.seeds, self.batch)
        if any(n is not None and n < 1 for n in (*counts, self.extractors, self.heads, self.test)):
            raise UsageError(f"budget {self.name!r}: every number must be at least 1.")

    def changed(self, **values: Any) -> GridBudget:
        """The same with other numbers; ``None`` values are left out. Use "all" for a whole split."""
        given: dict[str, Any] = {k: None if v == "all" else v for k, v in values.items() if v is not None}
        return replace(self, **given)


BUDGETS: dict[str, GridBudget] = {
    "smoke": GridBudget("smoke", "under 30 s", 1000, 400, 1, 1000, 1, seeds=1, extractors=2, heads=1, test=400),
    "cpu": GridBudget("cpu", "under 15 min on 2 cores", 8000, 4000, 2, 20_000, 3),
    # Twelve epochs at four times the batch; one seed of the grid. Not run by us yet.
    "gpu10": GridBudget("gpu10", "under 10 min on one GPU", None, 10_000, 12, None, 12, batch=512),
    # The paper names neither epochs nor batch: both are ours.
    "paper": GridBudget("paper", "no limit", None, 10_000, 30, None, 30),
}


def budget_for(name: str) -> GridBudget:
    """The budget class called `name`.

    Raises
    ------
    UnknownNameError
        For another name.
    """
    check_budget_class(name, list(BUDGETS))
    return BUDGETS[name]
