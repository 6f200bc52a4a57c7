"""A call that is refused leaves a finished run as it is, whatever it is refused for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.audit.find_errors import find_errors
from auditor.core.errors import AuditorError
from auditor.runs.run import open_run
from auditor.train.text import TfidfTrainer
from tests.audit.softmax_trainer import SoftmaxTrainer
from tests.running import call, made_once

REFUSED: dict[str, dict[str, Any]] = {
    "model": {"model": "nope"},
    "model of other data": {"model": "tfidf"},
    "own trainer of other data": {"trainer": TfidfTrainer()},
    "network": {"model": "fastnet:nope"},
    "budget": {"budget": "huge"},
    "embeddings": {"embeddings": "nope"},
    "embeddings of other data": {"embeddings": "efficientnet-lite0"},
    "rule": {"rule": "nope"},
    "rule that needs verdicts": {"rule": "verdict"},
    "rule that needs epochs": {"rule": "aum"},
    "rule that needs embeddings": {"rule": "knn_vote"},
    "device": {"device": "tpu"},
    "split": {"audit": "test"},
    "more folds than items": {"folds": 50},
    "one fold": {"folds": 1},
    "workers": {"workers": 0},
    "setting": {"nope": 1},
    "too many refits": {"refits": 4},
    "refits of a model that cannot weigh": {"refits": 1, "trainer": SoftmaxTrainer()},
    "refits of supplied probabilities": {"refits": 1, "pred_probs": np.full((40, 2), 0.5)},
    "option that is gone": {"second_round": True},
}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 40 rows with its finished run."""

    def make(folder: Path) -> None:
        folder.mkdir()
        rows = {"x": range(40), "z": [(k * 7) % 11 for k in range(40)], "label": [k % 2 for k in range(40)]}
        pd.DataFrame(rows).to_csv(folder / "t.csv", index=False)
        find_errors(folder / "t.csv", out=folder / "run", budget="smoke", folds=2, workers=1, quality=False)
        (folder / "run" / "review.sqlite").write_bytes(b"verdicts of people")

    return made_once(tmp_path_factory, "finished-table", make)


@pytest.mark.parametrize("fresh", [False, True], ids=["resume", "fresh"])
@pytest.mark.parametrize("asked", REFUSED.values(), ids=REFUSED)
def test_a_refused_call_changes_nothing(asked: dict[str, Any], fresh: bool, finished: Path) -> None:
    before = contents(finished / "run")
    options = {"folds": 2, "budget": "smoke", "workers": 1, "quality": False, **asked}
    with pytest.raises(AuditorError):
        find_errors(finished / "t.csv", out=finished / "run", fresh=fresh, **options)
    assert contents(finished / "run") == before
    assert open_run(finished / "run").counts["n_items"] == 40


@pytest.fixture(scope="module", params=["texts", "images"])
def untabled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """Texts or images in memory, and their finished run."""
    labels = [k % 2 for k in range(40)]
    items: Any = [f"{('good', 'bad')[y]} words, number {k}" for k, y in enumerate(labels)]
    if request.param == "images":
        items = np.random.default_rng(0).integers(0, 90, (40, 8, 8, 3)).astype(np.uint8)
    out = tmp_path_factory.mktemp(request.param) / "run"
    find_errors((items, labels), out=out, budget="smoke", folds=2, workers=1, quality=False)
    return (items, labels), out


@pytest.mark.parametrize("rule", ["aum", "knn_vote", "el2n"])
@pytest.mark.parametrize("budget", ["smoke", "standard"])
def test_a_rule_that_auto_gives_no_evidence_changes_nothing(
    rule: str, budget: str, untabled: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.train.encoders.missing", lambda name: "not here")  # with it texts have both
    data, out = untabled
    before = contents(out)
    with pytest.raises(AuditorError, match=f"rule '{rule}'"):
        find_errors(data, out=out, rule=rule, budget=budget, folds=2, workers=1, quality=False)
    assert contents(out) == before


@pytest.mark.parametrize(
    "asked", [{"embeddings": "minilm"}, {"rule": "aum"}, {"rule": "knn_vote"}, {"workers": -1}], ids=str
)
def test_a_refused_call_with_probabilities_changes_nothing(asked: dict[str, Any], tmp_path: Path) -> None:
    rows = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]] * 10
    given: dict[str, Any] = {"pred_probs": rows, "labels": [0, 1, 1] * 10, "out": tmp_path / "run"}
    find_errors(**given)
    before = contents(tmp_path / "run")
    with pytest.raises(AuditorError):
        find_errors(**given, **asked)
    assert contents(tmp_path / "run") == before


@pytest.mark.parametrize(
    "options",
    [["--embeddings", "nope"], ["--engine", "nope"], ["--workers", "0"], ["--top", "-1"], ["--device", "tpu"]],
    ids=lambda options: options[0],
)
def test_the_command_changes_nothing_either(options: list[str], finished: Path) -> None:
    before = contents(finished / "run")
    call("find-errors", finished / "t.csv", "--out", finished / "run", "--fresh", "--workers", "1", *options, check=2)
    assert contents(finished / "run") == before
