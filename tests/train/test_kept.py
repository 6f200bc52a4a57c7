"""Networks kept with a fit: rebuilt ones predict what the fit predicted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from auditor.core.errors import RunError, UnreadableError  # noqa: E402
from auditor.core.files import read_sealed, write_sealed  # noqa: E402
from auditor.core.hashing import hash_file  # noqa: E402
from auditor.train.base import FitTask, TrainingData  # noqa: E402
from auditor.train.crossval import run_tasks  # noqa: E402
from auditor.train.image_network import ImageNetwork  # noqa: E402
from auditor.train.kept import kept_tasks, load_kept  # noqa: E402
from auditor.train.recipe import Recipe, Stage  # noqa: E402

ADAM = Recipe(
    stages=(Stage(1.0, 1),),
    batch=16,
    optimiser="adam",
    filter_rate=1e-3,
    weight_decay=0.0,
    label_smoothing=0.0,
    mirror=False,
    crop=0,
)


def data(side: int, classes: int) -> TrainingData:
    random = np.random.default_rng(0)
    return TrainingData(
        "image", random.integers(0, 256, (90, side, side, 3), dtype=np.uint8), np.arange(90) % classes, classes
    )


@pytest.mark.parametrize(
    ("network", "classes", "side", "workers"),
    [
        ("cifake_cnn:f16-c2-d32-n1", 2, 32, 1),
        ("fastnet", 3, 24, 1),
        ("cifake_cnn:f16-c1-d32-n1", 3, 12, 1),
        pytest.param("fastnet", 3, 24, 2, marks=pytest.mark.slow),
    ],
)
def test_a_kept_network_predicts_what_the_fit_predicted(
    network: str, classes: int, side: int, workers: int, tmp_path: Path
) -> None:
    images = data(side, classes)
    trainer = ImageNetwork(training=ADAM, network=network, device="cpu", precision="fp32")
    cut = np.arange(90)
    tasks = [FitTask("a", cut[:60], cut[60:], 0), FitTask("b", cut[30:], cut[:30], 1)]
    results = run_tasks(trainer, images, tasks, folder=tmp_path, workers=workers)
    assert kept_tasks(tmp_path) == ["a", "b"]
    for task, result in zip(tasks, results, strict=True):
        kept = load_kept(tmp_path, task.name)
        again = kept.logits(kept.images(images.features[task.predict])).softmax(1).numpy()
        np.testing.assert_allclose(again, result.probabilities, atol=1e-6)


def test_without_weights_the_way_out_is_said(tmp_path: Path) -> None:
    trainer = ImageNetwork(training=ADAM, network="cifake_cnn", device="cpu", precision="fp32", keep_weights=False)
    cut = np.arange(90)
    run_tasks(trainer, data(32, 2), [FitTask("a", cut[:60], cut[60:], 0)], folder=tmp_path)
    assert kept_tasks(tmp_path) == []
    with pytest.raises(RunError, match="--out"):
        load_kept(tmp_path, "a")


def test_keeping_changes_neither_recipe_nor_figures(tmp_path: Path) -> None:
    cut = np.arange(90)
    task = FitTask("a", cut[:60], cut[60:], 0)
    made = [
        ImageNetwork(training=ADAM, network="cifake_cnn", device="cpu", precision="fp32", keep_weights=keep)
        for keep in (True, False)
    ]
    assert made[0].recipe() == made[1].recipe()
    first, second = (run_tasks(t, data(32, 2), [task], folder=tmp_path / str(k))[0] for k, t in enumerate(made))
    assert (first.probabilities == second.probabilities).all()


def test_damaged_weights_are_a_run_error(tmp_path: Path) -> None:
    cut = np.arange(90)
    trainer = ImageNetwork(training=ADAM, network="cifake_cnn", device="cpu", precision="fp32")
    run_tasks(trainer, data(32, 2), [FitTask("a", cut[:60], cut[60:], 0)], folder=tmp_path)
    path = tmp_path / "results" / "a.weights.npz"
    with np.load(path) as archive:
        arrays = {k: archive[k] for k in archive.files if k != "input.mean"}
    np.savez(path, **arrays)
    with pytest.raises(UnreadableError, match="is damaged"):
        load_kept(tmp_path, "a")
    described = read_sealed(path.with_name("a.json"))
    # As somebody might who knows the hashes.
    write_sealed(path.with_name("a.json"), described | {"weights": hash_file(path)})
    with pytest.raises(RunError, match="rebuilt"):
        load_kept(tmp_path, "a")
