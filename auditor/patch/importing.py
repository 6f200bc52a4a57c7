"""Published crowd verdicts as reviewers' votes in the verdict store of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.core.errors import DataError, UnknownNameError, UsageError
from auditor.review.published import consensus_counts, place_published, published_votes, read_index, read_published
from auditor.runs.run import Run

if TYPE_CHECKING:
    from auditor.review.store import VerdictStore


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes
    ----------
    items, votes : int
        Judged items and votes in the file.
    accepted, repeated : int
        Votes stored now, and before.
    counts : dict
        Consensus of the file by the published rule, 3 of 5.
    notes : tuple of str
    """

    items: int
    votes: int
    accepted: int
    repeated: int
    counts: dict[str, int]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class CrowdVotes:
    """The votes of a published file on the items of a run, checked.

    Attributes
    ----------
    items : int
        Judged items.
    votes : sequence of (int, dict)
        Number of the person, from 1, and the event without its uuid.
    counts, notes : dict, tuple of str
        As in `Imported`.
    """

    items: int
    votes: Sequence[tuple[int, dict[str, Any]]]
    counts: dict[str, int]
    notes: tuple[str, ...]


def import_verdicts(
    run: Run,
    path: Path,
    store: VerdictStore,
    *,
    split: str | None = None,
    index: Path | None = None,
    reviewer: str = "published",
) -> Imported:
    """Store the votes of a published file, `read_votes` and `store_votes` in one."""
    return store_votes(read_votes(run, path, split=split, index=index), store, reviewer)


def read_votes(run: Run, path: Path, *, split: str | None = None, index: Path | None = None) -> CrowdVotes:
    """Read the votes of a published file on the items of a run.

    Parameters
    ----------
    run : Run
        Its items must be the data the verdicts were given for; every label is checked.
    path : Path
        ``mturk.json``.
    split : str, optional
        Default: the run's only split, or ``test``.
    index : Path, optional
        ``index.json``, needed for imagenet and imdb.

    Raises
    ------
    DataError
        If the file fits no schema, has several labels per item, or does not fit the run.
    """
    published = read_published(path)
    items = run.items
    items = items[items["split"] == judged_split(items["split"].unique().tolist(), split)].sort_values("index")
    indices = None if index is None else read_index(index)
    published, places, notes = place_published(
        published, run.class_names, items["given"].tolist(), indices, items["index"].tolist()
    )
    ids = items["id"].to_numpy()[places]
    known = {*run.scores["id"], *run.findings["id"]}
    if missing := [item for item in ids.tolist() if item not in known]:
        raise DataError(
            f"{len(missing):,} of {len(ids):,} judged items were not audited in this run, e.g. {missing[0]!r}.",
            "Audit the split the verdicts were given for.",
        )
    suggested = dict(zip(run.scores["id"], run.scores["suggested"], strict=True))
    votes: list[tuple[int, dict[str, Any]]] = []
    ambiguous = 0
    for item, item_id in zip(published, ids.tolist(), strict=True):
        guess = None if item.given == item.guessed else item.guessed[0]
        for person, (verdict, _) in enumerate(published_votes(item), start=1):
            if verdict == "both" and guess != suggested.get(item_id):
                # "Both" would otherwise speak of the given and the run's own suggestion.
                verdict, ambiguous = "unsure", ambiguous + 1
            shown = {"shown_label": item.given[0], "shown_suggested": guess}
            votes.append((person, {"item_id": item_id, "verdict": verdict, **shown}))
    if ambiguous:
        notes.append(f"{ambiguous} votes for 'both' were cast on another suggestion than this run's: stored as unsure")
    return CrowdVotes(len(published), votes, consensus_counts(published), tuple(notes))


def store_votes(crowd: CrowdVotes, store: VerdictStore, reviewer: str = "published") -> Imported:
    """Store votes; storing them again adds nothing.

    The files say how many people gave each answer, not who: person 1 of every item is ``<reviewer>-1`` and so on,
    the answers in alphabetical order. So agreement and confusion per person mean nothing for these votes.

    Parameters
    ----------
    crowd : CrowdVotes
    store : VerdictStore
        Loaded with the run that they were read for.
    reviewer : str
        Name before the number.

    Raises
    ------
    DataError
        If votes are refused.
    """
    loaded_as = str(store.facts["run"])  # a run may get another name, which makes no new votes
    batches: dict[int, list[dict[str, Any]]] = {}
    for person, event in crowd.votes:
        # The same vote has the same uuid, so that it is stored once however often the file is imported.
        parts = [reviewer, loaded_as, event["item_id"], str(person)]
        uuid = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
        batches.setdefault(person, []).append({"uuid": uuid, **event})
    accepted = repeated = 0
    for person, events in sorted(batches.items()):
        for start in range(0, len(events), 1000):
            result = store.submit(f"{reviewer}-{person}", events[start : start + 1000], origin="import")
            accepted, repeated = accepted + len(result.accepted), repeated + len(result.repeated)
            if result.refused:
                raise DataError(
                    f"{len(result.refused)} votes were refused; the first: {result.refused[0][1]}.",
                    "Other votes of these people are stored already: give this file another --reviewer name.",
                )
    return Imported(crowd.items, accepted + repeated, accepted, repeated, crowd.counts, crowd.notes)


def judged_split(splits: list[str], wanted: str | None) -> str:
    """The split whose items were judged: the one asked for, the only one, or ``test``.

    Raises
    ------
    UnknownNameError, UsageError
        If there is no such split, or none can be chosen.
    """
    if wanted is not None:
        if wanted not in splits:
            raise UnknownNameError("split", wanted, splits, [])
        return wanted
    if len(splits) == 1:
        return splits[0]
    if "test" in splits:
        return "test"
    raise UsageError(f"the run has the splits {', '.join(splits)}.", "Say which one was judged with --split.")
