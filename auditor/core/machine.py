"""What the machine is: read once, written into every manifest beside the numbers it produced.

Here alone the package asks which system it runs on: what only POSIX has, or only Windows, is called nowhere else.
"""

from __future__ import annotations

import os
import platform
import sys
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


def peak_memory() -> int:
    """Largest resident memory of this process so far, bytes."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Not getrusage: its maximum is inherited from the process that started this one.
        for line in status.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return int(psutil.Process().memory_info().peak_wset)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def is_ours(state: os.stat_result) -> bool:
    """Whether this user owns a file; on Windows, which says it another way, the folders of a user are trusted."""
    return not hasattr(os, "getuid") or state.st_uid == os.getuid()


def is_private(state: os.stat_result) -> bool:
    """Whether nobody but this user may read or write a file; as `is_ours` on Windows."""
    return is_ours(state) and (os.name == "nt" or not state.st_mode & 0o077)


def is_superuser() -> bool:
    """Whether this process may do everything; never said of Windows."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


#: What no file of Windows is called, with any suffix, and what no name there holds.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{k}" for port in ("com", "lpt") for k in range(1, 10))}
_REFUSED = frozenset('<>:"|?*\\') | {chr(code) for code in range(32)}


def is_file_name(name: str, system: str = os.name) -> bool:
    """Whether a file or folder of a system can be called `name`.

    Parameters
    ----------
    name : str
        One name, no path.
    system : {"posix", "nt"}
        By default this machine's.
    """
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        return False
    if system != "nt":
        return True
    return not (_REFUSED & set(name) or name[-1] in " ." or name.partition(".")[0].rstrip(" ").casefold() in _DEVICES)


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
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
