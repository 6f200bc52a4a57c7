"""What several reviewers together say about an item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["INCOMPLETE", "NO_AGREEMENT", "ItemConsensus"]

#: Enough reviewers, but no verdict reached the number of votes the rule asks for.
NO_AGREEMENT: Final = "no_agreement"
#: Not yet as many votes as the rule asks for, and no verdict has won without them.
INCOMPLETE: Final = "incomplete"


@dataclass(frozen=True)
class ItemConsensus:
    """The consensus about one item.

    Attributes
    ----------
    item_id : str
    verdict : str
        ``given``, ``suggested``, ``other:<class>``, ``both``, ``neither``, ``unsure``, ``bad_item``, or one of
        `NO_AGREEMENT` and `INCOMPLETE`.
    label : str or None
        Class name that is right according to `verdict`: the given one for ``given``, the new one for ``suggested``
        and ``other:<class>``. For ``both`` the class that applies besides the given one. None otherwise.
    votes : dict of str to int
        Count of every verdict that occurs.
    n : int
        Number of votes, the sum of `votes`.
    posterior : float or None
        Probability of `verdict` under the consensus model; None where the rule has none.
    """

    item_id: str
    verdict: str
    label: str | None
    votes: dict[str, int]
    n: int
    posterior: float | None
