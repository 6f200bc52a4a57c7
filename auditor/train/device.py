"""Which device and which precision a training uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from auditor.core.errors import UsageError
from auditor.core.machine import cpu_count

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
    """Whether the processor has bf16 arithmetic. Without it bf16 is about ten times slower than fp32 (measured on AMD
    Zen 3), with AVX512-BF16 twice as fast (measured), with AMX three times."""
    capability = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(capability.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def choose_precision(device: str) -> Precision:
    """bf16 where the hardware computes in it, else fp32.

    Decided by what the hardware is, never by a timed trial: on a busy machine a trial comes out now so, now so, and
    two runs of one command would differ.
    """
    has = torch.cuda.is_bf16_supported() if device == "cuda" else cpu_has_bf16()
    return "bf16" if has else "fp32"


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
