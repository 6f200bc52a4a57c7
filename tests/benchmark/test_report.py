"""The report of a benchmark: self-contained, whatever names the data brings, same facts in every form."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from auditor.benchmark.command import BenchmarkDone
from auditor.benchmark.examples import examples
from auditor.benchmark.folder import read_result, write_result
from auditor.benchmark.inputs import Inputs
from auditor.benchmark.readers.base import Prediction
from auditor.benchmark.result import CUT, PICTURES, to_document
from auditor.benchmark.run import benchmark, count_sets
from auditor.core.errors import ResourceError, RunError
from auditor.report.benchmark import BenchmarkReport, render_html, render_json, render_markdown
from auditor.report.pdf import print_pdf

EVIL = "</script><img src=x onerror=alert(1)>|"


@pytest.fixture
def report(opened: tuple[Inputs, list[Prediction]]) -> BenchmarkReport:
    inputs, predictions = opened
    renamed = [Prediction(p.name + (EVIL if k == 0 else ""), p.top1, p.source) for k, p in enumerate(predictions)]
    result = benchmark(
        renamed, inputs.judged, inputs.given_labels, draws=200, conditions={"command": "auditor benchmark"}
    )
    return BenchmarkReport(to_document(result), tuple(examples(inputs, renamed, 3)))


def test_the_page_asks_nobody_and_escapes_names(report: BenchmarkReport) -> None:
    page = render_html(report)
    assert EVIL not in page
    assert "://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "default-src 'none'" in page
    assert "<link" not in page
    embedded = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert embedded is not None
    assert len(json.loads(embedded[1])["models"]) == 3


def test_every_form_says_the_same(report: BenchmarkReport) -> None:
    result = report.result
    text, page = render_markdown(report), render_html(report)
    assert json.loads(render_json(report)) == result
    for caveat in result["caveats"]:
        assert caveat in text
    for model in result["models"][1:]:
        assert model["name"] in text
        assert model["name"] in page
    assert f"{100 * result['models'][1]['pruned_corrected']:.2f}" in text
    assert [e["row"] for e in report.examples] == [0, 5]


def test_a_notebook_shows_ranks_and_corrected_items(opened: tuple[Inputs, list[Prediction]]) -> None:
    inputs, predictions = opened
    renamed = [Prediction(p.name + EVIL, p.top1, p.source) for p in predictions]
    result = benchmark(renamed, inputs.judged, inputs.given_labels, draws=200)
    shown = ({"id": EVIL, "given": "c0", "corrected": EVIL, "image": None, "text": "x" * 5000},)
    done = BenchmarkDone(result, to_document(result), None, shown * 50)
    html = done._repr_html_()
    assert EVIL not in html
    assert "<script" not in html
    assert html.count('class="card"') == PICTURES
    assert f"{'x' * CUT}…" in html
    assert all(f">{model.rank['corrected']}<" in html for model in result.models)
    assert result._repr_html_().count('class="card"') == 0
    assert repr(done) == repr(result)
    assert len(repr(result).split("\n")) <= 6
    counted = count_sets(inputs.judged, inputs.given_labels)
    assert "wrong labels among" in counted._repr_html_()
    assert "0 models" in repr(counted)


def test_an_unfinished_or_changed_folder_is_refused(report: BenchmarkReport, tmp_path: Path) -> None:
    write_result(tmp_path / "b", report.result, report.examples)
    assert read_result(tmp_path / "b").result == report.result
    (tmp_path / "b" / "benchmark-manifest.json").unlink()
    with pytest.raises(RunError, match="no finished benchmark"):
        read_result(tmp_path / "b")


def test_without_a_browser_a_pdf_says_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("auditor.report.pdf.shutil.which", lambda name: None)
    with pytest.raises(ResourceError, match="none is installed") as caught:
        print_pdf("<p>x</p>", tmp_path / "x.pdf")
    assert "--format html" in str(caught.value.way_out)
    assert not (tmp_path / "x.pdf").exists()
