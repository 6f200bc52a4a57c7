"""Find the wrong labels in a data set, say how many there are, and what that does to a ranking of models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditor.core.version import __version__

__all__ = ["LabelErrorDetector", "RobustClassifier", "__version__", "find_errors", "improve", "open_run"]

if TYPE_CHECKING:
    from auditor.api import LabelErrorDetector
    from auditor.audit.find_errors import find_errors
    from auditor.improvement.improve import improve
    from auditor.robust import RobustClassifier
    from auditor.runs.run import open_run

_LAZY = {
    "LabelErrorDetector": "auditor.api",
    "RobustClassifier": "auditor.robust",
    "find_errors": "auditor.audit.find_errors",
    "improve": "auditor.improvement.improve",
    "open_run": "auditor.runs.run",
}


def __getattr__(name: str) -> Any:
    # Lazy, so that `import auditor` and `auditor --help` import neither pandas nor torch (house limit: 0.3 s).
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'auditor' has no attribute {name!r}")
