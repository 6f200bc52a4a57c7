"""A table from a name to the place where its implementation lives, loaded when asked for.

The built-in table holds strings ``"module:Attribute"``, so that listing names (``auditor --help``) imports
nothing heavy. Third parties add entries through an entry-point group. Order is insertion order.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar, cast

from auditor.core.errors import UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """Strict, lazy registry of one kind of thing.

    Parameters
    ----------
    kind : str
        Singular noun used in messages, e.g. ``"model"``.
    table : mapping of str to str
        Name to ``"module:Attribute"``.
    entry_point_group : str, optional
        Group scanned for third-party entries, on the first look-up that needs it.
    """

    def __init__(self, kind: str, table: Mapping[str, str] | None = None, entry_point_group: str | None = None) -> None:
        self.kind = kind
        self._targets: dict[str, str] = {}
        self._group = entry_point_group
        self._scanned = entry_point_group is None
        for name, target in (table or {}).items():
            self.register(name, target)

    def register(self, name: str, target: str) -> None:
        """Add `name`; a duplicate raises `ValueError`, because silently replacing one would change results."""
        if name in self._targets:
            raise ValueError(f"duplicate {self.kind} {name!r}: {self._targets[name]} and {target}")
        if ":" not in target:
            raise ValueError(f"{self.kind} {name!r}: target {target!r} is not 'module:Attribute'")
        self._targets[name] = target

    def _scan(self) -> None:
        if self._scanned:
            return
        self._scanned = True
        from importlib.metadata import entry_points

        for point in entry_points(group=cast(str, self._group)):
            self.register(point.name, point.value)

    def names(self) -> list[str]:
        """All names, built-in first, then entry points."""
        self._scan()
        return list(self._targets)

    def __contains__(self, name: object) -> bool:
        return name in self._targets or name in self.names()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def target(self, name: str) -> str:
        """The ``"module:Attribute"`` string of `name`.

        Raises
        ------
        UnknownNameError
            With the nearest names.
        """
        if name not in self:
            raise UnknownNameError(self.kind, name, self.names())
        return self._targets[name]

    def load(self, name: str) -> T:
        """Import and return the implementation registered under `name`."""
        module, _, attribute = self.target(name).partition(":")
        return cast(T, getattr(importlib.import_module(module), attribute))
