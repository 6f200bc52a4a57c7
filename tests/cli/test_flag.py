"""``auditor flag``: JSON fields, scores, tables, errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import auditor
from auditor.cli.flag import flag as command
from auditor.core.errors import AuditorError, LabelError, ProbabilityError, UnknownNameError, UsageError
from auditor.detect.base import Evidence
from auditor.detect.findings import find
from auditor.engine import api
from tests.parity.problems import Problem, make_problem

FIELDS = {
    "n_items",
    "n_flagged",
    "flagged_indices",
    "rule",
    "detector",
    "confident_joint",
    "seconds",
    "peak_memory_bytes",
}


@pytest.fixture(scope="module")
def runner():
    import typer

    app = typer.Typer()
    app.command()(command)
    cli = CliRunner()

    def call(*arguments: object):
        result = cli.invoke(app, [str(a) for a in arguments])
        if isinstance(result.exception, AuditorError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result

    return call


@pytest.fixture
def problem(tmp_path: Path) -> Problem:
    problem = make_problem(6, 400, 4, "float32")
    np.save(tmp_path / "p.npy", problem.probabilities)
    np.save(tmp_path / "y.npy", problem.labels)
    np.savez(tmp_path / "both.npz", pred_probs=problem.probabilities, labels=problem.labels)
    return problem


@pytest.mark.parametrize("rule", api.RULES)
def test_json(runner, problem, tmp_path: Path, rule: str) -> None:
    out = runner(
        "--pred-probs",
        tmp_path / "p.npy",
        "--labels",
        tmp_path / "y.npy",
        "--rule",
        rule,
        "--json",
        "--scores",
        tmp_path / "s.npy",
    )
    document = json.loads(out.stdout)
    assert set(document) >= FIELDS
    analysis = api.analyze(problem.probabilities, problem.labels)
    mask = api.flag(analysis, rule)
    assert sorted(document["flagged_indices"]) == np.flatnonzero(mask).tolist()
    assert document["n_flagged"] == mask.sum() > 0
    assert document["n_items"] == 400
    assert document["rule"] == rule
    assert document["detector"] is None
    assert document["confident_joint"] == analysis.confident_joint.tolist()
    assert document["peak_memory_bytes"] > 1 << 20
    score = np.load(tmp_path / "s.npy")
    assert score.shape == (400,)
    # Higher = more likely wrong, positive where another class is ahead, and the indices follow the score.
    assert score[problem.probabilities.argmax(1) != problem.labels].min() >= 0
    assert (np.diff(score[document["flagged_indices"]]) <= 0).all()
    assert "Next:" in out.stderr


@pytest.mark.parametrize("extra", [[], ["--rule", "default"]])
def test_without_a_rule_it_finds_what_find_errors_finds(runner, problem, tmp_path: Path, extra: list[str]) -> None:
    out = runner(
        "--pred-probs",
        tmp_path / "p.npy",
        "--labels",
        tmp_path / "y.npy",
        *extra,
        "--json",
        "--chunk-rows",
        "7",
        "--scores",
        tmp_path / "s.npy",
    )
    document = json.loads(out.stdout)
    whole = find(
        Evidence(ids=np.arange(400), labels=problem.labels, n_classes=4, probabilities=(problem.probabilities,))
    )
    assert document["flagged_indices"] == whole.flagged_in_order.tolist()
    np.testing.assert_array_equal(np.load(tmp_path / "s.npy"), whole.score)
    assert (document["rule"], document["detector"]) == ("default", "combined")


def test_npz_is_read_as_it_is_and_table_goes_to_stdout(runner, problem, tmp_path: Path) -> None:
    out = runner("--pred-probs", tmp_path / "both.npz", "--out", tmp_path / "f.csv", "--rule", "prune_by_noise_rate")
    lines = out.stdout.splitlines()
    assert lines[0] == "index,given,suggested,score"
    mask = api.flag(api.analyze(problem.probabilities, problem.labels))
    assert sorted(int(line.split(",")[0]) for line in lines[1:]) == np.flatnonzero(mask).tolist()
    assert (tmp_path / "f.csv").read_text() == out.stdout
    assert "memory need 400 x 4" in out.stderr


def test_several_files_are_weighted_by_fit(runner, problem, tmp_path: Path) -> None:
    noise = np.full((400, 4), 0.25, np.float32)
    np.save(tmp_path / "noise.npy", noise)
    out = runner(
        "--pred-probs",
        tmp_path / "p.npy",
        "--pred-probs",
        tmp_path / "noise.npy",
        "--labels",
        tmp_path / "y.npy",
        "--rule",
        "prune_by_noise_rate",
        "--json",
        "-q",
    )
    document = json.loads(out.stdout)
    assert out.stderr == ""
    assert sum(document["weights"]) == pytest.approx(1)
    together = Evidence(np.arange(400), problem.labels, 4, probabilities=[problem.probabilities, noise])
    assert document["weights"] == list(together.network_weights.values())
    mask = api.flag(api.analyze(together.source, problem.labels))
    assert sorted(document["flagged_indices"]) == np.flatnonzero(mask).tolist()


def test_detector(runner, problem, tmp_path: Path) -> None:
    out = runner("--pred-probs", tmp_path / "both.npz", "--detector", "log_odds_margin", "--json")
    document = json.loads(out.stdout)
    assert (document["rule"], document["detector"]) == (None, "log_odds_margin")
    expected = np.flatnonzero(problem.probabilities.argmax(1) != problem.labels)
    assert sorted(document["flagged_indices"]) == expected.tolist()


def test_run_folder(runner, problem, tmp_path: Path) -> None:
    """A finished run gives what `find-errors` found in it, in the same order."""
    run = auditor.find_errors(pred_probs=tmp_path / "p.npy", labels=tmp_path / "y.npy", out=tmp_path / "run")
    document = json.loads(runner(tmp_path / "run", "--json").stdout)
    assert document["flagged_ids"] == run.findings["id"].tolist()
    (found,) = [outcome for outcome in run.manifest["outcomes"] if "rank" in outcome["detail"]]
    assert document["detector"] == found["detail"].split()[2].rstrip(",") == "combined"
    assert runner(tmp_path / "run").stdout.startswith("id,index,given")


def test_wrong_calls(runner, problem, tmp_path: Path) -> None:
    p, y = tmp_path / "p.npy", tmp_path / "y.npy"
    with pytest.raises(UsageError, match="either a run folder or"):
        runner()
    with pytest.raises(UsageError, match="no labels"):
        runner("--pred-probs", p)
    with pytest.raises(UsageError, match="exclude"):
        runner("--pred-probs", p, "--labels", y, "--rule", "both", "--detector", "entropy")
    with pytest.raises(UnknownNameError, match="paper"):
        runner("--pred-probs", p, "--labels", y, "--rule", "papr")
    with pytest.raises(UnknownNameError):
        runner("--pred-probs", p, "--labels", y, "--detector", "nothing")
    with pytest.raises(UsageError, match="npy"):
        runner("--pred-probs", p, "--labels", y, "--scores", tmp_path / "s.txt")
    with pytest.raises(UsageError, match="engine"):
        runner("--pred-probs", p, "--labels", y, "--engine", "spark")


@pytest.mark.parametrize(("name", "count"), [("cifar10", 275), ("imdb", 1310)])
def test_published_sets(runner, data_dir: Path, name: str, count: int) -> None:
    folder = data_dir / "label_errors" / name
    out = runner(
        "--pred-probs", folder / "pyx.npy", "--labels", folder / "original_labels.npy", "--rule", "paper", "--json"
    )
    assert json.loads(out.stdout)["n_flagged"] == count


@pytest.mark.parametrize("kind", ["complex", "structured", "bool", "one-hot"])
@pytest.mark.parametrize("form", ["npy", "npz"])
def test_what_is_no_probability_is_refused(runner, problem, tmp_path: Path, kind: str, form: str) -> None:
    p = problem.probabilities
    one_hot = np.eye(4, dtype=np.int64)[p.argmax(axis=1)]
    structured = np.zeros(p.shape, [("value", np.float32)])
    arrays = {"complex": p.astype(complex), "structured": structured, "bool": one_hot > 0, "one-hot": one_hot}
    path = tmp_path / f"odd.{form}"
    np.save(path, arrays[kind]) if form == "npy" else np.savez(path, pred_probs=arrays[kind])
    with pytest.raises(ProbabilityError):
        runner("--pred-probs", path, "--labels", tmp_path / "y.npy")


@pytest.mark.parametrize("kind", ["complex", "structured", "one-hot", "bool one-hot"])
def test_what_is_no_label_is_refused(runner, problem, tmp_path: Path, kind: str) -> None:
    y = problem.labels
    structured = y.astype([("label", np.int64)])
    arrays = {"complex": y.astype(complex), "structured": structured, "one-hot": np.eye(4)[y]}
    np.save(tmp_path / "odd.npy", arrays.get(kind, np.eye(4, dtype=bool)[y]))
    with pytest.raises(LabelError):
        runner("--pred-probs", tmp_path / "p.npy", "--labels", tmp_path / "odd.npy")


def test_many_classes_are_written_as_the_pairs_that_occur(runner, tmp_path: Path) -> None:
    problem = make_problem(3, 300, 1001, "float32")
    np.savez(tmp_path / "many.npz", pred_probs=problem.probabilities, labels=problem.labels)
    document = json.loads(runner("--pred-probs", tmp_path / "many.npz", "--rule", "both", "--json").stdout)
    joint = api.analyze(problem.probabilities, problem.labels).confident_joint
    assert document["confident_joint"] is None
    assert document["confident_pairs"] == [[i, j, joint[i, j]] for i, j in np.argwhere(joint).tolist()]
