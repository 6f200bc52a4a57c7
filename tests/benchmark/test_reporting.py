"""The report of whatever a folder holds: which folder a name means, and the forms of a run's report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from auditor.benchmark.reporting import render_report, write_report
from auditor.core.errors import RunError, UsageError
from auditor.runs import layout
from auditor.runs.run import open_run
from tests.conftest import DigitsRun


def test_a_name_is_a_folder_or_the_name_of_a_run(digits_run: DigitsRun, tmp_path: Path) -> None:
    by_path = render_report(str(digits_run.path), "json", tmp_path / "nowhere")
    assert render_report("run", "json", tmp_path) == by_path
    assert write_report("run", "json", None, tmp_path).read_text() == by_path
    with pytest.raises(RunError):
        render_report("other", "json", tmp_path)


def test_every_form_tells_the_counts_and_the_suspects(digits_run: DigitsRun, tmp_path: Path) -> None:
    run = open_run(digits_run.path)
    document = json.loads(render_report("run", "json", tmp_path))
    assert document["counts"] == run.counts
    assert [f["id"] for f in document["findings"]] == run.findings["id"].tolist()
    markdown = render_report("run", "md", tmp_path)
    assert markdown.startswith("# Label errors in digits")
    first = run.findings.iloc[0]
    assert f"{run.counts['n_flagged']}" in markdown
    assert all(str(first[name]) in markdown for name in ("id", "given", "suggested"))
    assert render_report("run", "html", tmp_path) == run.report_path.read_text()


def test_what_cannot_be_made(digits_run: DigitsRun, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown --format 'doc'"):
        render_report("run", "doc", tmp_path)
    with pytest.raises(UsageError, match="no text"):
        render_report("run", "pdf", tmp_path)
    (digits_run.path / layout.REPORT).unlink()
    with pytest.raises(RunError, match="has no page"):
        render_report("run", "html", tmp_path)
