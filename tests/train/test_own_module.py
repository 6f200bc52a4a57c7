"""Torch modules of the caller: on a table, on images, on a tensor as it is; and what is refused before a training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

import auditor
from auditor.core.errors import DataError, UsageError
from auditor.core.progress import SilentProgress
from auditor.train.base import FitTask, Trainer, TrainingData
from auditor.train.own import settled, trainer_of
from auditor.train.own_module import OwnModule

from .trainer_cases import accuracy, assert_absent_class_is_zero, assert_repeatable, assert_valid, fit

RANDOM = np.random.default_rng(0)


class Perceptron(nn.Module):
    def __init__(self, inputs: int = 2, classes: int = 3, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.Sequential(nn.Linear(inputs, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Convolutions(nn.Module):
    """As people write it: `view` after the convolutions needs the usual order of memory."""

    def __init__(self, channels: int = 3, classes: int = 10) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(channels, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Linear(16 * 4, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.max_pool2d(torch.relu(self.first(x)), 2)
        x = nn.functional.max_pool2d(torch.relu(self.second(x)), 2)
        return self.head(x.view(len(x), -1))


class Tokens(nn.Module):
    """Reads whole numbers in two dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(20, 8), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.embedding(x).mean(dim=(1, 2)))


def table(n: int = 160) -> TrainingData:
    frame = pd.DataFrame({"large": 1e4 * RANDOM.normal(size=n) + 1e5, "small": 1e-3 * RANDOM.normal(size=n)})
    labels = (frame["large"] > 1e5).to_numpy(np.int64) + (frame["small"] > 0).to_numpy(np.int64)
    return TrainingData("table", frame, labels, 3)


def digits(n: int = 400) -> TrainingData:
    images = np.repeat((load_digits().images[:n, ..., None] * 15).astype(np.uint8), 3, axis=3)
    return TrainingData("image", images, load_digits().target[:n].astype(np.int64), 10)


def module(net: nn.Module, budget: str = "standard", tensor: Any = None) -> OwnModule:
    made = settled(trainer_of(net), budget, "cpu", tensor)
    assert isinstance(made, OwnModule)
    assert isinstance(made, Trainer)
    return made


def test_a_perceptron_learns_a_table_whose_columns_have_other_scales() -> None:
    data = table(400)
    result = fit(module(Perceptron()), data, np.arange(300), np.arange(300, 400))
    assert_valid(result.probabilities, 100, 3)
    assert accuracy(result.probabilities, data.labels[300:]) > 0.9
    assert result.dynamics is not None
    assert result.dynamics.train_given.shape[1] == 300


@pytest.mark.parametrize("channels", [3, 1], ids=["colour", "grey"])
def test_convolutions_learn_images(channels: int) -> None:
    data = digits()
    result = fit(module(Convolutions(channels), "quick"), data, np.arange(300), np.arange(300, 400))
    assert accuracy(result.probabilities, data.labels[300:]) > 0.6
    assert bool(result.details["notes"]) == (channels == 1)


def test_every_fit_starts_from_the_weights_that_were_given() -> None:
    net, data = Perceptron(), table()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert_repeatable(module(net, "smoke"), data)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert net.training
    other = Perceptron(seed=1)
    results = [fit(module(n, "smoke"), data, np.arange(100), np.arange(100, 160)) for n in (net, other)]
    assert not np.array_equal(results[0].probabilities, results[1].probabilities)


def test_an_absent_class_has_no_probability() -> None:
    assert_absent_class_is_zero(module(Perceptron(), "smoke"), table())


def test_a_training_that_was_broken_off_goes_on(tmp_path: Path) -> None:
    class Stop(SilentProgress):
        def advance(self, task: str, done: float, note: str = "") -> None:
            if done >= 2 and note:
                raise KeyboardInterrupt

    trainer, data = module(Perceptron(), "quick"), table()
    task = FitTask("task", np.arange(120), np.arange(120, 160), 0)
    whole = trainer.fit(data, task, SilentProgress(), None)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(data, task, Stop(), tmp_path)
    assert list(tmp_path.iterdir())
    assert trainer.fit(data, task, SilentProgress(), tmp_path).probabilities.tobytes() == whole.probabilities.tobytes()


def test_a_tensor_is_given_as_it_is() -> None:
    tokens = torch.randint(0, 10, (200, 3, 4), generator=torch.Generator().manual_seed(0))
    labels = np.arange(200) % 2
    tokens[labels == 1] += 10
    flat = TrainingData("table", pd.DataFrame(tokens.reshape(200, -1).numpy()), labels, 2)
    result = fit(module(Tokens(), tensor=tokens), flat, np.arange(150), np.arange(150, 200))
    assert accuracy(result.probabilities, labels[150:]) > 0.9
    with pytest.raises(UsageError, match="cannot read a batch"):
        fit(module(Tokens()), flat, np.arange(150), np.arange(150, 200))


def test_other_weights_code_and_tensors_are_other_recipes() -> None:
    net = Perceptron()
    asked = [module(net), module(net, "quick"), module(net, tensor=torch.zeros(3, 2)), module(Perceptron(seed=1))]
    asked += [module(net, tensor=torch.ones(3, 2)), module(nn.Sequential(net)), replace(module(net), device="cuda")]
    assert len({str(trainer.recipe()) for trainer in asked}) == len(asked)
    assert module(net).recipe() == asked[0].recipe()


class Probabilities(Perceptron):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).softmax(1)


class Dictionary(Perceptron):
    def forward(self, x: torch.Tensor) -> Any:
        return {"logits": super().forward(x)}


FRAME = table().features
WRONG: dict[str, tuple[nn.Module, TrainingData, type[Exception], str]] = {
    "too many outputs": (Perceptron(classes=7), table(), UsageError, "7 outputs for each item, and the data set has 3"),
    "one output": (
        Perceptron(classes=1),
        table(),
        UsageError,
        "1 output for each item, and the data set has 3 classes",
    ),
    "outputs of images": (Convolutions(classes=4), digits(), UsageError, "4 outputs .* has 10 classes"),
    "probabilities": (Probabilities(), table(), UsageError, "its outputs sum to 1"),
    "no tensor": (Dictionary(), table(), UsageError, "gives a dict"),
    "no rows": (nn.Sequential(Perceptron(), nn.Flatten(0)), table(), UsageError, r"gives a tensor \(6,\)"),
    "other columns": (Perceptron(inputs=5), table(), UsageError, r"batch of the shape \(2, 2\)"),
    "nothing to train": (nn.Identity(), table(), UsageError, "no parameter to train"),
    "texts": (Perceptron(), TrainingData("text", ["a", "b"] * 5, np.arange(10) % 2, 2), UsageError, "holds text data"),
    "categories": (
        Perceptron(),
        replace(table(), features=FRAME.assign(kind=pd.Categorical(["a", "b"] * 80), small=np.nan)),
        DataError,
        "categories in 'kind', missing values in 'small'",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_trained_is_refused_before_a_training(case: str) -> None:
    net, data, error, message = WRONG[case]
    trainer = module(net)
    with pytest.raises(error, match=message):
        trainer.check(data)
    with pytest.raises(error, match=message):
        fit(trainer, data, np.arange(len(data) // 2), np.arange(len(data) // 2, len(data)))


def test_find_errors_takes_it_and_leaves_a_finished_run_alone(tmp_path: Path) -> None:
    data = table()
    labels = np.where(np.arange(160) == 7, (data.labels + 1) % 3, data.labels)
    frame, common = data.features.assign(label=labels), {"out": tmp_path / "run", "quality": False, "folds": 3}
    run = auditor.find_errors(frame, model=(net := Perceptron()), budget="quick", device="cpu", workers=1, **common)
    assert run.manifest["model"]["name"] == "Perceptron"
    again = auditor.find_errors(frame, trainer=net, budget="quick", device="cpu", workers=1, **common)
    assert again.pred_probs.tobytes() == run.pred_probs.tobytes()
    with pytest.raises(UsageError, match="7 outputs"):
        auditor.find_errors(frame, model=Perceptron(classes=7), **common)
    assert auditor.open_run(tmp_path / "run").id == run.id, "nothing of the finished run was touched"


def test_improve_asks_for_the_tensor_that_the_run_does_not_keep(tmp_path: Path) -> None:
    rows = torch.randn(80, 2, generator=torch.Generator().manual_seed(0))
    truth = (rows[:, 0] > 0).long().numpy()
    given = np.where(np.arange(80) % 9 == 0, 1 - truth, truth)
    common: dict[str, Any] = {"budget": "smoke", "device": "cpu", "workers": 1, "folds": 2, "progress": False}
    net = Perceptron(classes=2)
    run = auditor.find_errors((rows, given), model=net, out=tmp_path / "run", quality=False, **common)
    with pytest.raises(UsageError, match="read X as a tensor"):
        auditor.improve(run, labels=truth, model=net, seeds=1, **common)
    data = auditor.open_dataset((rows, given))
    assert len(auditor.improve(run, labels=truth, model=net, seeds=1, data=data, **common).to_frame()) >= 2


def test_tensors_of_a_pair_reach_the_module_with_the_rows_that_have_labels(tmp_path: Path) -> None:
    tokens = torch.randint(0, 20, (60, 3, 4), generator=torch.Generator().manual_seed(0))
    seen = []

    class Remember(Tokens):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x)
            return super().forward(x)

    labels = [None if k == 5 else "ab"[k % 2] for k in range(60)]
    auditor.find_errors(
        (tokens, labels), model=Remember(), budget="smoke", device="cpu", workers=1, out=tmp_path / "run", quality=False
    )
    assert seen[0].dtype == torch.int64
    rows = torch.cat([x for x in seen if len(x) > 2])
    assert set(map(tuple, rows.flatten(1).tolist())) == set(map(tuple, tokens[np.arange(60) != 5].flatten(1).tolist()))
