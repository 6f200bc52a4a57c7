"""The map: its points, colours and selections by the routes, and its page."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from auditor.audit.item_map import make_maps
from auditor.core.errors import DataError
from auditor.runs import layout
from auditor.ui import item_points as module
from auditor.ui import map_routes
from auditor.ui import workspace as workspaces
from auditor.ui.config import ReviewConfig, configure, current_config
from auditor.ui.filters import matching, read_filter
from auditor.ui.item_points import SIDE, VERDICTS, item_points, places
from auditor.ui.selections import keep_selection, read_selection
from auditor.ui.views.map import LISTED
from auditor.ui.workspace import Workspace
from tests.ui.client import local_client
from tests.ui.events import events_on
from tests.ui.test_views import _script

OWN = {"origin": "http://localhost"}


@pytest.fixture(scope="module")
def mapped(digits_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """The process's workspace, for all tests of this file, with its map; each test judges under names of its own."""
    folder = tmp_path_factory.mktemp("map") / "run"
    shutil.copytree(digits_source / "run", folder)
    configure(ReviewConfig(run=str(folder), reviewer="ann"))
    opened = workspaces.workspace()
    assert opened is not None
    make_maps(opened.run)
    yield opened
    module.stop_maps()
    workspaces.close_workspace()
    configure(ReviewConfig())


def _unpacked(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    length = int.from_bytes(data[:4], "little")
    header = json.loads(data[4 : 4 + length])
    read = lambda kind, at, n: np.frombuffer(data, f"<{kind}", n, 4 + length + at)  # noqa: E731
    return header, {name: read(*where) for name, where in header["arrays"].items()}


def _seen(client: TestClient, reviewer: str) -> np.ndarray:
    answer = client.get("/auditor/map/verdicts", params={"reviewer": reviewer})
    assert answer.status_code == 200
    return np.frombuffer(answer.content, np.uint8)


def test_the_points_are_those_of_the_run(mapped: Workspace) -> None:
    client, run = local_client(), mapped.run
    answer = client.get("/auditor/map/points")
    assert answer.status_code == 200
    header, arrays = _unpacked(answer.content)
    assert header["classes"] == list(run.class_names)
    assert len(arrays["places"]) == 2 * len(run.audited)
    assert (arrays["given"] == run.labels).all()
    scores = run.scores.set_index("id").loc[run.ids]
    names = np.array([*run.class_names, None], dtype=object)
    assert (names[arrays["suggested"]] == scores["suggested"].to_numpy()).all()
    # The scale of suspicion rises with the score.
    order = np.argsort(scores["score"].to_numpy(), kind="stable")
    assert (np.diff(arrays["suspicion"][order].astype(int)) >= 0).all()
    assert arrays["suspicion"].min() == 0
    assert arrays["suspicion"].max() == 255
    again = client.get("/auditor/map/points", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert client.get("/auditor/map/points?layout=nonsense").content == answer.content


@pytest.mark.parametrize("points", [[[0, 0], [4, 2]], [[1, 1]], [[-1e6, 3], [1e6, 3], [0, 3]], []])
def test_points_keep_their_shape_in_whole_numbers(points: list[list[float]]) -> None:
    whole = places(np.array(points, np.float32).reshape(-1, 2)).astype(float)
    assert whole.shape == (len(points), 2)
    if len(points) > 1:
        spread = np.ptp(np.array(points, float), axis=0)
        assert np.abs(np.ptp(whole, axis=0) - spread * SIDE / spread.max()).max() <= 1
        assert np.abs((whole.min(axis=0) + whole.max(axis=0)) / 2 - SIDE / 2).max() <= 1


def test_what_others_said_is_seen_with_ones_own_verdict_and_not_before(mapped: Workspace) -> None:
    client, store = local_client(), mapped.store
    first, second, third, fourth = store.page(limit=4).items
    store.submit("bob", events_on([first, second, third], "neither"))
    store.submit("ann", events_on([second], "given") + events_on([third], "neither") + events_on([fourth], "other:3"))
    points = item_points(mapped)
    at = points.numbers_of([item.item_id for item in (first, second, third, fourth)])
    said = [VERDICTS[k] for k in _seen(client, "ANN")[at]]
    assert said == [
        "judged by others, not by you",
        "others say otherwise than you",
        "you: no class",
        "you: another class",
    ]
    assert [VERDICTS[k] for k in _seen(client, "bob")[at]][::3] == ["you: no class", "judged by others, not by you"]
    # To whom has judged nothing, all verdicts look the same.
    assert set(_seen(client, "carla").tolist()) == {0, 1}
    assert (_seen(client, "carla")[at] == 1).all()


def test_with_a_login_the_name_in_the_address_counts_for_nothing(
    mapped: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = mapped.store.page(limit=5).items[-1:]
    mapped.store.submit("ann@example.org", events_on(items, "given"))
    (at,) = item_points(mapped).numbers_of([items[0].item_id])
    monkeypatch.setattr(map_routes, "has_login", lambda: True)
    monkeypatch.setattr(map_routes, "user_of", lambda _request: {"email": "eve@example.org"})
    client = local_client()
    assert _seen(client, "ann@example.org")[at] == 1
    monkeypatch.setattr(map_routes, "user_of", lambda _request: {"email": "ann@example.org"})
    assert _seen(client, "eve@example.org")[at] == 2


def test_a_point_tells_its_item_and_nobodys_verdict(mapped: Workspace) -> None:
    item = mapped.store.page(limit=6).items[-1]
    mapped.store.submit("dan", events_on([item], "neither"))
    (at,) = item_points(mapped).numbers_of([item.item_id])
    answer = local_client().get("/auditor/map/item", params={"at": int(at)})
    assert {k: answer.json()[k] for k in ("id", "given", "suggested")} == {
        "id": item.item_id,
        "given": item.given,
        "suggested": item.suggested,
    }
    assert "neither" not in answer.text
    assert local_client().get(answer.json()["src"]).status_code == 200


def test_what_is_not_there_is_said(mapped: Workspace) -> None:
    client = local_client()
    absent = ("item?at=99999", "selection/../../manifest.json", f"selection/{'0' * 32}", "selection/x")
    assert {client.get(f"/auditor/map/{path}").status_code for path in absent} == {404}
    wrong = ("item?at=-1", "item?at=１", "item", "item?at=1e3", "verdicts")
    assert {client.get(f"/auditor/map/{path}").status_code for path in wrong} == {400}


def test_a_selection_is_kept_and_found_by_its_name(mapped: Workspace) -> None:
    client, numbers = local_client(), np.array([7, 3, 1500], "<u4")
    name = client.post("/auditor/map/selection", content=numbers.tobytes(), headers=OWN).json()["selection"]
    assert client.get(f"/auditor/map/selection/{name}").content == numbers.tobytes()  # in the order it was picked
    assert keep_selection(mapped.run, numbers) == name
    assert read_selection(mapped.run, name).tolist() == [7, 3, 1500]
    bodies = [b"", b"abc", np.array([99999], "<u4").tobytes(), b"\0" * 4 * (len(mapped.run.audited) + 1)]
    answers = [client.post("/auditor/map/selection", content=body, headers=OWN).status_code for body in bodies]
    assert answers == [404, 400, 404, 400]
    assert (
        client.post("/auditor/map/selection", content=b"\0" * 4, headers={"origin": "http://e.vil"}).status_code == 403
    )
    # Damaged, or of a run over other items: refused.
    path = mapped.run.path / layout.SELECTIONS / f"{name}.npy"
    np.save(path, numbers[::-1])
    with pytest.raises(DataError, match="no such selection"):
        read_selection(mapped.run, name)


def test_items_like_one_are_selected_nearest_first(mapped: Workspace) -> None:
    client = local_client()
    answer = client.post("/auditor/map/like", params={"at": 11}, headers=OWN).json()
    numbers = read_selection(mapped.run, answer["selection"])
    assert (answer["items"], numbers[0]) == (module.LIKE, 11)
    unit = item_points(mapped).space.unit(slice(None))
    cosines = unit[numbers] @ unit[11]
    assert (np.diff(cosines[1:]) <= 1e-6).all()
    assert cosines[-1] >= np.sort(unit @ unit[11])[-module.LIKE] - 1e-6


class _Process:
    """In place of the process that computes: it ends when the test says so."""

    def __init__(self) -> None:
        self.ended, self.returncode, self.asked = threading.Event(), 0, ""

    def communicate(self, asked: str) -> tuple[None, str]:
        self.asked = asked
        assert self.ended.wait(20)
        return None, "Traceback\nOSError: the disk is full\n" if self.returncode else ""

    def terminate(self) -> None:
        self.returncode = -15
        self.ended.set()


def test_the_map_is_computed_once_by_a_process_of_its_own(mapped: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ws, started = mapped, list[_Process]()
    for path in ws.run.path.glob("work/map-*"):
        path.unlink()
    monkeypatch.setattr(module, "_points", None)

    def start(command: list[str], **_: Any) -> _Process:
        assert "make_maps" in command[-1]
        started.append(_Process())
        return started[-1]

    monkeypatch.setattr(module.subprocess, "Popen", start)
    client, maker = local_client(), item_points(ws).maker

    def end(code: int) -> None:
        thread = next(t for t in threading.enumerate() if t.name == "auditor-map")
        started[-1].returncode = code
        started[-1].ended.set()
        thread.join(20)

    answers = [client.get("/auditor/map/points") for _ in range(3)]
    assert [(a.status_code, a.json()["state"]) for a in answers] == [(202, "making")] * 3
    end(1)
    assert [len(started), started[0].asked] == [1, json.dumps(str(ws.run.path.resolve()))]
    answer = client.get("/auditor/map/points")  # what failed is not tried again and again
    assert (answer.status_code, answer.json()["state"]) == (202, "failed")
    assert answer.json()["detail"] == "OSError: the disk is full"
    assert client.post("/auditor/map/again", headers=OWN).json()["state"] == "making"
    # What the process runs, in this one.
    exec(module._MAKE.replace("json.load(sys.stdin)", repr(str(ws.run.path))).replace("(10)", "(0)"), {})
    end(0)
    assert client.get("/auditor/map/points").status_code == 200
    state = client.get("/auditor/map/state").json()
    assert state["state"] == "ready"
    assert "pca" in state["layouts"]
    assert "kept no embeddings" in state["space"]
    assert len(started) == 2
    maker.start()
    assert len(started) == 2


def test_the_page_lists_what_is_selected(mapped: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from auditor.ui.views import map as view

    listed: list[list[dict[str, Any]]] = []
    monkeypatch.setattr(view, "gallery_grid", lambda items, *_: listed.append(items))
    numbers = np.arange(120)[::-1]
    name = keep_selection(mapped.run, numbers)
    app = _script("Map")
    assert not app.run().exception
    assert listed == []
    app.query_params["selection"] = name
    app.run()
    assert [item["id"] for item in listed[-1]] == mapped.run.ids[numbers[:LISTED]].tolist()
    assert app.subheader[0].value == "120 selected"
    next(button for button in app.button if button.label == "Next").click()
    app.run()
    assert [item["id"] for item in listed[-1]] == mapped.run.ids[numbers[LISTED : 2 * LISTED]].tolist()
    app.query_params["selection"] = "f" * 32
    app.run()
    assert "no such selection" in app.warning[0].value
    assert current_config().run == str(mapped.run.path)


def test_a_run_that_was_opened_anew_has_a_map_of_its_own(mapped: Workspace, tmp_path: Path) -> None:
    first = item_points(mapped)
    assert item_points(mapped) is first
    other: Any = SimpleNamespace(run=mapped.run)
    assert item_points(other) is not first


def test_a_selection_is_a_filter_of_the_gallery_and_a_queue(mapped: Workspace) -> None:
    points, c = item_points(mapped), mapped.catalogue
    numbers = np.arange(40, 160)
    name = keep_selection(mapped.run, numbers)
    places = points.places_of(numbers)
    assert [c.ids[int(place) - 1].as_py() for place in places] == mapped.run.ids[numbers].tolist()
    wanted, ignored = read_filter(mapped, {"selection": name, "items": "all"})
    assert ignored == []
    assert matching(mapped, wanted, "ann").tolist() == sorted(places.tolist())
    _, ignored = read_filter(mapped, {"selection": "f" * 32})
    assert ignored == ["selection: there is no such selection"]
    app = _script("Review")
    app.query_params.update({"queue": "selection", "selection": name})
    app.run()
    assert not app.exception
    hand = [item.item_id for item in app.session_state["review-card-exchange"][0].batch]
    # In the order of the selection, but for the audit sample, which is judged among all items.
    sample = set(mapped.store.audit_stream().item_ids)
    assert hand == [item for item in mapped.run.ids[numbers] if item not in sample][: len(hand)]
    assert len(hand) == 10
