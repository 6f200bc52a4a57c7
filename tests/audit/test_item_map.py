"""Items near in the embedding are near on the map; each layout is computed once, and goes on where it was ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA as SklearnPCA

from auditor.audit import item_map
from auditor.audit.item_map import PCA, PROBABILITIES, UMAP, Space, item_space, make_maps, nearest_to, stored_maps
from auditor.runs import layout
from auditor.runs.run import Run, open_run
from tests.conftest import DigitsRun


@pytest.fixture
def run(digits_run: DigitsRun) -> Run:
    return open_run(digits_run.path)


@pytest.fixture
def fake_umap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package called umap, which turns the first layout by a quarter and leaves one item out."""
    (tmp_path / "umap.py").write_text(
        "import numpy as np\n"
        "class UMAP:\n"
        "    def __init__(self, n_neighbors, precomputed_knn, init, random_state, **options):\n"
        "        (near, far), n = precomputed_knn, len(init)\n"
        "        assert near.shape == far.shape == (n, n_neighbors)\n"
        "        assert (near[:, 0] == np.arange(n)).all() and (far[:, 0] == 0).all()\n"
        "    def fit_transform(self, points):\n"
        "        assert abs(points).max() == 10\n"
        "        points = points[:, ::-1].copy()\n"
        "        points[3] = np.nan\n"
        "        return points\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def _rows(n: int, width: int) -> np.ndarray:
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(4, width))
    return (centres[np.arange(n) % 4] + 0.3 * draw.normal(size=(n, width))).astype(np.float16)


@pytest.mark.parametrize(("n", "width"), [(300, 20), (5000, 3), (2, 5)])
def test_the_first_layout_is_that_of_the_principal_axes(tmp_path: Path, n: int, width: int) -> None:
    space = Space("x", _rows(n, width), "")
    item_map._principal_points(None, space, tmp_path / "points.npy")  # type: ignore[arg-type]
    points = np.load(tmp_path / "points.npy")
    expected = SklearnPCA(2, svd_solver="full").fit_transform(space.unit(slice(None)).astype(float))
    assert points.shape == (n, 2)
    assert np.abs(np.abs(points) - np.abs(expected)).max() < 1e-3


def test_one_direction_and_one_item_are_laid_out(tmp_path: Path) -> None:
    for rows in (np.ones((4, 1)), np.ones((1, 3)), np.zeros((5, 2))):
        item_map._principal_points(None, Space("x", rows, ""), tmp_path / "points.npy")  # type: ignore[arg-type]
        points = np.load(tmp_path / "points.npy")
        assert points.shape == (len(rows), 2)
        assert np.abs(points).max() < 1e-6


def test_without_embeddings_the_probabilities_are_laid_out(run: Run) -> None:
    space = item_space(run)
    assert space.name == PROBABILITIES
    # Two classes have one direction alone; how sure the model is keeps items apart.
    two = Space(PROBABILITIES, np.array([[0.9, 0.1], [0.99, 0.01], [0.1, 0.9]]), "")
    cosines = two.unit(slice(None)) @ two.unit(slice(None)).T
    assert cosines[0, 2] < cosines[0, 1] < 1 - 1e-4


def test_nearest_to_one_are_the_nearest_of_all() -> None:
    rows = _rows(9000, 6)  # more than one block
    rows[77] = rows[8000] = rows[5]
    space = Space("x", rows, "")
    positions, cosines = nearest_to(space, 5, 10)
    unit = space.unit(slice(None)).astype(float)
    best = np.sort(np.delete(unit @ unit[5], 5))[::-1][:10]
    assert positions[:2].tolist() == [77, 8000]
    assert np.allclose(cosines, best, atol=1e-6)
    assert len(nearest_to(Space("x", rows[:4], ""), 0, 10)[0]) == 3


def test_each_layout_is_computed_once_and_goes_on_where_it_was_ended(
    run: Run, fake_umap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(*_: object) -> None:
        raise KeyboardInterrupt

    calls: list[str] = []

    def counted(name: str) -> Callable[..., None]:
        compute = getattr(item_map, name)

        def call(*arguments: object) -> None:
            calls.append(name)
            compute(*arguments)

        return call

    for name in ("_principal_points", "_neighbours"):
        monkeypatch.setattr(item_map, name, counted(name))
    with monkeypatch.context() as patch:
        patch.setattr(item_map, "_umap_points", ended)
        with pytest.raises(KeyboardInterrupt):
            make_maps(run)
    assert [m.layout for m in stored_maps(run)] == [PCA]  # shown meanwhile
    maps = make_maps(run)
    assert [m.layout for m in maps] == [UMAP, PCA]
    assert calls == ["_principal_points", "_neighbours"]
    best, first = maps
    scaled = first.points / np.abs(first.points).max() * 10
    expected = scaled[:, ::-1].copy()
    expected[3] = scaled[3]  # left out by UMAP: it stays where it was
    assert np.allclose(best.points, expected, atol=1e-5)
    assert [m.key for m in make_maps(open_run(run.path))] == [m.key for m in maps]
    assert len(calls) == 2
    # Damaged, and of other embeddings: not shown.
    (run.path / layout.MAP_UMAP).write_bytes(b"x")
    assert [m.layout for m in stored_maps(run)] == [PCA]
    assert stored_maps(run, Space(PROBABILITIES, run.pred_probs, "another")) == []


@pytest.mark.parametrize(("m", "reason"), [(49, "lays out 50"), (10**6, "lays out 50"), (1000, "auditor[map]")])
def test_why_there_is_no_umap(monkeypatch: pytest.MonkeyPatch, m: int, reason: str) -> None:
    monkeypatch.setattr(item_map, "find_spec", lambda _name: None)
    assert reason in str(item_map.why_no_umap(m))


@pytest.mark.slow
def test_umap_keeps_classes_together_better_than_the_axes(run: Run) -> None:
    pytest.importorskip("umap", reason="umap-learn is not installed: pip install 'auditor[map]'")

    def share(points: np.ndarray) -> float:
        """Of the nearest ten on the map, how many have the item's label."""
        distance = ((points[:, None] - points[None]) ** 2).sum(axis=2)
        near = np.argsort(distance, axis=1)[:, 1:11]
        return float((run.labels[near] == run.labels[:, None]).mean())

    maps = {m.layout: m.points for m in make_maps(run)}
    assert share(maps[UMAP]) > share(maps[PCA]) + 0.05
