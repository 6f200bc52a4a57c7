"""How results show themselves in a notebook. Rooms below the reports know the function that does it by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from auditor.core.registry import Registry

#: From a result to its view; what is shown is escaped, bounded, without scripts, and asks no other host.
VIEWS: Final[Registry[Callable[..., Any]]] = Registry(
    "view",
    {
        "run": "auditor.explain.suspects:run_html",
        "suspects": "auditor.explain.suspects:suspects",
        "estimate": "auditor.estimation.sentences:estimate_html",
        "quality": "auditor.report.views:quality_html",
    },
)
