"""What the machine is: read once, written into every manifest beside the numbers it produced."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

#: Packages whose version can change a result.
TRACKED = (
    "auditor",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "pyarrow",
    "pillow",
    "numba",
    "cleanlab",
    "torch",
    "torchvision",
    "datasets",
    "timm",
    "transformers",
)


def cpu_count() -> int:
    """CPUs this process may use (its affinity, not the machine's total)."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def available_memory() -> int:
    """Bytes of memory that can be taken without swapping."""
    return int(psutil.virtual_memory().available)


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def describe_machine() -> dict[str, Any]:
    """CPU, cores, memory, system. GPUs are added by the rooms that use them."""
    return {
        "cpu": _cpu_model(),
        "cores": cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }


def package_versions() -> dict[str, str]:
    """Installed versions of the packages that can change a result."""
    return dict(_installed(TRACKED))


def conditions(*packages: str) -> str:
    """Processor, cores and the versions of these packages, as far as they are installed, in one line for a report."""
    machine, versions = describe_machine(), package_versions()
    known = ", ".join(f"{name} {versions[name]}" for name in packages if name in versions)
    return f"{machine['cpu']}, {machine['cores']} cores; {known}"


@cache
def _installed(names: tuple[str, ...]) -> dict[str, str]:
    versions: dict[str, str] = {}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
