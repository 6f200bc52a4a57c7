"""``auditor explain`` and the evidence of a run: the network that did not see the item, or a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from auditor.core.config import Settings
from auditor.core.errors import DataError, RunError
from auditor.explain.item import RunNetworks
from auditor.explain.opening import has_networks, item_image
from auditor.runs.run import open_run
from auditor.train.kept import load_kept
from tests.running import call


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explained") / "run"
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


def test_command_writes_overlays_and_says_their_measures(run_folder: Path, tmp_path: Path) -> None:
    run = open_run(run_folder)
    item = str(run.findings["id"].iloc[0])
    done = call("explain", str(run_folder), "--item", item, "--out", str(tmp_path / "maps"), "--json")
    told = done.document
    assert told["schema"] == "auditor.evidence/1"
    assert [c["role"] for c in told["classes"]] == ["given", "alternative"]
    assert told["classes"][0]["name"] == told["given"]
    assert told["classes"][1]["name"] != told["given"]
    row = int(np.flatnonzero(run.items["id"] == item)[0])
    assert told["network"] == f"fold-{run.items['fold'].iloc[row]}"
    for found in told["classes"]:
        assert Image.open(found["overlay"]).size == (320, 320)
        assert 0 <= found["deletion_area"] <= 1
        assert found["controls"] == 5
    assert "which did not train on it" in done.stderr
    assert told["target"] == "last convolution"
    line = ("explain", str(run_folder), "--item", item, "--out", str(tmp_path / "maps"), "--after-activation", "--json")
    after = call(*line).document
    assert after["target"] == "last activation"
    for one, other in zip(told["classes"], after["classes"], strict=True):
        assert one["overlay"] != other["overlay"]  # neither overwrites the other
        assert one["probability"] == other["probability"]
        assert (one["centre_share"], one["deletion_area"]) != (other["centre_share"], other["deletion_area"])


def test_each_item_is_explained_by_the_network_that_did_not_see_it(run_folder: Path) -> None:
    run = open_run(run_folder)
    evidence = RunNetworks(run)
    for row in (0, 5, 100):
        image = item_image(run, str(run.items["id"].iloc[row]), Settings())
        found = evidence.of(row, image, list(range(10)))
        # Its own probabilities are the run's out-of-sample ones (bf16 rounding apart).
        np.testing.assert_allclose([f.probability for f in found], run.pred_probs[row], atol=0.02)
        assert all(f.values.min() >= 0 and f.values.max() <= 1 for f in found)


def test_report_shows_where_the_networks_looked(run_folder: Path) -> None:
    run = open_run(run_folder)
    html = run.report_path.read_text()
    n = min(60, int((run.findings["code"] == "LE001").sum()))
    assert n > 0
    assert html.count("(Grad-CAM)") == n


def test_unknown_items_and_runs_without_networks(run_folder: Path, tmp_path: Path) -> None:
    assert "unknown item 'nobody'" in call("explain", str(run_folder), "--item", "nobody", check=2).stderr
    run = open_run(run_folder)
    assert has_networks(run)
    bare = tmp_path / "bare"
    import shutil

    shutil.copytree(run_folder, bare)
    for path in (bare / "tasks" / "results").glob("*.weights.npz"):
        path.unlink()
    empty = open_run(bare)
    assert not has_networks(empty)
    with pytest.raises(RunError, match="find-errors"):
        RunNetworks(empty)
    done = call("explain", str(bare), "--item", str(run.items["id"].iloc[0]), check=3)
    assert "no network" in done.stderr
    with pytest.raises(RunError, match="kept no network"):
        load_kept(bare / "tasks", "fold-0")


def test_items_that_were_not_audited_have_no_network(run_folder: Path) -> None:
    run = open_run(run_folder)
    run.items.loc[3, "status"] = "not audited"
    evidence = RunNetworks(run)
    assert not evidence.covers(3)
    with pytest.raises(DataError, match="was not audited"):
        evidence.task_for(3)
