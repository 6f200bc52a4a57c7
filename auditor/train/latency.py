"""How long a network takes on this machine: the one place that measures it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from auditor.train.device import torch_threads

#: In how many turns the passes of a module are made.
TURNS = 10


def time_modules(
    modules: Sequence[tuple[nn.Module, Sequence[int]]], repeats: int, device: str, warmup: int = 5
) -> np.ndarray:
    """Times of forward passes in evaluation mode.

    On a CPU one thread computes, and its own processor time is read: on an idle machine that is the wall time, and on
    a busy one it still is nearly the same. On a GPU it is the wall time until the device has finished.

    The modules take turns: a machine that becomes slower for some seconds slows all of them in a few passes each, and
    not one of them in all its passes.

    Parameters
    ----------
    modules : sequence of (module, shape of its input)
    repeats : int
        Timed passes of each module.
    device : str
    warmup : int
        Passes before the first timed one. One more is not timed at the beginning of every turn.

    Returns
    -------
    float64 array (modules, repeats)
        Milliseconds; the passes of a column were made in the same turn.
    """
    ready = []
    for module, shape in modules:
        x = torch.zeros(tuple(shape), device=device).to(memory_format=torch.channels_last)
        ready.append((module.to(device).to(memory_format=torch.channels_last).eval(), x))
    times = np.empty((len(ready), repeats))
    with torch.no_grad(), torch_threads(1):
        for module, x in ready:
            for _ in range(warmup):
                module(x)
        for turn in np.array_split(np.arange(repeats), min(TURNS, repeats)):
            for row, (module, x) in enumerate(ready):
                module(x)
                for column in turn:
                    times[row, column] = _time_pass(module, x, device)
    return 1e3 * times


def _time_pass(module: nn.Module, x: torch.Tensor, device: str) -> float:
    """Seconds of one pass."""
    if device != "cuda":
        started = time.thread_time()
        module(x)
        return time.thread_time() - started
    torch.cuda.synchronize()
    started = time.perf_counter()
    module(x)
    torch.cuda.synchronize()
    return time.perf_counter() - started


def latency(network: nn.Module, size: tuple[int, int], device: str) -> float:
    """Milliseconds that `network` takes for one image: the median of ten passes of `time_modules`.

    Parameters
    ----------
    network : nn.Module
    size : (height, width)
    device : str
    """
    return float(np.median(time_modules([(network, (1, 3, *size))], 10, device, warmup=2)))


def latencies(n_classes: int = 10, side: int = 32) -> list[dict[str, Any]]:
    """Every network of `auditor.models.registry.MODELS` as its name alone builds it: rows ``name, parameters, macs,
    image_ms``, for one image of `side` px on the CPU. Takes about a minute."""
    from auditor.models.counter import count
    from auditor.models.registry import MODELS, build_model

    rows = []
    for name in MODELS:
        network = build_model(name, n_classes, side, 0)
        cost = count(network, (3, side, side))
        ms = round(latency(network, (side, side), "cpu"), 2)
        rows.append({"name": name, "parameters": cost.parameters, "macs": cost.macs, "image_ms": ms})
    return rows
