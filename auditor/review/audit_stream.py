"""The audit stream as estimates read it: draws with their probabilities, and drawing them by importance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import sqlalchemy as sa

from auditor.core.errors import DataError, RunError
from auditor.core.hashing import hash_json
from auditor.core.seeds import generator
from auditor.review import schema
from auditor.review.additions import set_fact
from auditor.review.checksums import damaged, damaged_draws, damaged_items, row_checksum, seal_items, sound_items
from auditor.review.events import chunked
from auditor.review.loading import read_meta
from auditor.stats import sampling

#: Key of `schema.meta` that describes a stream drawn by importance.
_KEY: Final = "audit_stream"
#: Relative difference of stored and recomputed probabilities that rounding explains.
_SAME: Final = 1e-9


@dataclass(frozen=True, eq=False)
class AuditStream:
    """Draws of the audit stream in the order of review, reviewed or not.

    Attributes
    ----------
    design : str
        ``"importance"``: independent draws with replacement. ``"strata"``: the sample without replacement that was
        drawn when the run was loaded.
    item_ids : object array of str (B,)
    probability : float64 array (B,)
        Of the item in one draw. For ``"strata"`` the inclusion probability divided by the size of the sample; its
        order is random, so each draw alone has this probability.
    frame_items : int
    outside : object array of str
        Items that could not be drawn because they had a verdict before: they are known exactly.
    ranked_done : object array of str
        The flagged list from its top down to the first item without a verdict. Which items these are does not depend
        on the audit draws, unlike the set of all reviewed items: so these, and no others, may leave the frame.
    ranked_probability : float64 array
        Of `ranked_done` in one draw; 0 outside the frame; NaN where the design does not need it.
    seed : int
    candidate_share : float
        Share of the draws spread evenly over the items the model would call wrong (`stats.sampling`).
    candidate_doubt : float
        Least doubt about these that decided the probabilities.
    """

    design: Literal["importance", "strata"]
    item_ids: np.ndarray
    probability: np.ndarray
    frame_items: int
    outside: np.ndarray
    ranked_done: np.ndarray
    ranked_probability: np.ndarray
    seed: int
    candidate_share: float = 0.0
    candidate_doubt: float = sampling.LEAST_DOUBT


def read(connection: sa.Connection, facts: Mapping[str, Any]) -> AuditStream:
    """The stream of a store with a run; see `VerdictStore.audit_stream`."""
    items, queue, draws = schema.items, schema.queue, schema.audit_draws
    drawn = read_meta(connection).get(_KEY)
    _refuse_changed(connection, facts, drawn)
    ranked = _ranked_done(connection)
    inclusion = np.array([row.inclusion or 0.0 for row in ranked], np.float64)
    if drawn:
        query = sa.select(items.c.item_id, draws.c.probability).join(items, items.c.item == draws.c.item)
        rows = connection.execute(query.order_by(draws.c.draw)).all()
        left_out = sa.select(items.c.item_id).where(items.c.band.is_not(None), items.c.inclusion.is_(None))
        outside, size = list(connection.scalars(left_out.order_by(items.c.item))), 1
        inclusion[:] = np.nan
    else:
        query = sa.select(items.c.item_id, items.c.inclusion).join(queue, queue.c.item == items.c.item)
        rows = connection.execute(query.where(queue.c.audit.is_not(None)).order_by(queue.c.audit)).all()
        outside, size = [], max(1, len(rows))
    about = drawn or facts["plan"]
    return AuditStream(
        "importance" if drawn else "strata",
        item_ids=np.array([row[0] for row in rows], object),
        probability=np.array([row[1] for row in rows], np.float64) / size,
        frame_items=(drawn or facts)["n_frame"],
        outside=np.array(outside, object),
        ranked_done=np.array([row.item_id for row in ranked], object),
        ranked_probability=inclusion / size,
        seed=about["seed"],
        candidate_share=about.get("candidate_share", 0.0),
        candidate_doubt=about.get("candidate_doubt", sampling.LEAST_DOUBT),
    )


def _refuse_changed(connection: sa.Connection, facts: Mapping[str, Any], drawn: Mapping[str, Any] | None) -> None:
    """Stop where the sample is not what was stored: its items, its draws, or how many there are (RunError)."""
    items, queue = schema.items.c, schema.queue.c
    faults = [] if drawn is None or drawn.get("digest", digest_of(drawn)) == digest_of(drawn) else ["its description"]
    in_frame = connection.scalar(sa.select(sa.func.count(items.inclusion)))
    ranked, sample = connection.execute(sa.select(sa.func.count(queue.ranked), sa.func.count(queue.audit))).one()
    n_draws = connection.scalar(sa.select(sa.func.count()).select_from(schema.audit_draws))
    draws, about = (0, facts) if drawn is None else (drawn["draws"], drawn)
    expected = about["n_frame"], facts["n_flagged"], draws
    # A sample without draws has a size that is known.
    if (in_frame, ranked, n_draws) != expected or (drawn is None and sample != facts["n_audit"]):
        faults.append("items or draws of its sample are gone")
    if faults := [*faults, *damaged_draws(connection)]:
        raise damaged(connection, faults)
    # What the estimate reads: the sample, the list reviewed so far, and what was left out of a frame.
    wanted = queue.audit.is_not(None) | queue.ranked.is_not(None)
    if drawn is not None:
        wanted |= items.band.is_not(None) & items.inclusion.is_(None)
    sound_items(connection, wanted)


def digest_of(drawn: Mapping[str, Any]) -> str:
    """Of what the store says of a stream drawn by importance."""
    return hash_json({key: value for key, value in drawn.items() if key != "digest"})


def _ranked_done(connection: sa.Connection) -> Sequence[Any]:
    items, queue, view = schema.items, schema.queue, schema.current
    judged = sa.exists().where(view.c.item == queue.c.item)
    # By the place in the run's list, not in the queue: the order of the queue may have learned from audit verdicts
    # (`VerdictStore.reorder`), and what leaves the frame must not depend on them.
    first = connection.scalar(sa.select(sa.func.min(queue.c.item)).where(queue.c.ranked.is_not(None), ~judged))
    query = sa.select(items.c.item_id, items.c.inclusion).join(queue, queue.c.item == items.c.item)
    query = query.where(queue.c.ranked.is_not(None))
    if first is not None:
        query = query.where(queue.c.item < first)
    return connection.execute(query.order_by(queue.c.item)).all()


def draw(
    connection: sa.Connection,
    item_ids: Sequence[str],
    margin: np.ndarray,
    draws: int,
    seed: int,
    anew: bool,
    candidate_share: float = 0.0,
) -> AuditStream:
    """Draw or continue; see `VerdictStore.draw_audit`."""
    facts = read_meta(connection)
    if not facts:
        raise RunError("the verdict store is empty.", "Load a run first: store.load_run(run)")
    before = {} if anew else facts.get(_KEY, {})
    if before and draws <= before["draws"]:
        return read(connection, facts)
    if faults := list(damaged_items(connection)):
        raise damaged(connection, faults)  # what is written below would make damage look like what was stored
    frame, ids = _frame(connection, continued=bool(before))
    if len(frame) == 0:
        raise DataError("every item has a verdict: there is nothing left to draw.")
    margin_of = dict(zip(item_ids, np.asarray(margin, np.float64).tolist(), strict=True))
    try:
        margins = np.array([margin_of[i] for i in ids])
    except KeyError as error:
        raise DataError(f"no margin for the item {error.args[0]!r} of the store.") from error
    # A stream goes on as it began: other probabilities would need other weights for the draws there are.
    share = before.get("candidate_share", 0.0) if before else candidate_share
    doubt = before.get("candidate_doubt", sampling.LEAST_DOUBT) if before else sampling.CANDIDATE_DOUBT
    p = sampling.audit_probabilities(margins, candidate_share=share, candidate_doubt=doubt)
    # Independent of the seed of the stream before, whose outcomes are known by now.
    used = before.get("seed", seed)
    chosen = sampling.draw_audit(p, draws, generator(used, "review", "importance", len(frame))).positions
    if before:
        _refuse_other(connection, frame[chosen], p[chosen])
    _write(connection, frame, p, chosen, before.get("draws", 0))
    shares = {"uniform_share": sampling.UNIFORM_SHARE, "candidate_share": share, "candidate_doubt": doubt}
    described = {"n_frame": len(frame), "seed": used, "draws": draws, **shares}
    set_fact(connection, _KEY, described | {"digest": digest_of(described)})
    return read(connection, facts)


def _frame(connection: sa.Connection, continued: bool) -> tuple[np.ndarray, list[str]]:
    """Places and ids of the items that can be drawn: those of the stream to go on with, else all without a verdict."""
    items, view = schema.items, schema.current
    query = sa.select(items.c.item, items.c.item_id).where(items.c.band.is_not(None)).order_by(items.c.item)
    if continued:
        query = query.where(items.c.inclusion.is_not(None))
    else:
        query = query.where(~sa.exists().where(view.c.item == items.c.item))
    rows = connection.execute(query).all()
    return np.array([r[0] for r in rows], np.int64), [r[1] for r in rows]


def _refuse_other(connection: sa.Connection, places: np.ndarray, p: np.ndarray) -> None:
    stored = connection.execute(
        sa.select(schema.audit_draws.c.item, schema.audit_draws.c.probability).order_by(schema.audit_draws.c.draw)
    ).all()
    items, probabilities = np.array([tuple(row) for row in stored]).reshape(-1, 2).T
    n = len(stored)
    if not (np.array_equal(places[:n], items) and np.allclose(p[:n], probabilities, rtol=_SAME, atol=0)):
        raise DataError(
            "the audit stream cannot be continued: the probabilities of the run have changed since it was drawn.",
            "Draw a new one with: auditor sample RUN --new",
        )


def _write(connection: sa.Connection, frame: np.ndarray, p: np.ndarray, chosen: np.ndarray, done: int) -> None:
    """Store the draws from number `done` on, the inclusion probabilities and the places in the queue."""
    items, queue, table, people = schema.items, schema.queue, schema.audit_draws, schema.reviewers
    if done == 0:
        connection.execute(sa.delete(table))
        connection.execute(sa.update(items).values(inclusion=None))
        connection.execute(sa.update(queue).where(queue.c.audit.is_not(None)).values(audit=None))
        connection.execute(sa.update(people).values(audit_cursor=0))
    numbered = enumerate(chosen[done:].tolist(), done + 1)
    rows = [(draw, int(frame[k]), float(p[k])) for draw, k in numbered]
    names = ("draw", "item", "probability", "checksum")
    connection.execute(sa.insert(table), [dict(zip(names, (*row, row_checksum(row)), strict=True)) for row in rows])
    # In at least one of the draws; what is logged with a verdict.
    inclusion = -np.expm1(len(chosen) * np.log1p(-np.minimum(p, 1 - 1e-12)))
    change = sa.update(items).where(items.c.item == sa.bindparam("at")).values(inclusion=sa.bindparam("value"))
    for part in chunked(list(zip(frame.tolist(), inclusion.tolist(), strict=True)), 20_000):
        connection.execute(change, [{"at": at, "value": value} for at, value in part])
    order = list(dict.fromkeys(frame[chosen].tolist()))
    old = set(connection.scalars(sa.select(queue.c.item).where(queue.c.audit.is_not(None))))
    new = [(place, item) for place, item in enumerate(order, 1) if item not in old]
    place = sa.update(queue).where(queue.c.item == sa.bindparam("at")).values(audit=sa.bindparam("place"))
    if new:
        connection.execute(place, [{"at": item, "place": number} for number, item in new])
    seal_items(connection)
