from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import auditor
from auditor.core.errors import DataError, UsageError
from auditor.patch.rules import open_store, stored_consensus
from auditor.patch.verdict_table import read_table_votes, store_table_votes
from auditor.runs.run import Run
from tests.running import call

N = 120


@pytest.fixture(scope="module", params=["classes", "multilabel", "regression", "ordinal", "tokens"])
def judged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, pd.Series]:
    """A run of every kind of labels, and the right label of every item by its id."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 2))
    frame, folder = pd.DataFrame(x, columns=["a", "b"]), tmp_path_factory.mktemp(request.param)
    if request.param == "classes":
        truth = pd.Series(np.where(x[:, 0] > 0, "cat", "dog"))
        given, wrong = truth.copy(), ["dog" if t == "cat" else "cat" for t in truth[:12]]
    elif request.param == "multilabel":
        sets = [";".join(n for n, v in zip(("sea", "sun"), row > 0.2, strict=True) if v) or "(no tags)" for row in x]
        truth = pd.Series(sets)
        given, wrong = truth.copy(), ["sea" if "sun" in t else "sea;sun" for t in truth[:12]]
    elif request.param == "tokens":
        frame = pd.DataFrame({"text": [f"{'Ann' if a > 0 else 'Rome'} sees number {k}" for k, a in enumerate(x[:, 0])]})
        truth = pd.Series([f"{'PER' if a > 0 else 'LOC'} O O O" for a in x[:, 0]])
        given, wrong = truth.copy(), ["O O O O"] * 12
    elif request.param == "ordinal":
        truth = pd.Series(np.digitize(x[:, 0], [-0.8, 0.0, 0.8]) + 1).astype(str)
        given, wrong = truth.copy(), ["4" if t < "3" else "1" for t in truth[:12]]
    else:
        truth = pd.Series([f"{value:.1f}" for value in 40 + 10 * x[:, 0]]).astype(float).astype(str)
        given, wrong = truth.copy(), [str(float(t) * 10) for t in truth[:12]]
    given[:12] = wrong
    frame["label"] = given.astype(float) if request.param in ("regression", "ordinal") else given
    run = auditor.find_errors(
        frame, label="label", kind=request.param, budget="smoke", folds=2, quality=False, workers=1, progress=False,
        out=folder / "run",
    )  # fmt: skip
    truth.index = truth.index.astype(str)
    if run.form is not None:
        truth = truth.map(run.form.canonical)
    return run, truth


def test_from_drawn_items_to_an_estimate_that_holds_what_is_true(judged: tuple[Run, pd.Series], tmp_path: Path) -> None:
    run, truth = judged
    table = tmp_path / "judge.csv"
    drawn = call("sample", run.path, "--budget", "90", "--out", table)
    assert "import-verdicts" in drawn.stderr
    rows = pd.read_csv(table, dtype=str)
    assert list(rows) == ["id", "split", "index", "given", "suggested", "label"]
    rows["label"] = [truth[item] for item in rows["id"]]
    rows.to_csv(table, index=False)
    first = call("import-verdicts", run.path, table, "--reviewer", "ann", "--json").document
    again = call("import-verdicts", run.path, table, "--reviewer", "ann", "--json").document
    assert (first["accepted"], first["repeated"]) == (len(rows), 0)
    assert (again["accepted"], again["repeated"]) == (0, len(rows))
    found = auditor.estimate_errors(run)
    assert found.strict is not None
    interval = found.strict.total.estimate
    wrong = int((run.items["given"].to_numpy() != truth.to_numpy()).sum())
    assert wrong == 12
    assert interval.low <= wrong <= interval.high < N
    assert f"{len(rows)} of {N} items judged" in call("status", run.path).stderr
    call("verify", run.path)
    left = call("sample", run.path, "--budget", "90", "--out", table, "--overwrite")
    assert "0 items to judge" in left.stderr
    for decided in stored_consensus(run, "majority", None):
        label = truth[decided.item_id]
        given = run.items["given"].iloc[run.row(decided.item_id)]
        assert (decided.verdict == "given") == (given == label)
        assert decided.label == label


def test_a_row_that_cannot_be_is_refused_with_its_number(judged: tuple[Run, pd.Series], tmp_path: Path) -> None:
    run, truth = judged
    wrong = {
        "nobody": ({"id": ["0", "nobody"], "label": [truth["0"]] * 2}, "row 1.*no audited item 'nobody'"),
        "label": ({"id": ["0", "1"], "label": [truth["0"], "much;more"]}, "row 1, item '1'"),
        "word": ({"id": ["0"], "verdict": ["perhaps"]}, "row 0.*unknown verdict"),
        "columns": ({"item": ["0"], "right": ["x"]}, "no table of verdicts"),
    }
    for name, (columns, said) in wrong.items():
        path = tmp_path / f"{name}.jsonl"
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        path.write_text("\n".join(map(json.dumps, rows)) + "\n")
        with pytest.raises(DataError, match=said):
            read_table_votes(run, path, "ann")


def test_words_lists_and_people_are_read(judged: tuple[Run, pd.Series], tmp_path: Path) -> None:
    run, truth = judged
    other = truth["50"].split(";") if run.kind == "multilabel" and truth["50"] != "(no tags)" else [truth["50"]]
    rows = [
        {"id": "50", "label": other if run.kind == "multilabel" else truth["50"], "reviewer": "ann"},
        {"id": "50", "verdict": "unsure", "reviewer": "bob"},
        {"id": "51", "verdict": f"other:{truth['51']}", "reviewer": "bob"},
        {"id": "52", "verdict": None, "reviewer": "bob"},
    ]
    for row in rows:
        row.setdefault("verdict", None)
        row.setdefault("label", None)
    path = tmp_path / "said.parquet"
    if run.kind == "multilabel":
        for row in rows:
            row["label"] = row["label"] or None
    pd.DataFrame(rows).to_parquet(path)
    votes = read_table_votes(run, path, "nobody")
    assert (votes.empty, votes.items, sorted(votes.events)) == (1, 2, ["ann", "bob"])
    assert [event["verdict"] for event in votes.events["bob"]] == ["unsure", "given"]
    assert votes.events["ann"][0]["verdict"] == "given"
    with open_store(tmp_path / "store.sqlite") as store:
        store.load_run(run)
        assert store_table_votes(votes, store) == (3, 0)


def test_classes_of_a_form_have_no_crowdlab(judged: tuple[Run, pd.Series]) -> None:
    run, _ = judged
    if run.form is not None and (run.path / "review.sqlite").exists():
        with pytest.raises(UsageError, match="crowdlab"):
            stored_consensus(run, "crowdlab", None)
