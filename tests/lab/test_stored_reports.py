"""Stored reports are written again from their stored results, letter by letter."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.core.files import read_json
from auditor.core.hashing import hash_bytes
from auditor.lab.cifake.grid.experiment import GridExperiment
from auditor.lab.detectors.benchmark import DetectionBenchmark
from auditor.lab.experiment.shell import MANIFEST, RESULTS, Experiment
from auditor.lab.experiment.verdicts import page
from auditor.lab.prune.experiment import PruneExperiment
from auditor.lab.prune.gating import GatingExperiment
from auditor.lab.prune.tuning import TuningExperiment
from auditor.lab.saliency.report import curves_svg
from auditor.lab.search.experiment import SearchExperiment
from auditor.report.page import page_html

REPORTS = Path(__file__).parents[2] / "reports"
KINDS: dict[str, type[Experiment]] = {
    kind.schema: kind
    for kind in (DetectionBenchmark, GatingExperiment, PruneExperiment, SearchExperiment, TuningExperiment)
}
#: Folder below reports -> the experiment that wrote it.
STORED = {
    path.parent.relative_to(REPORTS).as_posix(): KINDS[schema]
    for path in sorted(REPORTS.rglob(RESULTS))
    if (schema := read_json(path).get("schema")) in KINDS
}


def test_every_kind_of_report_that_is_published_is_found() -> None:
    assert {"detection", "rebenchmark/rd", "search/eas"} <= set(STORED)
    assert any(kind is TuningExperiment for kind in STORED.values())


@pytest.mark.parametrize("name", STORED)
def test_pages_and_figures(name: str) -> None:
    folder, experiment = REPORTS / name, STORED[name]
    document = read_json(folder / "results.json")
    assert document["schema"] == experiment.schema
    texts = experiment.render(document)
    assert [file for file, text in texts.items() if (folder / file).read_text() != text] == []
    assert set(texts) <= set(read_json(folder / MANIFEST)["files"])


def test_cifake() -> None:
    folder = REPORTS / "cifake"
    document = read_json(folder / "results.json")
    assert document["grid"]["schema"] == GridExperiment.schema
    text = page("cifake", document)
    assert text == (folder / "report.md").read_text()
    assert curves_svg(document["looks"]["curves"]) == (folder / "curves.svg").read_text()
    assert page_html(text.splitlines(), folder) == (folder / "report.html").read_text()


@pytest.mark.parametrize("name", [*STORED, "cifake"])
def test_manifests_hold_the_hash_of_every_file(name: str) -> None:
    files = read_json(REPORTS / name / MANIFEST)["files"]
    assert {
        file for file, digest in files.items() if hash_bytes((REPORTS / name / file).read_bytes()) != digest
    } == set()
