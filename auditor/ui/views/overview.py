"""The Overview page: how far the review is, and how far the reviewers agree."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations, takewhile

import numpy as np
import pandas as pd
import streamlit as st

from auditor.review.agreement import (
    Agreement,
    ReviewerReport,
    Share,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    reviewer_reports,
)
from auditor.review.consensus import count_errors, majority
from auditor.review.readout import ReviewCounts
from auditor.review.vocabulary import NEW, OTHER, outcome
from auditor.review.votes import VoteTable
from auditor.ui.components import page_link, table
from auditor.ui.views.card import hands_line
from auditor.ui.views.numbers import numbers_section
from auditor.ui.views.pairs import pairs_section
from auditor.ui.workspace import Workspace


def overview_page(ws: Workspace) -> None:
    """What the review shows, where the flagged items are, counts, agreement, reviewers."""
    data, progress = ws.run.manifest["data"], ws.store.progress()
    form = ws.run.form
    labels = f"{len(ws.run.class_names)} classes" if form is None else f"each label a {form.word}"
    st.code(f"{ws.run.id}: {data['name']}, {data['n_items']:,} items, {labels}", language=None)
    if progress.verdicts:
        numbers_section(ws)
    else:
        st.header("No verdict yet")
        page_link("review", "Begin with the first item", ":material/rate_review:")
    if form is None:
        pairs_section(ws)
    st.header("How far the review is")
    _counts(progress)
    hands_line(ws)
    if not progress.verdicts:
        return
    votes = ws.store.votes()
    left, right = st.columns(2, gap="large")
    with left:
        _errors(ws, votes)
        _verdicts(progress)
    with right:
        _agreement(votes)
        _reviewers(ws, votes)


def _counts(progress: ReviewCounts) -> None:
    columns = st.columns(4)
    columns[0].metric("Verdicts", f"{progress.verdicts:,}", border=True)
    columns[1].metric("Items judged", f"{progress.judged:,}", border=True)
    columns[2].metric("Judged by two or more", f"{progress.judged_twice:,}", border=True)
    columns[3].metric("Open disagreements", f"{progress.disagreements:,}", border=True)
    ranked, audit, counted = progress.ranked_total, progress.audit_total, progress.audit_counted
    text = f"Ranked list (flagged items): {progress.ranked_done:,} of {ranked:,}"
    st.progress(progress.ranked_done / ranked if ranked else 0.0, text=text)
    text = f"Random audit sample: {counted:,} of {audit:,} count towards the estimate"
    if progress.audit_done > counted:
        text += f"; {progress.audit_done - counted:,} more are judged and count once those before them are"
    st.progress(counted / audit if audit else 0.0, text=text)


def _verdicts(progress: ReviewCounts) -> None:
    st.header("Verdicts")
    grouped: Counter[str] = Counter()
    for verdict, n in progress.by_verdict.items():
        grouped[next((kind for kind in (OTHER, NEW) if verdict.startswith(kind)), verdict)] += n
    names = {OTHER: "other class", NEW: "new class"}
    order = ("given", "suggested", OTHER, NEW, "both", "neither", "unsure", "bad_item")
    meaning = "says the given label is"
    table(
        [
            {"verdict": names.get(v, v), meaning: outcome(v).replace("_", " "), "count": grouped[v]}
            for v in order
            if v in grouped
        ]
    )


def _errors(ws: Workspace, votes: VoteTable) -> None:
    st.header("Labels judged")
    errors = count_errors(majority(votes))
    st.markdown(
        f"By majority: **{errors.right:,}** right, **{errors.wrong:,}** wrong, **{errors.ambiguous:,}** ambiguous, "
        f"**{errors.bad_item:,}** bad items. Wrong labels: **{errors.lenient:,}** if ambiguous items count as right, "
        f"**{errors.strict:,}** if they count as wrong."
    )
    share = audit_share(ws)
    if share.n:
        e = share.interval
        st.markdown(
            f"Of the first {share.n:,} items of the random audit sample, **{share.k:,}** have a wrong label "
            f"({e.value:.1%}, exact 95 % interval {e.low:.1%} to {e.high:.1%})."
        )
        st.caption(
            "This describes the sample. It draws suspicious items more often than others, so it is not an estimate for "
            "the data set: the one above takes that into account."
        )
    if len(votes.reviewer_names) == 1:
        st.caption("One reviewer so far: not corrected for reviewer error.")


def audit_share(ws: Workspace) -> Share:
    """Wrong labels by majority in the part of the random sample that is judged without a gap.

    Items of the sample may be judged for another reason, because they are flagged or were imported; counting them as
    they come would favour those. Every beginning of the sample is a random part of it, so its judged beginning counts.
    """
    verdicts = {item.item_id: item.verdict for item in majority(ws.store.votes())}
    # A stream drawn with replacement holds items more than once; the sample is of different ones.
    drawn = dict.fromkeys(ws.store.audit_stream().item_ids.tolist())
    outcomes = [outcome(verdicts[item]) for item in takewhile(verdicts.__contains__, drawn)]
    return Share(sum(o == "wrong" for o in outcomes), len(outcomes))


def _agreement(votes: VoteTable) -> None:
    st.header("Agreement")
    if len(votes.reviewer_names) < 2:
        st.caption("Needs two reviewers.")
        return
    ratings, names = votes.ratings()
    rows = [_line("Krippendorff's alpha, all", krippendorff_alpha(ratings, len(names), draws=500))]
    many, fleiss = _fleiss(ratings, len(names))
    if fleiss is not None:
        rows.append(_line(f"Fleiss' kappa, items with {many} verdicts", fleiss))
    # With many people the table would say nothing, so pairs of the first ones only.
    for a, b in combinations(range(min(len(votes.reviewer_names), 5)), 2):
        kappa = cohen_kappa(ratings[:, a], ratings[:, b], len(names), draws=500)
        if kappa.n_items:
            rows.append(_line(f"Cohen's kappa, {votes.reviewer_names[a]} and {votes.reviewer_names[b]}", kappa))
    table(rows)


def _fleiss(ratings: np.ndarray, n_categories: int) -> tuple[int, Agreement | None]:
    """Fleiss' kappa of the items with the commonest number of verdicts, three or more; two are Cohen's matter."""
    given = (ratings >= 0).sum(axis=1)
    several = given[given >= 3]
    if not len(several):
        return 0, None
    many = int(np.bincount(several).argmax())
    return many, fleiss_kappa(ratings[given == many], n_categories, draws=500)


def _line(name: str, agreement: Agreement) -> dict[str, object]:
    value = "not defined" if math.isnan(agreement.value) else f"{agreement.value:.2f}"
    interval = "" if math.isnan(agreement.low) else f"{agreement.low:.2f} to {agreement.high:.2f}"
    return {"measure": name, "value": value, "95 % interval": interval, "items": agreement.n_items}


def _reviewers(ws: Workspace, votes: VoteTable) -> None:
    st.header("Reviewers")
    reports = reviewer_reports(votes, ws.store.controls())
    rows = [
        {
            "reviewer": r.reviewer,
            "verdicts": r.n,
            "agrees with the others": _share(r.agreement),
            "controls right": _share(r.controls),
            "seconds": _seconds(r),
        }
        for r in reports
    ]
    table(rows)
    st.caption(
        "Shares with exact 95 % intervals; seconds per verdict: median, and from the 10th to the 90th percentile."
    )
    compared = [r for r in reports if r.agreement.n]
    if compared:
        with st.expander("Where each differs from the others"):
            who = st.selectbox("Reviewer", [r.reviewer for r in compared], key="confusion-of")
            st.dataframe(confusion_table(next(r for r in compared if r.reviewer == who)), width="stretch")


def _share(share: Share) -> str:
    if not share.n:
        return ""
    return f"{share.k} of {share.n} ({share.interval.low:.0%} to {share.interval.high:.0%})"


def _seconds(report: ReviewerReport) -> str:
    if math.isnan(report.median_ms):
        return ""
    return f"{report.median_ms / 1000:.1f} ({report.p10_ms / 1000:.1f} to {report.p90_ms / 1000:.1f})"


def confusion_table(report: ReviewerReport) -> pd.DataFrame:
    """Verdict of the majority of the others by row, of this reviewer by column; verdicts that occur."""
    used = [k for k in range(len(report.verdicts)) if report.confusion[k].any() or report.confusion[:, k].any()]
    names = [report.verdicts[k] for k in used]
    return pd.DataFrame(
        report.confusion[np.ix_(used, used)], index=[f"others: {name}" for name in names], columns=names
    )
