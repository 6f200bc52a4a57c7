"""When nothing waits for a reviewer: what was found, and what can be done with it."""

from __future__ import annotations

from collections import Counter
from typing import Final

import streamlit as st

from auditor.core.escaping import markdown_text
from auditor.review.consensus import ItemConsensus, count_errors, majority
from auditor.review.vocabulary import outcome
from auditor.review.votes import VoteTable
from auditor.ui.components import page_link, table
from auditor.ui.views.numbers import total_section
from auditor.ui.views.pairs import pair_words
from auditor.ui.workspace import Workspace

#: Kinds of corrections listed.
MOST: Final = 30


def finished_section(ws: Workspace, reviewer: str, part: str | None) -> None:
    """Counts by outcome, the total with its interval, corrections by pair of classes, and the ways on.

    `part` names the part of the list that is done; None where it was the queue of all items.
    """
    progress = ws.store.progress()
    st.header("What was found")
    done = "Nothing waits for you."
    if part is not None:
        done = f"Nothing of {markdown_text(part)} waits for you, apart from items of the random sample among all items."
    mine = progress.by_reviewer.get(reviewer, 0)
    st.markdown(
        f"{done} You have judged **{mine:,}** items; everybody together "
        f"**{progress.judged:,}** of {progress.items:,}, {progress.ranked_done:,} of the {progress.ranked_total:,} "
        "flagged ones."
    )
    with st.container(horizontal=True):
        page_link("export", "Export the patch", ":material/download:")
        if progress.disagreements:
            title = f"Open disagreements ({progress.disagreements:,})"
            page_link("disagreements", title, ":material/balance:")
        if part is not None:
            page_link("review", "Go on with all items", ":material/rate_review:")
        if progress.discussed:
            page_link("review", f"To discuss ({progress.discussed:,})", ":material/forum:", queue="discuss")
        if ws.run.form is None:
            page_link("gallery", "Look at what was judged", ":material/grid_view:", items="all", state="judged")
    others = [(who, pair) for who, pairs in ws.store.assigned().items() if who != reviewer for pair in pairs]
    if part is None and others:
        told = ", ".join(f"{markdown_text(pair_words(*pair))} to {markdown_text(who)}" for who, pair in others)
        st.caption(f"Not for you, because assigned: {told}")
    if not progress.verdicts:
        return
    votes = ws.store.votes()
    consensus = majority(votes)
    errors = count_errors(consensus)
    counts = {"Right": errors.right, "Wrong": errors.wrong, "Ambiguous": errors.ambiguous, "Broken": errors.bad_item}
    for column, (name, n) in zip(st.columns(len(counts)), counts.items(), strict=True):
        column.metric(name, f"{n:,}", border=True)
    total_section(ws)
    if rows := corrections(votes, consensus):
        st.header("Corrections")
        table(rows[:MOST])
        if len(rows) > MOST:
            st.caption(f"The {MOST} commonest of {len(rows):,} kinds.")


def corrections(votes: VoteTable, consensus: list[ItemConsensus]) -> list[dict[str, object]]:
    """Items with a wrong label by majority: how many with each given label and right class, the commonest first."""
    given = dict(zip(votes.item_ids.tolist(), votes.given.tolist(), strict=True))
    wrong = [item for item in consensus if outcome(item.verdict) == "wrong"]
    counts = Counter((given[item.item_id], item.label or "none of the classes") for item in wrong)
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return [{"given": label, "right": right, "items": n} for (label, right), n in ordered]
