"""Every page on a real run, without a browser: empty, with verdicts, with the filters and buttons in use."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from auditor.audit.detector_scores import detector_scores
from auditor.core.errors import ConfigError
from auditor.estimation.state import draw_stream, read_state
from auditor.review.consensus import count_errors, majority
from auditor.review.readout import PageFilter
from auditor.ui import SCRIPT
from auditor.ui.catalogue import PairCount
from auditor.ui.config import ReviewConfig, config_from_environ, configure
from auditor.ui.filters import GalleryFilter, matching
from auditor.ui.payload import grid_item, hand_data
from auditor.ui.views import PAGES
from auditor.ui.views.export import verdict_csv
from auditor.ui.views.gallery import PAGE_SIZE, everything
from auditor.ui.views.mine import own_history
from auditor.ui.views.overview import audit_share
from auditor.ui.views.pairs import matrix_data
from auditor.ui.workspace import Workspace, close_workspace, open_workspace
from tests.ui.events import events_on

TITLES = [title for title, *_ in PAGES]


def _script(page: str) -> AppTest:
    """The app with one page as the only one; AppTest has no way to switch between callables."""

    def run(name: str) -> None:
        from auditor.core.errors import AuditorError
        from auditor.ui import workspace as workspaces
        from auditor.ui.views import PAGES, _tell

        call = next(call for title, _, _, call in PAGES if title == name)
        opened = workspaces.workspace()
        assert opened is not None
        try:
            call(opened)
        except AuditorError as error:
            _tell(error)

    return AppTest.from_function(run, args=(page,), default_timeout=60)


def _texts(app: AppTest) -> str:
    return "\n".join(str(e.value) for kind in ("markdown", "caption", "code", "info", "header") for e in app.get(kind))


def _vote(ws: Workspace, reviewer: str, verdict: str, items: list[Any]) -> None:
    result = ws.store.submit(reviewer, events_on(items, verdict))
    assert not result.refused


@pytest.fixture
def voted(ws: Workspace) -> Workspace:
    """Two reviewers on 12 flagged items, differing on 4, and ann on a part of the audit sample."""
    items = list(ws.store.page(PageFilter(flagged=True), limit=12).items)
    _vote(ws, "ann", "suggested", items)
    _vote(ws, "ben", "suggested", items[:8])
    _vote(ws, "ben", "given", items[8:])
    return ws


def test_the_whole_script_runs(ws: Workspace) -> None:
    app = AppTest.from_file(SCRIPT, default_timeout=60).run()
    assert not app.exception
    assert [m.label for m in app.metric][:2] == ["Verdicts", "Items judged"]
    assert "No verdict yet" in _texts(app)


def _wrong_on_pages() -> dict[str, list[str]]:
    """By page, what it says that went wrong; empty where all is well."""
    apps = {page: _script(page).run() for page in TITLES}
    told = {page: [str(e.value) for e in (*app.exception, *app.error)] for page, app in apps.items()}
    return {page: errors for page, errors in told.items() if errors}


def test_every_page_of_a_fresh_run(ws: Workspace) -> None:
    assert _wrong_on_pages() == {}


def test_every_page_with_verdicts(voted: Workspace) -> None:
    assert _wrong_on_pages() == {}


def test_the_overview_counts(voted: Workspace) -> None:
    app = _script("Overview").run()
    counts = {"Verdicts": "24", "Items judged": "12", "Judged by two or more": "12", "Open disagreements": "4"}
    assert counts.items() <= {m.label: m.value for m in app.metric}.items()
    frames = [table.value for table in app.dataframe]
    agreement = next(f for f in frames if "measure" in f)
    assert list(agreement["measure"]) == ["Krippendorff's alpha, all", "Cohen's kappa, ann and ben"]
    people = next(f for f in frames if "agrees with the others" in f).set_index("reviewer")
    assert people.loc["ann", "agrees with the others"] == "8 of 12 (35% to 90%)"
    table = next(f for f in frames if "others: suggested" in f.index)  # of ann
    assert table.loc["others: suggested", "suggested"] == 8
    assert table.loc["others: given", "suggested"] == 4


def test_three_verdicts_per_item_have_fleiss_kappa(voted: Workspace) -> None:
    _vote(voted, "cara", "suggested", list(voted.store.page(PageFilter(flagged=True), limit=12).items))
    frames = [table.value for table in _script("Overview").run().dataframe]
    agreement = next(f for f in frames if "measure" in f)
    row = agreement[agreement["measure"] == "Fleiss' kappa, items with 3 verdicts"].iloc[0]
    assert row["items"] == 12
    # Eight items agree wholly, in four one pair of three does.
    share = 4 / 36
    expected = ((8 + 4 / 3) / 12 - (share**2 + (1 - share) ** 2)) / (1 - share**2 - (1 - share) ** 2)
    assert row["value"] == f"{expected:.2f}"


def test_the_share_of_the_audit_sample_is_of_its_judged_beginning(ws: Workspace) -> None:
    assert audit_share(ws).n == 0
    sample = ws.store.audit_stream().item_ids.tolist()
    states = [ws.store.state(item) for item in sample[:6]]
    items = [state.item for state in states if state is not None]
    _vote(ws, "ann", "given", items[:3])
    _vote(ws, "ann", "suggested", items[4:])  # after a gap: judged for another reason, it does not count
    assert (audit_share(ws).k, audit_share(ws).n) == (0, 3)
    _vote(ws, "ann", "neither", items[3:4])
    assert (audit_share(ws).k, audit_share(ws).n) == (3, 6)


def test_disagreements_show_the_votes(voted: Workspace) -> None:
    app = _script("Disagreements").run()
    assert "4 open disagreements" in _texts(app)
    exchange, hand = app.session_state["settle-card-exchange"][0], app.session_state["settle-card-hand"]
    assert [item["votes"] for item in hand[1]["batch"]] == [{"ann": "suggested", "ben": "given"}] * 4
    item = exchange.batch[0]
    event = {
        "uuid": str(uuid4()),
        "kind": "verdict",
        "item_id": item.item_id,
        "verdict": "given",
        "shown_label": item.given,
        "shown_suggested": item.suggested,
    }
    exchange.receive({"n": 1, "left": 3, "events": [event]})
    assert voted.store.progress().disagreements == 3


def test_the_review_is_blind(ws: Workspace) -> None:
    items = ws.store.next_batch("ann", 50)
    assert {item.flagged for item in items} == {True, False}  # both streams are there
    batch = hand_data(ws, items, "ann")["batch"]
    assert len({tuple(sorted(payload)) for payload in batch}) == 1  # and look the same
    assert set(batch[0]) == {"id", "hash", "given", "suggested", "options", "src", "remark"}
    assert all(payload["remark"] == {"comment": "", "discuss": False, "others": {}} for payload in batch)


def test_the_gallery_is_blind_until_one_has_judged(voted: Workspace) -> None:
    items = {item.item_id: item for item in voted.store.page(PageFilter(flagged=True), limit=13).items}
    first, *_, unjudged = items.values()
    for reviewer, note in (("ann", "ben: suggested"), ("cara", "judged by 2")):
        told = grid_item(voted, first, reviewer)
        assert told["note"] == note
        assert (told["own"] is None) == (reviewer == "cara")
        assert "verdicts" not in told
    assert "suggested" not in str(grid_item(voted, first, "cara")["note"])
    assert grid_item(voted, unjudged, "ann")["note"] == ""
    own = grid_item(voted, first, "ben")["own"]
    assert own == {"uuid": first.uuids["ben"], "verdict": "suggested"}


def test_no_wording_says_of_the_candidate_that_the_model_suggests_it(ws: Workspace) -> None:
    state = read_state(ws.run, ws.store)
    preferred = np.array(ws.run.class_names)[np.asarray(ws.run.pred_probs).argmax(axis=1)]
    best = dict(zip(ws.run.ids.tolist(), preferred.tolist(), strict=True))
    # The audit sample shows many items of which the model prefers the given label.
    assert sum(best[i.item_id] == i.given for i in ws.store.next_batch("ann", 50)) > 10
    assert (state.given[~state.flagged] != state.suggested[~state.flagged]).all()
    folder, views = Path(SCRIPT).parent, ("gallery", "mine", "pairs")
    for script in (*folder.glob("browser/*.js"), folder / "filters.py", *(folder / "views" / f"{n}.py" for n in views)):
        text = re.sub(r"//.*|#.*", "", script.read_text()).lower()
        for words in ("model suggests", "suggested label", "suggestion", "suggested class"):
            assert words not in text, script.name


def test_the_pair_in_the_address_leads_to_its_items(voted: Workspace) -> None:
    app = _script("Overview")
    pair = voted.catalogue.pairs(voted.store.judged_places())[0]
    app.query_params["given"], app.query_params["suggested"] = pair.given, pair.suggested
    app.run()
    told = (
        f"**{pair.given} → {pair.suggested}**: {pair.flagged} flagged, {pair.judged} judged, 0 to be judged one after"
    )
    assert told in _texts(app)
    (link,) = (link.proto for link in app.get("page_link") if link.proto.page == "gallery")
    assert link.query_string == f"given={pair.given}&suggested={pair.suggested}"
    app.selectbox(key="overview-suggested").set_value(None)
    app.run()
    assert f"**{pair.given} → any class**" in _texts(app)
    assert "suggested" not in app.query_params
    app.query_params["given"] = "no such class"
    assert "**" not in "".join(m.value for m in app.run().markdown if "→" in m.value)


@pytest.mark.parametrize("n", [2, 40, 1000])
def test_the_matrix_shows_the_classes_with_the_most_flags(n: int) -> None:
    names = [f"class {k}" for k in range(n)]
    often = [PairCount(names[k], names[(k + 1) % n], 500 if k == 0 else 50 - k, 1) for k in range(min(n, 30))]
    rare = [PairCount(names[0], names[k], 1) for k in range(2, n)]
    data = matrix_data([*often, *rare], names, most=5)
    assert data["names"] == names[:2] if n == 2 else len(data["names"]) == 5
    assert data["names"] == sorted(data["names"], key=names.index)
    shown = {(data["names"][g], data["names"][s]): (flagged, judged) for g, s, flagged, judged in data["pairs"]}
    assert shown[names[0], names[1]] == (500, 1)
    row = data["rows"][data["names"].index(names[0])]
    assert row == {"count": 500 + max(0, n - 2), "judged": 1}  # pairs with classes that are not shown are counted
    column = data["columns"][data["names"].index(names[1])]
    assert column == {"count": 500, "judged": 1}


def test_own_verdicts_are_listed_and_searched(voted: Workspace) -> None:
    app = _script("My verdicts").run()
    assert not app.exception
    assert len(app.dataframe[0].value) == 12
    app.text_input[0].set_value("no such words")
    app.run()
    assert "fits these words" in _texts(app)


def test_older_own_verdicts_are_reached_and_their_history_is_kept(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.ui.views.mine.LISTED", 5)
    items = list(ws.store.page(PageFilter(flagged=True), limit=12).items)
    for item in items:
        _vote(ws, "ann", "given", [item])
    app = _script("My verdicts").run()
    pages = [app.dataframe[0].value["item"].tolist()]
    for _ in range(2):
        next(b for b in app.button if b.label == "Older").click()
        app.run()
        pages.append(app.dataframe[0].value["item"].tolist())
    assert [item for page in pages for item in page] == [item.item_id for item in reversed(items)]
    assert next(b for b in app.button if b.label == "Older").disabled
    next(b for b in app.button if b.label == "Newer").click()
    app.run()
    assert app.dataframe[0].value["item"].tolist() == pages[1]
    _vote(ws, "ANN", "neither", items[:1])
    said = [entry["you said"] for entry in own_history(ws, "ann", items[0].item_id)]
    assert said == ["neither", "given"]


def _queue(name: str, **address: str) -> AppTest:
    app = _script("Review")
    for parameter, value in {"queue": name, **address}.items():
        app.query_params[parameter] = value
    return app.run()


def test_a_queue_is_chosen_and_stands_in_the_address(voted: Workspace) -> None:
    draw_stream(voted.run, voted.store, 5, 0, anew=False)  # the first sample holds nearly all flagged items
    app = _script("Review").run()
    control = app.segmented_control(key="queue")
    assert control.value == "all"
    assert control.options == ["All items", "Class pair", "Disagreements (4)", "My verdicts"]
    control.set_value("pair")
    app.run()
    assert app.query_params["queue"] == "pair"
    assert "Choose classes" in _texts(app)
    pairs = voted.catalogue.pairs(voted.store.judged_places())
    pair = max(pairs, key=lambda p: voted.store.waiting([(p.given, p.suggested)]))
    app.selectbox(key="queue-given").set_value(pair.given)
    app.run()
    app.selectbox(key="queue-suggested").set_value(pair.suggested)
    app.run()
    exchange = app.session_state["review-card-exchange"][0]
    assert {(i.given, i.suggested, i.flagged) for i in exchange.batch} == {(pair.given, pair.suggested, True)}
    assert not {i.item_id for i in exchange.batch} & set(voted.store.audit_stream().item_ids)
    # What was in the hand of the other queue went back.
    assert [hand.items for hand in voted.store.hands()] == [len(exchange.batch)]
    app.segmented_control(key="queue").set_value("all")
    app.run()
    assert "given" not in app.query_params
    assert len({(i.given, i.suggested) for i in app.session_state["review-card-exchange"][0].batch}) > 1
    assert not app.exception


def test_other_queues(voted: Workspace) -> None:
    assert "4 open disagreements" in _texts(_queue("disagreements"))
    assert len(_queue("mine").dataframe[0].value) == 12
    assert _queue("discuss").segmented_control(key="queue").value == "all"
    mark = {"kind": "remark", "item_id": "digit-0007", "comment": None, "discuss": True, "uuid": "d" * 12}
    assert not voted.store.submit("ben", [mark]).refused
    discuss = _queue("discuss")
    assert "To discuss (1)" in discuss.segmented_control(key="queue").options
    assert [i.item_id for i in discuss.session_state["discuss-card-exchange"][0].batch] == ["digit-0007"]
    for name in ("assigned", "nonsense"):
        assert _queue(name).segmented_control(key="queue").value == "all"
    pair = voted.catalogue.pairs(voted.store.judged_places())[0]
    voted.store.assign("ANN", (pair.given, pair.suggested))
    app = _queue("assigned")
    assert f"Yours alone: {pair.given} → {pair.suggested}" in _texts(app)
    assert not app.exception


def test_pairs_are_assigned_on_the_overview(voted: Workspace) -> None:
    pair = voted.catalogue.pairs(voted.store.judged_places())[0]
    app = _script("Overview")
    app.query_params["given"], app.query_params["suggested"] = pair.given, pair.suggested
    app.run()
    app.selectbox(key="assign-to").set_value("ben")
    app.run()
    next(b for b in app.button if b.label == "Assign").click()
    app.run()
    assert voted.store.assigned() == {"ben": [(pair.given, pair.suggested)]}
    next(b for b in app.button if b.label == "Give back to everybody").click()
    app.run()
    assert voted.store.assigned() == {}


def test_the_end_of_a_queue_says_what_was_found(voted: Workspace) -> None:
    pair = next(p for p in voted.catalogue.pairs(voted.store.judged_places()) if p.flagged < 40)
    while batch := voted.store.next_batch("ann", 50, part=[(pair.given, pair.suggested)]):
        _vote(voted, "ann", "suggested", batch)
    app = _queue("pair", given=pair.given, suggested=pair.suggested)
    assert not app.exception
    text = _texts(app)
    assert f"Nothing of {pair.given} → {pair.suggested} waits for you" in text
    errors = count_errors(majority(voted.store.votes()))
    metrics = {m.label: m.value for m in app.metric}
    assert metrics == {"Right": "0", "Wrong": str(errors.wrong), "Ambiguous": "4", "Broken": "0"}
    links = {link.proto.label: link.proto.page for link in app.get("page_link")}
    assert links["Export the patch"] == "export"
    assert links["Open disagreements (4)"] == "disagreements"
    found = next(frame.value for frame in app.dataframe if "right" in frame.value)
    assert int(found["items"].sum()) == errors.wrong
    row = found[(found["given"] == pair.given) & (found["right"] == pair.suggested)]
    assert int(row["items"].iloc[0]) >= pair.flagged - pair.judged - 10


def test_who_holds_what_is_told_and_released(voted: Workspace) -> None:
    voted.store.next_batch("dan", 7, lease=120.0)
    app = _script("Overview").run()
    assert "**dan** holds 7 items, which go back in 2 min" in _texts(app)
    next(b for b in app.button if b.label == "Release").click()
    app.run()
    assert voted.store.hands() == []
    assert "dan" not in _texts(app)


def test_the_bar_of_the_sample_counts_what_the_estimate_reads(ws: Workspace) -> None:
    sample = list(dict.fromkeys(ws.store.audit_stream().item_ids.tolist()))
    states = [ws.store.state(item) for item in (*sample[:3], *sample[5:9])]
    _vote(ws, "ann", "given", [state.item for state in states if state is not None])
    bars = [bar.proto.text for bar in _script("Overview").run().get("progress")]
    assert "3 of 1,000 count towards the estimate; 4 more are judged" in bars[1]


def test_the_tolerated_number_is_in_the_address(voted: Workspace) -> None:
    app = _script("Overview").run()
    app.number_input[0].set_value(40)
    app.run()
    assert app.query_params["tolerated"] in ("40", ["40"])
    app.session_state["kept-tolerated"] = "40"
    again = _script("Overview")
    again.session_state["kept-tolerated"] = "40"
    assert again.run().number_input[0].value == 40


def test_the_quality_page_counts_what_the_checks_count(ws: Workspace) -> None:
    checks = {c["code"]: c for c in ws.run.quality["checks"]}
    groups = [
        {"kind": "exact", "ids": ["digit-0001", "digit-0002"], "parts": ["", ""], "labels": ["1", "2"]},
        {"kind": "exact", "ids": ["digit-0003", "digit-0004"], "parts": ["", ""], "labels": ["3", "3"]},
    ]
    checks["DQ101"] |= {"status": "found", "groups": groups, "n_groups": 2, "n_items": 4}
    checks["DQ103"] |= {"status": "found", "n_groups": 1}
    broken = {"id": "digit-0007", "part": "", "label": "7", "note": "truncated"}
    checks["DQ001"] |= {"status": "found", "items": [broken], "n_items": 1}
    app = _script("Duplicates & quality").run()
    assert not app.exception
    assert [metric.value for metric in app.metric] == ["2", "not looked for", "1", "1"]
    table = next(frame.value for frame in app.dataframe if "contradicting" in frame.value)
    assert table["contradicting"].tolist() == [True, False]
    assert next(frame.value for frame in app.dataframe if "item" in frame.value)["item"].tolist() == ["digit-0007"]
    assert "Every item could be decoded" not in _texts(app)


def test_the_quality_page_leads_to_each_weak_slice(ws: Workspace) -> None:
    check = {c["code"]: c for c in ws.run.quality["checks"]}["DQ701"]
    assert "Weak slices" not in _texts(_script("Duplicates & quality").run())
    row = {"slice": "age [from] 7", "what": "model", "n": 40, "rate": 0.4, "interval": [0.26, 0.55]}
    group = {"kind": "slice", "ids": ["digit-0001", "digit-0002"], "parts": ["", ""], "labels": ["1", "2"]}
    facts = {"alpha": 0.05, "slices": [row | {"elsewhere": 0.1, "expected": 0.12}]}
    check |= {"status": "found", "groups": [group], "n_groups": 1, "facts": facts}
    app = _script("Duplicates & quality").run()
    assert not app.exception
    table = next(frame.value for frame in app.dataframe if "slice" in frame.value)
    assert table["rate"].tolist() == ["40.0% (26.0% to 55.0%)"]
    (link,) = [link for link in app.get("page_link") if "from" in link.proto.label]
    assert "check=DQ701.1" in link.proto.query_string


def _select(app: AppTest, name: str, value: str | None) -> None:
    app.selectbox(key=f"filter-{name}").set_value(value)
    app.run()


def test_the_gallery_filters_and_turns_pages(voted: Workspace) -> None:
    app = _script("Gallery").run()
    n_flagged = voted.store.facts["n_flagged"]
    assert f"**{n_flagged:,}** flagged items" in _texts(app)
    _select(app, "items", "all")
    assert f"**{voted.store.facts['n_items']:,}** items" in _texts(app)
    app.pagination[0].set_value(2)
    app.run()
    assert app.query_params == {"items": "all", "page": "2", "reviewer": "ann"}
    assert not app.exception
    _select(app, "state", "judged")
    _select(app, "judged_by", "ben")
    assert "**12** items" in _texts(app)
    assert "page" not in app.query_params  # another filter begins anew
    app.text_input(key="filter-score_from").set_value("x")
    app.run()
    assert "not a number" in app.warning[0].value
    app.button(key="chip-judged_by").click()
    app.run()
    assert "judged_by" not in app.query_params
    next(b for b in app.button if b.label == "Drop all").click()
    app.run()
    assert f"**{n_flagged:,}** flagged items" in _texts(app)


def test_a_view_of_the_gallery_is_in_its_address(voted: Workspace) -> None:
    pair = voted.catalogue.pairs(voted.store.judged_places())[0]
    app = _script("Gallery")
    address = {"given": pair.given, "suggested": pair.suggested, "size": "large", "order": "sure", "items": "neither"}
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    assert f"**{pair.flagged}** flagged item" in _texts(app)
    assert app.selectbox(key="filter-given").value == pair.given
    assert app.segmented_control(key="gallery-size").value == "large"
    assert "there is no such kind of items" in app.warning[0].value
    assert [b.label for b in app.button if b.key.startswith("chip-")][:2] == [
        f"labelled {pair.given} ✕",
        f"candidate {pair.suggested} ✕",
    ]
    app.text_input(key="filter-words").set_value("no such id")
    app.run()
    assert "**0** flagged items" in _texts(app)
    assert app.query_params["words"] == "no such id"


def test_all_that_a_filter_matches_can_be_judged(voted: Workspace) -> None:
    places = matching(voted, GalleryFilter(), "ann")
    rows = everything(voted, places, "ann")
    items = voted.store.at(places.tolist())
    assert [row[:3] for row in rows] == [[i.item_id, i.given, i.suggested] for i in items]
    own = {i.item_id: ["suggested", i.uuids["ann"]] for i in items if "ann" in i.uuids}
    assert len(own) == 12
    assert {row[0]: row[3:] for row in rows if row[4]} == own


def test_detectors_computed_later_filter_the_gallery(ws: Workspace) -> None:
    app = _script("Gallery").run()
    assert app.selectbox(key="filter-detector").disabled
    found = detector_scores(ws.run)
    app.run()
    detector = app.selectbox(key="filter-detector")
    assert not detector.disabled
    name = next(n for n in detector.options if found.table[f"flagged_{n}"].any())
    _select(app, "detector", name)
    _select(app, "items", "all")
    assert not app.exception
    flagged = set(found.table["id"][found.table[f"flagged_{name}"]])
    assert {item.item_id for item in ws.store.page(PageFilter(detector=name), limit=1000).items} == flagged
    places = matching(ws, GalleryFilter(items="all", detector=name), "ann")
    assert {item.item_id for item in ws.store.at(places.tolist())} == flagged
    assert f"**{len(flagged):,}** item" in _texts(app)


def test_the_queue_is_laid_out_as_asked_and_stays_so(digits: Path, tmp_path: Path) -> None:
    controls = tmp_path / "controls.csv"
    controls.write_text("id,verdict\ndigit-0003,given\n")
    asked = (("audit_size", 20), ("overlap", 0.5), ("reviewers_per_item", 2))
    opened = open_workspace(ReviewConfig(run=str(digits), plan=asked, controls=str(controls)))
    assert (opened.store.plan.reviewers_per_item, opened.store.plan.overlap) == (2, 0.5)
    assert len(opened.store.audit_stream().item_ids) == 20
    assert opened.store.controls() == {"digit-0003": "given"}
    opened.store.close()
    open_workspace(ReviewConfig(run=str(digits), plan=asked)).store.close()
    with pytest.raises(ConfigError, match=r"overlap 0\.5, not 0\.2"):
        open_workspace(ReviewConfig(run=str(digits), plan=(("overlap", 0.2),)))
    environ = {"AUDITOR_OVERLAP": "0.2", "AUDITOR_REVIEWERS_PER_ITEM": "3", "AUDITOR_CONTROLS": "c.csv"}
    found = config_from_environ(environ)
    assert (found.plan, found.controls) == ((("overlap", 0.2), ("reviewers_per_item", 3)), "c.csv")
    with pytest.raises(ConfigError, match="not a number"):
        config_from_environ({"AUDITOR_OVERLAP": "much"})


def test_a_bulk_verdict_is_one_event_per_item(ws: Workspace) -> None:
    items = list(ws.store.page(PageFilter(flagged=True), limit=PAGE_SIZE).items)
    _vote(ws, "ann", "given", items)
    assert ws.store.progress().by_verdict == {"given": len(items)}


def test_groups_are_those_of_the_run(ws: Workspace) -> None:
    table = ws.rows.group_table
    sizes = ws.run.items.groupby("group").size()
    assert table["items"].sum() == sizes[sizes > 1].sum()
    assert len(table) == (sizes > 1).sum()
    labels = ws.run.items.groupby("group")["label"].nunique()
    assert table["contradicting"].sum() == (labels[sizes > 1] > 1).sum()


def test_the_export_page_offers_a_patch(voted: Workspace) -> None:
    app = _script("Export").run()
    assert not app.exception
    assert "**8 records**" in _texts(app)  # the two agree on 8 of 12
    rows = list(csv.DictReader(io.StringIO(verdict_csv(voted.store.votes()))))
    assert len(rows) == 24
    assert {row["reviewer"] for row in rows} == {"ann", "ben"}


def test_nobody_reviews_without_a_name(digits: Path) -> None:
    configure(ReviewConfig(run=str(digits)))
    try:
        app = _script("Review").run()
        assert "Who are you?" in _texts(app)
        app.text_input[0].set_value("  ")
        app.button[0].click()
        app.run()
        assert app.error
        app.text_input[0].set_value("cara")
        app.button[0].click()
        app.run()
        assert app.query_params["reviewer"] in ("cara", ["cara"])
    finally:
        close_workspace()
        configure(ReviewConfig())


def test_a_missing_run_is_told(tmp_path: Path) -> None:
    configure(ReviewConfig(run=str(tmp_path / "none")))
    try:
        app = AppTest.from_file(SCRIPT, default_timeout=60).run()
        assert "no run folder" in _texts(app)
        assert not app.exception
    finally:
        configure(ReviewConfig())


def test_without_a_run_the_finished_ones_are_offered(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITOR_RUNS_DIR", str(digits.parent))
    monkeypatch.setenv("AUDITOR_REVIEWER", "ann")
    monkeypatch.delenv("AUDITOR_RUN", raising=False)
    monkeypatch.setattr("auditor.ui.config._current", None)
    try:
        app = AppTest.from_file(SCRIPT, default_timeout=60).run()
        assert app.selectbox[0].options == [digits.name]
        app.button[0].click()
        app.run()
        assert [m.label for m in app.metric][:1] == ["Verdicts"]
    finally:
        close_workspace()
