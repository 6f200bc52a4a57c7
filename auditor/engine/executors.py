"""Who runs the work on ranges of rows: threads here, a cluster in `ray_executor`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cached_property
from typing import Any, Protocol

from auditor.core.machine import cpu_count


class Executor(Protocol):
    """Runs ``function(source, *job)`` for each job and yields the results in the order of the jobs."""

    #: How many jobs run at once.
    workers: int
    #: True if a job may write into arrays of the caller.
    shares_memory: bool

    def run(self, function: Callable[..., Any], source: Any, jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Yield results in order; raise what a job raised."""


class ThreadExecutor:
    """Threads of this process; the kernels release the GIL.

    With one more thread than CPUs a file is read by some threads while others compute: that is the prefetch.
    """

    shares_memory = True

    def __init__(self, workers: int | None = None) -> None:
        self.workers = max(1, workers or cpu_count())

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        # Kept between calls: starting threads is half the cost of a small problem.
        return ThreadPoolExecutor(self.workers, thread_name_prefix="auditor-engine")

    def run(self, function: Callable[..., Any], source: Any, jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        if self.workers == 1 or (isinstance(jobs, list) and len(jobs) == 1):
            for job in jobs:
                yield function(source, *job)
            return
        # At most two jobs per thread are in flight, so that waiting results never fill the memory.
        waiting: deque[Future[Any]] = deque()
        try:
            for job in jobs:
                waiting.append(self._pool.submit(function, source, *job))
                if len(waiting) >= 2 * self.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            # A job that is still running may write into the caller's arrays: wait for it before going on.
            wait(waiting)


def run_kernel(executor: Executor, kernel: Callable[..., None], jobs: Iterable[tuple[Any, ...]]) -> None:
    """Call ``kernel(*job)``, which writes into arrays of this process, for every job."""
    for _ in executor.run(lambda call, *arguments: call(*arguments), kernel, jobs):
        pass
