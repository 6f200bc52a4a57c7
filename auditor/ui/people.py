"""Who is in front of the screen."""

from __future__ import annotations

import streamlit as st

from auditor.core.errors import UsageError
from auditor.core.escaping import markdown_text
from auditor.review.events import checked_reviewer
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


def current_reviewer() -> str:
    """Name of the reviewer: the login's, else the one in the page's address, else asked for.

    The address keeps the name over a reload and a restarted server.
    """
    if has_login():
        return checked_reviewer(str(st.user.get("email") or st.user.get("name") or st.user.get("sub")))
    name = st.query_params.get("reviewer") or current_config().reviewer
    try:
        reviewer = checked_reviewer(name)
    except UsageError:
        _ask()
        st.stop()
    if st.query_params.get("reviewer") != reviewer:
        st.query_params["reviewer"] = reviewer
    return reviewer


def _ask() -> None:
    st.subheader("Who are you?")
    st.caption("The name is stored with your verdicts. Any name will do, but use the same one every time.")
    with st.form("reviewer", border=False):
        name = st.text_input("Name", max_chars=80)
        if st.form_submit_button("Start", type="primary"):
            try:
                st.query_params["reviewer"] = checked_reviewer(name)
                st.rerun()
            except UsageError as error:
                st.error(error.what)
