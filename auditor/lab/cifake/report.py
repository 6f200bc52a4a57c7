"""reports/cifake from its results: one text, as Markdown and as one HTML file, and a manifest of all files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor.core.files import atomic_write
from auditor.lab.experiment.shell import write_report
from auditor.lab.experiment.verdicts import page
from auditor.lab.saliency.report import curves_svg
from auditor.report.page import page_html
from auditor.train.budget import NOT_A_REPRODUCTION


def write_cifake_report(results: Mapping[str, Any], folder: Path) -> Path:
    """Write ``results.json``, ``curves.svg``, ``report.md``, ``report.html`` and, last, the manifest.

    ``maps.png`` must be there. Returns the path of the page.
    """
    folder, grid, text = Path(folder), results["grid"], page("cifake", results)
    with atomic_write(folder / "curves.svg") as handle:  # the page holds it
        handle.write(curves_svg(results["looks"]["curves"]).encode())
    write_report(
        folder,
        results,
        {"report.md": text, "report.html": page_html(text.splitlines(), folder)},
        ["curves.svg", "maps.png"],
        **{key: results[key] for key in ("command", "started", "seconds", "machine", "versions")},
        budget=grid["budget"],
        seed=grid["seed"],
        reproduction=NOT_A_REPRODUCTION,
    )
    return folder / "report.html"
