"""The search systems by name, their budgets, and what one search is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar

from auditor.core.errors import UsageError
from auditor.core.progress import Progress
from auditor.core.registry import Registry
from auditor.lab.experiment.shell import ExperimentOptions
from auditor.lab.search.arms import SearchOutcome
from auditor.lab.search.children import SearchSettings
from auditor.lab.search.data import SearchData
from auditor.train.budget import WITHOUT_HOUR

#: Name -> ``search(split, settings, folder, seed, device, progress) -> SearchOutcome``. Third parties register under
#: the entry-point group ``auditor.searches``, and their budgets under ``auditor.search_spaces``.
SYSTEMS: Registry[Callable[[SearchData, Any, Path, int, str, Progress], SearchOutcome]] = Registry(
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
        "proxyless": "auditor.lab.search.proxyless.settings:BUDGETS",
        "proxyless-mbconv": "auditor.lab.search.proxyless.settings:MOBILE_BUDGETS",
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

#: Systems that measure time while they search: no other fit runs beside them.
TIMED = frozenset({"proxyless"})


@dataclass(frozen=True)
class SearchOptions(ExperimentOptions):
    """What is asked for; `seeds` counts the searches.

    Attributes
    ----------
    system : str
        Name in `SYSTEMS`.
    train_seeds : int
        Final trainings of each network.
    family : str, optional
        EAS: ``plain`` (default) or ``dense``.
    space : str, optional
        ProxylessNAS: ``tree`` (default) or ``mbconv``.
    kind : str, optional
        ProxylessNAS: ``two``, ``full`` or ``reinforce``; as the budget says by default.
    transfer : str, optional
        Another image data set with train and test split, on which the networks are trained and tested too.
    """

    system: str
    seeds: int = field(default=1, kw_only=True)
    train_seeds: int = field(default=3, kw_only=True)
    family: str | None = field(default=None, kw_only=True)
    space: str | None = field(default=None, kw_only=True)
    kind: str | None = field(default=None, kw_only=True)
    transfer: str | None = field(default=None, kw_only=True)
    budgets: ClassVar[tuple[str, ...]] = WITHOUT_HOUR

    def __post_init__(self) -> None:
        super().__post_init__()
        SYSTEMS.target(self.system)
        if self.train_seeds < 1:
            raise UsageError(f"--train-seeds must be at least 1, not {self.train_seeds}.")
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
    def space_name(self) -> str:
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
        table = SPACES.load(self.space_name)
        if self.budget not in table:
            raise UsageError(f"{self.space_name} has no budget {self.budget!r}.", f"Known: {', '.join(table)}.")
        settings: Any = table[self.budget]
        if self.kind is None:
            return settings
        if "kind" not in {f.name for f in fields(settings)}:
            raise UsageError(f"{self.space_name} has no --kind.")
        return replace(settings, kind=self.kind)
