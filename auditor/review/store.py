"""The verdict store: one door to items, queue and verdicts of one run (`docs/review.md`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from auditor.core.errors import RunError
from auditor.review import additions, audit_stream, guidelines, preferences, queue, readout
from auditor.review.checksums import ITEMS_BEFORE, events_before
from auditor.review.database import Database
from auditor.review.events import SubmitResult, submit
from auditor.review.guidelines import Guideline
from auditor.review.loading import QueuePlan, RunTables, load, read_meta
from auditor.review.parts import Pair, assigned, checked_pair, waiting
from auditor.review.people import checked_reviewer, enter, known_as
from auditor.review.remarks import Remarks
from auditor.review.verify import faults, refuse_damaged
from auditor.review.vocabulary import Labels, labels_of
from auditor.review.votes import VoteTable

if TYPE_CHECKING:
    import pyarrow as pa


class VerdictStore:
    """Items, queue and verdicts of one run. Safe to share between threads; several processes may open one store.

    Every method raises `ResourceError` when the database cannot be reached for `patience` seconds. Nothing is lost
    then: send the same events again.

    Examples
    --------
    ::

        store = VerdictStore.open("runs/cifar10")
        store.load_run(open_run("runs/cifar10"))
        batch = store.next_batch("ann", 50)
        store.submit("ann", [{"uuid": str(uuid4()), "item_id": batch[0].item_id, "verdict": "suggested",
                              "shown_label": batch[0].given, "shown_suggested": batch[0].suggested, "ms": 900}])
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self.database = database
        self.clock = clock
        self._facts: dict[str, Any] = {}
        self._checked = False

    @classmethod
    def open(
        cls,
        where: str | Path,
        patience: float = 15.0,
        clock: Callable[[], float] = time.time,
        *,
        make: bool = True,
        salvage: bool = False,
    ) -> VerdictStore:
        """Open a store, and make it where there is none.

        Parameters
        ----------
        where : str or Path
            A run folder (the store is ``review.sqlite`` in it), a ``.sqlite`` or ``.db`` file, or a database URL such
            as ``postgresql://user@host/name``.
        patience : float
            Seconds to repeat what failed for a passing reason before giving up.
        clock : callable
            Seconds since 1970.
        make, salvage : bool
            Of `Database`.
        """
        return cls(Database(where, patience, make, salvage), clock)

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> VerdictStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the run -------------------------------------------------------------------------------------------------

    def load_run(
        self,
        run: RunTables,
        plan: QueuePlan | None = None,
        controls: Mapping[str, str] | None = None,
        detections: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Take in a run's items and draw the audit sample; does nothing if these items are loaded already,
        by this run or by another one over the same items of the same data.

        Parameters
        ----------
        run : RunTables
            A `Run`, or anything with its ``id, class_names, items, scores, findings``.
        plan : QueuePlan, optional
        controls : mapping of item id to verdict, optional
            Items whose verdict is known, planted into every reviewer's queue.
        detections : mapping of detector to item ids, optional
            For `PageFilter.detector`.

        Raises
        ------
        RunError
            If the verdicts in the store were given on other data, or are damaged.
        DataError
            If the tables do not fit together.
        """
        load(self.database, run, plan or QueuePlan(), controls, detections)
        self._facts = {}
        self._check()

    def _check(self) -> None:
        refuse_damaged(self.database)
        self._checked = True  # once for each opening: a page of the reviewer reads votes again and again

    def verify(self, run: RunTables | None) -> list[str]:
        """What is wrong with the store, one line for each fault: SQLite's own check, items that are not those of
        `run`, events that are not what was stored or cannot have been said, counts that do not agree. Changes nothing;
        an empty store is whole."""
        return self.database.read(partial(faults, run=run)) if self.loaded else []

    def checksum_note(self) -> str:
        """What is older than its checksums, in words; empty where nothing is."""
        events, facts = self.database.read(events_before), self.database.read(read_meta)
        older = [(f"the first {events['count']:,} events", events["time"])] if events else []
        older += [("items", facts[ITEMS_BEFORE])] if ITEMS_BEFORE in facts else []
        return "; ".join(
            f"checksums of {what} were made on {datetime.fromtimestamp(when, UTC):%Y-%m-%d} and say nothing of before"
            for what, when in older
        )

    def plant(self, controls: Mapping[str, str]) -> int:
        """Plant items whose verdict is known into every reviewer's queue; returns how many there are then.

        They take the share of places that `QueuePlan.control_share` keeps for them. A later verdict replaces an
        earlier one.

        Raises
        ------
        DataError
            For an unknown item or an impossible verdict; nothing is planted then.
        """
        labels = self.labels
        planted = self.database.write(lambda c: additions.plant(c, controls, labels))
        self._facts = {}
        return planted

    def set_detections(self, detections: Mapping[str, np.ndarray], source: str) -> None:
        """Put what detectors flag in the place of what the store knew, for `PageFilter.detector`.

        Parameters
        ----------
        detections : mapping of detector to item ids
        source : str
            What they were read from; then in ``facts["detections_of"]``.

        Raises
        ------
        DataError
            If a detector flags an unknown item.
        """
        self.database.write(lambda c: additions.set_detections(c, detections, source))
        self._facts = {}

    @property
    def loaded(self) -> bool:
        """Whether a run is in the store."""
        return bool(self._facts or self.database.read(read_meta))

    @property
    def facts(self) -> dict[str, Any]:
        """What is fixed with the run: ``run, class_names, plan, n_items, n_flagged, n_audit, detectors, ...``.

        Raises
        ------
        RunError
            If no run is loaded.
        """
        if not self._facts:
            self._facts = self.database.read(read_meta)
        if not self._facts:
            raise RunError("the verdict store is empty.", "Load a run first: store.load_run(run)")
        return self._facts

    @property
    def list_id(self) -> str:
        """Names the items of the store with their order, labels and scores, which never change once they are loaded."""
        if additions.LIST not in self.facts:  # a store of earlier versions
            self.database.write(additions.name_list)
            self._facts = {}
        return str(self.facts[additions.LIST])

    @property
    def plan(self) -> QueuePlan:
        return QueuePlan(**self.facts["plan"])

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self.facts["class_names"])

    @property
    def labels(self) -> Labels:
        """What verdicts may name: the classes, or the form of labels that are none."""
        return labels_of(self.facts)

    # --- reviewing -----------------------------------------------------------------------------------------------

    def known_as(self, reviewer: str) -> str:
        """The spelling a person is shown under: names that differ in case or spaces alone are one person's.

        Raises
        ------
        UsageError
            If it is no name.
        """
        return self.database.read(partial(known_as, name=checked_reviewer(reviewer)))

    def next_batch(
        self, reviewer: str, n: int = 50, lease: float | None = None, part: Sequence[Pair] | None = None
    ) -> list[readout.ReviewItem]:
        """The items a reviewer should have in hand: those not yet judged first, filled up with new ones to `n`.

        Asking again gives the same items until they are judged, so a reload or a lost answer costs nothing. Nobody
        else gets them for `lease` seconds (None: `QueuePlan.lease_seconds`), but for items that want several
        reviewers. Draws of the audit stream that came back from another hand without a verdict come first. Fewer than
        `n` come when the queue is empty.

        With a `part`, pairs of a given label and another candidate (None: any), only flagged items with these classes
        come, in the order of the list, but for those of the audit sample: they wait in the queue of all items, where
        nobody knows them. So a part changes nothing of the sample, nor of its probabilities.

        Raises
        ------
        DataError
            If a part names an unknown class, or none at all.
        """
        for pair in part or ():
            checked_pair(pair, self.class_names)
        reviewer, plan, now = checked_reviewer(reviewer), self.plan, self.clock()
        seconds = plan.lease_seconds if lease is None else lease
        places = self.database.write(lambda c: queue.claim_batch(c, plan, reviewer, n, now, seconds, part))
        return self.database.read(lambda c: readout.item_rows(c, places, with_verdicts=False))

    def submit(
        self,
        reviewer: str,
        events: Iterable[Mapping[str, Any]],
        origin: str = "review",
        judged_at: Mapping[str, float] | None = None,
    ) -> SubmitResult:
        """Store events; each is accepted, a harmless repeat, refused with a reason, or in conflict with another.

        Parameters
        ----------
        reviewer : str
            From the session, never from the event.
        events : iterable of mapping
            A verdict: ``uuid, item_id, verdict, shown_label, shown_suggested, ms, client_time``. It replaces the
            reviewer's earlier one on that item; with ``replaces`` (a uuid, or None for an item without one) only that
            one, and another that holds is told in `SubmitResult.conflicts`. An undo:
            ``uuid, kind="retract", target``. A remark: ``uuid, kind="remark", item_id, comment, discuss``; one of the
            two may be None, which leaves it as it is. What the event says was shown must be the store's own record of
            the item. Stream, inclusion probability and server time are the store's, whatever the event says.
        origin : str
            ``"review"``; ``"adjudication"`` settles a disagreement; ``"import"`` is for published votes, whose
            suggestion may be another one than the run's.
        judged_at : mapping of uuid to float, optional
            Server time of events that another store took in; now for all others.

        Raises
        ------
        UsageError
            If the reviewer's name or the origin is not one.
        """
        plan = self.plan
        known = (self.labels, self.clock(), plan.lease_seconds)
        return submit(self.database, reviewer, events, *known, origin, judged_at)

    def waiting(self, part: Sequence[Pair]) -> int:
        """How many items of a part, as `next_batch` takes it, want a verdict and are in nobody's hand."""
        return self.database.read(partial(waiting, part=part))

    def assign(self, reviewer: str | None, pair: Pair) -> None:
        """Give the flagged items with a pair of classes to one reviewer: others do not get them any more, but for those
        of the audit sample. None gives them back to everybody.

        Raises
        ------
        DataError
            If the pair names an unknown class, or none at all.
        """
        person = None if reviewer is None else checked_reviewer(reviewer)
        pair, now = checked_pair(pair, self.class_names), self.clock()
        self.database.write(partial(queue.assign, reviewer=person, pair=pair, now=now))

    def assigned(self) -> dict[str, list[Pair]]:
        """Pairs of classes by the reviewer who judges them alone."""
        return self.database.read(assigned)

    def write_guideline(
        self, reviewer: str, class_name: str, definition: str, exemplars: Sequence[str], base: int
    ) -> Guideline:
        """Store a version of the guideline of a class; one that says what the last one says is not stored.

        Parameters
        ----------
        reviewer : str
        class_name : str
        definition : str
        exemplars : sequence of str
            Item ids.
        base : int
            The version it was made from; 0 for the first one.

        Raises
        ------
        DataError
            If the run has no such class or item.
        OutdatedError
            If there is a later version than `base`.
        UsageError
            If it is too long, or the reviewer's name is none.
        """
        name, classes, now = checked_reviewer(reviewer), self.class_names, self.clock()

        def work(connection: Any) -> Guideline:
            person = enter(connection, name, now)
            return guidelines.write(connection, person, class_name, definition, exemplars, base, classes, now)

        return self.database.write(work)

    def set_preference(self, reviewer: str, name: str, value: Any) -> None:
        """Keep how a reviewer wants to work, any JSON value; `preferences.EVERYBODY` is the whole review."""
        self.database.write(lambda c: preferences.write(c, reviewer, name, value))

    def release(self, reviewer: str) -> int:
        """Give back what is in a reviewer's hand; returns how many items."""
        return self.database.write(partial(queue.release, reviewer=checked_reviewer(reviewer)))

    def renew(self, reviewer: str, lease: float) -> None:
        """Keep what is in a reviewer's hand there for `lease` seconds more."""
        until = self.clock() + lease
        self.database.write(partial(queue.renew, reviewer=checked_reviewer(reviewer), until=until))

    def hands(self) -> list[queue.Hand]:
        """Who holds how many items, and for how long."""
        return self.database.read(partial(queue.hands, now=self.clock()))

    def ask_again(self, item_ids: Sequence[str], more: int = 1) -> int:
        """Want `more` verdicts on items from reviewers who have not judged them; returns how many items are known."""
        return self.database.write(partial(queue.ask_again, item_ids=item_ids, more=more))

    def reorder(self, item_ids: Sequence[str] | None, events: int, reason: str) -> queue.Reordering:
        """Put the items of the ranked stream that wait for a reviewer into another order, in one transaction.

        Items in somebody's hand, judged ones and the audit stream stay as they are; the waiting ones share out the
        places they have among themselves. Estimates are not touched: what leaves their frame is told by the run's own
        order (`audit_stream.AuditStream.ranked_done`).

        Parameters
        ----------
        item_ids : sequence of str or None
            The new order; others follow in the run's order. None is the run's order.
        events : int
            Number of the last event the order knows of, from `reordering`.
        reason : str
            In words, for people.
        """
        return self.database.write(partial(queue.reorder, item_ids=item_ids, events=events, reason=reason))

    def reordering(self) -> tuple[queue.Reordering | None, int]:
        """The last `reorder`, and the number of the last event there is."""
        return self.database.read(queue.last_reordering)

    def next_ranked(self, limit: int) -> list[str]:
        """Ids of the items the ranked stream will serve next, judged ones left out."""
        return self.database.read(lambda c: queue.next_ranked(c, limit))

    def draw_audit(
        self,
        item_ids: Sequence[str],
        margin: np.ndarray,
        draws: int,
        seed: int = 0,
        *,
        anew: bool = False,
        candidate_share: float = 0.0,
    ) -> audit_stream.AuditStream:
        """Put an importance sample of the items without a verdict into the audit stream.

        The first call takes the place of the stream drawn when the run was loaded; what was judged before is outside
        the frame and known exactly. A later call with more draws goes on with the same frame and seed; `anew` draws a
        new stream from what has no verdict now.

        Parameters
        ----------
        item_ids : sequence of str (n,)
            All items that can be drawn.
        margin : float array (n,)
            Their log-odds that the given label is wrong; decides the probabilities
            (`auditor.stats.sampling.audit_probabilities`).
        draws : int
            With replacement; at most as many items get into the queue.
        seed : int
        anew : bool
        candidate_share : float
            Of a new stream; one that is continued keeps its own.

        Raises
        ------
        DataError
            Unknown items, nothing left to draw from, or margins other than those of the stream to be continued.
        """
        drawn = (item_ids, margin, draws, seed, anew, candidate_share)
        return self.database.write(lambda c: audit_stream.draw(c, *drawn))

    # --- reading -------------------------------------------------------------------------------------------------

    def progress(self) -> readout.ReviewCounts:
        """How far the review is."""
        return self.database.read(partial(readout.progress, facts=self.facts))

    def state(self, item_id: str) -> readout.ItemState | None:
        """An item, its current verdicts and all its events; None for an unknown id."""
        return self.database.read(partial(readout.item_state, item_id=item_id))

    def page(
        self, wanted: readout.PageFilter | None = None, after: tuple[float, int] | None = None, limit: int = 50
    ) -> readout.Page:
        """Items with their current verdicts. For the next page pass the last one's `after`."""
        wanted = wanted or readout.PageFilter()
        return self.database.read(partial(readout.page, wanted=wanted, after=after, limit=limit))

    def at(self, places: Sequence[int]) -> list[readout.ReviewItem]:
        """Items by their places in the list, in the order asked for, with their current verdicts."""
        return self.database.read(partial(readout.item_rows, places=places, with_verdicts=True))

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Columns of all items in the order of the list, by their names in `schema.items`; they are not compared with
        their checksums, as what shows an item does."""
        return self.database.read(partial(readout.columns, names=names))

    def judged_places(self, reviewer: str | None = None) -> np.ndarray:
        """Places of the items with a verdict, of anybody or of one reviewer, int64, ascending."""
        return self.database.read(partial(readout.judged_places, reviewer=reviewer))

    def detected_places(self, detector: str) -> np.ndarray:
        """Places of the items that a detector flags, int64, ascending."""
        return self.database.read(partial(readout.detected_places, detector=detector))

    def own_verdicts(self, reviewer: str) -> dict[int, tuple[str, str]]:
        """Uuid and verdict by place, of all the verdicts of a reviewer that hold."""
        return self.database.read(partial(readout.own_verdicts, reviewer=checked_reviewer(reviewer)))

    def judged_by(
        self, reviewer: str, words: str = "", before: int | None = None, limit: int = 50
    ) -> list[readout.OwnVerdict]:
        """A reviewer's verdicts that hold, the latest first; those whose item id, labels or verdict hold `words`."""
        name = checked_reviewer(reviewer)
        return self.database.read(lambda c: readout.judged_by(c, known_as(c, name), words, before, limit))

    def disagreements(self, after: int | None = None, limit: int = 50) -> list[readout.ReviewItem]:
        """Items whose reviewers disagree and that nobody has adjudicated, by place; `after` is the last place seen."""
        return self.database.read(partial(readout.disagreements, after=after, limit=limit))

    def discussed(self, after: int | None = None, limit: int = 50) -> list[readout.ReviewItem]:
        """Items that are to be discussed, by place; `after` is the last place seen."""
        return self.database.read(partial(readout.discussed, after=after, limit=limit))

    def judged(self, item_ids: Sequence[str]) -> set[str]:
        """Which of these items have a verdict of anybody."""
        return self.database.read(partial(readout.judged, item_ids=item_ids))

    def content_hashes(self, item_ids: Sequence[str]) -> dict[str, str]:
        """Content hashes of items by id; items without one, and unknown ones, are left out."""
        return self.database.read(partial(readout.content_hashes, item_ids=item_ids))

    def remarks(self, item_ids: Sequence[str] | None = None) -> dict[str, Remarks]:
        """Comments and the flag "discuss" by item id, of those items that have any; None means all items."""
        return self.database.read(partial(readout.remarks_of, item_ids=item_ids))

    def guidelines(self) -> dict[str, Guideline]:
        """The version of each class's guideline that holds, of classes that have one."""
        return {version.class_name: version for version in self.guideline_history()}

    def guideline_history(self, class_name: str | None = None) -> list[Guideline]:
        """All versions of one class's guideline, or of all, the oldest first."""
        return self.database.read(partial(guidelines.history, class_name=class_name))

    def preference(self, reviewer: str, name: str) -> Any:
        """What `set_preference` kept; None where it kept nothing."""
        return self.database.read(partial(preferences.read, reviewer=reviewer, name=name))

    def new_classes(self) -> list[str]:
        """Classes that verdicts name and the data does not have, the most named first."""
        return self.database.read(readout.new_classes)

    def votes(self) -> VoteTable:
        """All current verdicts as arrays, for the consensus and the agreement.

        Raises
        ------
        RunError
            If events are damaged.
        """
        if not self._checked:
            self._check()
        return self.database.read(readout.vote_table)

    def audit_stream(self) -> audit_stream.AuditStream:
        """The draws of the audit stream in order, and what is outside its frame; every estimate starts from it."""
        return self.database.read(partial(audit_stream.read, facts=self.facts))

    def controls(self) -> dict[str, str]:
        """Planted controls: item id to the verdict known to be right."""
        return self.database.read(readout.control_table)
