"""The review card on a page: what came from it is stored first, then it is drawn with the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from auditor.ui.components import review_card
from auditor.ui.exchange import Exchange
from auditor.ui.payload import hand_data
from auditor.ui.workspace import Workspace


def card_page(ws: Workspace, key: str, make: Callable[[], Exchange], reviewer: str, with_votes: bool = False) -> None:
    """Draw the card `key` for `reviewer`.

    Parameters
    ----------
    ws : Workspace
    key : str
        Identity of the card in the session.
    make : callable
        Makes the session's `Exchange` the first time.
    reviewer : str
    with_votes : bool
        Show everybody's verdicts beside the items. The review itself is blind.
    """
    exchange = st.session_state.get(f"{key}-exchange")
    if not isinstance(exchange, Exchange) or exchange.reviewer != reviewer or exchange.store is not ws.store:
        exchange = st.session_state[f"{key}-exchange"] = make()
    # The page is entered anew: the card in the browser may know nothing, so it gets its whole hand.
    exchange.receive(_message(key))
    exchange.fill()
    _card(ws, key, exchange, with_votes)


@st.fragment
def _card(ws: Workspace, key: str, exchange: Exchange, with_votes: bool) -> None:
    exchange.receive(_message(key))
    # A verdict does not change the hand: the card takes its own items out.
    hand = st.session_state.get(f"{key}-hand")
    if hand is None or hand[0] is not exchange.batch:
        hand = st.session_state[f"{key}-hand"] = (exchange.batch, hand_data(ws, exchange.batch, with_votes))
    # Two runs may have the same name; verdicts left in a browser must never reach the other one.
    mirror = f"{ws.store.facts['identity']}:{ws.run.manifest['started']}:{exchange.origin}:{exchange.reviewer}"
    data: dict[str, Any] = {**hand[1], **exchange.status(), "mirror": mirror}
    review_card(data, key)


def _message(key: str) -> object:
    state = st.session_state.get(key)
    return None if state is None else state.get("outbox")
