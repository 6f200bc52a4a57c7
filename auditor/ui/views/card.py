"""The review card on a page: what came from it is stored first, then it is drawn with the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from auditor.review.readout import ReviewItem
from auditor.ui.components import review_card
from auditor.ui.exchange import Exchange
from auditor.ui.payload import hand_data
from auditor.ui.workspace import Workspace

Votes = Callable[[list[ReviewItem]], Mapping[str, Mapping[str, str]]]


def card_page(ws: Workspace, key: str, make: Callable[[], Exchange], reviewer: str, votes: Votes | None = None) -> None:
    """Draw the card `key` for `reviewer`.

    Parameters
    ----------
    ws : Workspace
    key : str
        Identity of the card in the session.
    make : callable
        Makes the session's `Exchange` the first time.
    reviewer : str
    votes : callable, optional
        Verdicts to show beside the items, by item id and person. The review itself is blind.
    """
    exchange = st.session_state.get(f"{key}-exchange")
    if not isinstance(exchange, Exchange) or exchange.reviewer != reviewer or exchange.store is not ws.store:
        exchange = st.session_state[f"{key}-exchange"] = make()
    # The page is entered anew: the card in the browser may know nothing, so it gets its whole hand.
    exchange.receive(_message(key))
    exchange.fill()
    _card(ws, key, exchange, votes)


@st.fragment
def _card(ws: Workspace, key: str, exchange: Exchange, votes: Votes | None) -> None:
    exchange.receive(_message(key))
    # A verdict does not change the hand: the card takes its own items out.
    kept = st.session_state.get(f"{key}-hand")
    if kept is None or kept[0] is not exchange.batch:
        shown = None if votes is None else votes(exchange.batch)
        kept = st.session_state[f"{key}-hand"] = (exchange.batch, hand_data(ws, exchange.batch, shown))
    # Two runs may have the same name; verdicts left in a browser must never reach the other one.
    mirror = f"{ws.store.facts['identity']}:{ws.run.manifest['started']}:{exchange.origin}:{exchange.reviewer}"
    data: dict[str, Any] = {**kept[1], **exchange.status(), "mirror": mirror}
    review_card(data, key)


def _message(key: str) -> object:
    state = st.session_state.get(key)
    return None if state is None else state.get("outbox")
