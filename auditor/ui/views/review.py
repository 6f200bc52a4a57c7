"""The Review page: one item at a time, from the queue that the address names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import streamlit as st

from auditor.core.errors import DataError
from auditor.core.escaping import markdown_text
from auditor.review.parts import Pair
from auditor.review.readout import ReviewItem
from auditor.ui.config import current_config
from auditor.ui.exchange import MOST_HAND, Exchange
from auditor.ui.following import nudge
from auditor.ui.item_points import item_points
from auditor.ui.people import current_reviewer
from auditor.ui.selections import read_selection
from auditor.ui.views.card import card_page
from auditor.ui.views.disagreements import disagreements_page
from auditor.ui.views.finished import finished_section
from auditor.ui.views.mine import mine_page
from auditor.ui.views.pairs import chosen_pair, pair_words
from auditor.ui.workspace import Workspace


@dataclass(frozen=True)
class _Queue:
    """One that a reviewer may choose: its title, whether there is anything of it, and how it is drawn."""

    title: Callable[[Workspace, str], str | None]
    draw: Callable[[Workspace, str], None]


def review_page(ws: Workspace) -> None:
    """The chooser of the queue, and the card with its items; an item that the address names comes first."""
    reviewer = current_reviewer(ws.store)
    titles = {name: title for name, q in _QUEUES.items() if (title := q.title(ws, reviewer)) is not None}
    asked = st.query_params.get("queue", "all")
    name = asked if asked in titles else "all"
    st.session_state["queue"] = name
    st.segmented_control(
        "Queue",
        list(titles),
        format_func=lambda name: titles.get(name, name),
        key="queue",
        required=True,
        label_visibility="collapsed",
        on_change=_choose,
    )
    _QUEUES[name].draw(ws, reviewer)


def _choose() -> None:
    name = st.session_state["queue"]
    for parameter in ("item", "given", "suggested"):
        st.query_params.pop(parameter, None)
    if name == "all":
        st.query_params.pop("queue", None)
    else:
        st.query_params["queue"] = name


def _all(ws: Workspace, reviewer: str) -> None:
    item = st.query_params.get("item")
    if item is not None and ws.store.state(item) is None:
        st.warning("This run has no such item as the address names.")
        item = None
    _card(ws, reviewer, None, None, item)


def _pair(ws: Workspace, reviewer: str) -> None:
    given, suggested = chosen_pair(ws, "queue")
    if given is None and suggested is None:
        st.caption("Choose classes: their flagged items then come one after the other, in the order of the list.")
        return
    _card(ws, reviewer, pair_words(given, suggested), [(given, suggested)])


def _picked(ws: Workspace, reviewer: str) -> None:
    name = st.query_params["selection"]
    try:
        numbers = read_selection(ws.run, name)
    except DataError as error:
        st.warning(f"{error.what} {error.way_out}")
        return
    points = item_points(ws)
    # As of every part of the list: the audit sample is judged among all items, where nobody knows it.
    drawn = points.numbers_of(ws.store.audit_stream().item_ids.tolist())
    places = points.places_of(numbers[~np.isin(numbers, drawn)])

    def supply(n: int) -> Sequence[ReviewItem]:
        todo = places[~np.isin(places, ws.store.judged_places(reviewer))]
        return ws.store.at(todo[:n].tolist())

    after = partial(nudge, ws) if current_config().adaptive else None
    make = lambda: Exchange(ws.store, reviewer, supply, after=after).counted()  # noqa: E731
    empty = partial(finished_section, ws, reviewer, "what was picked on the map")
    card_page(ws, "review-card", make, reviewer, subject=f"selection {name}", empty=empty)


def _assigned(ws: Workspace, reviewer: str) -> None:
    pairs = ws.store.assigned().get(reviewer, [])
    st.caption("Yours alone: " + ", ".join(markdown_text(pair_words(*pair)) for pair in pairs))
    _card(ws, reviewer, "what is assigned to you", pairs)


def _discuss(ws: Workspace, reviewer: str) -> None:
    st.caption("Somebody wants to discuss these. An item stays here until the mark is taken off on its card.")
    supply = lambda _n: ws.store.discussed(limit=MOST_HAND)  # noqa: E731
    make = lambda: Exchange(ws.store, reviewer, supply).counted()  # noqa: E731
    card_page(ws, "discuss-card", make, reviewer)


def _card(ws: Workspace, reviewer: str, name: str | None, part: list[Pair] | None, item: str | None = None) -> None:
    # The order may learn from the verdicts; --fixed-order keeps that of the run.
    # The order learns from classes.
    after = partial(nudge, ws) if current_config().adaptive and ws.run.form is None else None
    make = partial(Exchange.for_review, ws.store, reviewer, after, item, part)
    subject = item if part is None else str(part)
    card_page(ws, "review-card", make, reviewer, subject=subject, empty=partial(finished_section, ws, reviewer, name))


def _assigned_title(ws: Workspace, reviewer: str) -> str | None:
    return "Assigned to me" if reviewer in ws.store.assigned() else None


def _selection_title(_ws: Workspace, _reviewer: str) -> str | None:
    return "Picked on the map" if "selection" in st.query_params else None


def _disagreement_title(ws: Workspace, _reviewer: str) -> str | None:
    n = ws.store.progress().disagreements
    return f"Disagreements ({n:,})" if n else None


def _discuss_title(ws: Workspace, _reviewer: str) -> str | None:
    n = ws.store.progress().discussed
    return f"To discuss ({n:,})" if n else None


#: By their names in the address; one without a title has nothing in it.
_QUEUES: Final[dict[str, _Queue]] = {
    "all": _Queue(lambda _ws, _reviewer: "All items", _all),
    "pair": _Queue(lambda ws, _reviewer: "Class pair" if ws.run.form is None else None, _pair),
    "assigned": _Queue(_assigned_title, _assigned),
    "selection": _Queue(_selection_title, _picked),
    "disagreements": _Queue(_disagreement_title, lambda ws, _reviewer: disagreements_page(ws)),
    "discuss": _Queue(_discuss_title, _discuss),
    "mine": _Queue(lambda _ws, _reviewer: "My verdicts", lambda ws, _reviewer: mine_page(ws)),
}
