"""Jinja templates, with the filters all of them use."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from auditor.report.markdown import cell, interval, number, percent, table


def _table(text: str) -> str:
    """`auditor.report.markdown.table` of lines ``a | b``, the header first; a pipe in a cell is escaped by ``cell``."""
    header, *rows = ([part.strip() for part in re.split(r"(?<!\\)\|", line)] for line in text.split("\n") if line)
    return "\n".join([*table(header, rows), ""])


_FILTERS: Final[dict[str, Callable[..., str]]] = {
    "thousands": lambda n: "-" if n is None else f"{n:,}",
    "pct": lambda x, digits=2: "-" if x is None else f"{100 * x:.{digits}f}",
    "p": lambda x: "-" if x is None else "< 0.001" if x < 0.001 else f"{x:.3f}",
    "span": lambda x, digits=2: "-" if x is None else f"{100 * x[0]:.{digits}f} to {100 * x[1]:.{digits}f}",
    "signed": lambda n: "0" if n == 0 else f"{n:+d}".replace("-", "−"),
    "cell": cell,
    "number": number,
    "percent": percent,
    "interval": interval,
    "table": _table,
}


def render(name: str, package: str = "auditor.report", **values: Any) -> str:
    """Text of a template in ``templates/`` of `package`; what stands in it is escaped where its name says HTML, and an
    unknown name is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(package),
        autoescape=".html." in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_FILTERS)
    return environment.get_template(name).render(**values)
