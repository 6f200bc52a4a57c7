"""Plots: on the caller's axes or their own figure, with labelled axes, names as text, colours of the one palette."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

import auditor
from auditor import plots
from auditor.audit.find_errors import find_errors
from auditor.benchmark.result import BenchmarkResult, ModelResult
from auditor.core.errors import DataError, MissingExtraError, UsageError
from auditor.estimation.estimate import ErrorEstimate, TreatedTotals
from auditor.improvement.improve import Improvement
from auditor.report.charts import GREEN, GREY, RED
from auditor.runs.run import Run
from auditor.stats.calibration import ReliabilityBin
from auditor.stats.intervals import Interval
from auditor.stats.totals import Total

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "notebooks.md").read_text()
HOSTILE = "$x_1^{$ <b>\x1b[2J a name that is far too long to be shown"


@pytest.fixture(autouse=True, scope="module")
def _no_window() -> None:
    pyplot.switch_backend("agg")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """25 classes; every tenth label is the class before the one that the probabilities see."""
    rng = np.random.default_rng(0)
    truth = np.arange(500) % 25
    given = np.where(np.arange(500) % 10 == 3, (truth + 1) % 25, truth)
    likely = rng.dirichlet(np.ones(25), 500) * 0.2 + 0.8 * np.eye(25)[truth]
    names = [f"{HOSTILE} {k}" for k in range(25)]
    folder = tmp_path_factory.mktemp("plots") / "run"
    return find_errors(pred_probs=likely, labels=given, class_names=names, out=folder, progress=False)


class _State(SimpleNamespace):
    def __len__(self) -> int:
        return 1000


def _total(value: float, half: float, draws: int = 300) -> Total:
    return Total(Interval(value, value - half, value + half, 0.95), "difference", draws, 20)


def _estimate() -> ErrorEstimate:
    strict = TreatedTotals("strict", _total(80, 20), _total(75, 30), None, None, None, "")
    lenient = TreatedTotals("lenient", _total(70, 20), None, None, _total(60, 25, 10), None, "")
    bins = (ReliabilityBin(50, 0.1, 0.12, 0.05, 0.2), ReliabilityBin(30, 0.8, 0.7, 0.5, 0.9))
    state = cast(Any, _State(run=HOSTILE, judged=300, planned=300))
    return ErrorEstimate(state, strict, lenient, (), (), 0, cast(Any, SimpleNamespace(bins=bins)), ())


def _benchmark() -> BenchmarkResult:
    order = {"a": (1, 3), HOSTILE: (2, 1), "c": (3, 2), "d": (4, 4)}
    models = [
        ModelResult(
            name,
            None,
            (),
            0.9,
            0.9,
            0.9,
            0.1,
            0.9,
            0.95,
            {},
            {},
            {"original": old, "corrected": new},
            {"original": (1, 4), "corrected": (1, 3)},
            {},
            old - new,
            {},
            None,
            (),
        )
        for name, (old, new) in order.items()
    ]
    return BenchmarkResult(HOSTILE, "", {}, 3, {"errors": 5}, models=tuple(models))


def _improvement() -> Improvement:
    arms = [{"name": name, "reason": ""} for name in ("given", "dropped", "corrected")]
    rows = [
        {"arm": "dropped", "difference": 0.02, "interval": [0.01, 0.03], "verdict": "helps"},
        {"arm": "corrected", "difference": -0.01, "interval": [-0.03, 0.01], "verdict": "cannot be told"},
    ]
    document = {"data": HOSTILE, "arms": arms, "comparisons": rows, "all_audited_items": None, "conclusion": "Yes."}
    return Improvement({**document, "next": "Train."}, Path())


PLOTS: dict[str, tuple[Callable[..., Figure], Callable[[Run], Any], str, str]] = {
    "scores": (plots.plot_scores, lambda run: run, "score (higher: more suspicious)", "audited items"),
    "confusion": (plots.plot_confusion, lambda run: run, "suggested class", "given class"),
    "estimate": (plots.plot_estimate, lambda _: _estimate(), "wrong labels among 1,000 items, 95 % intervals", ""),
    "calibration": (plots.plot_calibration, lambda _: _estimate(), "predicted wrong, %", "found wrong by reviewers, %"),
    "ranking": (plots.plot_ranking, lambda _: _benchmark(), "", "rank, best at the top"),
    "improvement": (
        plots.plot_improvement,
        lambda _: _improvement(),
        "difference of accuracy from the given labels, points",
        "",
    ),
}


def test_every_plot_is_here_and_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(auditor, "plots")
    assert auditor.plots is plots  # without an import of its own
    assert sorted(plots.__all__) == sorted(f"plot_{name}" for name in PLOTS)
    assert [name for name in plots.__all__ if f"`{name}(" not in PAGE] == []


@pytest.mark.parametrize("name", PLOTS)
def test_another_object_is_refused_with_what_to_give(name: str) -> None:
    for wrong in ({}, None, auditor.Audit({"y": [0, 1]}, label="y")):
        with pytest.raises(UsageError, match=f"a {type(wrong).__name__} cannot be drawn") as refused:
            PLOTS[name][0](wrong)
        assert "auditor." in str(refused.value.way_out)


def test_the_page_about_notebooks_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(block, "docs/notebooks.md", "exec"), names)
    assert set(names["run"].findings["index"]) == {3, 150}
    assert (tmp_path / "run.png").read_bytes()[:4] == b"\x89PNG"
    pyplot.close("all")


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_a_figure_or_drawn_on_the_axes_given(name: str, run: Run, tmp_path: Path) -> None:
    plot, make, x, y = PLOTS[name]
    before = dict(pyplot.rcParams)
    own = plot(make(run))
    assert isinstance(own, Figure)
    pyplot.close(own)
    figure, axes = pyplot.subplots(1, 2)
    assert plot(make(run), ax=axes[1]) is figure
    assert (axes[0].has_data(), axes[1].get_xlabel(), axes[1].get_ylabel()) == (False, x, y)
    assert axes[1].get_title(loc="left")
    figure.savefig(tmp_path / "a.png")  # names with dollar signs are no formulas
    for text in figure.findobj(Text):
        assert text.get_text().replace("\n", "").isprintable()
        assert len(text.get_text()) < 90
    pyplot.close(figure)
    assert dict(pyplot.rcParams) == before


def test_the_confusions_of_many_classes_are_those_with_the_most_flags(run: Run) -> None:
    figure = plots.plot_confusion(run)
    axes = figure.axes[0]
    counts = axes.images[0].get_array()
    assert counts.shape == (20, 20)
    assert "20 of 25 classes" in axes.get_title(loc="left")
    assert f"{counts.sum():,} flagged items" in axes.get_title(loc="left")
    assert counts.sum() > 20
    pyplot.close(figure)


def test_what_changes_has_a_colour_and_what_cannot_be_told_is_grey() -> None:
    ranking = plots.plot_ranking(_benchmark())
    assert [to_hex(line.get_color()) for line in ranking.axes[0].lines] == [GREEN, GREEN, RED, GREY]
    improvement = plots.plot_improvement(_improvement())
    assert [to_hex(line.get_color()) for line in improvement.axes[0].lines[1:]] == [GREEN, GREY]
    estimate = plots.plot_estimate(_estimate())
    assert len(estimate.axes[0].lines) == 3  # the total of ten draws is limits alone
    pyplot.close("all")


@pytest.mark.parametrize("name", ["estimate", "calibration", "ranking", "improvement"])
def test_what_is_not_there_yet_is_an_error_with_a_way_out(name: str) -> None:
    state = cast(Any, _State(run="r"))
    nothing = {
        "estimate": ErrorEstimate(state, None, None, (), (), 0, None, ("no estimate yet: review first",)),
        "calibration": ErrorEstimate(state, None, None, (), (), 0, None, ()),
        "ranking": BenchmarkResult("a", "", {}, 3, {"errors": 5}),
        "improvement": Improvement(
            {"arms": [], "comparisons": [], "all_audited_items": None, "conclusion": "Too few.", "next": "Review."},
            Path(),
        ),
    }[name]
    with pytest.raises(DataError) as told:
        PLOTS[name][0](nothing)
    assert name == "calibration" or told.value.way_out


@pytest.mark.parametrize("name", PLOTS)
def test_without_matplotlib_the_extra_is_named(name: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    plot, make, *_ = PLOTS[name]
    monkeypatch.setattr("auditor.core.errors.find_spec", lambda package: None)
    with pytest.raises(MissingExtraError, match=r"auditor\[report\]"):
        plot(make(run))
