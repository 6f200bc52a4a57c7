"""What the card is told and what it may say: blindness, remarks, own keys, guidelines, items like one, the CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from auditor.patch.create import create_patch
from auditor.review.consensus import majority
from auditor.review.preferences import EVERYBODY
from auditor.review.readout import PageFilter
from auditor.runs import layout
from auditor.ui.config import configure, current_config
from auditor.ui.contents import FULL, encode
from auditor.ui.exchange import Exchange
from auditor.ui.near import items_like, nearest_items
from auditor.ui.payload import hand_data
from auditor.ui.views.card import checked_keys
from auditor.ui.views.export import verdict_csv
from auditor.ui.workspace import Workspace
from tests.ui.client import local_client
from tests.ui.events import events_on


def _remark(item: str, comment: str | None = None, discuss: bool | None = None) -> dict[str, Any]:
    return {"uuid": str(uuid4()), "kind": "remark", "item_id": item, "comment": comment, "discuss": discuss}


def test_others_remarks_are_seen_by_who_has_judged(ws: Workspace) -> None:
    item = ws.store.page(PageFilter(flagged=True), limit=1).items[0]
    exchange = Exchange.for_review(ws.store, "ann")
    exchange.receive({"n": 1, "left": 9, "events": [_remark(item.item_id, "mine")]})
    assert exchange.saved == 0  # a comment is no verdict
    ws.store.submit("ben", [_remark(item.item_id, "a hook", True)])

    def told(reviewer: str, votes: bool = False) -> dict[str, Any]:
        state = ws.store.state(item.item_id)
        assert state is not None
        remark: dict[str, Any] = hand_data(ws, [state.item], reviewer, votes)["batch"][0]["remark"]
        return remark

    assert told("ann") == {"comment": "mine", "discuss": False, "others": {}}
    assert told("ben") == {"comment": "a hook", "discuss": True, "others": {}}
    everything = {"ann": "mine", "ben": "a hook"}
    assert told("cara", votes=True) == {"comment": "", "discuss": True, "others": everything}
    ws.store.submit("ann", events_on([item], "given"))
    assert told("ann") == {"comment": "mine", "discuss": True, "others": {"ben": "a hook"}}


def test_new_classes_are_offered_and_reach_the_patch_as_far_as_it_goes(ws: Workspace) -> None:
    item = ws.store.page(PageFilter(flagged=True), limit=1).items[0]
    ws.store.submit("ann", events_on([item], "new:hook"))
    assert hand_data(ws, [item], "ben")["new_classes"] == ["hook"]
    made = create_patch(ws.run, majority(ws.store.votes()), ws.settings)
    (record,) = made.patch.records
    assert (record.op, record.reason, record.note, record.votes) == (
        "drop",
        "neither",
        "new class: hook",
        {"new:hook": 1},
    )


def test_the_csv_has_comments_with_verdicts_and_without(ws: Workspace) -> None:
    a, b = ws.store.page(limit=2).items
    ws.store.submit("ann", [*events_on([a], "given"), _remark(a.item_id, "=1+1", True)])
    ws.store.submit("ben", [_remark(b.item_id, "dark")])
    rows = list(csv.DictReader(io.StringIO(verdict_csv(ws.store.votes(), ws.store.remarks()))))
    told = [(r["item"], r["reviewer"], r["verdict"], r["comment"].lstrip("'"), r["discuss"]) for r in rows]
    assert told == [(a.item_id, "ann", "given", "=1+1", "1"), (b.item_id, "ben", "", "dark", "0")]
    assert not any(r["comment"].startswith("=") for r in rows)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"fixed": True, "own": {"3": "q", "4": "xx", "none": "y", "5": 7}}, {"fixed": True, "own": {"3": "q"}}),
        ({"fixed": 0, "own": {}}, {"fixed": False, "own": {}}),
        ({"fixed": True}, None),
        ("keys", None),
    ],
)
def test_keys_are_kept_as_far_as_they_are_some(ws: Workspace, sent: object, kept: object) -> None:
    assert checked_keys(sent, ws.run.class_names) == kept


def test_items_like_one_need_no_command_first(ws: Workspace) -> None:
    item = str(ws.run.ids[5])
    assert "kept no embeddings" in items_like(ws, item)["error"]
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(len(ws.run.ids), 8)).astype(np.float32)
    embeddings[9] = 3 * embeddings[5]  # the same direction
    np.save(ws.run.file(layout.EMBEDDINGS), embeddings)
    ws.run.__dict__.pop("embeddings"), ws.run.manifest.update(embeddings={"name": "pixels"})
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    cosines = unit @ unit[5]
    cosines[5] = -2
    expected = np.argsort(-cosines, kind="stable")[:12]
    near = nearest_items(ws, int(ws.run.audited[5]))
    assert [row for row, _ in near] == ws.run.audited[expected].tolist()
    np.testing.assert_allclose([cosine for _, cosine in near], cosines[expected], atol=1e-5)
    neighbour = ws.store.state(str(ws.run.ids[9]))
    assert neighbour is not None
    ws.store.submit("ben", events_on([neighbour.item], "neither"))
    answer = local_client().get("/auditor/near", params={"item": item}).json()
    first = answer["items"][0]
    assert (answer["embedding"], first["id"], first["similarity"]) == ("pixels", neighbour.item.item_id, 1.0)
    assert [n["judged"] for n in answer["items"]] == [True, *[False] * 11]
    assert "neither" not in str(answer)
    assert local_client().get("/auditor/near", params={"item": "none"}).status_code == 404


def test_a_picture_comes_in_its_own_resolution() -> None:
    large = Image.new("RGB", (2400, 1800), "red")
    assert Image.open(io.BytesIO(encode(large, FULL, FULL))).size == (2400, 1800)
    assert Image.open(io.BytesIO(encode(large, 768))).width == 768


def _guidelines() -> AppTest:
    def run() -> None:
        from auditor.ui import workspace as workspaces
        from auditor.ui.views.guidelines import guidelines_page

        opened = workspaces.workspace()
        assert opened is not None
        guidelines_page(opened)

    return AppTest.from_function(run, default_timeout=60)


def test_guidelines_are_written_by_owners_and_read_by_all(ws: Workspace) -> None:
    item, name = ws.store.page(limit=1).items[0].item_id, ws.run.class_names[3]
    app = _guidelines()
    app.query_params["class"], app.query_params["item"] = name, item
    app.run()
    assert app.selectbox[0].value == name
    assert app.text_area[1].value == item  # the card sent it
    app.text_area[0].set_value("Two bows, open to the left.")
    app.button[0].click().run()
    assert not app.error
    assert not app.exception
    guideline = ws.store.guidelines()[name]
    assert (guideline.definition, guideline.exemplars, guideline.reviewer) == (
        "Two bows, open to the left.",
        (item,),
        "ann",
    )
    told = local_client().get("/auditor/guidelines").json()["guidelines"][name]
    assert (told["version"], told["by"], [e["id"] for e in told["exemplars"]]) == (1, "ann", [item])
    app.text_area[1].set_value("no such item")
    app.button[0].click().run()
    assert "no such item" in app.code[0].value
    configure(replace(current_config(), owners=("Olga",)))
    app = _guidelines().run()
    assert not app.text_area
    assert "Olga" in app.caption[-1].value


def test_the_tolerated_number_outlives_the_address(ws: Workspace) -> None:
    from auditor.ui import SCRIPT

    ws.store.set_preference(EVERYBODY, "tolerated", 37)
    app = AppTest.from_file(SCRIPT, default_timeout=60).run()
    assert app.query_params["tolerated"] in ("37", ["37"])
