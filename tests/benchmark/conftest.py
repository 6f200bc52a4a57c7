"""A small made-up benchmark, and the published CIFAR-10 one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor.benchmark.inputs import Inputs, load_inputs
from auditor.benchmark.readers.base import Prediction
from auditor.benchmark.readers.registry import read_predictions
from auditor.core.config import Settings

K = 4


@pytest.fixture
def item() -> Callable[..., dict[str, Any]]:
    """One judged item in the class schema."""

    def make(row: int, given: int, guess: int, votes: tuple[int, ...], **more: Any) -> dict[str, Any]:
        answers = dict(zip(("given", "guessed", "neither", "both"), votes, strict=False))
        return {
            "id": row,
            "url": f"https://x/{row}.png",
            "given_original_label": given,
            "given_original_label_name": f"c{given}",
            "our_guessed_label": guess,
            "our_guessed_label_name": f"c{guess}",
            "mturk": answers,
            **more,
        }

    return make


@pytest.fixture
def small(tmp_path: Path, item: Callable[..., dict[str, Any]]) -> Path:
    """40 rows of 4 classes, 6 judged, 3 models; labels.npy, mturk.json, predictions/."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % K
    np.save(tmp_path / "labels.npy", labels)
    verdicts = [
        item(0, 0, 1, (0, 5, 0, 0)),
        item(5, 1, 2, (1, 4, 0, 0)),
        item(6, 2, 3, (5, 0, 0, 0)),
        item(9, 1, 3, (2, 2, 1, 0)),
        item(10, 2, 0, (0, 0, 1, 4)),
        item(11, 3, 0, (0, 1, 4, 0)),
    ]
    (tmp_path / "mturk.json").write_text(json.dumps(verdicts))
    folder = tmp_path / "predictions"
    folder.mkdir()
    for m in range(3):
        top = np.where(rng.random(40) < 0.8 - 0.05 * m, labels, (labels + 1) % K)
        write_top(folder, f"net{m}", top, rng)
    return tmp_path


def write_top(folder: Path, name: str, top: np.ndarray, rng: np.random.Generator) -> None:
    """A pair of files whose columns are shuffled row by row."""
    classes = np.stack([rng.permutation(np.r_[t, [c for c in range(K) if c != t][:2]]) for t in top])
    probabilities = np.where(classes == top[:, None], 0.6, 0.1).astype(np.float16)
    np.save(folder / f"{name}_top3preds.npy", classes)
    np.save(folder / f"{name}_top3probs.npy", probabilities)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache_dir=tmp_path / "cache", runs_dir=tmp_path / "runs", offline=True)


@pytest.fixture
def opened(small: Path, settings: Settings) -> tuple[Inputs, list[Prediction]]:
    inputs = load_inputs(settings, labels=small / "labels.npy", verdicts=small / "mturk.json")
    return inputs, read_predictions(small / "predictions", inputs.given_labels)


@pytest.fixture(scope="session")
def cifar10(data_dir: Path) -> tuple[Inputs, list[Prediction]]:
    """The published verdicts and the 13 stored predictions."""
    place = data_dir / "label_errors" / "cifar10"
    inputs = load_inputs(Settings(), labels=place / "original_labels.npy", verdicts=place / "mturk.json")
    return inputs, read_predictions(data_dir / "predictions" / "cifar10", inputs.given_labels)
