"""The header of every page: the product, the run, how far the review is, whether it may stop, and who is here."""

from __future__ import annotations

from html import escape
from typing import Final

import streamlit as st

from auditor.ui.people import tolerance, who_line
from auditor.ui.standing import header_words, watcher_of
from auditor.ui.workspace import Workspace

PRODUCT: Final = "auditor"
#: Seconds between looks while a page is open, and the longest that a page waits for its first one.
EVERY: Final = 10.0
PATIENCE: Final = 0.25
#: Never by colour alone.
_SIGNS: Final = {"go": "✔", "wait": "▶", "off": "○"}


def header(ws: Workspace, title: str) -> None:
    """Draw it; `title` names the page for those who hear it read."""
    with st.container(key="head", horizontal=True, vertical_alignment="center"):
        _standing(ws, title)
        who_line(ws.store)


@st.fragment(run_every=EVERY)
def _standing(ws: Workspace, title: str) -> None:
    # The page waits for it once; from then on the last one is shown until there is a new one.
    known = st.session_state.get("standing-of") == id(ws)
    st.session_state["standing-of"] = id(ws)
    standing = watcher_of(ws).look(0.0 if known else PATIENCE)
    told = ""
    if standing is not None:
        words = header_words(standing, tolerance())
        told = (
            f'<div class="bar" aria-hidden="true"><span style="width:{100 * words.share:.1f}%"></span></div>'
            f'<p>{escape(words.progress)}</p><p class="light {words.light}"><span aria-hidden="true">'
            f"{_SIGNS[words.light]}</span> {escape(words.stop)}</p>"
        )
    name = f'<p class="product">{PRODUCT}</p><p class="run" dir="auto">{escape(ws.run.id)}</p>'
    st.html(f'<h1 class="page-name">{escape(title)}</h1><div class="standing">{name}{told}</div>')
