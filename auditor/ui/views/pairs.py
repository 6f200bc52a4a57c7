"""The flagged items by given label and other candidate: a table to click on, and what can be done with a pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import streamlit as st

from auditor.core.escaping import markdown_text
from auditor.review.parts import Pair
from auditor.ui.catalogue import PairCount
from auditor.ui.components import class_matrix, page_link
from auditor.ui.workspace import Workspace

#: Classes that the table shows: those with the most flagged items. The fields below it reach every pair.
SHOWN: Final = 12
_KEY: Final = "pair-matrix"
#: Names in the address: a chosen pair can be sent to others.
_SIDES: Final = ("given", "suggested")


def pairs_section(ws: Workspace) -> None:
    """The table, fields for any pair, and the ways on from the chosen one."""
    pairs = ws.catalogue.pairs(ws.store.judged_places())
    if not pairs:
        return
    st.header("Which classes are confused")
    given, suggested = _in_address(ws)
    left, right = st.columns([5, 2], gap="medium")
    with left:
        class_matrix(matrix_data(pairs, ws.run.class_names) | {"given": given, "suggested": suggested}, _KEY, _clicked)
        if len(ws.run.class_names) > SHOWN:
            st.caption(
                f"The {SHOWN} of {len(ws.run.class_names):,} classes with the most flagged items. Totals count all "
                "classes; the fields reach every pair."
            )
    with right:
        _fields(pairs, given, suggested, "overview")
        _ways_on(ws, pairs, given, suggested)


def chosen_pair(ws: Workspace, key: str) -> Pair:
    """The pair in the address, with fields that change it."""
    pair = _in_address(ws)
    with st.container(horizontal=True):
        _fields(ws.catalogue.pairs(ws.store.judged_places()), *pair, key)
    return pair


def pair_words(given: str | None, suggested: str | None) -> str:
    """A pair of classes in words."""
    return f"{given or 'any class'} → {suggested or 'any class'}"


def _in_address(ws: Workspace) -> Pair:
    given, suggested = (st.query_params.get(side) for side in _SIDES)
    names = ws.run.class_names
    return given if given in names else None, suggested if suggested in names else None


def matrix_data(pairs: Sequence[PairCount], names: Sequence[str], most: int = SHOWN) -> dict[str, Any]:
    """The table for the browser: the `most` classes with the most flagged items on either side, in their own order.

    Returns
    -------
    dict
        ``names``; ``pairs`` of numbers in it with flagged and judged items; ``rows`` and ``columns``, the totals of a
        given label and of a candidate over all classes.
    """
    either: Counter[str] = Counter()
    totals = {side: {name: [0, 0] for name in names} for side in _SIDES}
    for pair in pairs:
        for side in _SIDES:
            name = getattr(pair, side)
            either[name] += pair.flagged
            totals[side][name][0] += pair.flagged
            totals[side][name][1] += pair.judged
    often = {name for name, _ in either.most_common(most)}
    shown = [name for name in names if name in often]
    number = {name: k for k, name in enumerate(shown)}
    sums = {
        side: [dict(zip(("count", "judged"), totals[side][name], strict=True)) for name in shown] for side in _SIDES
    }
    return {
        "names": shown,
        "pairs": [
            [number[p.given], number[p.suggested], p.flagged, p.judged]
            for p in pairs
            if p.given in often and p.suggested in often
        ],
        "rows": sums["given"],
        "columns": sums["suggested"],
    }


def _clicked() -> None:
    chosen = st.session_state[_KEY].get("pair")
    if isinstance(chosen, list) and len(chosen) == 2:
        _choose(*chosen)


def _choose(given: object, suggested: object) -> None:
    for side, name in zip(_SIDES, (given, suggested), strict=True):
        if isinstance(name, str):
            st.query_params[side] = name
        else:
            st.query_params.pop(side, None)


def _fields(pairs: Sequence[PairCount], given: str | None, suggested: str | None, where: str) -> None:
    chosen = {"given": given, "suggested": suggested}
    for side, label in zip(_SIDES, ("Given label", "Other candidate"), strict=True):
        other = _SIDES[1 - _SIDES.index(side)]
        counts: Counter[str] = Counter()
        for pair in pairs:
            if chosen[other] in (None, getattr(pair, other)):
                counts[getattr(pair, side)] += pair.flagged
        options = [name for name, _ in counts.most_common()]
        if (name := chosen[side]) is not None and name not in counts:
            options.append(name)
        st.session_state[f"{where}-{side}"] = chosen[side]
        st.selectbox(
            label,
            options,
            index=None,
            format_func=partial(_with_count, counts),
            placeholder="any class",
            key=f"{where}-{side}",
            on_change=_picked,
            args=(where,),
        )


def _with_count(counts: Mapping[str, int], name: str) -> str:
    return f"{name} ({counts[name]:,})"


def _picked(where: str) -> None:
    _choose(*(st.session_state[f"{where}-{side}"] for side in _SIDES))


def _ways_on(ws: Workspace, pairs: Sequence[PairCount], given: str | None, suggested: str | None) -> None:
    if given is None and suggested is None:
        st.caption("Click a number, or choose classes, to judge their items together.")
        return
    chosen = [p for p in pairs if given in (None, p.given) and suggested in (None, p.suggested)]
    flagged, judged = sum(p.flagged for p in chosen), sum(p.judged for p in chosen)
    waiting = ws.store.waiting([(given, suggested)])
    st.markdown(
        f"**{markdown_text(pair_words(given, suggested))}**: {flagged:,} flagged, {judged:,} judged, {waiting:,} to be "
        "judged one after the other."
    )
    if waiting < flagged - judged:
        st.caption(
            "The others are in somebody's hand, or of the random sample: these come among all items, so that nobody "
            "judges them knowing that they are flagged."
        )
    address = {side: name for side, name in zip(_SIDES, (given, suggested), strict=True) if name is not None}
    page_link("review", "Judge them one by one", ":material/rate_review:", queue="pair", **address)
    page_link("gallery", "See them in the gallery", ":material/grid_view:", **address)
    _assignment(ws, (given, suggested))


def _assignment(ws: Workspace, pair: Pair) -> None:
    """Who judges the pair alone, and fields to change that."""
    everybodys = ws.store.assigned()
    holder = next((who for who, pairs in everybodys.items() if pair in pairs), None)
    people = sorted({*ws.store.progress().by_reviewer, *everybodys}, key=str.casefold)
    with st.popover(f"Assigned to {markdown_text(holder)}" if holder else "Assign", icon=":material/person:"):
        st.caption("Others then do not get these items, apart from those of the random sample.")
        who = st.selectbox(
            "Reviewer", people, index=None, accept_new_options=True, placeholder="a name", key="assign-to"
        )
        st.button("Assign", disabled=not who, on_click=ws.store.assign, args=(who, pair))
        if holder is not None:
            st.button("Give back to everybody", on_click=ws.store.assign, args=(None, pair))
    shown = [(who, p) for who, pairs in everybodys.items() for p in pairs if p != pair]
    if shown:
        st.caption("Assigned: " + ", ".join(f"{markdown_text(pair_words(*p))} to {markdown_text(w)}" for w, p in shown))
