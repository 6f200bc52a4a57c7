"""The Export page: the label patch, and the verdicts as a table."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import streamlit as st

from auditor.core.errors import AuditorError
from auditor.core.escaping import csv_text, markdown_text
from auditor.patch.create import Created, create_patch
from auditor.patch.files import SUFFIX, write_patch
from auditor.patch.records import Patch
from auditor.patch.rules import consensus_of
from auditor.review.remarks import Remarks
from auditor.review.votes import VoteTable
from auditor.ui.components import error_box
from auditor.ui.workspace import Workspace

_RULES: Final = {
    "majority": "majority of the verdicts",
    "2-of-3": "2 of 3 agree",
    "3-of-5": "3 of 5 agree",
    "dawid-skene": "Dawid-Skene: reviewers weighted by their consistency",
    "crowdlab": "CROWDLAB: reviewers and the model",
}


def export_page(ws: Workspace) -> None:
    """Download what the review has brought."""
    votes = ws.store.votes()
    if not len(votes.items):
        st.info("No verdict yet: there is nothing to export.")
        return
    left, right = st.columns(2, gap="large")
    with left:
        _patch(ws, votes)
    with right:
        _table(ws, votes, ws.store.remarks())


def _patch(ws: Workspace, votes: VoteTable) -> None:
    st.header("Label patch")
    st.caption(
        "Corrections anchored to content hashes, to share and to apply: auditor patch apply PATCH DATASET --out FOLDER"
    )
    rules = [name for name in _RULES if ws.run.form is None or name != "crowdlab"]
    rule = st.selectbox("Consensus", rules, format_func=_RULES.__getitem__)
    treatment = st.selectbox(
        "Items to which both labels apply",
        ["strict", "lenient"],
        format_func={"strict": "become records with several labels", "lenient": "keep their label"}.__getitem__,
    )
    license = st.selectbox("Licence", ["CC0-1.0", "CC-BY-4.0"])
    leave_out = st.checkbox("Leave out copies of one item that were judged differently")
    try:
        options: Any = {"treatment": treatment, "license": license, "leave_out_conflicts": leave_out}
        made = create_patch(ws.run, consensus_of(ws.run, votes, rule), ws.settings, **options)
    except AuditorError as error:
        st.warning("No patch can be made.")
        error_box(error)
        return
    st.markdown(_summary(made))
    st.download_button(
        "Download the patch",
        _bytes(made.patch),
        file_name=f"{ws.run.id}{SUFFIX}",
        type="primary",
        mime="application/jsonl",
        icon=":material/download:",
        disabled=not made.patch.records,
        on_click="ignore",
    )


def _bytes(patch: Patch) -> bytes:
    # Through a file: the writer checks the patch as its reader will.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"new{SUFFIX}"
        write_patch(patch, path)
        return path.read_bytes()


def _summary(made: Created) -> str:
    counts = Counter(record.op for record in made.patch.records)
    parts = ", ".join(f"{n:,} {op}" for op, n in sorted(counts.items())) or "none"
    left = ", ".join(
        f"{n:,} {markdown_text(verdict.replace('_', ' '))}" for verdict, n in sorted(made.left_out.items())
    )
    n = len(made.patch.records)
    return f"**{n:,} record{'' if n == 1 else 's'}** ({parts})." + (f" Without a record: {left}." if left else "")


def _table(ws: Workspace, votes: VoteTable, remarks: Mapping[str, Remarks]) -> None:
    st.header("Verdicts")
    st.caption(f"{len(votes.items):,} current verdicts, one row each, with comments and what is to be discussed.")
    st.download_button(
        "Download as CSV",
        verdict_csv(votes, remarks),
        file_name=f"{ws.run.id}-verdicts.csv",
        mime="text/csv",
        icon=":material/table:",
        on_click="ignore",
    )


def verdict_csv(votes: VoteTable, remarks: Mapping[str, Remarks] | None = None) -> str:
    """Current verdicts, ``item, given, suggested, reviewer, verdict, stream, ms, server_time, comment, discuss``, as
    `csv_text`; then the comments of people who gave no verdict on the item, with the verdict empty."""
    items, remarks = votes.items, remarks or {}
    reviewers = [votes.reviewer_names[number] for number in votes.reviewers]
    nothing = Remarks()
    columns: dict[str, list[Any]] = {
        "item": votes.item_ids[items].tolist(),
        "given": votes.given[items].tolist(),
        "suggested": votes.suggested[items].tolist(),
        "reviewer": reviewers,
        "verdict": votes.verdicts.tolist(),
        "stream": votes.streams.tolist(),
        "ms": [None if np.isnan(value) else int(value) for value in votes.ms],
        "server_time": [f"{time:.3f}" for time in votes.server_time],
    }
    of_row = [remarks.get(item, nothing) for item in columns["item"]]
    columns["comment"] = [said.comments.get(who) for said, who in zip(of_row, reviewers, strict=True)]
    columns["discuss"] = [int(said.discuss) for said in of_row]
    rows = list(zip(*columns.values(), strict=True))
    judged = set(zip(columns["item"], reviewers, strict=True))
    rows += [
        (item, None, None, who, None, None, None, f"{said.times[who]:.3f}", text, int(said.discuss))
        for item, said in remarks.items()
        for who, text in said.comments.items()
        if (item, who) not in judged
    ]
    return csv_text(list(columns), rows)
