"""Ray gives the local result exactly, also when a node is killed in the middle."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from auditor.core.errors import ProbabilityError
from auditor.engine import api
from auditor.engine.files import NpySource
from tests.conftest import RayCluster
from tests.engine.test_streaming import assert_same, everything
from tests.parity.problems import make_problem

#: A cluster of two nodes takes twenty seconds to start.
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(280)]


@pytest.fixture
def executor(ray_node: None):
    from auditor.engine.ray_executor import RayExecutor

    return RayExecutor()


def test_array_equals_local(executor) -> None:
    problem = make_problem(3, 800, 12, "float32", 2)
    local = everything(api.analyze(problem.probabilities, problem.labels, row_sum_tolerance=None))
    for chunk_rows in (None, 150):
        ours = api.analyze(
            problem.probabilities, problem.labels, row_sum_tolerance=None, executor=executor, chunk_rows=chunk_rows
        )
        assert_same(everything(ours), local)


def test_errors_come_back(executor, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a job that ends while it is being cancelled aborts the process")

    monkeypatch.setattr(ray, "cancel", never)
    p = np.full((100, 4), 0.25, np.float32)
    p[61, 1] = np.nan
    for _ in range(5):
        with pytest.raises(ProbabilityError, match="row 61"):
            api.analyze(p, np.arange(100) % 4, executor=executor, chunk_rows=10)


class SlowSource(NpySource):
    """A file that takes a while to read, and leaves a mark for each read."""

    def read(self, start: int, stop: int) -> np.ndarray:
        Path(self._path).with_name(f"read-{start}-{time.monotonic_ns()}").touch()
        time.sleep(0.25)
        return super().read(start, stop)


def test_node_killed_in_the_middle(ray_cluster: RayCluster, tmp_path: Path) -> None:
    import ray

    from auditor.engine.ray_executor import RayExecutor

    problem = make_problem(9, 1200, 12, "float32")
    np.save(tmp_path / "p.npy", problem.probabilities)
    expected = everything(api.analyze(problem.probabilities, problem.labels))
    plain = NpySource.open(str(tmp_path / "p.npy"))
    source = SlowSource(plain._path, plain.shape, plain.dtype, plain._offset)
    nodes = len(ray.nodes())
    remove, killed = ray_cluster.add_node(), threading.Event()

    def kill() -> None:
        while len(list(tmp_path.glob("read-*"))) < 4:
            time.sleep(0.05)
        remove()
        killed.set()

    killer = threading.Thread(target=kill, daemon=True)  # never outlives a failed test
    killer.start()
    analysis = api.analyze(source, problem.labels, executor=RayExecutor(), chunk_rows=60)
    killer.join()
    assert killed.is_set()
    assert len(ray.nodes()) == nodes + 1
    assert sum(node["Alive"] for node in ray.nodes()) == 2
    reads = [int(path.name.split("-")[1]) for path in tmp_path.glob("read-*")]
    assert set(range(0, 1200, 60)) <= set(reads)
    for name in ("thresholds", "confident_joint", "calibrated_joint", "candidates", "off_diagonal"):
        np.testing.assert_array_equal(getattr(analysis, name), expected[name])
    np.testing.assert_array_equal(api.flag(analysis), expected["prune_by_noise_rate"])
