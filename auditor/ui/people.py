"""Who is in front of the screen."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import streamlit as st

from auditor.core.errors import ResourceError, UsageError
from auditor.core.escaping import markdown_text
from auditor.review.people import checked_reviewer, person_key
from auditor.review.preferences import EVERYBODY
from auditor.review.store import VerdictStore
from auditor.ui.access import has_login, is_allowed
from auditor.ui.config import current_config


def require_login() -> None:
    """Stop the page for people who have not logged in, where a login is configured."""
    if not has_login():
        return
    if not st.user.is_logged_in:
        st.title("Label review")
        st.button("Log in", type="primary", on_click=st.login)
        st.stop()
    if not is_allowed(dict(st.user), current_config().allowed):
        st.error(f"{markdown_text(str(st.user.get('email', 'This account')))} may not review here.")
        st.button("Log out", on_click=st.logout)
        st.stop()


#: Parameters of the address that hold on every page. The navigation drops them, and the session brings them back.
KEPT: Final = ("reviewer", "tolerated")


def keep_address() -> None:
    """Bring the address and the session in line: what is in the address goes first."""
    for name in KEPT:
        if (value := st.query_params.get(name)) is not None:
            st.session_state[f"kept-{name}"] = value
        elif (value := st.session_state.get(f"kept-{name}")) is not None:
            st.query_params[name] = value


def set_kept(name: str, value: str | None) -> None:
    """Change one of `KEPT`; None takes it out."""
    if value is None:
        st.session_state.pop(f"kept-{name}", None)
        st.query_params.pop(name, None)
    else:
        st.session_state[f"kept-{name}"] = st.query_params[name] = value


def recall_tolerance(store: VerdictStore) -> None:
    """Take up what was tolerated last, by whoever said so, where the address of a new visitor says nothing of it."""
    if st.session_state.get("tolerance-of") != id(store):
        st.session_state["tolerance-of"] = id(store)
        with suppress(ResourceError):  # the page says so itself where it needs the store
            kept = store.preference(EVERYBODY, "tolerated")
            if kept is not None and tolerance() is None:
                set_kept("tolerated", str(kept))


def tolerance() -> int | None:
    """Wrong labels that may remain outside the flagged list, as the address says it; None where nobody has said so."""
    kept = str(st.session_state.get("kept-tolerated", ""))
    return int(kept) if kept.isascii() and kept.isdigit() and len(kept) < 10 else None


def name_of(user: Mapping[str, Any]) -> str:
    """The name that verdicts of a logged-in user are stored under."""
    return str(user.get("email") or user.get("name") or user.get("sub"))


def known_reviewer(store: VerdictStore) -> str | None:
    """Name of the reviewer as the store shows it: the login's, else the one in the page's address, else the offered
    one; None where nobody has said a name.

    The address keeps it over a reload and a restarted server, the session over a change of page.
    """
    if has_login():
        name: str | None = name_of(st.user)
    else:
        keep_address()
        name = st.query_params.get("reviewer") or (
            None if st.session_state.get("signed-out") else current_config().reviewer
        )
    try:
        reviewer = checked_reviewer(name)
    except UsageError:
        return None
    with suppress(ResourceError):  # the page says so itself where it needs the store
        reviewer = store.known_as(reviewer)
    if not has_login() and st.query_params.get("reviewer") != reviewer:
        set_kept("reviewer", reviewer)
    return reviewer


def current_reviewer(store: VerdictStore) -> str:
    """The same; who has not said a name is asked for it first."""
    reviewer = known_reviewer(store)
    if reviewer is None:
        _ask()
        st.stop()
    return reviewer


def may_edit(reviewer: str) -> bool:
    """Whether a reviewer may edit guidelines: the owners named at the start, or everybody where none was named."""
    owners = current_config().owners
    return not owners or person_key(reviewer) in {person_key(owner) for owner in owners}


def who_line(store: VerdictStore) -> None:
    """Who is here, and the way to be somebody else."""
    if (reviewer := known_reviewer(store)) is None:
        return
    with st.container(key="who"), st.popover(markdown_text(reviewer)):
        st.caption("Verdicts are stored under this name.")
        if has_login():
            st.button("Log out", on_click=st.logout)
        else:
            st.button("Change name", on_click=_sign_out)


def _sign_out() -> None:
    set_kept("reviewer", None)
    # The name that was offered at the start was somebody else's, too.
    st.session_state["signed-out"] = True


def _ask() -> None:
    st.header("Who are you?")
    st.caption("The name is stored with your verdicts. Any name will do; capitals and spaces make no difference.")
    with st.form("reviewer", border=False):
        name = st.text_input("Name", max_chars=80)
        if st.form_submit_button("Start", type="primary"):
            try:
                set_kept("reviewer", checked_reviewer(name))
                st.rerun()
            except UsageError as error:
                st.error(error.what)
