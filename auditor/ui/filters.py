"""What the gallery shows, as the page's address says it: filters, an order, and the items they match."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Final

import numpy as np

from auditor.core.errors import DataError, UsageError
from auditor.review.people import checked_reviewer, person_key
from auditor.ui.catalogue import Catalogue
from auditor.ui.item_points import item_points
from auditor.ui.selections import read_selection
from auditor.ui.workspace import Workspace

ITEMS: Final = {"flagged": "flagged items", "all": "all items", "unflagged": "items not flagged"}
STATES: Final = {
    "any": "judged or not",
    "open": "not judged",
    "judged": "judged",
    "todo": "not judged by me",
    "discuss": "to be discussed",
}
ORDERS: Final = {
    "list": "order of the list",
    "suspicious": "most suspicious first",
    "sure": "least suspicious first",
    "given": "by given label",
    "suggested": "by other candidate",
}
#: Lists of places kept for the next page, for all visitors.
_KEPT: Final = 16


@dataclass(frozen=True)
class GalleryFilter:
    """Which items the gallery shows, and in which order; all conditions hold at once.

    Every field stands in the address under its own name, unless it has its default.

    Attributes
    ----------
    given, suggested : str or None
        Class names.
    items, state, order : str
        Of `ITEMS`, `STATES`, `ORDERS`.
    detector : str or None
        Items that it flags.
    judged_by : str or None
        Items that this person has judged.
    score_from, score_to : float or None
    selection : str or None
        Items picked on the map, by the name they are kept under.
    check : str or None
        Items that a data-quality check names, by its code; with a point and a number behind it those of that group of
        the check, from 1 (``"DQ701.2"``: the second slice).
    words : str
        In the id, the text or the table row, all of them, in any case.
    """

    given: str | None = None
    suggested: str | None = None
    items: str = "flagged"
    state: str = "any"
    detector: str | None = None
    judged_by: str | None = None
    score_from: float | None = None
    score_to: float | None = None
    selection: str | None = None
    words: str = ""
    order: str = "list"
    check: str | None = None

    def address(self) -> dict[str, str]:
        """What differs from the default, as the address says it."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        return {name: str(value) for name, value in values.items()}

    def chips(self) -> list[tuple[str, str]]:
        """Field and words of every condition that is set."""
        told = {
            "given": f"labelled {self.given}",
            "suggested": f"candidate {self.suggested}",
            "items": ITEMS[self.items],
            "state": STATES[self.state],
            "detector": f"detector {self.detector}",
            "judged_by": f"judged by {self.judged_by}",
            "score_from": f"score from {self.score_from}",
            "score_to": f"score to {self.score_to}",
            "selection": "picked on the map",
            "check": f"check {self.check}",
            "words": f"“{self.words}”",
        }
        return [(name, told[name]) for name in self.address() if name in told]


def read_filter(ws: Workspace, address: Mapping[str, str]) -> tuple[GalleryFilter, list[str]]:
    """The filter an address speaks of, and what of it is ignored, one sentence each."""
    names = set(ws.run.class_names)
    checks: dict[str, Callable[[str], Any]] = {
        "given": _one_of(names, "class"),
        "suggested": _one_of(names, "class"),
        "items": _one_of(ITEMS, "kind of items"),
        "state": _one_of(STATES, "state"),
        "order": _one_of(ORDERS, "order"),
        "detector": _one_of(ws.store.facts["detectors"], "detector"),
        "judged_by": lambda name: ws.store.known_as(checked_reviewer(name)),
        "score_from": _number,
        "score_to": _number,
        "selection": partial(_selection, ws),
        "check": partial(_check, ws),
        "words": lambda words: " ".join(words.split())[:200],
    }
    values: dict[str, Any] = {}
    ignored = []
    for name, check in checks.items():
        if (text := address.get(name)) is not None:
            try:
                values[name] = check(text)
            except (ValueError, UsageError) as error:
                ignored.append(f"{name}: {error}")
    return replace(GalleryFilter(), **values), ignored


def _one_of(names: Iterable[str], what: str) -> Callable[[str], str]:
    known = set(names)

    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"there is no such {what}")
        return name

    return check


def _selection(ws: Workspace, name: str) -> str:
    try:
        read_selection(ws.run, name)
    except DataError as error:
        raise ValueError("there is no such selection") from error
    return name


def _check(ws: Workspace, text: str) -> str:
    ids_of_check(ws, text)
    return text


def ids_of_check(ws: Workspace, text: str) -> list[str]:
    """Ids of the items of a check or of one of its groups; see `GalleryFilter.check`.

    Raises
    ------
    ValueError
        If the run has no such check, or the check no such group.
    """
    code, point, number = text.partition(".")
    checks = [] if ws.run.quality is None else ws.run.quality["checks"]
    check = next((c for c in checks if c["code"] == code and c["status"] != "not applicable"), None)
    if check is None:
        raise ValueError("there is no such check, or it could not look")
    if not point:
        return [str(item) for item in ws.run.get_issues(code)["id"]]
    if not number.isascii() or not number.isdigit() or len(number) > 6 or not 1 <= int(number) <= len(check["groups"]):
        raise ValueError("the check has no such group")
    return [str(item) for item in check["groups"][int(number) - 1]["ids"]]


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError("not a number")
    return number


_lock = threading.Lock()
_matches: dict[tuple[Any, ...], np.ndarray] = {}


def matching(ws: Workspace, wanted: GalleryFilter, reviewer: str) -> np.ndarray:
    """Places of the items that a filter matches, in its order, int64.

    Computed once for all pages and visitors, until verdicts come that it depends on.
    """
    moment = ws.store.reordering()[1] if wanted.state != "any" or wanted.judged_by is not None else 0
    who = person_key(reviewer) if wanted.state == "todo" else ""
    discussed = _discussed(ws) if wanted.state == "discuss" else ()
    search = ws.search.note() if wanted.words else ""
    key = (id(ws.store), ws.store.facts.get("detections_of"), wanted, who, discussed, moment, search)
    with _lock:
        places = _matches.get(key)
    if places is None:
        places = _find(ws, wanted, reviewer)
        with _lock:
            _matches[key] = places
            while len(_matches) > _KEPT:
                del _matches[next(iter(_matches))]
    return places


def _find(ws: Workspace, wanted: GalleryFilter, reviewer: str) -> np.ndarray:
    c = ws.catalogue
    mask = c.flagged.copy() if wanted.items == "flagged" else ~c.flagged if wanted.items == "unflagged" else _all(c)
    if wanted.given is not None:
        mask &= c.given == c.code(wanted.given)
    if wanted.suggested is not None:
        mask &= c.suggested == c.code(wanted.suggested)
    if wanted.score_from is not None:
        mask &= c.score >= wanted.score_from
    if wanted.score_to is not None:
        mask &= c.score <= wanted.score_to
    if wanted.detector is not None:
        mask &= _among(c, ws.store.detected_places(wanted.detector))
    if wanted.judged_by is not None:
        mask &= _among(c, ws.store.judged_places(wanted.judged_by))
    if wanted.state == "discuss":
        mask &= _among(c, np.array(_discussed(ws), np.int64))
    elif wanted.state == "todo":
        mask &= ~_among(c, ws.store.judged_places(reviewer))
    elif wanted.state != "any":
        judged = _among(c, ws.store.judged_places())
        mask &= judged if wanted.state == "judged" else ~judged
    if wanted.selection is not None:
        mask &= _among(c, item_points(ws).places_of(read_selection(ws.run, wanted.selection)))
    if wanted.check is not None:
        mask &= c.has_id(ids_of_check(ws, wanted.check))
    if wanted.words:
        mask &= ws.search.find(wanted.words)
    at = np.flatnonzero(mask)
    if wanted.order == "suspicious":
        at = at[np.argsort(-c.score[at], kind="stable")]  # without a score: last
    elif wanted.order == "sure":
        at = at[np.argsort(c.score[at], kind="stable")]
    elif wanted.order != "list":
        at = at[np.argsort(getattr(c, wanted.order)[at], kind="stable")]
    return at + 1


def _discussed(ws: Workspace) -> tuple[int, ...]:
    return tuple(item.place for item in ws.store.discussed(limit=1000))


def _all(catalogue: Catalogue) -> np.ndarray:
    return np.ones(len(catalogue), bool)


def _among(catalogue: Catalogue, places: np.ndarray) -> np.ndarray:
    mask = np.zeros(len(catalogue), bool)
    mask[places[places <= len(catalogue)] - 1] = True
    return mask
