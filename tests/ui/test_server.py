"""The picture and explanation routes, and what is shipped for them."""

from __future__ import annotations

import ast
import io
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from auditor.core.errors import DataError
from auditor.core.version import __version__
from auditor.ui.contents import WIDTHS, encode
from auditor.ui.exchange import Exchange
from auditor.ui.payload import exemplars_of
from auditor.ui.workspace import Workspace
from tests.ui.client import local_client
from tests.ui.events import events_on

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def client(ws: Workspace) -> TestClient:
    return local_client()


def test_a_picture_is_the_item_and_never_changes(ws: Workspace, client: TestClient) -> None:
    facts = ws.rows.facts(17)
    path = f"/auditor/img/{facts['content_hash'][7:]}.webp"
    first = client.get(path)
    assert first.status_code == 200
    assert first.headers["content-type"] == "image/webp"
    assert "immutable" in first.headers["cache-control"]
    pixels = np.asarray(Image.open(io.BytesIO(first.content)).convert("RGB"))
    expected = np.asarray(ws.contents.content(facts["content_hash"]))
    assert np.array_equal(pixels, expected)  # small pictures lose nothing
    assert client.get(path).content == first.content  # from the cache on disk
    assert client.get(path, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    for width in WIDTHS:
        assert client.get(f"{path}?w={width}").status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "0" * 64 + ".webp",
        "..%2f..%2fmanifest.json",
        "../manifest.json",
        "%2e%2e/manifest.json",
        "sha256:abc.webp",
        ".webp",
        "a.webp",
        "..\\..\\x.webp",
        "A" * 64 + ".webp",
        "%00.webp",
        "é" * 64 + ".webp",
    ],
)
def test_forged_names_lead_nowhere(client: TestClient, name: str) -> None:
    assert client.get(f"/auditor/img/{name}").status_code == 404


def test_the_hash_of_another_run_leads_nowhere(ws: Workspace, client: TestClient) -> None:
    pixels = np.asarray(ws.contents.content(ws.rows.facts(0)["content_hash"])).copy()
    pixels[0, 0] ^= 255
    from auditor.core.hashing import hash_bytes

    assert client.get(f"/auditor/img/{hash_bytes(pixels.tobytes())[7:]}.webp").status_code == 404


@pytest.mark.parametrize("width", ["0", "-1", "97", "99999", "1e3", "999999999999999999999", "x", "", "１９２"])
def test_only_offered_widths(ws: Workspace, client: TestClient, width: str) -> None:
    path = f"/auditor/img/{ws.rows.facts(0)['content_hash'][7:]}.webp"
    assert client.get(path, params={"w": width}).status_code == 400
    assert not list((ws.run.path / "work").glob("pictures/*/*"))


def test_changed_data_is_not_shown(ws: Workspace, monkeypatch: pytest.MonkeyPatch, client: TestClient) -> None:
    source = ws.contents._dataset.source  # type: ignore[attr-defined]
    source.pixels[3] ^= 255
    facts = ws.rows.facts(3)
    with pytest.raises(DataError, match="no longer the one this run saw"):
        ws.contents.content(facts["content_hash"])
    assert client.get(f"/auditor/img/{facts['content_hash'][7:]}.webp").status_code == 404


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1), (5000, 4000), (1, 1)])
def test_strange_sizes_become_pictures(size: tuple[int, int]) -> None:
    found = Image.open(io.BytesIO(encode(Image.new("RGB", size, "red"), 384)))
    assert found.width <= 384
    assert found.height <= 4 * WIDTHS[-1]


def test_why(ws: Workspace, client: TestClient) -> None:
    item = ws.run.findings["id"].iloc[0]
    told = client.get("/auditor/why", params={"item": item}).json()
    assert told["item"] == item
    assert any("probability" in line for line in told["lines"])
    for unknown in ("", "../manifest.json", "digit-9999"):
        assert client.get("/auditor/why", params={"item": unknown}).status_code == 404


def test_rows_options_and_exemplars(ws: Workspace) -> None:
    items = ws.run.items
    for row in (0, 5, 1796):
        assert ws.rows.row_of_hash(items["content_hash"].iloc[row]) == int(
            np.flatnonzero(items["content_hash"] == items["content_hash"].iloc[row])[0]
        )
    assert ws.rows.rows_of_ids(["digit-0003", "nobody", "digit-1000"]) == {"digit-0003": 3, "digit-1000": 1000}
    scores = ws.run.scores.set_index("id")
    for item in ws.store.next_batch("ann", 20):
        row = ws.rows.rows_of_ids([item.item_id])[item.item_id]
        options = ws.rows.options(item.item_id, row, item.given, item.suggested)
        assert options[0] == item.suggested
        assert item.given not in options
        assert len(set(options)) == 5
        p = ws.rows.probabilities(row)
        assert p is not None
        rest = [p[ws.run.class_names.index(name)] for name in options[1:]]
        assert rest == sorted(rest, reverse=True)
    for name, hashes in exemplars_of(ws, ws.run.class_names).items():
        assert 5 <= len(hashes) <= 6
        for content_hash in hashes:
            row = ws.rows.row_of_hash(content_hash)
            assert row is not None
            facts = ws.rows.facts(row)
            assert facts["given"] == name
            assert not scores.loc[facts["id"], "flagged"]


def test_app_py_is_what_streamlit_recognises() -> None:
    tree = ast.parse((ROOT / "app.py").read_text())
    from streamlit.web.server.app_discovery import discover_asgi_app

    found = discover_asgi_app(ROOT / "app.py")
    assert found.is_asgi_app
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "App"]
    assert {k.arg for k in calls[0].keywords} == {"routes", "middleware", "lifespan"}


def test_a_page_that_is_closed_gives_its_hand_back(ws: Workspace) -> None:
    client, exchange = local_client(), Exchange.for_review(ws.store, "ann")
    exchange.fill()
    own = {"origin": "http://localhost"}
    assert client.post("/auditor/leave", content="x" * 30, headers=own).status_code == 404
    assert client.post("/auditor/leave", content="x" * 300, headers=own).status_code == 400
    assert client.post("/auditor/leave", content=exchange.page, headers={"origin": "http://e.vil"}).status_code == 403
    assert len(ws.store.hands()) == 1
    assert client.post("/auditor/leave", content=exchange.page, headers=own).status_code == 204
    assert ws.store.hands() == []


def test_an_item_in_full_says_nothing_of_verdicts(ws: Workspace) -> None:
    item = ws.store.page(limit=1).items[0]
    ws.store.submit("ann", events_on([item], "neither"))
    answer = local_client().get("/auditor/item", params={"item": item.item_id})
    assert answer.json()["given"] == item.given
    assert "neither" not in answer.text
    assert local_client().get("/auditor/item", params={"item": "nothing"}).status_code == 404


def test_the_overview_is_found_under_its_name(ws: Workspace) -> None:
    for asked, there in (("/overview", "./"), ("/overview?reviewer=Ann+Lee", "./?reviewer=Ann+Lee")):
        answer = local_client().get(asked, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (307, there)


def test_the_manifest_is_of_this_version_and_names_what_is_there() -> None:
    manifest = tomllib.loads((ROOT / "auditor" / "pyproject.toml").read_text())
    assert manifest["project"] == {"name": "auditor", "version": __version__}
    components = manifest["tool"]["streamlit"]["component"]["components"]
    for component, script in zip(components, ("card", "gallery", "matrix", "map"), strict=True):
        for kind in ("js", "css"):
            assert (ROOT / "auditor" / component["asset_dir"] / f"{script}.{kind}").is_file()


def test_nothing_of_the_data_becomes_html() -> None:
    scripts = sorted((ROOT / "auditor" / "ui" / "browser").glob("*.js"))
    assert len(scripts) >= 8
    for script in scripts:
        code = script.read_text()
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("):
            assert word not in code
