"""The Duplicates & quality page: copies, contradicting labels, items that cannot be decoded."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
import streamlit as st

from auditor.report.find_errors import gravest_first
from auditor.review.readout import PageFilter
from auditor.runs import layout
from auditor.ui.components import gallery_grid, table
from auditor.ui.payload import face
from auditor.ui.workspace import Workspace

#: Groups listed, and members shown of one.
MOST_GROUPS: Final = 500
MOST_MEMBERS: Final = 60


def quality_page(ws: Workspace) -> None:
    """What the run found out about the data apart from labels."""
    groups = ws.rows.group_table
    columns = st.columns(4)
    columns[0].metric("Groups of copies", f"{len(groups):,}", border=True)
    columns[1].metric("Items in them", f"{int(groups['items'].sum()):,}", border=True)
    conflicts = int(groups["contradicting"].sum())
    columns[2].metric("With contradicting labels", f"{conflicts:,}", border=True)
    bad = ws.store.page(PageFilter(code="DQ001"), limit=200)
    columns[3].metric("Undecodable items", f"{ws.run.counts.get('n_undecodable', len(bad.items)):,}", border=True)
    st.subheader("Copies and near copies")
    if groups.empty:
        st.caption("The run found none.")
    else:
        _groups(ws, groups)
    _checks(ws)
    st.subheader("Undecodable items")
    if not bad.items:
        st.caption("Every item could be decoded.")
        return
    rows = [{"item": i.item_id, "label": i.given, "code": i.code, layout.CODES["DQ001"]: i.message} for i in bad.items]
    table(rows)


def _checks(ws: Workspace) -> None:
    """Outcomes of the data-quality checks, and the items of the one that is picked."""
    st.subheader("Checks")
    if ws.run.quality is None:
        st.caption("The checks were not run; repeat auditor find-errors without --no-quality.")
        return
    checks = gravest_first(ws.run.quality["checks"])
    columns = {"check": "name", "outcome": "status", "severity": "severity", "items": "n_items", "what": "reason"}
    table([{"code": c["code"], **{title: c[name] for title, name in columns.items()}} for c in checks])
    listed = [c for c in checks if c["items"]]
    if not listed:
        return
    labels = [f"{c['code']} {c['name']} ({c['n_items']:,})" for c in listed]
    picked = st.selectbox("Items of", labels, key="quality-check")
    chosen = listed[labels.index(picked)]
    items = chosen["items"][:MOST_MEMBERS]
    if len(items) < chosen["n_items"]:
        st.caption(f"The first {len(items)} of {chosen['n_items']:,}; all are in quality.parquet.")
    places = ws.rows.rows_of_ids([i["id"] for i in items])
    known = [i for i in items if i["id"] in places]
    cards = [
        {
            "id": i["id"],
            "given": i["label"],
            "note": str(i.get("note", "" if i.get("value") is None else f"{i['value']:.3g}")),
            **face(ws, m["content_hash"], 192),
        }
        for i, m in zip(known, ws.rows.describe([places[i["id"]] for i in known]), strict=True)
    ]
    gallery_grid(ws, cards, f"check-{chosen['code']}", selectable=False)


def _groups(ws: Workspace, groups: pd.DataFrame) -> None:
    left, right = st.columns([2, 3], gap="large")
    with left:
        if len(groups) > MOST_GROUPS:
            st.caption(f"The first {MOST_GROUPS} of {len(groups):,} groups.")
        picked: Any = st.dataframe(
            groups.head(MOST_GROUPS),
            hide_index=True,
            width="stretch",
            height=420,
            on_select="rerun",
            selection_mode="single-row",
            key="groups",
        )
    rows = picked.selection.rows if picked and picked.selection.rows else [0]
    chosen = groups.iloc[int(rows[0])]
    copies = ws.rows.groups
    members = copies["row"][copies["group"] == chosen["group"]][:MOST_MEMBERS]
    with right:
        word = "contradicting labels" if chosen["contradicting"] else "one label"
        st.caption(f"Group {chosen['group']}: {chosen['items']} items, {word}.")
        items = [
            {
                "id": str(m["id"]),
                "given": str(m["given"]),
                "note": f"{m['split']} {m['index']}",
                **face(ws, m["content_hash"], 192),
            }
            for m in ws.rows.describe(members.tolist())
        ]
        gallery_grid(ws, items, f"group-{chosen['group']}", selectable=False)
