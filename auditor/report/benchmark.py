"""The report of a corrected benchmark: the result document first, renderings of it second."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.core.files import atomic_write

__all__ = ["BenchmarkReport", "environment", "render_json", "render_markdown", "write_reports"]


@dataclass(frozen=True)
class BenchmarkReport:
    """Everything the report says.

    Attributes
    ----------
    result : dict
        The document of `auditor benchmark` (``auditor.benchmark/1``).
    examples : tuple of dict
        Corrected rows with votes and picture.
    """

    result: dict[str, Any]
    examples: tuple[dict[str, Any], ...] = ()


def environment(autoescape: bool) -> Any:
    """Jinja templates of this package, with the filters all of them use."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader("auditor.report"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["thousands"] = lambda n: "-" if n is None else f"{n:,}"
    found.filters["pct"] = lambda x, digits=2: "-" if x is None else f"{100 * x:.{digits}f}"
    found.filters["p"] = lambda x: "-" if x is None else "< 0.001" if x < 0.001 else f"{x:.3f}"
    found.filters["span"] = lambda x, digits=2: (
        "-" if x is None else f"{100 * x[0]:.{digits}f} to {100 * x[1]:.{digits}f}"
    )
    found.filters["signed"] = lambda n: "0" if n == 0 else f"{n:+d}".replace("-", "−")
    found.filters["cell"] = lambda s: str(s).replace("|", "\\|").replace("\n", " ")
    return found


def render_markdown(report: BenchmarkReport) -> str:
    """The report as Markdown, without pictures."""
    return str(environment(False).get_template("benchmark.md.jinja").render(r=report.result, examples=report.examples))


def write_reports(report: BenchmarkReport, folder: Path) -> list[Path]:
    """Write ``report.html`` and ``report.md`` into `folder`."""
    from auditor.report.benchmark_html import render_html

    written = []
    for name, text in (("report.html", render_html(report)), ("report.md", render_markdown(report))):
        with atomic_write(folder / name) as handle:
            handle.write(text.encode())
        written.append(folder / name)
    return written


def render_json(report: BenchmarkReport) -> str:
    """The result document."""
    return json.dumps(report.result, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
