"""Cues that give the class away: planted ones of every kind, hard negatives, and real data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.core.config import Settings
from auditor.core.progress import SilentProgress
from auditor.data.open import open_dataset
from auditor.quality.base import Outcome
from auditor.quality.open_subject import make_subject
from auditor.quality.registry import run_checks
from auditor.quality.subject import Subject
from tests.contract.planted_quality import images, pixels_of, rows, texts

N = 160
LABELS = np.random.default_rng(0).integers(0, 2, N)


def asked(subject: Subject) -> Outcome:
    (outcome,) = run_checks(subject, ["spurious_cues"])
    return outcome


def rules(outcome: Outcome) -> set[str]:
    assert outcome.findings is not None
    return {rule["property"] for rule in outcome.findings.facts["rules"]}


def pictures(tmp_path: Path, mark: Any) -> Subject:
    return images(tmp_path, [mark(pixels_of(k), bool(LABELS[k]), k) for k in range(N)], LABELS.tolist())


def test_a_coloured_border(tmp_path: Path) -> None:
    def mark(pixels: np.ndarray, one: bool, k: int) -> np.ndarray:
        if one != (k in (4, 9)):  # two break the rule
            pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:] = (200, 20, 20), (200, 20, 20), 60, 60
        return pixels

    found = asked(pictures(tmp_path, mark))
    assert found.findings is not None
    assert "border" in rules(found)
    assert {4, 9} <= set(found.findings.items.tolist())


def test_size_in_pixels(tmp_path: Path) -> None:
    found = asked(pictures(tmp_path, lambda pixels, one, k: pixels_of(k, 36, 36) if one else pixels))
    assert found.findings is not None
    rule = next(r for r in found.findings.facts["rules"] if r["property"] == "width and height")
    assert rule["informedness"] == 1
    assert rule["breaking"] == 0


def test_brightness_and_nothing_else(tmp_path: Path) -> None:
    def mark(pixels: np.ndarray, one: bool, k: int) -> np.ndarray:
        return np.clip(pixels * 0.45 if one else pixels * 0.45 + 130, 0, 255).astype(np.uint8)

    found = rules(asked(pictures(tmp_path, mark)))
    assert "brightness" in found
    assert not found & {"width and height", "pixel format", "file name"}


def test_file_names_and_the_numbers_in_them(tmp_path: Path) -> None:
    subject = images(tmp_path, [pixels_of(k) for k in range(N)], LABELS.tolist())
    subject.paths = np.array([f"all/{'scan' if one else 'img'}_{k:05d}.png" for k, one in enumerate(LABELS)])
    assert rules(asked(subject)) == {"file name"}
    place = np.argsort(np.argsort(LABELS, kind="stable"))
    subject.paths = np.array([f"all/img_{k:05d}.png" for k in place])
    assert rules(asked(subject)) == {"number 1 in the file name"}
    subject.paths = np.array([f"{'bee' if one else 'ant'}/img_{k:05d}.png" for k, one in enumerate(LABELS)])
    assert asked(subject).status == "passed"  # folders of classes are the labels


def test_the_first_word_of_texts() -> None:
    rng = np.random.default_rng(0)
    words = ["river", "mountain", "window", "garden", "letter", "summer"]
    column = [("RT: " if one else "") + " ".join(rng.choice(words, 9)) for one in LABELS]
    assert "first word" in rules(asked(texts(column, LABELS.tolist())))


def test_missing_values_and_serial_numbers_of_tables() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=N), "serial": rng.permutation(N) + 1000.0})
    assert asked(rows(frame, LABELS.tolist())).status == "passed"
    frame.loc[(LABELS == 1) & (rng.random(N) < 0.9), "a"] = np.nan
    frame["serial"] = np.argsort(np.argsort(LABELS + rng.random(N))) + 1000.0
    assert rules(asked(rows(frame, LABELS.tolist()))) == {"missing values", "missing a", "serial"}


def test_an_ordinary_column_is_no_cue_however_well_it_tells_the_classes() -> None:
    frame = pd.DataFrame({"height": LABELS * 3 + np.random.default_rng(0).normal(size=N), "serial": np.arange(N)})
    assert asked(rows(frame.astype(float), LABELS.tolist())).status == "passed"


def test_a_class_that_is_somewhat_brighter_has_no_cue(tmp_path: Path) -> None:
    def mark(pixels: np.ndarray, one: bool, k: int) -> np.ndarray:
        return np.clip(pixels + (10.0 if one else 0.0), 0, 255).astype(np.uint8)

    assert asked(pictures(tmp_path, mark)).status == "passed"


def test_shuffled_labels_have_no_cues() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(np.where(rng.random((200, 12)) < 0.3, np.nan, 1.0)).rename(columns=str)
    for seed in range(15):
        labels = np.random.default_rng(seed).integers(0, 2, 200)
        assert asked(rows(frame, labels.tolist())).status == "passed"


def test_one_class_of_many_has_a_mark() -> None:
    """Balanced accuracy over ten classes would hardly notice."""
    labels = np.arange(600) % 10
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=600)})
    frame.loc[labels == 3, "a"] = np.nan
    subject = rows(frame)
    subject.labels, subject.class_names = labels, tuple(f"class {k}" for k in range(10))
    found = asked(subject)
    assert found.findings is not None
    assert {rule["class"] for rule in found.findings.facts["rules"]} == {"class 3"}


@pytest.mark.parametrize(("name", "status"), [("cifar10", "passed"), ("cifake", "found")])
def test_real_pictures(name: str, status: str, data_dir: Path) -> None:
    """What CIFAR-10 shows of its classes at a glance is no cue; generated pictures are told by their sharpness."""
    data = open_dataset(name, Settings(data_dirs=(data_dir,), offline=True))
    at = np.flatnonzero(data.items.splits == "test")
    part = data.subset(np.sort(np.random.default_rng(0).choice(at, 3000, replace=False)))
    outcome = asked(make_subject(part, None, SilentProgress(), workers=1))
    assert outcome.status == status, outcome.reason
    if status == "found":
        assert rules(outcome) == {"sharpness"}
