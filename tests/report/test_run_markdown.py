"""A run as Markdown: its facts, without pictures."""

from __future__ import annotations

from auditor.report.find_errors import render_markdown
from auditor.runs.run import open_run
from tests.conftest import DigitsRun


def test_tells_what_the_page_tells_without_pictures(digits_run: DigitsRun) -> None:
    run = open_run(digits_run.path)
    text = render_markdown(run)
    suspects = run.findings[run.findings["code"] == "LE001"]
    assert "data:image" not in text
    assert len(suspects) > 0
    assert all(f"| {i} |" in text for i in suspects["id"].head(20))
    pair = suspects.groupby(["given", "suggested"]).size().idxmax()
    assert all(str(name) in text for name in pair)


def test_a_class_name_cannot_break_out_of_its_cell(digits_run: DigitsRun) -> None:
    run = open_run(digits_run.path)
    run.findings.loc[0, "given"] = "a|b\n# heading"
    assert "\n# heading" not in render_markdown(run)
