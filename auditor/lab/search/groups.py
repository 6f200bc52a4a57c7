"""Groups of networks that are trained in the end beside what a search found: several, so that no single one decides.

A search that names its best child has been lucky with it; the mean of several says what the search is worth. Every
group stands beside the group ``search`` of the same searches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from auditor.models.genotype import Genotype
from auditor.stats.seeds import unpaired

G = TypeVar("G", bound=Genotype)

#: Name -> what it is called in sentences.
SEARCH = "search"
GROUPS = {
    SEARCH: "networks that the search chose",
    "control": "the best random networks",
    "equal": "random networks of equal cost",
    "published": "the published cells at equal size",
}
#: By which a random network may miss the cost that it is to have.
TOLERANCE = 0.05
#: Random networks that are looked at for each that is wanted.
TRIES = 400


@dataclass(frozen=True)
class Drawn(Generic[G]):
    """Random networks of a cost, and how many were looked at for them."""

    networks: tuple[G, ...]
    costs: tuple[float, ...]
    draws: int


def draw_equal(draw: Callable[[], G], cost: Callable[[G], float], target: float, wanted: int) -> Drawn[G]:
    """Different random networks whose cost is `target` to `TOLERANCE`, by rejecting all others.

    Parameters
    ----------
    draw : callable
        Gives a random network.
    cost : callable
        Of a network, above 0.
    target : float
    wanted : int
        So many at most; fewer where `TRIES` draws for each do not hold them.
    """
    found: dict[str, tuple[G, float]] = {}
    draws = 0
    while len(found) < wanted and draws < TRIES * wanted:
        genotype = draw()
        draws += 1
        if genotype.key() not in found and abs((value := cost(genotype)) / target - 1) <= TOLERANCE:
            found[genotype.key()] = genotype, value
    return Drawn(tuple(g for g, _ in found.values()), tuple(c for _, c in found.values()), draws)


def compare_groups(accuracies: Sequence[Mapping[str, Sequence[Sequence[float]]]]) -> dict[str, Any]:
    """Every group beside that of the search.

    Parameters
    ----------
    accuracies : sequence over searches of mapping of group to (networks, training seeds)

    Returns
    -------
    dict
        By group other than ``search``: ``difference`` of the means with Welch's 95 % ``interval`` over networks (over
        the training seeds of a network that stands alone), how many ``networks`` of either, and the difference
        ``by_search``.
    """
    names = {name for search in accuracies for name, networks in search.items() if networks} - {SEARCH}
    out = {}
    for name in (n for n in GROUPS if n in names):
        pairs = [(search[SEARCH], search[name]) for search in accuracies if search.get(name)]
        own, other = ([row for pair in pairs for row in pair[k]] for k in (0, 1))
        # The published network is the same beside every search.
        other = [list(row) for row in dict.fromkeys(map(tuple, other))] if name == "published" else other
        out[name] = {
            **unpaired(_values(own), _values(other)),
            "networks": [len(own), len(other)],
            "by_search": [float(np.mean(first) - np.mean(second)) for first, second in pairs],
        }
    return out


def _values(networks: Sequence[Sequence[float]]) -> list[float]:
    """The means of several networks; of one alone its accuracies by seed."""
    return [float(np.mean(row)) for row in networks] if len(networks) > 1 else list(networks[0])


def sentence(name: str, less: Mapping[str, Any]) -> str:
    """Whether the networks of the search are better than those of a group."""
    low, high = less["interval"]
    relation = "not distinguishable from"
    if low > 0 or high < 0:
        relation = "better than" if low > 0 else "worse than"
    own, other = less["networks"]
    points = f"{100 * less['difference']:+.2f} points [{100 * low:+.2f}, {100 * high:+.2f}]"
    return f"On average {GROUPS[SEARCH]} ({own}) are {relation} {GROUPS[name]} ({other}): {points}"
