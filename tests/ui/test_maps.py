"""Where the network looked, on the card: shown where a run kept networks, absent elsewhere."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("torch")

from auditor.ui import workspace as workspaces
from auditor.ui.config import ReviewConfig, configure
from auditor.ui.workspace import Workspace
from tests.running import call
from tests.ui.client import local_client


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("maps") / "run"
    call(
        "find-errors",
        "digits",
        "--model",
        "cifake_cnn:f16-c2-d32-n1",
        "--budget",
        "smoke",
        "--folds",
        "2",
        "--out",
        str(folder),
        "--quiet",
    )
    return folder


@pytest.fixture
def network_ws(made: Path, tmp_path: Path) -> Iterator[Workspace]:
    shutil.copytree(made, tmp_path / "run")
    configure(ReviewConfig(run=str(tmp_path / "run"), reviewer="ann"))
    opened = workspaces.workspace()
    assert opened is not None
    yield opened
    workspaces.close_workspace()
    configure(ReviewConfig())


def test_a_run_with_networks_offers_a_map_for_both_classes(network_ws: Workspace) -> None:
    client, first = local_client(), network_ws.run.findings.iloc[0]
    told = client.get("/auditor/why", params={"item": first["id"]}).json()
    assert [m["name"] for m in told["maps"]] == [first["given"], first["suggested"]]
    pictures = [client.get(m["src"]) for m in told["maps"]]
    assert all(p.status_code == 200 and p.headers["content-type"] == "image/webp" for p in pictures)
    assert Image.open(io.BytesIO(pictures[0].content)).size == (192, 192)
    assert pictures[0].content != pictures[1].content
    assert all(m["src"].startswith("/auditor/img/") for m in told["maps"]), "the card shows nothing from elsewhere"


def test_addresses_that_are_not_of_the_run_are_not_found(network_ws: Workspace) -> None:
    client = local_client()
    name = network_ws.rows.facts(0)["content_hash"][7:]
    for path in (f"map/10/{name}.webp", f"map/0/{'0' * 64}.webp", f"map/0/{name}.png", "map/0/../manifest.json.webp"):
        assert client.get(f"/auditor/img/{path}").status_code == 404
    assert client.get(f"/auditor/img/map/-1/{name}.webp").status_code == 404


def test_a_run_without_networks_offers_none(ws: Workspace) -> None:
    client, item = local_client(), ws.run.findings["id"].iloc[0]
    assert client.get("/auditor/why", params={"item": item}).json()["maps"] == []
    name = ws.rows.facts(0)["content_hash"][7:]
    assert client.get(f"/auditor/img/map/0/{name}.webp").status_code == 404
