"""Which device and which precision a training uses."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn

from auditor.core.errors import UsageError
from auditor.core.machine import cpu_count

__all__ = ["choose_device", "choose_precision", "describe_device", "known_precision", "torch_threads"]

Precision = Literal["fp32", "bf16"]


def choose_device(wish: str) -> str:
    """``"cpu"`` or ``"cuda"`` for a wish of ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    UsageError
        For another word, or for ``"cuda"`` on a machine without a usable CUDA device.
    """
    if wish not in ("auto", "cpu", "cuda"):
        raise UsageError(f"unknown device {wish!r}.", "Known: auto, cpu, cuda.")
    present = torch.cuda.is_available()
    if wish == "cuda" and not present:
        raise UsageError(
            "device 'cuda' was asked for, but torch sees no CUDA device.", "Use --device auto or --device cpu."
        )
    return "cuda" if wish == "cuda" or (wish == "auto" and present) else "cpu"


def cpu_has_bf16() -> bool:
    """Whether the processor has bf16 arithmetic. Without it bf16 is about ten times slower than fp32 (measured
    on AMD Zen 3), and no trial is needed to know."""
    capability = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(capability.get(name, False) for name in ("avx512_bf16", "amx_bf16", "amx_tile", "bf16"))


def known_precision(device: str) -> Precision | None:
    """The precision where no trial is needed: bf16 on CUDA, fp32 on a CPU without bf16 arithmetic, else None."""
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return None if cpu_has_bf16() else "fp32"


def choose_precision(model: nn.Module, images: torch.Tensor) -> Precision:
    """The faster of fp32 and bf16 on this CPU, by a timed forward and backward pass.

    Parameters
    ----------
    model : nn.Module
        Left with the weights and statistics it had.
    images : float tensor (n, 3, H, W)
        One batch.
    """
    state = {name: value.clone() for name, value in model.state_dict().items()}
    times = {}
    for precision in ("fp32", "bf16"):
        best = float("inf")
        for _ in range(3):
            started = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                loss = model(images).float().square().mean()
            loss.backward()
            best = min(best, time.perf_counter() - started)
        times[precision] = best
    model.zero_grad(set_to_none=True)
    model.load_state_dict(state)
    # A clear win only: with equal times fp32 is the safer arithmetic.
    return "bf16" if times["bf16"] < 0.8 * times["fp32"] else "fp32"


def describe_device(device: str) -> str:
    """For people and manifests, e.g. ``"cuda: NVIDIA H200"`` or ``"cpu: 2 cores"``."""
    if device == "cuda":
        return f"cuda: {torch.cuda.get_device_name()}"
    return f"cpu: {cpu_count()} cores"


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Run with a fixed number of threads: sums in another number of parts differ in the last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
