"""The search systems by name, their budgets, and what one search is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

from auditor.core.errors import UsageError
from auditor.core.progress import Progress
from auditor.core.registry import Registry
from auditor.lab.search.data import SearchData
from auditor.lab.search.outcome import Outcome
from auditor.train.budget import BudgetClass, check_budget_class

__all__ = ["PUBLISHED", "SPACES", "SYSTEMS", "SearchOptions", "SearchSettings"]


class SearchSettings(Protocol):
    """Frozen settings of a system at one budget."""

    @property
    def train(self) -> int | None:
        """Images of the train split to train on; None for all that are not validation."""

    @property
    def validation(self) -> int:
        """Images of the train split to score on."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""


#: Name -> ``search(found, settings, folder, seed, device, progress) -> Outcome``. Third parties register under the
#: entry-point group ``auditor.searches``, and their budgets under ``auditor.search_spaces``.
SYSTEMS: Registry[Callable[[SearchData, Any, Path, int, str, Progress], Outcome]] = Registry(
    "search system",
    {
        "nasnet": "auditor.lab.search.nasnet.search:search",
        "proxyless": "auditor.lab.search.proxyless.search:search",
        "eas": "auditor.lab.search.eas.search:search",
    },
    "auditor.searches",
)

#: Name of a system, or ``system-space`` where it has several -> settings by budget class.
SPACES: Registry[Mapping[str, SearchSettings]] = Registry(
    "search space",
    {
        "nasnet": "auditor.lab.search.nasnet.search:BUDGETS",
        "proxyless": "auditor.lab.search.proxyless.search:BUDGETS",
        "proxyless-mbconv": "auditor.lab.search.proxyless.search:MOBILE_BUDGETS",
        "eas": "auditor.lab.search.eas.search:BUDGETS",
        "eas-dense": "auditor.lab.search.eas.search:DENSE_BUDGETS",
    },
    "auditor.search_spaces",
)

#: What the papers report on CIFAR-10, per space: ``(network, error in per cent)``.
PUBLISHED = {
    "nasnet": (("NASNet-A 6 @ 768, 3.3M parameters", 3.41), ("NASNet-A 6 @ 768 + cutout, 3.3M parameters", 2.65)),
    "proxyless": (("Proxyless-G + cutout, 5.7M parameters", 2.08),),
    "eas": (("plain network, depth 20", 4.23),),
    "eas-dense": (("DenseNet, depth 76", 3.44),),
}

#: Systems that measure time while they search: nothing else of ours runs beside them.
TIMED = frozenset({"proxyless"})


@dataclass(frozen=True)
class SearchOptions:
    """What is asked for.

    Attributes
    ----------
    system : str
        Name in `SYSTEMS`.
    budget : str
        Budget class.
    seeds : int
        Searches, with the seeds 0 .. seeds - 1.
    train_seeds : int
        Final trainings of each network.
    family : str, optional
        EAS: ``plain`` (default) or ``dense``.
    space : str, optional
        ProxylessNAS: ``tree`` (default) or ``mbconv``.
    kind : str, optional
        ProxylessNAS: ``two``, ``full`` or ``reinforce``; as the budget says by default.
    data : str
        Image data set with train and test.
    device : str
    """

    system: str
    budget: BudgetClass = "cpu"
    seeds: int = 1
    train_seeds: int = 3
    family: str | None = None
    space: str | None = None
    kind: str | None = None
    data: str = "cifar10"
    device: str = "auto"

    def __post_init__(self) -> None:
        SYSTEMS.target(self.system)
        check_budget_class(self.budget)
        if self.seeds < 1 or self.train_seeds < 1:
            raise UsageError(f"--seeds and --train-seeds must be at least 1, not {self.seeds} and {self.train_seeds}.")
        for option, value, system, known in (
            ("--family", self.family, "eas", ("plain", "dense")),
            ("--space", self.space, "proxyless", ("tree", "mbconv")),
            ("--kind", self.kind, "proxyless", ("two", "full", "reinforce")),
        ):
            if value is not None and self.system != system:
                raise UsageError(f"{option} is for {system}, not for {self.system}.")
            if value is not None and value not in known:
                raise UsageError(f"unknown {option} {value!r}.", f"Known: {', '.join(known)}.")

    @property
    def place(self) -> str:
        """Name in `SPACES`."""
        inner = {"dense": "dense", "mbconv": "mbconv"}.get(self.family or self.space or "")
        return f"{self.system}-{inner}" if inner else self.system

    def settings(self) -> SearchSettings:
        """Settings of the search.

        Raises
        ------
        UsageError
            If the system has no such budget or no `kind`.
        """
        table = SPACES.load(self.place)
        if self.budget not in table:
            raise UsageError(f"{self.place} has no budget {self.budget!r}.", f"Known: {', '.join(table)}.")
        found: Any = table[self.budget]
        if self.kind is None:
            return found
        if "kind" not in {f.name for f in fields(found)}:
            raise UsageError(f"{self.place} has no --kind.")
        return replace(found, kind=self.kind)
