"""Fixtures shared by all tests."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent
from typing import Any
from unittest import mock

if "PYTEST_XDIST_WORKER" in os.environ:
    # One thread for each worker, set before NumPy or PyTorch is imported: threads of several workers would wait for
    # one another.
    for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(_name, "1")

# Where it is set, each of the hundreds of processes that tests start would compile the package anew.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    sys.dont_write_bytecode = False

import pytest

from auditor.cli.main import run
from tests.running import Done, call, forked, made_once, unsynchronised

ROOT = Path(__file__).resolve().parents[1]


def _data_dir() -> Path:
    return Path(os.environ.get("AUDITOR_DATA_DIR", ROOT.parent / "shared" / "data")).resolve()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """``--dist loadfile``, with files that share what is dear on one worker: the Ray cluster, the browser, kernels that
    are compiled at their first use, trained sets, 120,000 hashed images, encoders and their packages."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            together = {
                "ray": ("tests/engine/test_ray_executor.py", "tests/train/test_cluster.py"),
                "kernels": ("tests/engine/", "tests/parity/", "tests/cli/test_flag.py"),
                "browser": ("tests/browser/",),
                "detectors": ("tests/lab/detectors/",),
                "cifake": ("tests/lab/cifake/",),
                "encoders": (
                    "tests/train/test_encoders.py",
                    "tests/train/test_joint_encoders.py",
                    "tests/train/test_choose_embedding.py",
                ),
            }
            return next((scope for scope, places in together.items() if file.startswith(places)), file)

    config.option.loadscopereorder = False  # it would put the files of few tests last: the long ones
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first: one that begins last leaves the other worker without work."""
    longest = ("tests/browser/", "tests/ui/test_views.py")
    items.sort(key=lambda item: not item.nodeid.startswith(longest))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """The garbage collector leaves what the imports make alone: nothing of it is given up, and looking through it again
    and again takes many seconds."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def work_stays_here() -> Iterator[None]:
    """Where nothing else is asked for, one worker: several are new interpreters, each of which imports everything."""
    with contextlib.ExitStack() as patches:
        for room in ("audit.context", "benchmark.training", "lab.experiment.shell", "quality.measures"):
            patches.enter_context(mock.patch(f"auditor.{room}.cpu_count", return_value=1))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_power_cut() -> Iterator[None]:
    """Nobody waits until files, or the verdicts of an SQLite store, are on the disk (see `unsynchronised`)."""
    with contextlib.ExitStack() as patches:
        patches.enter_context(mock.patch("os.fsync", unsynchronised))
        if find_spec("sqlalchemy"):
            from auditor.review import database

            prepare = database._prepare_sqlite

            def quickly(connection: Any, record: Any) -> None:
                prepare(connection, record)
                connection.execute("PRAGMA synchronous=OFF")

            patches.enter_context(mock.patch.object(database, "_prepare_sqlite", quickly))
        yield


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the real data sets; the test is skipped where it is absent, and fails there in CI."""
    folder = _data_dir()
    if not folder.is_dir():
        reason = f"real data not found at {folder}; set AUDITOR_DATA_DIR"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


#: The run that tests share. Neighbours have tests of their own; without them more is flagged, and it takes less time.
AUDIT = ("find-errors", "digits", "--embeddings", "none")


@pytest.fixture(scope="session")
def digits_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished ``run`` over digits and with what the command printed; copy it before use."""

    def make(folder: Path) -> None:
        done = call(*AUDIT, "--json", "--out", folder / "run")
        (folder / "stdout").write_text(done.stdout)
        (folder / "stderr").write_text(done.stderr)

    return made_once(tmp_path_factory, "digits", make)


@dataclass(frozen=True)
class DigitsRun:
    """A finished run over digits in a folder of the test's own, and what the command printed."""

    path: Path
    document: dict[str, Any]
    stderr: str


@pytest.fixture
def digits_run(digits_source: Path, tmp_path: Path) -> DigitsRun:
    """A copy as ``run`` in the test's folder, without verdicts."""
    shutil.copytree(digits_source / "run", tmp_path / "run")
    printed = Done(0, *((digits_source / name).read_text() for name in ("stdout", "stderr")))
    return DigitsRun(tmp_path / "run", printed.document, printed.stderr)


@dataclass(frozen=True)
class RayCluster:
    """A local Ray cluster that this process is connected to: one node for work, and those that tests add."""

    cluster: Any

    def add_node(self) -> Callable[[], None]:
        """Another node of one CPU; calling what is returned kills it."""
        with _ray_path():
            node = self.cluster.add_node(num_cpus=1)
        return lambda: self.cluster.remove_node(node, allow_graceful=False)


def _ray_path() -> Any:
    # By the environment of its nodes and not by Ray's `runtime_env`, for which every worker that a node has started
    # in advance would be given up and started anew.
    return mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "tests" / "train")]))


@pytest.fixture(scope="session")
def ray_started() -> Iterator[dict[str, Any]]:
    """The Ray of this process, under "node" or "cluster": a second one on the machine makes both too slow to start."""
    pytest.importorskip("ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    started: dict[str, Any] = {}
    yield started
    _end_ray(started)


def _end_ray(started: dict[str, Any]) -> None:
    import ray

    ray.shutdown()
    if "cluster" in started:
        started["cluster"].cluster.shutdown()
    started.clear()


@pytest.fixture
def ray_node(ray_started: dict[str, Any]) -> None:
    """This process is connected to a local Ray of one node with one CPU."""
    import ray

    if "node" not in ray_started:
        _end_ray(ray_started)
        with _ray_path():
            ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
        ray_started["node"] = True


@pytest.fixture
def ray_cluster(ray_started: dict[str, Any]) -> RayCluster:
    """This process is connected to a local cluster whose nodes can be killed."""
    import ray
    from ray.cluster_utils import Cluster

    if "cluster" not in ray_started:
        _end_ray(ray_started)
        # The driver's node has no CPU, so all work runs on nodes that can be removed.
        # By default a lost node is noticed after half a minute.
        health = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500}
        head = {
            "num_cpus": 0,
            "include_dashboard": False,
            "_system_config": health | {"health_check_failure_threshold": 10},
        }
        ray_started["cluster"] = RayCluster(Cluster(initialize_head=True, head_node_args=head))
        ray_started["cluster"].add_node()
        ray.init(address=ray_started["cluster"].cluster.address, log_to_driver=False)
    return ray_started["cluster"]


@dataclass(frozen=True)
class Plugin:
    """A package of a third party: its folder on ``sys.path`` is all that makes it known, as after an installation."""

    folder: Path

    def run(self, *arguments: object) -> Done:
        """``auditor ARGUMENTS`` in a process that has the package."""
        return self._done(run, list(map(str, arguments)))

    def python(self, code: str) -> str:
        """What a script prints in a process that has the package."""
        return self._done(exec, dedent(code), {}).stdout

    def _done(self, work: Callable[..., Any], *arguments: Any) -> Done:
        printed = Path(tempfile.mkdtemp(dir=self.folder))
        log, errors = printed / "stdout", printed / "stderr"
        environ = {"AUDITOR_DATA_DIR": str(_data_dir())}
        process = forked(
            _on_path, self.folder, work, arguments, log=log, errors=errors, cwd=self.folder, environ=environ
        )
        process.join()
        done = Done(process.exitcode or 0, log.read_text(), errors.read_text())
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done


def _on_path(folder: Path, work: Callable[..., Any], arguments: Any) -> None:
    sys.path.insert(0, str(folder))
    work(*arguments)


@pytest.fixture(scope="session")
def make_plugin(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Plugin]:
    """Make a package with entry points: ``make_plugin(name, modules, entries)``.

    ``modules`` maps a module's name to its source, ``entries`` a group to its lines (``{"shout": "command:shout"}``,
    the module inside the package).
    """

    def make(name: str, modules: Mapping[str, str], entries: Mapping[str, Mapping[str, str]]) -> Plugin:
        folder = tmp_path_factory.mktemp(name)
        package, info = folder / name, folder / f"{name}-1.0.dist-info"
        package.mkdir()
        info.mkdir()
        (package / "__init__.py").touch()
        for module, source in modules.items():
            (package / f"{module}.py").write_text(dedent(source))
        lines = [
            line
            for group, points in entries.items()
            for line in (f"[{group}]", *(f"{point} = {name}.{target}" for point, target in points.items()))
        ]
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("\n".join(lines))
        return Plugin(folder)

    return make
