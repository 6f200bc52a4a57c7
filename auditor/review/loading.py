"""From the tables of a run to the tables of the store, in bulk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol
from uuid import uuid4

import numpy as np
import pandas as pd
import sqlalchemy as sa

from auditor.core.errors import ConfigError, DataError, RunError
from auditor.core.label_forms import LabelForm, form_document
from auditor.core.seeds import generator
from auditor.review import schema
from auditor.review.additions import LIST, plant, set_detections, set_fact
from auditor.review.checksums import ITEM, digest, row_checksum
from auditor.review.database import SQLITE_CACHE, Database, is_sqlite, salvage_advice, shown
from auditor.review.sampling import draw_audit, score_bands
from auditor.review.vocabulary import labels_of

_CHUNK: Final = 20_000


class RunTables(Protocol):
    """What the store needs of a run; `auditor.runs.run.Run` is one."""

    @property
    def id(self) -> str: ...
    @property
    def audited_content(self) -> str:
        """What is judged: equal for runs that audited the same items of the same data, under whatever name."""

    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def items(self) -> pd.DataFrame:
        """Every item: ``id, content_hash, given``."""

    @property
    def scores(self) -> pd.DataFrame:
        """Audited items, most suspicious first: ``id, index, split, row, given, suggested, p_given, p_suggested,
        score, flagged``."""

    @property
    def findings(self) -> pd.DataFrame:
        """Flagged and undecodable items in review order: ``id, index, split, code, given, suggested, message``."""


def form_of_run(run: RunTables) -> LabelForm | None:
    """How the labels of a run are written; None for classes, which is what tables have that say nothing of it."""
    form: LabelForm | None = getattr(run, "form", None)
    return form


@dataclass(frozen=True)
class QueuePlan:
    """How items are handed to reviewers. Fixed when the run is loaded, kept in the store.

    Attributes
    ----------
    reviewers_per_item : int
        Verdicts wanted per item.
    overlap : float
        Share of items judged by at least two, chosen at random; reviewers cannot tell which.
    audit_size : int
        Items of the random audit stream.
    audit_share : float
        Share of places in a reviewer's queue that go to the audit stream.
    control_share : float
        Share that go to planted controls, where there are any.
    lease_seconds : float
        How long an item stays in a reviewer's hand before others may get it.
    seed : int
    """

    reviewers_per_item: int = 1
    overlap: float = 0.1
    audit_size: int = 1000
    audit_share: float = 0.3
    control_share: float = 0.05
    lease_seconds: float = 1800.0
    seed: int = 0

    def __post_init__(self) -> None:
        shares = (self.overlap, self.audit_share, self.control_share)
        if not all(0 <= s <= 1 for s in shares) or self.audit_share + self.control_share > 1:
            raise ConfigError(
                "overlap, audit_share and control_share are shares between 0 and 1, summing to 1 at most."
            )
        if self.reviewers_per_item < 1 or self.audit_size < 0 or self.lease_seconds <= 0:
            raise ConfigError("reviewers_per_item and lease_seconds must be positive, audit_size not negative.")


def read_meta(connection: sa.Connection) -> dict[str, Any]:
    """Everything the store says about itself; empty before a run is loaded.

    Raises
    ------
    RunError
        If it is damaged.
    """
    rows = connection.execute(sa.select(schema.meta)).all()
    try:
        facts = {key: json.loads(value) for key, value in rows}
    except (ValueError, TypeError):
        facts = {"digest": ""}
    if "digest" in facts and facts["digest"] != digest(facts):
        raise RunError(
            f"what the store {shown(connection.engine.url)} says of its run is damaged.",
            salvage_advice(connection.engine.url),
        )
    return facts


def load(
    database: Database,
    run: RunTables,
    plan: QueuePlan,
    controls: Mapping[str, str] | None = None,
    detections: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Fill an empty store; does nothing when it holds the same items of the same data already.

    Parameters
    ----------
    database : Database
    run : RunTables
    plan : QueuePlan
    controls : mapping of str to str, optional
        Item id to the verdict known to be right.
    detections : mapping of str to array of item ids, optional
        Per detector the items it flags, for filters.

    Raises
    ------
    RunError
        If the verdicts in the store were given on other data.
    DataError
        If ids repeat, or a control or detection names an unknown item.
    """
    known = database.read(read_meta)
    if known and known.get("content") == run.audited_content:
        return
    if known:
        _refuse_other_data(database, run, known)
        return
    table = _item_table(run)
    frame = np.flatnonzero(table["band"].notna())
    codes = pd.factorize(table["given"])[0]
    draw = draw_audit(table["band"].iloc[frame].to_numpy(np.int64), codes[frame], plan.audit_size, plan.seed)
    table["inclusion"] = pd.Series(draw.inclusion, index=frame)
    queue = _queue_table(table, frame[draw.order], plan)
    covered = _rows(table.assign(audit=queue["audit"]), ITEM)
    table["checksum"] = [row_checksum(row) for row in covered]
    facts = {
        "run": run.id,
        "class_names": list(run.class_names),
        **({} if (form := form_of_run(run)) is None else {"label_form": form_document(form)}),
        "plan": asdict(plan),
        "n_items": len(table),
        "n_flagged": int(table["flagged"].sum()),
        "n_audit": len(draw.order),
        "n_frame": len(frame),
        "detectors": [],
        "content": run.audited_content,
        LIST: uuid4().hex,
        "identity": run.audited_content,  # older stores have another one, which browsers keep unsent verdicts under
    }

    facts["digest"] = digest(facts)

    def work(connection: sa.Connection) -> None:
        if read_meta(connection):  # another process was quicker
            return
        _copy(connection, schema.items, table)
        _copy(connection, schema.queue, queue)
        connection.execute(sa.insert(schema.meta), [{"key": k, "value": json.dumps(v)} for k, v in facts.items()])
        if detections:
            set_detections(connection, detections, None)
        plant(connection, controls or {}, labels_of(facts))

    database.write(work)
    if database.engine.dialect.name != "sqlite":
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("ANALYZE items, queue, detections"))


#: What a verdict speaks of: content hash and given label of an item.
Subject = tuple[str | None, str]


def stored_items(connection: sa.Connection) -> dict[str, Subject]:
    """Content and label of every item of a store, by id."""
    items = schema.items.c
    query = sa.select(items.item_id, items.content_hash, items.given)
    return {item_id: (content, given) for item_id, content, given in connection.execute(query)}


def item_rows_of(run: RunTables, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """These columns of the items that a store of `run` holds, in the order of their places."""
    return _rows(_item_table(run), [schema.items.c[name] for name in names])


def run_items(run: RunTables) -> dict[str, Subject]:
    """The same of the items that a store of `run` holds."""
    columns = ("item_id", "content_hash", "given")
    return {item_id: (content, given) for item_id, content, given in item_rows_of(run, columns)}


def _refuse_other_data(database: Database, run: RunTables, known: Mapping[str, Any]) -> None:
    """A store of before stores were bound to their data is bound to it now, if it is this one.

    Raises
    ------
    RunError
        Else.
    """
    stored, here = database.read(stored_items), run_items(run)
    if "content" not in known and stored == here:
        database.write(lambda c: set_fact(c, "content", run.audited_content))
        return
    view, subjects = schema.current.c, set(here.values())
    query = sa.select(schema.items.c.item_id).where(schema.items.c.item.in_(sa.select(view.item)))
    judged = database.read(lambda c: list(c.scalars(query)))
    unchanged = sum(stored[item_id] in subjects for item_id in judged)
    raise RunError(
        f"the verdicts in this store were given on other data than the run {run.id!r} audits: {unchanged:,} of the "
        f"{len(judged):,} judged items have the same content and label here.",
        "Name another store with --store NEW, and take over the verdicts on unchanged items with: auditor "
        "import-verdicts RUN OLD --store NEW",
    )


def _item_table(run: RunTables) -> pd.DataFrame:
    scores, findings = run.scores, run.findings
    hashes = pd.Series(run.items["content_hash"].to_numpy(), index=run.items["id"].to_numpy())
    table = scores[["id", "index", "split", "given", "suggested", "p_given", "p_suggested", "score"]].copy()
    table["band"] = pd.array(score_bands(len(table)), "Int64")
    extra = findings[~findings["id"].isin(table["id"])]
    if len(extra):
        table = pd.concat([table, extra[list(table.columns.drop("band"))]], ignore_index=True)
    by_item = findings.drop_duplicates("id").set_index("id")
    place = pd.Series(np.arange(len(by_item)), index=by_item.index).reindex(table["id"]).to_numpy()
    table["flagged"] = (~np.isnan(place)).astype(np.int64)
    table["code"] = by_item["code"].reindex(table["id"]).to_numpy()
    table["message"] = by_item["message"].reindex(table["id"]).to_numpy()
    # Findings first, in their order; then all others from the most suspicious on.
    order = np.lexsort((np.arange(len(table)), np.where(np.isnan(place), len(by_item), place)))
    table = table.iloc[order].reset_index(drop=True)
    table["content_hash"] = hashes.reindex(table["id"]).to_numpy()
    table = table.rename(columns={"id": "item_id"})
    if table["item_id"].duplicated().any():
        raise DataError(f"the id {table['item_id'][table['item_id'].duplicated()].iloc[0]!r} occurs twice in the run.")
    table.insert(0, "item", np.arange(1, len(table) + 1))
    return table


def _queue_table(table: pd.DataFrame, drawn: np.ndarray, plan: QueuePlan) -> pd.DataFrame:
    """Every item with its places in the streams; `drawn` are the rows of the audit stream in its order."""
    twice = generator(plan.seed, "review", "overlap").random(len(table)) < plan.overlap
    wanted = np.where(twice, max(2, plan.reviewers_per_item), plan.reviewers_per_item)
    ranked = table["item"].astype("Int64").where(table["flagged"] == 1)
    audit = pd.Series(np.arange(1, len(drawn) + 1), index=drawn, dtype="Int64").reindex(table.index)
    return pd.DataFrame(
        {"item": table["item"], "ranked": ranked, "audit": audit, "wanted": wanted, "taken": 0, "open": 1}
    )


def _rows(table: pd.DataFrame, columns: Iterable[sa.Column[Any]]) -> Iterator[tuple[Any, ...]]:
    """Rows of Python values in the order of `columns`; None where a value is missing."""
    names = [c.name for c in columns]
    for start in range(0, len(table), _CHUNK):
        part = table[names].iloc[start : start + _CHUNK].astype(object)
        yield from part.where(part.notna(), None).itertuples(index=False, name=None)


def _copy(connection: sa.Connection, table: sa.Table, frame: pd.DataFrame) -> None:
    """Bulk insert through the driver: several times quicker than one statement per chunk."""
    names, rows = [c.name for c in table.columns], _rows(frame, table.columns)
    quoted = ", ".join(f'"{name}"' for name in names)
    driver = connection.connection.driver_connection
    if driver is None:
        raise RuntimeError("the connection has no driver connection")
    if is_sqlite(connection):
        # Hashes arrive in no order: an index on them that does not fit the cache is read and written again and again.
        driver.execute("PRAGMA cache_size=-512000")
        driver.executemany(f"INSERT INTO {table.name} ({quoted}) VALUES ({', '.join('?' * len(names))})", rows)
        driver.execute(f"PRAGMA cache_size={SQLITE_CACHE}")
        return
    with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({quoted}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
