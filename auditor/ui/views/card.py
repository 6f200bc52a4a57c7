"""The review card on a page: what came from it is stored first, then it is drawn with the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import streamlit as st

from auditor.core.errors import ResourceError
from auditor.core.escaping import markdown_text
from auditor.ui.components import review_card
from auditor.ui.exchange import Exchange
from auditor.ui.payload import hand_data
from auditor.ui.people import may_edit
from auditor.ui.workspace import Workspace

#: Cards on the page that is being drawn; hands of the others go back.
_SHOWN = "cards-shown"


def card_page(
    ws: Workspace,
    key: str,
    make: Callable[[], Exchange],
    reviewer: str,
    with_votes: bool = False,
    subject: str | None = None,
    empty: Callable[[], None] | None = None,
) -> None:
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
    subject : str, optional
        What the card was opened for, such as an item; another one makes another `Exchange`.
    empty : callable, optional
        Draws what follows when no item is left for the card.
    """
    exchange = exchange_of(ws, key, make, reviewer, subject)
    st.session_state.setdefault(_SHOWN, set()).add(key)
    # The page is entered anew: the card in the browser may know nothing, so it gets its whole hand.
    exchange.receive(message_of(key))
    exchange.fill()
    _card(ws, key, exchange, with_votes, empty)


def exchange_of(
    ws: Workspace, key: str, make: Callable[[], Exchange], reviewer: str, subject: str | None = None
) -> Exchange:
    """The session's `Exchange` of a component."""
    exchange, about = st.session_state.get(f"{key}-exchange", (None, None))
    if (
        not isinstance(exchange, Exchange)
        or (exchange.reviewer, about) != (reviewer, subject)
        or exchange.store is not ws.store
    ):
        if isinstance(exchange, Exchange):
            exchange.leave()
        exchange = make()
        st.session_state[f"{key}-exchange"] = exchange, subject
    return exchange


def mirror_of(ws: Workspace, exchange: Exchange) -> str:
    """Where a browser keeps what it could not send.

    Two runs may have the same name; verdicts left in a browser must never reach the other one.
    """
    return f"{ws.store.facts['identity']}:{ws.run.manifest['started']}:{exchange.origin}:{exchange.reviewer}"


def message_of(key: str, box: str = "outbox") -> object:
    """The last message of a component's outbox, or of another of its states."""
    state = st.session_state.get(key)
    return None if state is None else state.get(box)


def _keep_settings(ws: Workspace, key: str, reviewer: str) -> None:
    """Keep how the reviewer wants the keys, where the card has said so anew."""
    kept = f"{key}-settings"
    st.session_state.setdefault(kept, None)
    message = message_of(key, "settings")
    with suppress(ResourceError):  # the card is drawn without the store; the next rerun tries again
        if st.session_state.get(f"{kept}-of") != reviewer:
            st.session_state[kept], st.session_state[f"{kept}-of"] = ws.store.preference(reviewer, "keys"), reviewer
        if not isinstance(message, dict) or message.get("n") == st.session_state.get(f"{kept}-n"):
            return
        if (wanted := checked_keys(message.get("keys"), ws.run.class_names)) is not None:
            ws.store.set_preference(reviewer, "keys", wanted)
            st.session_state[kept], st.session_state[f"{kept}-n"] = wanted, message["n"]


def checked_keys(wanted: object, classes: Sequence[str]) -> dict[str, Any] | None:
    """``{"fixed": one key for each class or not, "own": {class: key}}`` as a browser sent it; None for other things."""
    if not isinstance(wanted, dict) or not isinstance(own := wanted.get("own"), dict):
        return None
    names = set(classes)
    keys = {c: k for c, k in own.items() if c in names and isinstance(k, str) and len(k) == 1 and k.isprintable()}
    return {"fixed": bool(wanted.get("fixed")), "own": keys}


def leave_other_cards() -> None:
    """Give back the hands of cards that are not on the page just drawn."""
    shown = st.session_state.pop(_SHOWN, set())
    for name, kept in st.session_state.items():
        if str(name).endswith("-exchange") and str(name).removesuffix("-exchange") not in shown:
            kept[0].leave()


@st.fragment
def _card(ws: Workspace, key: str, exchange: Exchange, with_votes: bool, empty: Callable[[], None] | None) -> None:
    exchange.receive(message_of(key))
    # A verdict does not change the hand: the card takes its own items out.
    hand = st.session_state.get(f"{key}-hand")
    if hand is None or hand[0] is not exchange.batch:
        hand = (exchange.batch, hand_data(ws, exchange.batch, exchange.reviewer, with_votes))
        st.session_state[f"{key}-hand"] = hand
    data: dict[str, Any] = {**hand[1], **exchange.status(), "mirror": mirror_of(ws, exchange)}
    _keep_settings(ws, key, exchange.reviewer)
    data |= {"settings": st.session_state[f"{key}-settings"], "may_edit": may_edit(exchange.reviewer)}
    review_card(data, key)
    if exchange.holds and not exchange.batch:
        hands_line(ws, exchange.reviewer)
    if empty is not None and not exchange.batch:
        empty()


def hands_line(ws: Workspace, reviewer: str | None = None) -> None:
    """Who else holds what, each with a button that gives it back to the queue."""
    for hand in ws.store.hands():
        if hand.reviewer == reviewer:
            continue
        with st.container(horizontal=True, vertical_alignment="center"):
            # How many of them are audit draws is nothing that a reviewer may see on the card.
            st.markdown(
                f"**{markdown_text(hand.reviewer)}** holds {hand.items:,} {'item' if hand.items == 1 else 'items'}, "
                f"which go back in {max(1, round(hand.seconds / 60))} min unless they go on."
            )
            st.button("Release", key=f"release-{hand.reviewer}", on_click=_release, args=(ws, hand.reviewer))


def _release(ws: Workspace, reviewer: str) -> None:
    ws.store.release(reviewer)
