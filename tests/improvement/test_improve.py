"""``auditor improve`` from a run to an answer: a table of which a tenth of the labels is wrong, and its reviewers."""

from __future__ import annotations

import json
import shutil
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

import auditor
from auditor.core.errors import DataError, LabelError, RunError, UnknownNameError, UsageError
from auditor.improvement.improve import improve, read_improvement
from auditor.patch.files import read_patch, write_patch
from auditor.patch.rules import open_store
from auditor.train.table import TableTrainer
from tests.running import call, made_once

NAMES = ("blue", "green", "red")
N = 300


@dataclass(frozen=True)
class Planted:
    """A folder with ``data.csv``, a finished ``run`` over it, and the right labels."""

    folder: Path
    truth: np.ndarray

    @property
    def run(self) -> Path:
        return self.folder / "run"


def _truth() -> tuple[np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, N)
    given = np.where(rng.random(N) < 0.35, (truth + 1) % 3, truth)
    columns = {f"x{k}": 2.5 * (truth == k) + rng.normal(size=N) for k in range(3)}
    table = pd.DataFrame({"key": [f"row-{i:03}" for i in range(N)], **columns, "label": np.array(NAMES)[given]})
    table["twin"] = [f"pair-{i // 2}" for i in range(N)]
    return truth, table


@pytest.fixture(scope="session")
def planted_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        folder.mkdir()
        _truth()[1].to_csv(folder / "data.csv", index=False)
        reference = f"{folder / 'data.csv'}?label=label&id=key&group=twin"
        call("find-errors", reference, "--out", folder / "run", "--budget", "smoke", "--folds", "3", "--quiet")

    return made_once(tmp_path_factory, "planted-improvement", make)


@pytest.fixture
def planted(planted_source: Path, tmp_path: Path) -> Planted:
    shutil.copytree(planted_source, tmp_path / "planted")
    return Planted(tmp_path / "planted", _truth()[0])


def _judge(planted: Planted, rows: np.ndarray) -> None:
    """Verdicts of somebody who is always right."""
    run = auditor.open_run(planted.run)
    suggested = dict(zip(run.scores["id"], run.scores["suggested"], strict=True))
    events = []
    for row in rows.tolist():
        item, right = run.items.iloc[row], NAMES[planted.truth[row]]
        verdict = "given" if right == item["given"] else f"other:{right}"
        verdict = "suggested" if right == suggested[item["id"]] != item["given"] else verdict
        shown = {"shown_label": item["given"], "shown_suggested": suggested[item["id"]]}
        events.append({"uuid": str(uuid.uuid4()), "item_id": item["id"], "verdict": verdict, **shown})
    with open_store(run.path) as store:
        store.load_run(run)
        assert not store.submit("ada", events).refused


def _data(planted: Planted) -> dict[str, Any]:
    """The data lies elsewhere than when the run was made."""
    return {"data": f"{planted.folder / 'data.csv'}?label=label&id=key&group=twin"}


def test_verdicts_tell_whether_cleaning_helps(planted: Planted) -> None:
    _judge(planted, np.arange(0, N, 2))
    options = ("--data", _data(planted)["data"], "--seeds", "2", "--workers", "1", "--json")
    done = call("improve", planted.run, *options)
    document = done.document
    assert document["schema"] == "auditor.improvement/1"
    assert document["held_out"]["items"] == 150
    assert document["held_out"]["source"] == "verdicts"
    arms = {arm["name"]: arm for arm in document["arms"]}
    assert list(arms) == ["given", "dropped", "corrected", "weighted"]
    assert not any(arm["reason"] for arm in arms.values())
    # A third of 75 judged twins is held out, with the twins that nobody judged.
    assert arms["given"]["n_train"] == pytest.approx(200)
    assert arms["dropped"]["removed"] > 40
    wrong = np.array(NAMES)[planted.truth] != _truth()[1]["label"].to_numpy()
    assert arms["corrected"]["changed"] == wrong[::2].sum() == document["corrections"]["labels"]
    assert arms["dropped"]["accuracy"] > arms["given"]["accuracy"] + 0.05
    by_arm = {row["arm"]: row for row in document["comparisons"]}
    assert by_arm["dropped"]["verdict"] == "helps"
    assert "dropped labels help" in document["conclusion"]
    assert "not drawn at random" in document["conclusion"]
    assert document["conclusion"] in done.stderr
    report = (planted.run / "improvement" / "report.md").read_text()
    assert "| dropped |" in report
    states = {row["state"] for row in call("verify", planted.run, "--json").document["files"]}
    assert states <= {"intact", "rebuilt when needed"}

    kept = {path: path.stat().st_mtime_ns for path in (planted.run / "improvement" / "fits").rglob("*.npz")}
    assert len(kept) == 2 * 3 * 4
    again = improve(planted.run, **_data(planted), seeds=2, workers=1)
    assert again.document["comparisons"] == document["comparisons"]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert again.helps
    assert again.to_frame()["name"].tolist() == list(arms)
    html = again._repr_html_()
    for words in (
        "auditor-view",
        "dropped labels help",
        "<b>weighted</b>",
        f"{100 * by_arm['dropped']['difference']:+.2f}",
    ):
        assert words in html
    assert len(html) < 10_000
    assert "dropped labels help" in repr(again)
    assert len(repr(again).split("\n")) == 3
    assert read_improvement(auditor.open_run(planted.run)).conclusion == document["conclusion"]


def test_a_random_sample_speaks_for_all_items(planted: Planted) -> None:
    call("sample", planted.run, "--budget", "150")
    run = auditor.open_run(planted.run)
    with open_store(run.path) as store:
        drawn = set(store.audit_stream().item_ids)
    _judge(planted, np.flatnonzero(run.items["id"].isin(drawn).to_numpy()))
    done = improve(planted.run, **_data(planted), seeds=1, workers=1)
    assert done.document["held_out"]["random_sample"] == len(drawn)
    assert [row["arm"] for row in done.document["all_audited_items"]] == ["dropped", "corrected", "weighted"]
    assert "all audited items" in done.conclusion
    assert "not drawn at random" not in done.conclusion


@pytest.mark.parametrize("judged", [0, 12])
def test_too_few_reviewed_items_are_said_and_nothing_is_trained(planted: Planted, judged: int) -> None:
    if judged:
        _judge(planted, np.arange(judged))
    done = call("improve", planted.run, "--json")  # the data is not even opened
    document = done.document
    assert document["conclusion"].startswith("Nothing can be told: ")
    assert ("12 items" if judged else "nobody has judged") in document["conclusion"]
    assert f"auditor sample {planted.run} --budget 300" in document["next"]
    assert document["arms"] == document["comparisons"] == []
    assert not (planted.run / "improvement" / "fits").exists()


def test_published_labels_and_a_patch(planted: Planted, tmp_path: Path) -> None:
    names, ids = np.array(NAMES)[planted.truth], auditor.open_run(planted.run).items["id"]
    published = tmp_path / "published.csv"
    pd.DataFrame({"id": ids, "label": names})[::3].to_csv(published, index=False)
    done = improve(planted.run, **_data(planted), labels=published, seeds=1, workers=1)
    assert done.document["held_out"]["items"] == 100
    assert done.document["arms"][2]["reason"].startswith("nobody has corrected a label")
    assert "not drawn at random" not in done.conclusion

    _judge(planted, np.arange(1, 60))
    call("patch", "create", planted.run, "--out", tmp_path / "fix.labelpatch.jsonl", cwd=planted.folder)
    done = improve(
        planted.run,
        **_data(planted),
        labels=published,
        patch=tmp_path / "fix.labelpatch.jsonl",
        trainer=TableTrainer(rounds=5),
        seeds=1,
        workers=1,
    )
    assert done.document["corrections"]["source"].startswith("the label patch")
    assert done.document["arms"][2]["changed"] == done.document["corrections"]["labels"] > 5
    assert done.document["model"]["recipe"]["rounds"] == 5

    for rows, error in ((ids[:7], LabelError), (pd.Series(["nobody"]), UnknownNameError)):
        frame = pd.DataFrame({"id": rows, "label": "red"})
        if error is LabelError:
            frame = frame.drop(columns="id")
        frame.to_csv(published, index=False)
        with pytest.raises(error):
            improve(planted.run, labels=published)


def test_a_trainer_that_cannot_weigh_says_so(planted: Planted) -> None:
    _judge(planted, np.arange(40))
    own = make_pipeline(SimpleImputer(), KNeighborsClassifier())
    done = improve(planted.run, **_data(planted), model=own, seeds=1, workers=1)
    assert done.document["arms"][3]["reason"] == "the trainer 'Pipeline' gives every item the same weight"
    assert [row["arm"] for row in done.document["comparisons"]] == ["dropped", "corrected"]


def test_other_data_is_refused(planted: Planted) -> None:
    _judge(planted, np.arange(40))
    table = pd.read_csv(planted.folder / "data.csv")
    for damage in ("label", "content", "row"):
        other = table.drop(index=7) if damage == "row" else table.copy()
        if damage == "label":
            other.loc[7, "label"] = "red" if table.loc[7, "label"] == "blue" else "blue"
        elif damage == "content":
            other.loc[7, "x0"] += 1
        other.to_csv(planted.folder / "other.csv", index=False)
        with pytest.raises(RunError, match="row-007"):
            improve(planted.run, data=f"{planted.folder / 'other.csv'}?label=label&id=key&group=twin")


def test_runs_that_cannot_be_improved_say_why(planted: Planted, tmp_path: Path) -> None:
    p = np.eye(3)[planted.truth] * 0.7 + 0.1
    alone = auditor.find_errors(pred_probs=p, labels=planted.truth, class_names=NAMES, out=tmp_path / "alone")
    with pytest.raises(UsageError, match="probabilities without the items"):
        improve(alone)
    with pytest.raises(UsageError, match="seeds"):
        improve(planted.run, seeds=0)
    with pytest.raises(RunError, match="nobody has asked"):
        read_improvement(auditor.open_run(planted.run))
    manifest = json.loads((planted.run / "manifest.json").read_text())
    assert manifest["plan"]["scheme"] == "cross-validation"
    with pytest.raises(DataError):
        improve(planted.run, patch=tmp_path / "absent.labelpatch.jsonl")


@pytest.mark.parametrize(("damage", "message"), [("id", "no record of the patch"), ("scheme", "names items by")])
def test_a_patch_of_other_data_is_refused(planted: Planted, tmp_path: Path, damage: str, message: str) -> None:
    _judge(planted, np.arange(60))
    path = tmp_path / "fix.labelpatch.jsonl"
    call("patch", "create", planted.run, "--out", path, cwd=planted.folder)
    patch = read_patch(path)
    if damage == "id":
        record = replace(patch.records[0], id="sha256:" + "0" * 64)
        other = replace(patch, records=(record,))
    else:
        other = replace(patch, header=replace(patch.header, hash_scheme="sha256-utf8"))
    write_patch(other, tmp_path / "other.labelpatch.jsonl")
    with pytest.raises(DataError, match=message):
        improve(planted.run, patch=tmp_path / "other.labelpatch.jsonl")
    write_patch(replace(patch, records=()), tmp_path / "empty.labelpatch.jsonl")
    done = improve(planted.run, **_data(planted), patch=tmp_path / "empty.labelpatch.jsonl", seeds=1, workers=1)
    assert done.document["arms"][2]["reason"] == "the patch changes no label"
