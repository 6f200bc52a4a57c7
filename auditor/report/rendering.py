"""Jinja templates, with the filters all of them use."""

from __future__ import annotations

import re
from collections.abc import Callable
from numbers import Number
from typing import Any, Final

from markupsafe import Markup

from auditor.core.escaping import markdown_text, printable
from auditor.report.charts import GREEN, RED
from auditor.report.markdown import ABSENT, interval, number, percent, table


def _table(text: str) -> str:
    """`auditor.report.markdown.table` of lines ``a | b``, the header first; pipes in values are escaped."""
    header, *rows = ([part.strip() for part in re.split(r"(?<!\\)\|", line)] for line in text.split("\n") if line)
    return "\n".join([*table(header, rows), ""])


def _printable(value: object) -> str:
    return printable(str(value))


def _text(value: object) -> Markup:
    return Markup(markdown_text(ABSENT if value is None else str(value)))


def _code(text: str) -> Markup:
    """A span of code, which a backtick in it cannot end."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if len(fence) > 1 else ""
    return Markup(f"{fence}{space}{printable(text)}{space}{fence}")


def own_markdown(show: Callable[..., str]) -> Callable[..., Markup]:
    """`show`, whose text is Markdown of our own, as figures are, and is not escaped."""
    return lambda *values, **options: Markup(show(*values, **options))


#: What is done to everything a template shows, by the kind of the template; HTML is escaped besides.
_SHOWN: Final[dict[str, Callable[[object], str]]] = {"html": _printable, "txt": _printable, "md": _text}

_FILTERS: Final[dict[str, Callable[..., str]]] = {
    "thousands": lambda n: "-" if n is None else f"{n:,}",
    "pct": lambda x, digits=2: "-" if x is None else f"{100 * x:.{digits}f}",
    "p": lambda x: "-" if x is None else "< 0.001" if x < 0.001 else f"{x:.3f}",
    "span": lambda x, digits=2: "-" if x is None else f"{100 * x[0]:.{digits}f} to {100 * x[1]:.{digits}f}",
    "signed": lambda n: "0" if n == 0 else f"{n:+d}".replace("-", "−"),
    "code": _code,
    "number": own_markdown(number),
    "percent": own_markdown(percent),
    "interval": own_markdown(interval),
    "table": _table,
}


def render(name: str, package: str = "auditor.report", **values: Any) -> str:
    """Text of a template in ``templates/`` of `package`; an unknown name in it is an error.

    Everything it shows is escaped for what its name says it is: HTML, Markdown or lines of a terminal, but for what
    it marks as ``safe`` and what comes as `Markup`.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined, Undefined

    kind = name.split(".")[-2]

    def shown(value: Any) -> Any:
        return value if isinstance(value, Markup | Undefined | Number) else _SHOWN[kind](value)

    environment = Environment(
        loader=PackageLoader(package),
        autoescape=kind != "txt",  # in Markdown, too, macros then give what is escaped once
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_FILTERS)
    return environment.get_template(name).render(**values)


def render_view(name: str, **values: Any) -> str:
    """A piece of HTML for the output of a notebook, from ``{name}_view.html.jinja``.

    It inherits the colours of its surroundings, dark or light, has no script and asks no other host.
    """
    return render(f"{name}_view.html.jinja", red=RED, green=GREEN, **values)
