"""The Duplicates & quality page: copies, contradicting labels, items that cannot be decoded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd
import streamlit as st

from auditor.core.escaping import markdown_text
from auditor.report.find_errors import gravest_first
from auditor.review.readout import PageFilter
from auditor.runs import layout
from auditor.ui.components import gallery_grid, page_link, table
from auditor.ui.payload import face
from auditor.ui.workspace import Workspace

#: Groups listed, and members shown of one.
MOST_GROUPS: Final = 500
MOST_MEMBERS: Final = 60
#: Undecodable items listed.
MOST_BROKEN: Final = 500
#: What the page counts, and the check that counted it.
_COPIES: Final = {
    "Groups of exact copies": "DQ101",
    "Groups of near copies": "DQ102",
    "Groups with contradicting labels": "DQ103",
}


def quality_page(ws: Workspace) -> None:
    """What the run found out about the data apart from labels.

    Every number is that of the check that counted it; without checks, that of the run's folds, which is called so.
    """
    checks = {} if ws.run.quality is None else {c["code"]: c for c in ws.run.quality["checks"]}
    broken = _undecodable(ws, checks.get("DQ001"))
    columns = st.columns(4)
    if checks:
        for column, (title, code) in zip(columns, _COPIES.items(), strict=False):
            column.metric(title, _groups_found(checks.get(code)), border=True)
        groups, title = _checked_groups(checks), "Copies and near copies"
    else:
        groups, title = ws.rows.group_table, "Items kept together"
        columns[0].metric("Groups kept together", f"{len(groups):,}", border=True)
        columns[1].metric("Items in them", f"{int(groups['items'].sum()):,}", border=True)
        columns[2].metric("With several labels", f"{int(groups['contradicting'].sum()):,}", border=True)
    columns[3].metric("Undecodable items", f"{len(broken):,}", border=True)
    st.header(title)
    if not checks:
        st.caption(
            "The checks were not run. These are the groups that no fold divides: copies, near copies, and the groups "
            "that your data names, in which several labels need not be a mistake."
        )
    if groups.empty:
        st.caption("There is none.")
    else:
        _groups(ws, groups)
    _slices(checks.get("DQ701"))
    _checks(ws)
    st.header("Undecodable items")
    if not broken:
        st.caption("Every item could be decoded.")
        return
    if len(broken) > MOST_BROKEN:
        st.caption(f"The first {MOST_BROKEN} of {len(broken):,}.")
    table(list(broken.values())[:MOST_BROKEN])


def _undecodable(ws: Workspace, check: dict[str, Any] | None) -> dict[str, dict[str, str | None]]:
    """Items that the audit or the check could not decode, by id: an audit of given probabilities decodes nothing."""
    about = layout.CODES["DQ001"]
    rows = {
        i["id"]: {"item": i["id"], "label": i["label"], about: i.get("note")} for i in (check or {"items": ()})["items"]
    }
    after = None
    while True:
        page = ws.store.page(PageFilter(code="DQ001"), after, 1000)
        for i in page.items:
            rows.setdefault(i.item_id, {"item": i.item_id, "label": i.given, about: i.message})
        if (after := page.after) is None:
            return rows


def _slices(check: dict[str, Any] | None) -> None:
    """The parts of the data in which more goes wrong than elsewhere, each with its items in the gallery."""
    if check is None or not check["groups"]:
        return
    st.header("Weak slices")
    rows = check["facts"]["slices"]
    st.caption(f"Shuffled errors show a slice as bad as these in at most {check['facts']['alpha']:.0%} of all cases.")
    what = {"model": "the model errs", "labels": "labels are suspected"}
    table(
        [
            {
                "slice": row["slice"],
                "what": what[row["what"]],
                "items": row["n"],
                "rate": f"{row['rate']:.1%} ({row['interval'][0]:.1%} to {row['interval'][1]:.1%})",
                "elsewhere": f"{row['elsewhere']:.1%}",
                "expected of its classes": f"{row['expected']:.1%}",
            }
            for row in rows
        ]
    )
    for number, row in enumerate(rows, 1):
        address = {"items": "all", "check": f"{check['code']}.{number}"}
        page_link("gallery", markdown_text(row["slice"]), ":material/grid_view:", **address)


def _groups_found(check: dict[str, Any] | None) -> str:
    return "not looked for" if check is None or check["status"] == "not applicable" else f"{check['n_groups']:,}"


def _checked_groups(checks: Mapping[str, dict[str, Any]]) -> pd.DataFrame:
    """Groups of copies that the checks found, contradicting ones first, then the largest: ``group, kind, items,
    contradicting, ids``."""
    listed = [checks[code]["groups"] for code in ("DQ101", "DQ102") if code in checks]
    rows = [
        {
            "kind": group["kind"],
            "items": len(group["ids"]),
            "contradicting": len(set(group["labels"])) > 1,
            "ids": group["ids"],
        }
        for groups in listed
        for group in groups
    ]
    table = pd.DataFrame(rows, columns=["kind", "items", "contradicting", "ids"])
    table = table.sort_values(["contradicting", "items"], ascending=False, kind="stable", ignore_index=True)
    table.insert(0, "group", table.index + 1)
    return table


def _checks(ws: Workspace) -> None:
    """Outcomes of the data-quality checks, and the items of the one that is picked."""
    st.header("Checks")
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
    page_link("gallery", "See them in the gallery", ":material/grid_view:", items="all", check=chosen["code"])
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
    gallery_grid(cards, f"check-{chosen['code']}", ws.contents.kind in ("text", "table"))


def _groups(ws: Workspace, groups: pd.DataFrame) -> None:
    left, right = st.columns([2, 3], gap="large")
    with left:
        if len(groups) > MOST_GROUPS:
            st.caption(f"The first {MOST_GROUPS} of {len(groups):,} groups.")
        picked: Any = st.dataframe(
            groups.head(MOST_GROUPS).drop(columns="ids", errors="ignore"),
            hide_index=True,
            width="stretch",
            height=420,
            on_select="rerun",
            selection_mode="single-row",
            key="groups",
        )
    rows = picked.selection.rows if picked and picked.selection.rows else [0]
    chosen = groups.iloc[int(rows[0])]
    if "ids" in chosen:
        places = ws.rows.rows_of_ids(chosen["ids"][:MOST_MEMBERS])
        members = [places[i] for i in chosen["ids"] if i in places]
    else:
        copies = ws.rows.groups
        members = copies["row"][copies["group"] == chosen["group"]][:MOST_MEMBERS].tolist()
    with right:
        word = "several labels" if chosen["contradicting"] else "one label"
        st.caption(f"Group {chosen['group']}: {chosen['items']} items, {word}.")
        items = [
            {
                "id": str(m["id"]),
                "given": str(m["given"]),
                "note": f"{m['split']} {m['index']}",
                **face(ws, m["content_hash"], 192),
            }
            for m in ws.rows.describe(members)
        ]
        gallery_grid(items, f"group-{chosen['group']}", ws.contents.kind in ("text", "table"))
