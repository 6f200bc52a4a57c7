"""Jinja templates, with the filters all of them use."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from markupsafe import Markup

from auditor.core.escaping import markdown_text, printable
from auditor.report.markdown import ABSENT, cell, interval, number, percent, table


def _table(text: str) -> str:
    """`auditor.report.markdown.table` of lines ``a | b``, the header first; a pipe in a cell is escaped by ``cell``."""
    header, *rows = ([part.strip() for part in re.split(r"(?<!\\)\|", line)] for line in text.split("\n") if line)
    return "\n".join([*table(header, rows), ""])


def _text(value: object) -> Markup:
    """`markdown_text` of any value."""
    return Markup(markdown_text(ABSENT if value is None else str(value)))


def _code(text: str) -> Markup:
    """A span of code, which a backtick in it cannot end."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if len(fence) > 1 else ""
    return Markup(f"{fence}{space}{printable(text)}{space}{fence}")


#: What is done to every text of a template's values, by the kind of the template; HTML is escaped besides.
_SHOWN: Final[dict[str, Callable[[str], str]]] = {"html": printable, "txt": printable, "md": _text}

_FILTERS: Final[dict[str, Callable[..., str]]] = {
    "thousands": lambda n: "-" if n is None else f"{n:,}",
    "pct": lambda x, digits=2: "-" if x is None else f"{100 * x:.{digits}f}",
    "p": lambda x: "-" if x is None else "< 0.001" if x < 0.001 else f"{x:.3f}",
    "span": lambda x, digits=2: "-" if x is None else f"{100 * x[0]:.{digits}f} to {100 * x[1]:.{digits}f}",
    "signed": lambda n: "0" if n == 0 else f"{n:+d}".replace("-", "−"),
    "cell": cell,
    "code": _code,
    "text": _text,
    "number": number,
    "percent": percent,
    "interval": interval,
    "table": _table,
}


def render(name: str, package: str = "auditor.report", **values: Any) -> str:
    """Text of a template in ``templates/`` of `package`; an unknown name in it is an error.

    Texts of its values are escaped for what its name says it is: HTML, Markdown or lines of a terminal. The
    laboratory's templates build their Markdown from parts, so there ``text`` marks what the data brings.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    kind = name.split(".")[-2]
    shown = str if kind == "md" and package != "auditor.report" else _SHOWN[kind]
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=kind == "html",
        finalize=lambda value: shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_FILTERS)
    return environment.get_template(name).render(**values)
