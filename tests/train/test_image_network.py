"""The image trainer: it learns, continues where it was, and never sees what it predicts."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from auditor.core.errors import EmptyDataError, LabelError, UnknownNameError, UsageError  # noqa: E402
from auditor.core.progress import SilentProgress  # noqa: E402
from auditor.train.base import Dynamics, FitResult, FitTask, Trainer, TrainingData  # noqa: E402
from auditor.train.batches import ImageTensor  # noqa: E402
from auditor.train.folds import plan_folds  # noqa: E402
from auditor.train.image_network import ImageNetwork  # noqa: E402
from auditor.train.recipe import Stage  # noqa: E402

SMOKE = ImageNetwork.from_budget("smoke", device="cpu", stages=(Stage(0.5, 3), Stage(0.75, 1)))


def _short_task() -> FitTask:
    """Eight batches an epoch, for what does not depend on how much is learned."""
    return FitTask("fold-0", np.arange(240), np.arange(240, 300), seed=7)


def _task(n_train: int = 950, n: int = 1200) -> FitTask:
    return FitTask("fold-0", np.arange(n_train), np.arange(n_train, n), seed=7)


def same(a: FitResult, b: FitResult) -> bool:
    """Equal bytes of probabilities and dynamics, equal history apart from the seconds."""
    assert a.dynamics is not None
    assert b.dynamics is not None
    arrays = [(a.probabilities, b.probabilities)]
    arrays += [(getattr(a.dynamics, f.name), getattr(b.dynamics, f.name)) for f in fields(Dynamics)]
    history = [[{k: v for k, v in row.items() if k != "seconds"} for row in r.history] for r in (a, b)]
    return all(x.tobytes() == y.tobytes() for x, y in arrays) and history[0] == history[1]


@pytest.fixture(scope="module")
def result(cifar_piece: TrainingData) -> FitResult:
    return SMOKE.fit(cifar_piece, _task(), SilentProgress(), None)


@pytest.fixture(scope="module")
def short(cifar_piece: TrainingData) -> FitResult:
    return SMOKE.fit(cifar_piece, _short_task(), SilentProgress(), None)


class _StopAfter(SilentProgress):
    """Interrupts the training at the first progress event past a point."""

    def __init__(self, epochs: float, after_saving: bool = False) -> None:
        self.epochs = epochs
        self.after_saving = after_saving

    def advance(self, task: str, done: float, note: str = "") -> None:
        # The event of a finished epoch carries a note and comes after its checkpoint.
        if done >= self.epochs and (note or not self.after_saving):
            raise KeyboardInterrupt


def test_it_is_a_trainer_and_learns(cifar_piece: TrainingData, result: FitResult) -> None:
    assert isinstance(SMOKE, Trainer)
    p, labels = result.probabilities, cifar_piece.labels[950:]
    assert p.shape == (250, 10)
    assert p.dtype == np.float32
    assert np.allclose(p.sum(1), 1, atol=1e-5)
    assert (p.argmax(1) == labels).mean() > 0.2, "twice chance after four short epochs"
    assert [row["epoch"] for row in result.history] == [0, 1, 2, 3]
    assert [row["size"] for row in result.history] == [[16, 16]] * 3 + [[24, 24]]
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]
    assert result.details["precision"] in ("fp32", "bf16")
    assert result.details["parameters"] > 0


def test_labels_are_what_it_learns_from(cifar_piece: TrainingData) -> None:
    random = replace(cifar_piece, labels=np.random.default_rng(0).permutation(cifar_piece.labels))
    p = SMOKE.fit(random, _task(), SilentProgress(), None).probabilities
    assert (p.argmax(1) == cifar_piece.labels[950:]).mean() < 0.2


def test_dynamics_have_the_promised_shape_and_meaning(cifar_piece: TrainingData, result: FitResult) -> None:
    d = result.dynamics
    assert d is not None
    for part, items in (("train", 950), ("heldout", 250)):
        given, other, lse = (getattr(d, f"{part}_{name}") for name in ("given", "other", "logsumexp"))
        assert given.shape == other.shape == lse.shape == (4, items)
        assert given.dtype == np.float16
        seen = ~np.isnan(given)
        assert (np.isnan(other) == ~seen).all()
        tolerance = 0.01 + np.abs(lse[seen].astype(float)) * 1e-3
        assert (lse[seen].astype(float) >= np.maximum(given[seen], other[seen]) - tolerance).all()
    batch = result.details["batch"]
    visited = (~np.isnan(d.train_given)).sum(1)
    assert visited.tolist() == [950 // batch * batch] * 4, "the incomplete last batch is dropped"
    assert (~np.isnan(d.heldout_given)).all(1).tolist() == [False, False, False, True], "last third only"
    # The network gets more of its training labels right from epoch to epoch.
    right = [np.mean((g > o)[~np.isnan(g)]) for g, o in zip(d.train_given, d.train_other, strict=True)]
    assert right[3] > right[0] + 0.05


def test_heldout_dynamics_belong_to_the_probabilities(cifar_piece: TrainingData) -> None:
    trainer = ImageNetwork.from_budget("smoke", device="cpu", mirror=False, heldout_from=0.0)
    fitted = trainer.fit(cifar_piece, _task(300), SilentProgress(), None)
    d = fitted.dynamics
    assert d is not None
    assert not np.isnan(d.heldout_given).any()
    p = fitted.probabilities[np.arange(900), cifar_piece.labels[300:]]
    from_logits = np.exp(d.heldout_given[-1].astype(float) - d.heldout_logsumexp[-1])
    assert np.allclose(p, from_logits, atol=5e-3)
    correct = (fitted.probabilities.argmax(1) == cifar_piece.labels[300:]).mean()
    assert fitted.history[-1]["heldout_accuracy"] == pytest.approx(correct)


@pytest.mark.parametrize(("at", "after_saving"), [(1.0, True), (2.4, False), (3.0, False), (4.0, True)])
def test_interrupted_and_continued_is_byte_equal(
    cifar_piece: TrainingData,
    short: FitResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at: float,
    after_saving: bool,
) -> None:
    monkeypatch.setattr("auditor.train.loop.REPORT_EVERY", 0.0)
    with pytest.raises(KeyboardInterrupt):
        SMOKE.fit(cifar_piece, _short_task(), _StopAfter(at, after_saving), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["fold-0.pt"]

    class Recorder(SilentProgress):
        seen: list[float]

        def advance(self, task: str, done: float, note: str = "") -> None:
            self.seen.append(done)

    recorder = Recorder()
    recorder.seen = []
    assert same(SMOKE.fit(cifar_piece, _short_task(), recorder, tmp_path), short)
    assert recorder.seen[0] == (int(at) if after_saving or at % 1 else at - 1), (
        "finished epochs must not be trained again"
    )


def test_checkpoint_of_other_labels_is_not_used(cifar_piece: TrainingData, short: FitResult, tmp_path: Path) -> None:
    other = replace(cifar_piece, labels=(cifar_piece.labels + 1) % 10)
    with pytest.raises(KeyboardInterrupt):
        SMOKE.fit(other, _short_task(), _StopAfter(2.0, True), tmp_path)
    assert same(SMOKE.fit(cifar_piece, _short_task(), SilentProgress(), tmp_path), short)


def test_callers_random_state_and_threads_are_left_alone(cifar_piece: TrainingData, short: FitResult) -> None:
    torch.manual_seed(1234)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    assert same(SMOKE.fit(cifar_piece, _short_task(), SilentProgress(), None), short)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_no_predicted_item_is_ever_in_a_training_batch(
    cifar_piece: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[int] = set()
    original = ImageTensor.augmented

    def spy(self: ImageTensor, rows: torch.Tensor, *arguments: object) -> torch.Tensor:
        seen.update(rows.tolist())
        return original(self, rows, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageTensor, "augmented", spy)
    plan = plan_folds(np.arange(1200).astype(str), cifar_piece.labels, 10, 3, 0)
    task = plan.tasks(0)[1]
    ImageNetwork.from_budget("smoke", device="cpu").fit(cifar_piece, task, SilentProgress(), None)
    assert seen <= set(task.train.tolist())
    assert not seen & set(task.predict.tolist())
    assert len(seen) > 700


def test_predictions_do_not_depend_on_predicted_labels_or_their_company(cifar_piece: TrainingData) -> None:
    trainer = ImageNetwork.from_budget("smoke", device="cpu")
    labels = cifar_piece.labels.copy()
    labels[240:] = 3
    task, few = _short_task(), FitTask("fold-0", np.arange(240), np.arange(240, 250), 7)
    a = trainer.fit(cifar_piece, task, SilentProgress(), None).probabilities[:10]
    b = trainer.fit(replace(cifar_piece, labels=labels), few, SilentProgress(), None).probabilities
    assert np.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("network", ["resnet18", "vgg11_bn"])
def test_other_networks_train_by_sgd(cifar_piece: TrainingData, network: str) -> None:
    trainer = ImageNetwork.from_budget("smoke", network, device="cpu")
    piece = TrainingData("image", cifar_piece.features[:80], cifar_piece.labels[:80], 10)
    fitted = trainer.fit(piece, FitTask("fold-0", np.arange(64), np.arange(64, 80), 0), SilentProgress(), None)
    assert fitted.probabilities.shape == (16, 10)
    assert np.isfinite(fitted.probabilities).all()
    assert fitted.history[0]["size"] == [16, 16]


def test_tiny_images_are_enlarged() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(120) % 2
    images = (random.integers(0, 60, (120, 8, 8, 3)) + 150 * labels[:, None, None, None]).astype(np.uint8)
    data = TrainingData("image", images, labels.astype(np.int64), 2)
    trainer = ImageNetwork.from_budget("smoke", device="cpu", min_images=2000)
    fitted = trainer.fit(data, FitTask("f", np.arange(80), np.arange(80, 120), 0), SilentProgress(), None)
    assert (fitted.probabilities.argmax(1) == labels[80:]).mean() > 0.9


@pytest.mark.parametrize(
    ("train", "predict", "error", "words"),
    [
        ([0, 1, 2], [2, 3], UsageError, "trained on and predicted"),
        ([0, 1], [5000], UsageError, "outside 0..1199"),
        ([0, -1], [3], UsageError, "outside"),
        ([0], [3], EmptyDataError, "1 items to train on"),
        ([0, 1], [], EmptyDataError, "no items to predict"),
    ],
)
def test_bad_tasks(cifar_piece: TrainingData, train: list, predict: list, error: type, words: str) -> None:
    task = FitTask("t", np.array(train, dtype=np.int64), np.array(predict, dtype=np.int64), 0)
    with pytest.raises(error, match=words):
        SMOKE.fit(cifar_piece, task, SilentProgress(), None)


def test_bad_settings(cifar_piece: TrainingData) -> None:
    one_class = replace(cifar_piece, labels=np.zeros(1200, np.int64))
    with pytest.raises(LabelError, match="one class only"):
        SMOKE.fit(one_class, _task(), SilentProgress(), None)
    with pytest.raises(UsageError, match="unknown device 'tpu'"):
        replace(SMOKE, device="tpu").fit(cifar_piece, _task(), SilentProgress(), None)
    with pytest.raises(UnknownNameError, match="fastnet"):
        replace(SMOKE, network="fastnot").fit(cifar_piece, _task(), SilentProgress(), None)
    with pytest.raises(UsageError, match="threads"):
        replace(SMOKE, threads=0)
    with pytest.raises(UsageError, match="precision"):
        replace(SMOKE, precision="fp8")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="no CUDA device"):
            replace(SMOKE, device="cuda").fit(cifar_piece, _task(), SilentProgress(), None)
