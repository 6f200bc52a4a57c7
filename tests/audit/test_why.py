"""Explanations: every part against an independent computation on a real run, and what a poor run says instead."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import auditor
from auditor.audit.detector_scores import detector_scores
from auditor.audit.evidence import run_evidence
from auditor.audit.find_errors import find_errors
from auditor.audit.why import EXPLANATION_SCHEMA, Explainer, explanation_lines
from auditor.cli.main import app
from auditor.core.errors import UnknownNameError
from auditor.detect.base import Detection
from auditor.detect.registry import DETECTORS, run_detector
from auditor.runs import layout
from auditor.runs.run import Run
from tests.audit.softmax_trainer import SoftmaxTrainer


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Digits, cross-validated with a model of twelve epochs, with log-probabilities as embedding."""
    return find_errors(
        "digits",
        trainer=SoftmaxTrainer(),
        out=tmp_path_factory.mktemp("runs") / "run",
        workers=1,
        embeddings="log-probabilities",
    )


@pytest.fixture(scope="module")
def explainer(run: Run) -> Explainer:
    return Explainer(run)


def first(run: Run) -> str:
    return str(run.findings["id"].iloc[0])


def test_every_detector_answers_with_what_it_says_of_the_item(run: Run, explainer: Explainer) -> None:
    item = first(run)
    document = explainer.explain(item)
    assert document["schema"] == EXPLANATION_SCHEMA
    assert sorted(d["detector"] for d in document["detectors"]) == sorted(DETECTORS.names())
    evidence = run_evidence(run)
    place = int(np.flatnonzero(evidence.ids == item)[0])
    for entry in document["detectors"]:
        found = run_detector(entry["detector"], evidence)
        assert entry["applicable"] == isinstance(found, Detection), entry
        if not isinstance(found, Detection):
            assert entry["reason"]
            continue
        # The run gives its rows in the order of the ids here, so even the sums are the same.
        assert entry["score"] == pytest.approx(float(found.score[place]), rel=1e-9)
        assert found.order(evidence.ids)[entry["rank"] - 1] == place
        assert entry["flagged"] == (None if found.flagged is None else bool(found.flagged[place]))
    applicable = {d["detector"] for d in document["detectors"] if d["applicable"]}
    assert {"log_odds_margin", "aum", "gap", "knn_vote", "combined"} <= applicable
    assert "verdict" not in applicable
    assert document["fired"] == [d["detector"] for d in document["detectors"] if d.get("flagged")]
    assert "class_adjusted" in document["fired"]
    json.dumps(document, allow_nan=False)


def test_neighbours_are_the_nearest_without_copies(run: Run, explainer: Explainer) -> None:
    item = first(run)
    near = explainer.explain(item)["neighbours"]
    place = int(np.flatnonzero(run.ids == item)[0])
    assert run.embeddings is not None
    rows = run.embeddings.astype(np.float64)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosine = unit @ unit[place]
    group = run.items["group"].to_numpy()[run.audited]
    cosine[group == group[place]] = -2
    expected = np.argsort(-cosine, kind="stable")[:10]
    assert [n["id"] for n in near["items"]] == run.ids[expected].tolist()
    np.testing.assert_allclose([n["similarity"] for n in near["items"]], cosine[expected], atol=1e-4)
    given = [run.class_names[k] for k in run.labels[expected]]
    assert [n["given"] for n in near["items"]] == given
    assert near["same_label"] == given.count(run.class_names[run.labels[place]])
    assert near["embedding"] == "log-probabilities"
    assert near["exact"]


def test_learning_curve_is_the_mean_over_the_models_that_saw_the_item(run: Run, explainer: Explainer) -> None:
    item = first(run)
    curve = explainer.explain(item)["learning_curve"]
    row = run.items["id"].tolist().index(item)
    arrays = run.dynamics()
    assert arrays is not None
    seen, held = [], []
    for fold in range(5):
        task = next(k.split("/")[0] for k in arrays if k.startswith(f"fold-{fold}/"))
        for part, into in (("train", seen), ("heldout", held)):
            at = np.flatnonzero(arrays[f"{task}/{part}_rows"] == row)
            given, other = (arrays[f"{task}/{part}_{k}"][:, at].astype(float) for k in ("given", "other"))
            into += list((given - other).T)
    assert (curve["models_in_sample"], curve["models_held_out"]) == (len(seen), len(held)) == (4, 1)
    np.testing.assert_allclose(curve["in_sample"], np.mean(seen, axis=0), atol=1e-3)
    np.testing.assert_allclose(curve["held_out"], np.mean(held, axis=0), atol=1e-3)
    # The model that held the first suspect out sees another class.
    assert curve["held_out"][-1] < 0


def test_class_pair_counts_the_findings(run: Run, explainer: Explainer) -> None:
    item = first(run)
    document = explainer.explain(item)
    pair, found = document["class_pair"], run.findings
    same = (found["given"] == pair["given"]) & (found["suggested"] == pair["suggested"])
    assert pair["n_flagged"] == same.sum() >= 1
    assert pair["n_flagged_given"] == (found["given"] == pair["given"]).sum()
    back = (found["given"] == pair["suggested"]) & (found["suggested"] == pair["given"])
    assert pair["n_flagged_reverse"] == back.sum()
    joint = detector_scores(run).confident_joint
    given, suggested = run.class_names.index(pair["given"]), run.class_names.index(pair["suggested"])
    assert pair["confident_joint"] == joint[given, suggested]
    assert pair["n_given"] == (run.labels == given).sum()


def test_computed_once_and_again_when_an_input_changes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    detector_scores(run)
    before = (run.path / layout.DETECTORS).read_bytes()
    import auditor.audit.detector_scores as module

    calls: list[str] = []
    real = module.run_detector
    monkeypatch.setattr(module, "run_detector", lambda name, e: (calls.append(name), real(name, e))[1])
    assert len(detector_scores(run).table) == 1797
    assert calls == []
    (run.path / layout.DETECTORS).write_bytes(b"damaged")
    detector_scores(run)
    assert calls == DETECTORS.names()
    assert (run.path / layout.DETECTORS).read_bytes() == before


def test_unknown_item(explainer: Explainer) -> None:
    with pytest.raises(UnknownNameError, match="digit-99999"):
        explainer.explain("digit-99999")


def test_lines_and_command(run: Run, explainer: Explainer) -> None:
    item = first(run)
    lines = explanation_lines(explainer.explain(item))
    assert any(line.startswith("nearest items (log-probabilities)") for line in lines)
    assert sum(line.startswith("margin by epoch") for line in lines) == 2
    shown = CliRunner().invoke(app, ["show", str(run.path), "--item", item, "--json"])
    assert shown.exit_code == 0, shown.output
    document = json.loads(shown.stdout)
    assert document["schema"] == "auditor.item/1"
    assert document["explanation"] == json.loads(json.dumps(explainer.explain(item)))
    assert "log_odds_margin" in shown.stderr


def test_supplied_probabilities_say_what_is_missing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3) * 0.3, 90)
    labels = np.where(rng.random(90) < 0.2, rng.integers(0, 3, 90), p.argmax(axis=1))
    run = auditor.find_errors(pred_probs=p, labels=labels, out=tmp_path / "run")
    document = Explainer(run).explain(str(run.ids[0]))
    for part, word in (("neighbours", "no embeddings"), ("learning_curve", "no logits per epoch")):
        assert document[part]["applicable"] is False
        assert word in document[part]["reason"]
    reasons = {d["detector"]: d["reason"] for d in document["detectors"] if not d["applicable"]}
    assert "embeddings" in reasons["knn_vote"]
    assert "logits per epoch" in reasons["aum"]
    assert "log_odds_margin" not in reasons
    assert document["same_group"] == []
    assert any("not applicable" in line for line in explanation_lines(document))


def test_an_item_that_was_not_audited(tmp_path: Path) -> None:
    """A class of one item cannot be audited; its item is explained as such."""
    from sklearn.datasets import load_wine

    wine = load_wine(as_frame=True)
    frame = wine.data.assign(kind=wine.target.astype(str))
    frame.loc[0, "kind"] = "rare"
    frame.to_csv(tmp_path / "wine.csv", index=False)
    run = find_errors(f"{tmp_path / 'wine.csv'}?label=kind", out=tmp_path / "run", folds=3, budget="smoke", workers=1)
    rare = str(run.items["id"][run.items["given"] == "rare"].iloc[0])
    document = Explainer(run).explain(rare)
    assert document["status"] == "not auditable"
    assert document["detectors"] == document["fired"] == []
    assert "not auditable" in document["neighbours"]["reason"]
    assert explanation_lines(document)


def test_an_item_of_ten_thousand(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 10, 10_000)
    logits = rng.normal(size=(10_000, 10)) + 4 * np.eye(10)[truth]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.where(rng.random(10_000) < 0.1, rng.integers(0, 10, 10_000), truth)
    run = find_errors(pred_probs=p, labels=labels, out=tmp_path / "run", embeddings="log-probabilities")
    detector_scores(run)
    document = Explainer(auditor.open_run(run.path)).explain(first(run))
    assert len(document["neighbours"]["items"]) == 10
