"""What people judged and wrote is read from a store that no database opens any more, and what is missing is counted."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from auditor.core.errors import RunError
from auditor.review.carry_over import CarriedOver, carry_over
from auditor.review.loading import QueuePlan
from auditor.review.log import log_of
from auditor.review.salvage import judged_in_file
from auditor.review.store import VerdictStore
from tests.review.cases import make_run, undo, verdict
from tests.running import made_once

PLAN = QueuePlan(overlap=0.0, audit_size=20, control_share=0.0)
PAGE = 4096
#: Verdicts of 60 events: 58 given, one given anew, one taken back.
HOLD = 57


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store with 60 events, and the same with its log as a killed process leaves it."""

    def make(folder: Path) -> None:
        folder.mkdir()
        run = make_run()
        with VerdictStore.open(folder / "closed.sqlite") as store:
            store.load_run(run, PLAN)
        with VerdictStore.open(folder / "closed.sqlite") as store:
            items = store.page(limit=58).items
            events = [verdict(item, "suggested", uuid=f"{item.place:032d}") for item in items]
            for start in range(0, 58, 10):
                store.submit("ann", events[start : start + 10])
            store.submit("ann", [verdict(items[3], "unsure", uuid="a" * 32), undo(events[5], uuid="b" * 32)])
            for suffix in ("", "-wal"):
                shutil.copy2(f"{folder / 'closed.sqlite'}{suffix}", f"{folder / 'killed.sqlite'}{suffix}")

    return made_once(tmp_path_factory, "store-to-damage", make)


def saved(store: Path, tmp_path: Path) -> CarriedOver:
    """Take everything over into a new store; the damaged one stays as it is."""
    before = {path.name: path.read_bytes() for path in store.parent.iterdir()}
    judged = judged_in_file(str(store), make_run())
    after = {path.name: path.read_bytes() for path in store.parent.iterdir()}
    assert after == before
    with VerdictStore.open(tmp_path / "new.sqlite") as new:
        new.load_run(make_run(), PLAN)
        done = carry_over(judged, new)
        assert new.verify(make_run()) == []
        assert new.progress().verdicts == done.accepted
    return done


def damaged(whole: Path, tmp_path: Path, change: object, name: str = "closed") -> Path:
    folder = tmp_path / "old"
    folder.mkdir()
    for file in whole.glob(f"{name}.sqlite*"):
        shutil.copy2(file, folder / file.name)
    path = folder / f"{name}.sqlite"
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    return path


WHOLE_EVENTS = {
    "header zeroed": lambda raw: bytes(100) + raw[100:],
    "first page zeroed": lambda raw: bytes(PAGE) + raw[PAGE:],
    "page size changed": lambda raw: raw[:16] + b"\x03\x07" + raw[18:],
    "a byte in front": lambda raw: b"x" + raw,
    "catalogue overwritten": lambda raw: raw[:100] + b"\xff" * 500 + raw[600:],
}


@pytest.mark.parametrize("change", WHOLE_EVENTS.values(), ids=WHOLE_EVENTS)
def test_where_the_structure_alone_is_damaged_nothing_is_lost(change: object, whole: Path, tmp_path: Path) -> None:
    store = damaged(whole, tmp_path, change)
    with pytest.raises(RunError, match="import-verdicts RUN"), VerdictStore.open(store, make=False) as opened:
        opened.load_run(make_run())
    done = saved(store, tmp_path)
    assert (done.accepted, done.damaged) == (HOLD, ())
    assert "Of 60 events 60 were read" in done.notes[0]


def test_each_page_zeroed_loses_what_stood_there_and_says_so(whole: Path, tmp_path: Path) -> None:
    raw = (whole / "closed.sqlite").read_bytes()
    lost = 0
    pages = range(0, len(raw), PAGE)
    for start in [
        k
        for k in pages
        if b"annsuggested" in raw[k : k + PAGE] or b"annunsure" in raw[k : k + PAGE] or k in (0, 5 * PAGE)
    ]:
        at = tmp_path / str(start)
        at.mkdir()
        done = saved(damaged(whole, at, lambda raw, k=start: raw[:k] + bytes(PAGE) + raw[k + PAGE :]), at)
        lost += len(done.damaged)
        # 60 events: two hold no verdict, and a lost undo or second verdict brings back the one before.
        assert HOLD - len(done.damaged) <= done.accepted <= HOLD + 1, start
        if done.damaged:
            assert f"{len(done.damaged)} are missing" in done.notes[0]
    assert lost == 60  # each event stands on one page


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_what_is_left_of_a_store_that_was_cut_off_is_saved(share: float, whole: Path, tmp_path: Path) -> None:
    store = damaged(whole, tmp_path, lambda raw: raw[: int(share * len(raw))])
    try:
        done = saved(store, tmp_path)
    except RunError:
        assert b"annsuggested" not in store.read_bytes()
        return
    assert done.accepted + len(done.damaged) >= HOLD


@pytest.mark.parametrize(
    "change", [lambda raw: b"", lambda raw: bytes(len(raw)), lambda raw: raw[:5000]], ids=["empty", "zeroed", "cut off"]
)
def test_the_log_of_a_killed_process_gives_what_the_store_has_lost(change: object, whole: Path, tmp_path: Path) -> None:
    done = saved(damaged(whole, tmp_path, change, "killed"), tmp_path)
    assert (done.accepted, done.damaged) == (HOLD, ())


def test_a_bit_flipped_in_any_verdict_costs_that_one(whole: Path, tmp_path: Path) -> None:
    raw = (whole / "closed.sqlite").read_bytes()
    at = next(k for k in range(len(raw)) if raw.startswith(b"annsuggested", k))
    flipped = bytes(PAGE) + raw[PAGE:at] + bytes([raw[at] ^ 2]) + raw[at + 1 :]
    done = saved(damaged(whole, tmp_path, lambda _: flipped), tmp_path)
    assert done.accepted == HOLD - 1
    (fault,) = done.damaged
    assert fault.endswith("it is not what was stored")


def test_what_was_never_a_store_is_refused_as_before(tmp_path: Path) -> None:
    for name, content in (("notes.db", b"some notes " * 500), ("empty.sqlite", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RunError, match="not a verdict store, or it is damaged"):
            judged_in_file(str(tmp_path / name), make_run())
    with pytest.raises(RunError, match="there is no verdict store"):
        judged_in_file(str(tmp_path / "absent.sqlite"), make_run())
    assert not log_of(tmp_path / "absent.sqlite").exists()


# --- remarks, guidelines and new classes -----------------------------------------------------------------------------

#: Longer than a page, and than two: what does not fit into the page of a row goes on in others.
COMMENTS = ("a horse behind it", "\u0436" * 2000, "")
DEFINITIONS = ("Four legs.", "what belongs to it " * 500)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `whole`: six verdicts, of which three name a new class, four remarks, and two versions of a guideline."""

    def make(folder: Path) -> None:
        folder.mkdir()
        with VerdictStore.open(folder / "closed.sqlite") as store:
            store.load_run(make_run(), PLAN)
        with VerdictStore.open(folder / "closed.sqlite") as store:
            items = store.page(limit=6).items
            said = [verdict(item, v) for item, v in zip(items, ["new:Wolpertinger", "unsure"] * 3, strict=True)]
            remarks = [
                {"uuid": f"{k:032d}", "kind": "remark", "item_id": items[k].item_id, "comment": text, "discuss": None}
                for k, text in enumerate(COMMENTS)
            ]
            store.submit("ann", [*said, *remarks])
            store.submit("bea", [remarks[0] | {"uuid": "b" * 32, "comment": None, "discuss": True}])
            for version, text in enumerate(DEFINITIONS):
                store.write_guideline("ann", store.class_names[0], text, [items[0].item_id], version)
            for suffix in ("", "-wal"):
                shutil.copy2(f"{folder / 'closed.sqlite'}{suffix}", f"{folder / 'killed.sqlite'}{suffix}")

    return made_once(tmp_path_factory, "store-with-remarks", make)


def _all_said(store: VerdictStore) -> tuple[object, ...]:
    """Everything that people wrote, as it is shown."""
    remarks = {item: (dict(r.comments), r.discuss, dict(r.times)) for item, r in store.remarks().items()}
    judged = {(v.item_id, v.verdict, v.server_time) for v in store.judged_by("ann")}
    return judged, remarks, store.guideline_history(), store.new_classes()


DAMAGE = {
    "header zeroed": ("closed", lambda raw: bytes(100) + raw[100:]),
    "catalogue overwritten": ("closed", lambda raw: raw[:100] + b"\xff" * 500 + raw[600:]),
    "emptied, with a log": ("killed", lambda _: b""),
    "zeroed, with a log": ("killed", lambda raw: bytes(len(raw))),
}


@pytest.mark.parametrize(("name", "change"), DAMAGE.values(), ids=DAMAGE)
def test_all_that_people_wrote_is_read_from_pages(name: str, change: object, written: Path, tmp_path: Path) -> None:
    done = saved(damaged(written, tmp_path, change, name), tmp_path)
    assert (done.accepted, done.remarks, done.guidelines, done.damaged) == (6, 4, 2, ())
    with VerdictStore.open(written / "closed.sqlite") as old, VerdictStore.open(tmp_path / "new.sqlite") as new:
        assert _all_said(new) == _all_said(old)
        assert new.new_classes() == ["Wolpertinger"]


@pytest.mark.parametrize("opens", [True, False], ids=["the database opens", "no database opens it"])
@pytest.mark.parametrize(
    ("word", "at", "fault"),
    [
        (b"a horse behind", 3, "remark 1: it is not what was stored"),
        (b"annnew:Wolpertinger", 9, "event 1: it is not what was stored"),
        (b"Four legs", 0, "version 1"),
        (DEFINITIONS[1].encode()[-800:-700], 40, "version 2"),
    ],
    ids=["comment", "new class", "guideline", "the end of a long guideline"],
)
def test_a_letter_changed_costs_what_it_stands_in(
    word: bytes, at: int, fault: str, opens: bool, written: Path, tmp_path: Path
) -> None:
    raw = bytearray((written / "closed.sqlite").read_bytes())
    # Of a word that occurs often the last one, which no other row has.
    place = raw.rfind(word) + at
    raw[place] ^= 2
    if not opens:
        raw[:100] = bytes(100)
    store = damaged(written, tmp_path, lambda _: bytes(raw))
    if opens:
        with VerdictStore.open(store, make=False) as opened:
            assert opened.verify(make_run())  # by its checksum, or by SQLite's own, whose index says otherwise
        for log in store.parent.glob("*-*"):
            log.unlink()
    done = saved(store, tmp_path)
    lost = 12 - done.accepted - done.remarks - done.guidelines
    assert lost == 1
    # Without the database nothing numbers the versions of a guideline: one that is gone cannot be told.
    assert [line for line in done.damaged if fault in line] or (not opens and "version" in fault)


def test_a_remark_that_is_gone_is_told(written: Path, tmp_path: Path) -> None:
    store = damaged(written, tmp_path, lambda raw: raw)
    connection = sqlite3.connect(store)
    for line in ("DROP TRIGGER remarks_no_delete", "DELETE FROM remarks WHERE remark = 2"):
        connection.execute(line)
    connection.commit()
    connection.close()
    with VerdictStore.open(store, make=False) as opened:
        assert "remark 2: it is gone" in opened.verify(make_run())
