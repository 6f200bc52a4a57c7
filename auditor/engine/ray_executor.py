"""Work on a Ray cluster: the engine's row ranges and the fits of a cross-validation. The only module that knows Ray.

Jobs are pure functions of what they are given, so a job that was lost with its node is simply run again elsewhere,
and results are merged in the order of the jobs: the outcome equals the local one exactly.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar, cast

import numpy as np

from auditor.core.errors import AuditorError, ResourceError, require
from auditor.engine.sources import ArraySource, ProbabilitySource

T = TypeVar("T")

#: Times a lost job is started again before the run gives up. A job is lost only with its worker or node.
_RETRIES = 10


class RayExecutor:
    """Runs jobs as Ray tasks.

    Parameters
    ----------
    address : str, optional
        Of the cluster; default: the running one, else a new local one.
    workers : int, optional
        Jobs in flight at once; default: the CPUs of the cluster.

    Raises
    ------
    MissingExtraError
        Ray is not installed.
    ResourceError
        The cluster cannot be reached.
    """

    shares_memory = False

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        require("ray", "scale", "--engine ray")
        import ray

        self._ray = ray
        if not ray.is_initialized():
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, RuntimeError) as error:
                raise ResourceError(
                    f"cannot reach the Ray cluster {address!r}: {error}.", "Start one with: ray start --head"
                ) from error
        self.workers = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))

    def run(self, function: Callable[..., Any], source: Any, jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Yield ``function(source, *job)`` in the order of the jobs.

        An in-memory array is cut up and travels with its jobs; a file is opened by each task, and must be
        reachable under the same name from every node.
        """
        ray = self._ray
        remote = self._remote(_run_job)
        travels = isinstance(source, ArraySource)
        shared = None if travels else ray.put(source)
        waiting: deque[tuple[Any, str]] = deque()
        # After an error the few jobs under way run out. They are not cancelled: a task that ends while it is being
        # cancelled aborts the whole process (ray 2.x, "Tried to complete task that was not pending"; seen once).
        for job in jobs:
            part = RowSlice.of(source, job[0], job[1]) if travels else shared
            waiting.append((remote.remote(function, part, job), f"rows {job[0]}..{job[1]}"))
            if len(waiting) >= 2 * self.workers:
                yield self._take(*waiting.popleft())
        while waiting:
            yield self._take(*waiting.popleft())

    @property
    def gpus(self) -> int:
        """GPUs of the cluster."""
        return int(self._ray.cluster_resources().get("GPU", 0))

    def call(self, function: Callable[..., T], *arguments: Any, gpus: int = 0) -> T:
        """``function(*arguments)`` on some node, with `gpus` of its GPUs."""
        reference = self._remote(function, gpus=gpus).remote(*arguments)
        return cast(T, self._take(reference, "a call"))

    def run_named(
        self,
        function: Callable[..., T],
        shared: Any,
        jobs: Sequence[tuple[str, tuple[Any, ...]]],
        *,
        cpus: int = 1,
        gpus: int = 0,
    ) -> Iterator[tuple[str, T]]:
        """Yield (name, ``function(shared, *job)``) of each named job, in the order in which they end.

        Parameters
        ----------
        shared : picklable
            Put into the object store once; arrays in it arrive as read-only views.
        cpus, gpus : int
            What one job occupies.

        Raises
        ------
        ResourceError
            No node of the cluster is that large, or a job was lost again and again.
        """
        ray = self._ray
        if not any(
            node["Alive"] and node["Resources"].get("CPU", 0) >= cpus and node["Resources"].get("GPU", 0) >= gpus
            for node in ray.nodes()
        ):
            raise ResourceError(
                f"no node of the cluster has {cpus} CPU(s) and {gpus} GPU(s), which one job needs.",
                "Add a larger node, or choose --device cpu.",
            )
        remote = self._remote(function, cpus=cpus, gpus=gpus)
        store = ray.put(shared)
        # Handed out as places become free, so that after an error no more than these run on (see `run`).
        there = ray.cluster_resources()
        places = min(int(there.get(kind, 0)) // each for kind, each in (("CPU", cpus), ("GPU", gpus)) if each)
        most = 2 * max(1, places)
        to_come = iter(jobs)
        waiting = {remote.remote(store, *job): name for name, job in islice(to_come, most)}
        while waiting:
            (reference,), _ = ray.wait(list(waiting), num_returns=1)
            name = waiting.pop(reference)
            result = self._take(reference, name)
            waiting |= {remote.remote(store, *job): following for following, job in islice(to_come, 1)}
            yield name, result

    def _remote(self, function: Callable[..., Any], cpus: int = 1, gpus: int = 0) -> Any:
        return self._ray.remote(max_retries=_RETRIES, retry_exceptions=False, num_cpus=cpus, num_gpus=gpus)(function)

    def _take(self, reference: Any, what: str) -> Any:
        ray = self._ray
        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, AuditorError):
                raise error.cause from None
            raise
        except ray.exceptions.RayError as error:
            raise ResourceError(
                f"{what}: lost by the cluster {_RETRIES + 1} times: {error}.",
                "Check the nodes' memory, then repeat the command.",
            ) from error


def _run_job(function: Callable[..., Any], source: Any, job: tuple[Any, ...]) -> Any:
    # Arrays that come out of the object store are read-only views; the kernels' results are new arrays.
    return function(source, *job)


class RowSlice:
    """Some rows of an array that is not on this node, under their numbers in the whole array."""

    in_memory = True

    def __init__(self, rows: np.ndarray, start: int, shape: tuple[int, int], name: str) -> None:
        self._rows, self._start = rows, start
        self.shape, self.dtype, self.name = shape, rows.dtype, name

    @classmethod
    def of(cls, source: ProbabilitySource, start: int, stop: int) -> RowSlice:
        """Rows start..stop of a source."""
        return cls(np.ascontiguousarray(source.read(start, stop)), start, source.shape, source.name)

    def read(self, start: int, stop: int) -> np.ndarray:
        return self._rows[start - self._start : stop - self._start]
