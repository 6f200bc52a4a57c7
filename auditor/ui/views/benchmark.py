"""The Benchmark page: models re-ranked on the labels people corrected, where the run folder has such a result."""

from __future__ import annotations

import streamlit as st

from auditor.benchmark.folder import is_result, read_result
from auditor.core.escaping import markdown_text
from auditor.ui.components import table
from auditor.ui.workspace import Workspace

#: Where `auditor benchmark --run RUN` puts its result.
FOLDER = "benchmark"


def has_benchmark(ws: Workspace) -> bool:
    """Whether the run folder holds a finished benchmark."""
    return is_result(ws.run.path / FOLDER)


def benchmark_page(ws: Workspace) -> None:
    """Headline, models, rank changes, and the whole report."""
    folder = ws.run.path / FOLDER
    report = read_result(folder)
    result = report.result
    st.header(markdown_text(result["headline"]))
    columns = st.columns(4)
    columns[0].metric("Models", f"{len(result['models']):,}", border=True)
    columns[1].metric("Labels corrected", f"{result['n_correctable']:,}", border=True)
    columns[2].metric("Rank changes that are real", f"{result['n_flips_real']} of {len(result['flips'])}", border=True)
    columns[3].metric("Rows kept", f"{result['n_pruned']:,}", border=True)
    rows = [
        {
            "rank": m["rank"]["corrected"],
            "before": m["rank"]["original"],
            "model": m["name"],
            "corrected labels": f"{m['pruned_corrected']:.2%}",
            "given labels": f"{m['pruned_original']:.2%}",
            "possible ranks": "{} to {}".format(*m["rank_interval"]["corrected"]),
        }
        for m in sorted(result["models"], key=lambda m: (m["rank"]["corrected"], m["name"]))
    ]
    table(rows)
    if result["flips"]:
        st.caption("Pairs that change places")
        flips = [
            {"ahead before": f["a"], "ahead after": f["b"], "real": "yes" if f["real"] else "no", "why": f["reason"]}
            for f in result["flips"]
        ]
        table(flips)
    page = folder / "report.html"
    if page.is_file():
        st.download_button("Download the report", page.read_bytes(), "benchmark.html", "text/html")
    for line in result["caveats"]:
        st.caption(markdown_text(line))
