"""Option values that are more than a string."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from auditor.core.errors import UnreadableError, UsageError

if TYPE_CHECKING:
    from auditor.engine.ray_executor import RayExecutor

__all__ = ["choose_executor", "parse_class_names"]


def choose_executor(engine: str, address: str | None) -> RayExecutor | None:
    """The cluster for ``--engine ray [--address A]``; None for ``local``."""
    if engine == "ray":
        from auditor.engine.ray_executor import RayExecutor

        return RayExecutor(address=address)
    if engine != "local":
        raise UsageError(f"unknown --engine {engine!r}.", "Choose local or ray.")
    if address is not None:
        raise UsageError("--address goes with --engine ray.")
    return None


def parse_class_names(value: str | None) -> list[str] | None:
    """``"cat,dog"`` or a text file with one name per line."""
    if value is None:
        return None
    path = Path(value)
    if "," not in value and path.is_file():
        try:
            names = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UnreadableError(f"cannot read class names from {value!r}: {error}.") from error
    else:
        names = value.split(",")
    names = [name.strip() for name in names if name.strip()]
    if len(names) < 2:
        raise UsageError(
            f"--class-names {value!r} gives {len(names)} name(s); at least two are needed.",
            "Write them as a,b,c or give a file with one name per line.",
        )
    return names
