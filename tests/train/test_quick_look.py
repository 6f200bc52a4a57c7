"""The quick look takes the trainer that predicts held-out labels best, and says what it saw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor.core.progress import Progress, SilentProgress
from auditor.train import choose
from auditor.train.base import FitResult, FitTask, Trainer, TrainingData
from auditor.train.quick_look import ITEMS, quick_look


@dataclass(frozen=True)
class Sure:
    """Gives the class that a text names so much probability."""

    right: float
    name: str = "sure"

    def recipe(self) -> dict[str, Any]:
        return {"trainer": "sure", "right": self.right}

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None) -> FitResult:
        assert not set(task.train) & set(task.predict)
        p = np.full((len(task.predict), data.n_classes), (1 - self.right) / (data.n_classes - 1), np.float32)
        p[np.arange(len(p)), [int(data.features[row]) for row in task.predict]] = self.right
        return FitResult(p, None, [], 0.25)


def texts(n: int, classes: int = 3) -> TrainingData:
    labels = np.arange(n) % classes
    return TrainingData("text", [str(k) for k in labels], labels, classes)


def test_the_smallest_log_loss_wins_and_the_first_of_equals() -> None:
    look = quick_look({"a": Sure(0.5), "b": Sure(0.9), "c": Sure(0.9)}, texts(300), 0, SilentProgress())
    assert look is not None
    assert look.winner == "b"
    assert (look.trained, look.held_out) == (200, 100)
    assert [row["log_loss"] for row in look.rows] == pytest.approx([-np.log(0.5 + 1e-4), *[-np.log(0.9 + 1e-4)] * 2])
    assert str(look).startswith("b has the smallest log-loss on 100 held-out items after training on 200: a 0.693, b")


def test_few_items_of_large_data_are_looked_at() -> None:
    look = quick_look({"a": Sure(0.5)}, texts(10 * ITEMS), 0, SilentProgress())
    assert look is not None
    assert look.trained + look.held_out == ITEMS


def test_labels_that_allow_no_held_out_part() -> None:
    assert quick_look({"a": Sure(0.5)}, texts(8), 0, SilentProgress()) is None


@pytest.mark.parametrize(("cheap", "dear", "winner"), [(0.9, 0.6, 0.9), (0.6, 0.9, 0.9), (0.7, 0.7, 0.7)])
def test_auto_takes_the_winner(cheap: float, dear: float, winner: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.train.encoders.missing", lambda name: None)
    made = {"tfidf": Sure(cheap, "tfidf"), "sentence": Sure(dear, "sentence")}
    monkeypatch.setattr(choose, "make_trainer", lambda name, *rest: made[name])

    def compare(rivals: dict[str, Trainer]) -> Any:
        return quick_look(rivals, texts(300), 0, SilentProgress())

    def chosen(budget: str, n: int) -> tuple[Trainer, str]:
        return choose.choose_trainer("auto", budget, "text", n, device="cpu", compare=compare)

    trainer, reason = chosen("standard", 300)
    assert trainer == made["tfidf" if cheap >= dear else "sentence"]
    assert isinstance(trainer, Sure)
    assert trainer.right == winner
    assert "100 held-out items" in reason
    assert chosen("quick", 300)[0].name == "tfidf"
    assert "held-out" not in chosen("standard", 90_000)[1]
