"""The benchmark report as one HTML file: interactive figures, no request to anywhere."""

from __future__ import annotations

import json
from typing import Any

from auditor.report.benchmark import BenchmarkReport, environment

__all__ = ["render_html"]


def render_html(report: BenchmarkReport) -> str:
    """The page. Its script draws the figures from the data in it; without a script the tables say the same."""
    from importlib.resources import files

    script = files("auditor.report").joinpath("templates/benchmark.js").read_text(encoding="utf-8")
    style = files("auditor.report").joinpath("templates/benchmark.css").read_text(encoding="utf-8")
    return str(
        environment(True)
        .get_template("benchmark.html.jinja")
        .render(r=report.result, examples=report.examples, data=_embedded(report.result), script=script, style=style)
    )


def _embedded(result: dict[str, Any]) -> str:
    """What the figures need, as JSON that cannot end the script element it stands in."""
    curves = result["curves"]
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
        "curves": curves,
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
