"""What a method adds to the loop, and test items that are handed out once."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from auditor.core.errors import UsageError  # noqa: E402
from auditor.core.progress import SilentProgress  # noqa: E402
from auditor.models.registry import build_model  # noqa: E402
from auditor.train.base import FitTask, TrainingData  # noqa: E402
from auditor.train.held_back import HeldBack  # noqa: E402
from auditor.train.hooks import Hooks  # noqa: E402
from auditor.train.image_network import ImageNetwork  # noqa: E402
from auditor.train.recipe import Recipe, Stage  # noqa: E402

RECIPE = Recipe(stages=(Stage(1.0, 2),), batch=16, optimiser="sgd", filter_rate=0.05, momentum=0.9, seeds=1)
TRAINER = ImageNetwork(RECIPE, "resnet20", device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def data() -> TrainingData:
    random = np.random.default_rng(0)
    labels = np.arange(96) % 3
    pixels = random.integers(0, 120, (96, 16, 16, 3)) + 60 * labels[:, None, None, None]
    return TrainingData("image", pixels.astype(np.uint8), labels, 3)


def _task(name: str = "net") -> FitTask:
    return FitTask(name, np.arange(64), np.arange(64, 96), 0)


def _network() -> torch.nn.Module:
    return build_model("resnet20", 3, 32, 0, width=4)


def test_without_hooks_a_given_start_trains_as_the_trainers_own(data: TrainingData) -> None:
    from auditor.core.seeds import derive_seed

    trainer = ImageNetwork(RECIPE, "resnet20", device="cpu", precision="fp32")
    own = trainer.fit(data, _task(), SilentProgress(), None)
    start = build_model("resnet20", 3, 32, derive_seed(0, "weights"))
    given = trainer.fit_network(data, _task(), SilentProgress(), None, start=start)
    assert np.array_equal(own.probabilities, given.result.probabilities)
    assert np.array_equal(given.predict(data.features[64:]), own.probabilities)


def test_a_term_of_the_loss_reaches_the_weights_and_sees_the_progress(data: TrainingData) -> None:
    seen: list[float] = []
    start = _network()
    weight = start.head.weight

    def pull(share: float) -> torch.Tensor:
        seen.append(share)
        return 2.0 * weight.square().sum()

    trained = TRAINER.fit_network(data, _task(), SilentProgress(), None, start, Hooks(loss=pull), "pull")
    free = TRAINER.fit_network(data, _task(), SilentProgress(), None, _network())
    assert seen == [i / 8 for i in range(8)]
    assert trained.model.head.weight.norm() < 0.8 * free.model.head.weight.norm()


def test_after_step_runs_after_every_update(data: TrainingData) -> None:
    start = _network()

    def zero() -> None:
        with torch.no_grad():
            start.head.weight[0] = 0.0

    fitted = TRAINER.fit_network(data, _task(), SilentProgress(), None, start, Hooks(after_step=zero), "zero")
    assert not fitted.model.head.weight[0].any()
    assert fitted.model.head.weight[1].any()


def test_hooks_need_a_description(data: TrainingData) -> None:
    with pytest.raises(UsageError, match="description"):
        TRAINER.fit_network(data, _task(), SilentProgress(), None, _network(), Hooks())


def test_checkpoints_of_another_start_or_method_are_not_used(data: TrainingData, tmp_path) -> None:
    notes: list[str] = []

    class Notes(SilentProgress):
        def note(self, message: str) -> None:
            notes.append(message)

    TRAINER.fit_network(data, _task(), Notes(), tmp_path, _network(), method="a")
    TRAINER.fit_network(data, _task(), Notes(), tmp_path, _network(), method="a")
    assert notes == []
    TRAINER.fit_network(data, _task(), Notes(), tmp_path, _network(), method="b")
    TRAINER.fit_network(data, _task(), Notes(), tmp_path, build_model("resnet20", 3, 32, 1, width=4), method="b")
    assert len(notes) == 2


def test_what_is_held_back_is_opened_late_and_handed_out_once_per_network() -> None:
    opened = []

    def load() -> np.ndarray:
        opened.append(1)
        return np.arange(5)

    held = HeldBack(load, "test labels")
    assert not opened
    assert held.take("a").tolist() == held.take("b").tolist() == [0, 1, 2, 3, 4]
    assert held.accesses == {"a": 1, "b": 1}
    assert opened == [1]
    with pytest.raises(UsageError, match="test labels a second time"):
        held.take("a")
    assert held.accesses["a"] == 2  # the refused look is on record
