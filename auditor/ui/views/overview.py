"""The Overview page: how far the review is, and how far the reviewers agree."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from auditor.review.agreement import cohen_kappa, krippendorff_alpha
from auditor.review.consensus import count_errors, majority
from auditor.review.readout import Progress
from auditor.review.reviewers import Share, reviewer_reports
from auditor.review.vocabulary import outcome
from auditor.review.votes import VoteTable
from auditor.ui.views.numbers import numbers_section
from auditor.ui.workspace import Workspace

__all__ = ["audit_share", "overview_page"]


def overview_page(ws: Workspace) -> None:
    """Counts, agreement, reviewers."""
    data, progress = ws.run.manifest["data"], ws.store.progress()
    st.subheader("Run")
    st.code(f"{ws.run.id}: {data['name']}, {data['n_items']:,} items, {len(ws.run.class_names)} classes", language=None)
    _counts(progress)
    if not progress.verdicts:
        st.info("No verdict yet. Open the Review page to begin.", icon=":material/rate_review:")
        return
    numbers_section(ws)
    votes = ws.store.votes()
    left, right = st.columns(2, gap="large")
    with left:
        _errors(ws, votes)
        _verdicts(progress)
    with right:
        _agreement(votes)
        _reviewers(ws, votes)


def _counts(progress: Progress) -> None:
    columns = st.columns(4)
    columns[0].metric("Verdicts", f"{progress.verdicts:,}", border=True)
    columns[1].metric("Items judged", f"{progress.judged:,}", border=True)
    columns[2].metric("Judged by two or more", f"{progress.judged_twice:,}", border=True)
    columns[3].metric("Open disagreements", f"{progress.disagreements:,}", border=True)
    for name, done, total in (
        ("Ranked list (flagged items)", progress.ranked_done, progress.ranked_total),
        ("Random audit sample", progress.audit_done, progress.audit_total),
    ):
        st.progress(done / total if total else 0.0, text=f"{name}: {done:,} of {total:,}")


def _verdicts(progress: Progress) -> None:
    st.subheader("Verdicts")
    grouped: dict[str, int] = {}
    for verdict, n in progress.by_verdict.items():
        word = "other class" if verdict.startswith("other:") else verdict
        grouped[word] = grouped.get(word, 0) + n
    order = ["given", "suggested", "other class", "both", "neither", "unsure", "bad_item"]
    rows = [{"verdict": v, "says the given label is": _meaning(v), "count": grouped[v]} for v in order if v in grouped]
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")


def _meaning(verdict: str) -> str:
    return outcome("other:" if verdict == "other class" else verdict).replace("_", " ")


def _errors(ws: Workspace, votes: VoteTable) -> None:
    st.subheader("Labels judged")
    found = count_errors(majority(votes))
    st.markdown(
        f"By majority: **{found.right:,}** right, **{found.wrong:,}** wrong, **{found.ambiguous:,}** ambiguous, "
        f"**{found.bad_item:,}** bad items. Wrong labels: **{found.lenient:,}** if ambiguous items count as right, "
        f"**{found.strict:,}** if they count as wrong."
    )
    share = audit_share(ws)
    if share.n:
        low, high = share.interval
        st.markdown(
            f"Of the first {share.n:,} items of the random audit sample, **{share.k:,}** have a wrong label "
            f"({share.value:.1%}, exact 95 % interval {low:.1%} to {high:.1%})."
        )
        st.caption(
            "This describes the sample. It draws suspicious items more often than others, so it is no estimate for the "
            "data set: the one above takes that into account."
        )
    if len(votes.reviewer_names) == 1:
        st.caption("One reviewer so far: not corrected for reviewer error.")


def audit_share(ws: Workspace) -> Share:
    """Wrong labels by majority in the part of the random sample that is judged without a gap.

    Items of the sample may be judged for another reason, because they are flagged or were imported; counting them as
    they come would favour those. Every beginning of the sample is a random part of it, so its judged beginning counts.
    """
    sample = ws.store.audit_sample()
    judged = len(sample.reviewed) if sample.reviewed.all() else int(np.argmin(sample.reviewed))
    ids = set(sample.item_ids[:judged].tolist())
    outcomes = [outcome(item.verdict) for item in majority(ws.store.votes()) if item.item_id in ids]
    return Share(sum(o == "wrong" for o in outcomes), len(outcomes))


def _agreement(votes: VoteTable) -> None:
    st.subheader("Agreement")
    if len(votes.reviewer_names) < 2:
        st.caption("Needs two reviewers.")
        return
    ratings, names = votes.ratings()
    rows = [_line("Krippendorff's alpha, all", krippendorff_alpha(ratings, len(names), draws=500))]
    for a, b in _pairs(votes.reviewer_names):
        kappa = cohen_kappa(ratings[:, a], ratings[:, b], len(names), draws=500)
        if kappa.n_items:
            rows.append(_line(f"Cohen's kappa, {votes.reviewer_names[a]} and {votes.reviewer_names[b]}", kappa))
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")


def _pairs(names: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of reviewers; with many people the table would say nothing, so the first ones only."""
    n = min(len(names), 5)
    return [(a, b) for a in range(n) for b in range(a + 1, n)]


def _line(name: str, found: object) -> dict[str, object]:
    value, low, high = (getattr(found, part) for part in ("value", "low", "high"))
    told = "not defined" if math.isnan(value) else f"{value:.2f}"
    interval = "" if math.isnan(low) else f"{low:.2f} to {high:.2f}"
    return {"measure": name, "value": told, "95 % interval": interval, "items": getattr(found, "n_items", 0)}


def _reviewers(ws: Workspace, votes: VoteTable) -> None:
    st.subheader("Reviewers")
    rows = []
    for report in reviewer_reports(votes, ws.store.controls()):
        share = report.agreement
        seconds = report.median_ms / 1000
        rows.append({
            "reviewer": report.reviewer,
            "verdicts": report.n,
            "agrees with the others": f"{share.k} of {share.n}" if share.n else "",
            "controls right": f"{report.controls.k} of {report.controls.n}" if report.controls.n else "",
            "median seconds": "" if np.isnan(seconds) else f"{seconds:.1f}",
        })  # fmt: skip
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")
