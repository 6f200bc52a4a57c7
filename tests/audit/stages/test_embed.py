"""Embeddings of images and of the names of their classes, from the command to the detectors that need them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from auditor.audit.evidence import run_evidence
from auditor.audit.stages.embed import prompt
from auditor.detect.base import Detection, NotApplicable
from auditor.detect.registry import run_detector
from auditor.runs import layout
from auditor.runs.run import Run, open_run
from tests.running import call
from tests.train.joint_models import SIDE, save_joint_model

pytest.importorskip("torch")
pytest.importorskip("transformers")

COLOURS = ("red", "green", "dark_blue")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``images`` of three colours, some in the folder of another one; a ``clip``; and a ``run`` on both
    whose model is a head on the frozen images."""
    folder = tmp_path_factory.mktemp("embed")
    rng = np.random.default_rng(0)
    for number in range(60):
        colour = number % 3
        pixels = rng.integers(0, 120, (SIDE, SIDE, 3), dtype=np.uint8)
        pixels[..., colour] += 130
        given = (colour + 1) % 3 if number < 6 else colour
        target = folder / "images" / COLOURS[given]
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(target / f"{number:02d}.png")
    save_joint_model(folder / "clip")
    call(*audit(folder), "--model", f"frozen:clip:{folder / 'clip'}", "--out", folder / "run")
    return folder


def audit(folder: Path, data: str = "images") -> list[str | Path]:
    return ["find-errors", folder / data, "--budget", "smoke", "--folds", "3", "--no-quality"]


@pytest.fixture(scope="module")
def run(work: Path) -> Run:
    return open_run(work / "run")


def test_both_are_kept_and_said(work: Path, run: Run) -> None:
    said = run.manifest["embeddings"]
    assert said["prompts"] == [f"a photo of a {name}" for name in ("dark blue", "green", "red")]
    assert said["recipe"]["encoder"] == "clip"
    assert run.embeddings is not None
    assert run.embeddings.shape == (60, 16)
    assert run.class_embeddings is not None
    assert run.class_embeddings.shape == (3, 16)
    again = call(*audit(work), "--model", f"frozen:clip:{work / 'clip'}", "--out", work / "run", "--json").document
    assert again["run"] == str(run.path)
    assert {stage["name"] for stage in open_run(run.path).manifest["stages"] if stage["reused"]} >= {"embeddings"}
    call("verify", run.path)


@pytest.mark.slow
def test_lemon_works_on_the_run(run: Run, tmp_path: Path) -> None:
    found = run_detector("lemon", run_evidence(run))
    assert isinstance(found, Detection)
    call("flag", run.path, "--detector", "lemon", "--scores", tmp_path / "scores.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy"), found.score)
    item = str(run.ids[0])
    facts = call("show", run.path, "--item", item, "--json").document
    shown = {d["detector"]: d for d in facts["explanation"]["detectors"]}
    assert shown["lemon"]["score"] == pytest.approx(found.score[0])


@pytest.mark.parametrize("name", ["aum", "data_maps", "forgetting", "el2n", "gap", "oof_aum"])
def test_a_frozen_head_has_epochs(name: str, run: Run) -> None:
    found = run_detector(name, run_evidence(run))
    assert isinstance(found, Detection), found
    assert len(np.unique(found.score)) > (1 if name == "forgetting" else 30)


def test_a_damaged_or_missing_file_is_not_taken(run: Run, tmp_path: Path) -> None:
    path = run.path / layout.CLASS_EMBEDDINGS
    kept = path.read_bytes()
    try:
        for content in (kept[:-4], kept[:-1] + b"\x7f"):
            path.write_bytes(content)
            assert "class_embeddings.npy" in call("flag", run.path, "--detector", "lemon", check=3).stderr
        path.unlink()
        assert "class_embeddings.npy" in call("flag", run.path, "--detector", "lemon", check=3).stderr
    finally:
        path.write_bytes(kept)


@pytest.mark.slow
def test_without_names_lemon_is_not_applicable(work: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    call(*audit(work), "--model", "pixels", "--embeddings", "log-probabilities", "--out", tmp_path / "run")
    run = open_run(tmp_path / "run")
    assert run.class_embeddings is None
    found = run_detector("lemon", run_evidence(run))
    assert isinstance(found, NotApplicable)
    assert "--embeddings clip:MODEL" in found.reason
    assert "clip:MODEL" in call("flag", run.path, "--detector", "lemon", check=None).stderr


@pytest.mark.parametrize(
    ("options", "data", "message"),
    [
        (["--rule", "lemon", "--embeddings", "log-probabilities"], "images", "Add --embeddings clip:MODEL"),
        (["--rule", "lemon", "--embeddings", "auto", "--model", "tfidf"], "texts.csv", "does not embed"),
        (["--embeddings", "clip"], "texts.csv", "reads image data; this data set holds text data"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_the_run(
    options: list[str], data: str, message: str, work: Path, tmp_path: Path
) -> None:
    (work / "texts.csv").write_text("text,label\n" + "".join(f"text {k} of it,{'ab'[k % 2]}\n" for k in range(40)))
    done = call(*audit(work, data), *options, "--out", tmp_path / "run", check=2)
    assert message in done.stderr
    assert not (tmp_path / "run").exists()


def test_prompts() -> None:
    assert [prompt(name) for name in ("cat", "polar_bear", " sea ")] == [
        "a photo of a cat",
        "a photo of a polar bear",
        "a photo of a sea",
    ]
    assert json.dumps(prompt("Ä")) == '"a photo of a \\u00c4"'
