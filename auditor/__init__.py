"""Find the wrong labels in a data set, say how many there are, and what that does to a ranking of models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditor.core.version import __version__

__all__ = [
    "Audit",
    "AuditorError",
    "ClassOrderError",
    "ConfigError",
    "DataError",
    "EmptyDataError",
    "LabelError",
    "LabelErrorDetector",
    "MemoryGuardError",
    "MissingExtraError",
    "MissingRoleError",
    "OfflineError",
    "ProbabilityError",
    "ResourceError",
    "RobustClassifier",
    "Run",
    "RunError",
    "StorageError",
    "UnknownNameError",
    "UnreadableError",
    "UnsafeFileError",
    "UsageError",
    "__version__",
    "check_quality",
    "estimate_errors",
    "find_errors",
    "flag",
    "flag_kind",
    "improve",
    "open_dataset",
    "open_network",
    "open_run",
]

if TYPE_CHECKING:
    from auditor.api import LabelErrorDetector
    from auditor.audit.find_errors import find_errors
    from auditor.audit.flagging import flag
    from auditor.core.errors import (
        AuditorError,
        ClassOrderError,
        ConfigError,
        DataError,
        EmptyDataError,
        LabelError,
        MemoryGuardError,
        MissingExtraError,
        MissingRoleError,
        OfflineError,
        ProbabilityError,
        ResourceError,
        RunError,
        StorageError,
        UnknownNameError,
        UnreadableError,
        UnsafeFileError,
        UsageError,
    )
    from auditor.data.open import open_dataset
    from auditor.estimation.sample import estimate_errors
    from auditor.improvement.improve import improve
    from auditor.interactive import Audit
    from auditor.kinds.registry import flag_kind
    from auditor.quality.run import check_quality
    from auditor.robust import RobustClassifier
    from auditor.runs.run import Run, open_run
    from auditor.train.networks import open_network

_MODULES = {
    "Audit": "auditor.interactive",
    "LabelErrorDetector": "auditor.api",
    "RobustClassifier": "auditor.robust",
    "Run": "auditor.runs.run",
    "check_quality": "auditor.quality.run",
    "estimate_errors": "auditor.estimation.sample",
    "find_errors": "auditor.audit.find_errors",
    "flag": "auditor.audit.flagging",
    "flag_kind": "auditor.kinds.registry",
    "improve": "auditor.improvement.improve",
    "open_dataset": "auditor.data.open",
    "open_network": "auditor.train.networks",
    "open_run": "auditor.runs.run",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    # Lazy, so that `import auditor` and `auditor --help` import neither pandas nor torch (house limit: 0.3 s).
    from importlib import import_module

    if name == "plots":
        return import_module("auditor.plots")
    module = _MODULES.get(name, "auditor.core.errors" if name in __all__ else None)
    if module is not None:
        return getattr(import_module(module), name)
    raise AttributeError(f"module 'auditor' has no attribute {name!r}")
