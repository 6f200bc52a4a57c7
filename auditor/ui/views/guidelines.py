"""The Guidelines page: what belongs to each class, in words and by examples. Every version is kept."""

from __future__ import annotations

import streamlit as st

from auditor.core.errors import AuditorError
from auditor.core.escaping import markdown_text
from auditor.review.guidelines import Guideline
from auditor.ui.components import error_box, gallery_grid, when
from auditor.ui.config import current_config
from auditor.ui.payload import face
from auditor.ui.people import current_reviewer, may_edit
from auditor.ui.workspace import Workspace


def guidelines_page(ws: Workspace) -> None:
    """One class: its definition and exemplars, the form for who may edit them, and the versions."""
    reviewer, names = current_reviewer(ws.store), list(ws.run.class_names)
    asked = st.query_params.get("class")
    name = st.selectbox("Class", names, index=names.index(asked) if asked in names else 0, key="guideline-class")
    versions = ws.store.guideline_history(name)
    last = versions[-1] if versions else None
    if last is None:
        st.info("Nobody has written down yet what belongs to this class.")
    else:
        st.caption(f"Version {last.version}, {markdown_text(last.reviewer)}, {when(last.server_time)}")
        # As text: a definition must not be read as Markdown.
        st.text(last.definition or "No definition in words.")
        _exemplars(ws, last)
    if may_edit(reviewer):
        _form(ws, reviewer, name, last)
    else:
        owners = ", ".join(map(markdown_text, current_config().owners))
        st.caption(f"Edited by {owners}.")
    if len(versions) > 1:
        with st.expander(f"All {len(versions)} versions"):
            for version in reversed(versions):
                st.caption(f"Version {version.version}, {markdown_text(version.reviewer)}, {when(version.server_time)}")
                st.text(version.definition or "No definition in words.")
                if version.exemplars:
                    st.code("\n".join(version.exemplars), language=None)


def _exemplars(ws: Workspace, guideline: Guideline) -> None:
    rows = ws.rows.rows_of_ids(guideline.exemplars) if guideline.exemplars else {}
    shown = [
        {
            "id": item,
            "given": ws.rows.facts(rows[item])["given"],
            **face(ws, ws.rows.facts(rows[item])["content_hash"], 192),
        }
        for item in guideline.exemplars
        if item in rows
    ]
    if shown:
        gallery_grid(shown, f"guideline-{guideline.version}", ws.contents.kind in ("text", "table"))


def _form(ws: Workspace, reviewer: str, name: str, last: Guideline | None) -> None:
    item = st.query_params.get("item")
    exemplars = [*(last.exemplars if last else ()), *([item] if item and st.query_params.get("class") == name else [])]
    # The version is part of the key: what was typed on top of another one is not taken for this one.
    version = last.version if last else 0
    with st.form(f"guideline-{name}-{version}-{item}"):
        definition = st.text_area("What belongs to this class", last.definition if last else "", height=180)
        ids = st.text_area(
            "Exemplars",
            "\n".join(dict.fromkeys(exemplars)),
            help="Ids of items, one a line. The card's guidelines offer to add the item on screen.",
        )
        if st.form_submit_button("Save as a new version", type="primary"):
            wanted = [line.strip() for line in ids.splitlines() if line.strip()]
            try:
                ws.store.write_guideline(reviewer, name, definition, wanted, version)
            except AuditorError as error:
                st.error("Not saved.")
                error_box(error)
            else:
                st.query_params.pop("item", None)
                st.rerun()
