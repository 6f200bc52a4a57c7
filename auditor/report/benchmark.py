"""The report of a corrected benchmark: the result document first, renderings of it second."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from auditor.core.escaping import json_printable
from auditor.core.files import write_text
from auditor.report.rendering import render


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


def render_json(report: BenchmarkReport) -> str:
    """The result document."""
    return json_printable(json.dumps(report.result, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"


def render_markdown(report: BenchmarkReport) -> str:
    """The report as Markdown, without pictures."""
    return render("benchmark.md.jinja", r=report.result, examples=report.examples)


def render_html(report: BenchmarkReport) -> str:
    """The page, which asks nobody for anything: its script draws interactive figures from the data in it; without a
    script the tables say the same."""
    script, style = (
        files("auditor.report").joinpath(f"templates/benchmark.{kind}").read_text(encoding="utf-8")
        for kind in ("js", "css")
    )
    data = _embedded(report.result)
    return render(
        "benchmark.html.jinja", r=report.result, examples=report.examples, data=data, script=script, style=style
    )


def _embedded(result: dict[str, Any]) -> str:
    """What the figures need, as JSON that cannot end the script element it stands in."""
    value = {
        "models": [
            {
                "name": m["name"],
                "rank": m["rank"],
                "interval": m["rank_interval"],
                "original": m["pruned_original"],
                "corrected": m["pruned_corrected"],
                "limits": m["intervals"],
                "c": [m["correctable_original"], m["correctable_corrected"]],
            }
            for m in result["models"]
        ],
        "curves": result["curves"],
        "base": result["prevalence"],
        "crossovers": [
            {
                "a": c["a"],
                "b": c["b"],
                "x": c["prevalence"],
                "low": c["interval"]["low"],
                "high": c["interval"]["high"],
                "share": c["interval"]["share_of_draws"],
                "p": c["p_correctable"],
                "significant": c["significant"],
            }
            for c in result["crossovers"]
        ],
        "flips": [[f["a"], f["b"], f["real"]] for f in result["flips"]],
    }
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def write_reports(report: BenchmarkReport, folder: Path) -> None:
    """Write ``report.html`` and ``report.md`` into `folder`."""
    write_text(folder / "report.html", render_html(report))
    write_text(folder / "report.md", render_markdown(report))
