"""What became of the items of a reviewed run: which rows of the data are they now, and who stands behind new labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from auditor.core.errors import DataError, RunError
from auditor.estimation.state import BAD, UNREVIEWED, ReviewState
from auditor.patch.create import corrected_labels
from auditor.patch.records import Patch
from auditor.policy.rows import Rows
from auditor.review.consensus import majority
from auditor.review.vocabulary import NEW
from auditor.runs.run import Run


@dataclass(frozen=True, eq=False)
class Corrections:
    """The judged rows, over the n audited items of a run in the order of its `ReviewState`.

    Attributes
    ----------
    known : bool array (n,)
        Items that are judged rows now, with the label they had or with one that the reviewers of the run spoke about.
    absent : bool array (n,)
        Items found wrong that are no row any more, of splits that have rows: dropped by a patch, say.
    settled : bool array (n,)
        Reviewed items found wrong whose fault is gone: absent, or labelled as the reviewers said.
    spoiled : bool array (n,)
        Reviewed items found right that carry another label now.
    confirmed : int
        Rows whose new label people confirmed in a patch, without a verdict on the item in the run.
    open : int
        Rows with a new label that nobody confirmed.
    """

    known: np.ndarray
    absent: np.ndarray
    settled: np.ndarray
    spoiled: np.ndarray
    confirmed: int = 0
    open: int = 0

    @classmethod
    def none(cls, known: np.ndarray) -> Corrections:
        """For rows that are as the run recorded them."""
        nothing = np.zeros(len(known), bool)
        return cls(known, nothing, nothing, nothing)

    @property
    def domain(self) -> np.ndarray:
        """Items whose labels, as the run recorded them, the estimate speaks of, bool (n,).

        Absent items too: they were taken out for being wrong, and the draws that are left without the wrong ones would
        say that the items nobody looked at are right.
        """
        return self.known | self.absent


@dataclass
class _Matched:
    """Rows that are items of the run: positions in the rows, and in ``run.items``."""

    rows: list[int] = field(default_factory=list)
    items: list[int] = field(default_factory=list)


def corrections_of(
    run: Run,
    state: ReviewState,
    rows: Rows,
    judged: np.ndarray,
    patch: Patch | None = None,
    moved: Mapping[str, str] | None = None,
) -> Corrections:
    """Find the items of a run among rows whose labels may have been corrected since.

    A row is an item of the run where id and content are the same; else where the copy remembers to have moved the file
    there; else where the content is the same and no other row is that item. What the reviewers of the run say about
    a new label counts before what a patch says: verdicts may be newer.

    Parameters
    ----------
    run : Run
    state : ReviewState
        Of `run`.
    rows : Rows
    judged : bool array (len(rows),)
    patch : Patch, optional
        Corrections that other people confirmed.
    moved : mapping, optional
        Id of a row to the id it had before a patch.

    Raises
    ------
    RunError
        If no row is an item of the run.
    DataError
        If the patch names items by another hash than the data has.
    """
    matched = _match(run, rows, moved or {})
    if not matched.rows:
        raise RunError(
            f"the run {run.id!r} was made on other data: none of the {len(rows):,} rows is one of its items.",
            "Repeat auditor find-errors on the data as it is now.",
        )
    place = {str(item): k for k, item in enumerate(state.ids)}
    given, ids = run.items["given"].astype(str).to_numpy(), run.items["id"].astype(str).to_numpy()
    said = {item: set(labels) for item, labels in _labels_said(state)}
    confirmed_labels = _confirmed_by(patch, rows)
    present, known, settled, spoiled = np.zeros((4, len(state)), bool)
    confirmed = changed_by_nobody = 0
    for row, item in zip(matched.rows, matched.items, strict=True):
        at = place.get(ids[item], -1)
        if at >= 0:
            present[at] = True
        if not judged[row]:
            continue
        label, before = str(rows.labels[row]), given[item]
        reviewed = at >= 0 and state.outcome[at] != UNREVIEWED
        if label == before:
            if at >= 0:
                known[at] = True
        elif reviewed:
            known[at] = True
            right = label in said[ids[item]] or state.outcome[at] == BAD
            wrong = bool(state.wrong("strict")[at])
            settled[at], spoiled[at] = right and wrong, not right and not wrong
        elif label in confirmed_labels.get((str(rows.content[row]), before), ()):
            confirmed += 1
        else:
            changed_by_nobody += 1
    here = set(map(str, rows.splits))
    split_of = dict(zip(ids, run.items["split"].astype(str), strict=True))
    absent = ~present & state.wrong("strict") & np.array([split_of[str(item)] in here for item in state.ids], bool)
    settled |= absent
    return Corrections(known, absent, settled, spoiled, confirmed, changed_by_nobody)


def _match(run: Run, rows: Rows, moved: Mapping[str, str]) -> _Matched:
    items = run.items[["id", "content_hash", "given", "split"]].astype(str).to_numpy()
    by_id = {(item[0], item[1]): k for k, item in enumerate(items)}
    matched, left = _Matched(), []
    for row, (name, content) in enumerate(zip(map(str, rows.ids), map(str, rows.content), strict=True)):
        found = by_id.pop((name, content), None)
        if found is None and name in moved:
            found = by_id.pop((moved[name], content), None)
        if found is None:
            left.append(row)
            continue
        matched.rows.append(row)
        matched.items.append(found)
    by_content: dict[str, list[int]] = defaultdict(list)
    for (_, content), item in by_id.items():
        by_content[content].append(item)
    for row in left:
        candidates = by_content.get(str(rows.content[row]), [])
        if not candidates:
            continue
        # Of several copies the one of the same label and split, so that copies do not look relabelled.
        same = (str(rows.labels[row]), str(rows.splits[row]))
        best = max(candidates, key=lambda k: ((items[k][2], items[k][3]) == same, items[k][2] == same[0]))
        candidates.remove(best)
        matched.rows.append(row)
        matched.items.append(best)
    return matched


def _labels_said(state: ReviewState) -> Iterator[tuple[str, Iterable[str]]]:
    """Id of each reviewed item, and the labels that are right by the majority of its reviewers."""
    given = dict(zip(map(str, state.ids), map(str, state.given), strict=True))
    for decided in majority(state.votes):
        if (item := str(decided.item_id)) in given:
            yield (
                item,
                (decided.verdict.removeprefix(NEW),)
                if decided.verdict.startswith(NEW)
                else corrected_labels(decided, given[item], "strict"),
            )


def _confirmed_by(patch: Patch | None, rows: Rows) -> dict[tuple[str, str], tuple[str, ...]]:
    """(content, label before) to the labels after it, of the records of a patch that people voted for."""
    if patch is None:
        return {}
    if rows.hash_scheme and patch.header.hash_scheme != rows.hash_scheme:
        raise DataError(
            f"the patch names items by the hash {patch.header.hash_scheme!r}, the data by {rows.hash_scheme!r}.",
            "Give a patch that was made for this data.",
        )
    return {(r.id, r.from_label): r.to for r in patch.records if sum((r.votes or {}).values()) > 0}
