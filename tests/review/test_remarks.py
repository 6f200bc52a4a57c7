"""Comments, what is to be discussed, guidelines and settings: nothing is lost, every version is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from auditor.core.errors import DataError, UsageError
from auditor.review.carry_over import carry_over
from auditor.review.guidelines import OutdatedError
from auditor.review.preferences import EVERYBODY
from auditor.review.readout import PageFilter
from auditor.review.remarks import LONGEST_COMMENT, MOST_REMARKS
from auditor.review.store import VerdictStore
from tests.review.cases import make_run, verdict


@pytest.fixture
def store() -> VerdictStore:
    """Thirty items; in memory."""
    made = VerdictStore.open("sqlite://")
    made.load_run(make_run(30, 20))
    return made


def _remark(number: int, item: str, comment: str | None = None, discuss: bool | None = None) -> dict[str, object]:
    about = {"uuid": f"remark-{number:04d}", "kind": "remark", "item_id": item}
    return about | {"comment": comment, "discuss": discuss}


def test_the_last_word_holds_and_every_remark_is_stored_once(loaded: Callable[..., VerdictStore]) -> None:
    store = loaded(30, 20)
    a, b = (item.item_id for item in store.page(limit=2).items)
    sent = [_remark(1, a, "a horse behind it", True), _remark(2, b, "  dark  ")]
    assert store.submit("ann", sent).accepted == ("remark-0001", "remark-0002")
    assert store.submit("Ann", sent).repeated == ("remark-0001", "remark-0002")
    assert [i.item_id for i in store.discussed()] == [a]
    assert store.progress().discussed == 1
    assert store.progress().verdicts == 0  # a remark is no verdict
    store.submit("ben", [_remark(3, a, discuss=False), _remark(4, a, "no horse")])
    remarks = store.remarks()
    assert remarks[a].comments == {"ann": "a horse behind it", "ben": "no horse"}
    assert (remarks[a].discuss, remarks[b].comments) == (False, {"ann": "dark"})
    assert store.discussed() == []
    store.submit("ann", [_remark(5, a, ""), _remark(6, b, discuss=True)])  # taken out again
    assert store.remarks([a])[a].comments == {"ben": "no horse"}
    for discuss, n in ((True, 1), (False, len(store.page(limit=50).items) - 1)):
        assert len(store.page(PageFilter(discuss=discuss)).items) == n
    assert store.verify(None) == []


def test_what_cannot_be_a_remark_is_refused_with_the_reason(store: VerdictStore) -> None:
    item = store.page(limit=1).items[0].item_id
    store.submit("ann", [_remark(1, item, "first")])
    bad = {
        "unknown item": _remark(2, "elsewhere", "x"),
        "another remark": _remark(1, item, "something else"),
        "at most": _remark(3, item, "x" * (LONGEST_COMMENT + 1)),
        "are missing": _remark(4, item),
        "no database stores": _remark(5, item, "a\0b"),
        "item_id": {"uuid": "remark-0006", "kind": "remark", "comment": "x"},
    }
    result = store.submit("ann", bad.values())
    assert not result.accepted
    for words, (_, reason) in zip(sorted(bad), sorted(result.refused, key=lambda pair: pair[1]), strict=True):
        assert any(words in why for _, why in result.refused), (words, reason)
    assert store.submit("ben", [_remark(1, item, "first")]).refused  # the uuid is ann's
    many = [_remark(k, item, str(k)) for k in range(100, 100 + MOST_REMARKS + 1)]
    assert f"{MOST_REMARKS} remarks" in store.submit("cara", many).refused[0][1]


def test_verdicts_and_remarks_come_in_one_batch(store: VerdictStore) -> None:
    item = store.page(limit=1).items[0]
    batch = [verdict(item, "given"), _remark(1, item.item_id, "clear"), verdict(item, "neither")]
    result = store.submit("ann", batch)
    assert len(result.accepted) == 3
    assert result.judged == 1
    assert store.progress().by_verdict == {"neither": 1}


def test_a_new_class_is_named_and_never_one_that_is_there(store: VerdictStore) -> None:
    items = store.page(limit=4).items
    taken = next(name for name in store.class_names if name not in (items[1].given, items[1].suggested))
    batch = [
        verdict(items[0], "new: fox "),
        verdict(items[1], f"new:{taken}"),
        verdict(items[2], f"new:{items[2].given}"),
    ]
    assert not store.submit("ann", batch).refused
    says = {item.item_id: item.verdicts["ann"] for item in store.page(limit=3).items}
    assert [says[item.item_id] for item in items[:3]] == ["new:fox", f"other:{taken}", "given"]
    assert store.new_classes() == ["fox"]
    for name in ("", "  ", "x" * 101, "a\nb"):
        assert "new class" in store.submit("ben", [verdict(items[3], f"new:{name}")]).refused[0][1]
    assert store.verify(None) == []


def test_every_version_of_a_guideline_is_kept(loaded: Callable[..., VerdictStore]) -> None:
    store = loaded(30, 20)
    name, a, b = store.class_names[0], *(item.item_id for item in store.page(limit=2).items)
    first = store.write_guideline("ann", name, " What flies. ", [a, a], 0)
    assert (first.version, first.definition, first.exemplars, first.reviewer) == (1, "What flies.", (a,), "ann")
    assert store.write_guideline("ben", name, "What flies.", [a], 0) == first  # nothing new
    second = store.write_guideline("BEN", name, "What flies and has an engine.", [a, b], 1)
    assert store.guidelines() == {name: second}
    assert store.guideline_history(name) == [first, second]
    with pytest.raises(OutdatedError, match="version 2") as error:
        store.write_guideline("ann", name, "Birds.", [], 1)
    assert "ben has written" in error.value.what
    for class_name, exemplars, kind in (("no such", [], DataError), (name, ["no such"], DataError)):
        with pytest.raises(kind):
            store.write_guideline("ann", class_name, "x", exemplars, 2)
    with pytest.raises(UsageError, match="at most"):
        store.write_guideline("ann", name, "x" * 10_001, [], 2)


def test_settings_are_a_persons_whatever_the_spelling(loaded: Callable[..., VerdictStore]) -> None:
    store = loaded(30, 20)
    assert store.preference("ann", "keys") is None
    store.set_preference("Ann", "keys", {"cat": "k"})
    store.set_preference(EVERYBODY, "tolerated", 200)
    assert store.preference(" ANN", "keys") == {"cat": "k"}
    assert store.preference("ben", "keys") is None
    store.set_preference("ann", "keys", None)
    assert (store.preference("Ann", "keys"), store.preference(EVERYBODY, "tolerated")) == (None, 200)


def test_damage_is_told(store: VerdictStore) -> None:
    item = store.page(limit=1).items[0].item_id
    store.submit("ann", [_remark(1, item, "clear")])
    store.write_guideline("ann", store.class_names[0], "What flies.", [], 0)
    for table, column in (("remarks", "comment"), ("guidelines", "definition")):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"):
            store.database.write(lambda c, t=table, f=column: c.execute(sa.text(f"UPDATE {t} SET {f} = 'x'")))

    def damage(connection: sa.Connection) -> None:
        for table, column in (("remarks", "comment"), ("guidelines", "definition")):
            connection.execute(sa.text(f"DROP TRIGGER {table}_no_update"))
            connection.execute(sa.text(f"UPDATE {table} SET {column} = 'x'"))

    store.database.write(damage)
    assert [fault.split(":")[0] for fault in store.verify(None)] == [
        "remark 1",
        f"guideline of {store.class_names[0]!r}, version 1",
    ]


def test_remarks_are_carried_over_with_their_authors_and_times(store: VerdictStore, tmp_path: Path) -> None:
    a, b = store.page(limit=2).items
    store.submit("ann", [verdict(a, "given"), _remark(1, a.item_id, "clear", True), _remark(2, b.item_id, "dark")])
    store.submit("ben", [_remark(3, a.item_id, discuss=False)])
    target = VerdictStore.open(tmp_path / "target.sqlite")
    target.load_run(make_run(30, 20))
    target.submit("cara", [_remark(9, b.item_id, "mine")])
    for class_name in store.class_names[:2]:
        store.write_guideline("ann", class_name, "first", [a.item_id], 0)
        store.write_guideline("ben", class_name, "second", [], 1)
    own = target.write_guideline("cara", store.class_names[0], "ours", [], 0)
    for _ in range(2):
        carry_over(store, target)
        remarks = target.remarks()
        assert remarks[a.item_id] == store.remarks()[a.item_id]
        assert remarks[b.item_id].comments == {"cara": "mine"}
        assert target.guideline_history(store.class_names[0]) == [own]
        assert target.guideline_history(store.class_names[1]) == store.guideline_history(store.class_names[1])
    assert target.verify(None) == []
