"""Grids by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from auditor.core.registry import Registry

__all__ = ["GRIDS"]

#: Name -> ``(budget, folder, **options) -> results``, see `auditor.lab.cifake.grid.run.run_grid`.
GRIDS: Registry[Callable[..., dict[str, Any]]] = Registry("grid", {"cifake": "auditor.lab.cifake.grid.run:run_grid"})
