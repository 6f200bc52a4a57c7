"""The Jinja templates of this package, with the filters all of them use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

_FILTERS: Final[dict[str, Callable[..., str]]] = {
    "thousands": lambda n: "-" if n is None else f"{n:,}",
    "pct": lambda x, digits=2: "-" if x is None else f"{100 * x:.{digits}f}",
    "p": lambda x: "-" if x is None else "< 0.001" if x < 0.001 else f"{x:.3f}",
    "span": lambda x, digits=2: "-" if x is None else f"{100 * x[0]:.{digits}f} to {100 * x[1]:.{digits}f}",
    "signed": lambda n: "0" if n == 0 else f"{n:+d}".replace("-", "−"),
    "cell": lambda s: str(s).replace("|", "\\|").replace("\n", " "),
}


def render(name: str, **values: Any) -> str:
    """Text of a template; what stands in it is escaped where its name says HTML, and an unknown name is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("auditor.report"),
        autoescape=".html." in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_FILTERS)
    return environment.get_template(name).render(**values)
