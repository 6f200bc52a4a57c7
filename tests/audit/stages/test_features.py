"""Wrong labels are found although a column of the table repeats them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from auditor.audit.find_errors import find_errors
from auditor.runs.run import Run, open_run

N, PLANTED = 400, 25


@pytest.fixture(scope="module")
def table() -> tuple[pd.DataFrame, np.ndarray]:
    """A table with copies of its given label, and which of these are wrong."""
    random = np.random.default_rng(0)
    true = random.integers(0, 2, N)
    wrong = np.isin(np.arange(N), random.choice(N, PLANTED, replace=False))
    given = np.where(wrong, 1 - true, true)
    frame = pd.DataFrame({"a": random.normal(size=N) + 6 * true, "b": random.normal(size=N)})
    order = np.argsort(given, kind="stable")
    frame = frame.assign(code=7 - 2 * given, short=np.array(["c", "d"])[given], label=np.array(["cat", "dog"])[given])
    return frame.iloc[order].assign(row=np.arange(N) + random.normal(size=N)).reset_index(drop=True), wrong[order]


def audited(frame: pd.DataFrame, out: Path, **options: object) -> Run:
    asked = {"budget": "smoke", "folds": 3, "workers": 1, "label": "label", **options}
    return find_errors(frame, out=out, **asked)  # type: ignore[arg-type]


def found(run: Run, wrong: np.ndarray) -> int:
    flagged = run.findings.loc[run.findings["code"] == "LE001", "id"].astype(int)
    return int(wrong[flagged.to_numpy()].sum())


@pytest.mark.parametrize("leak", ["code", "short", "row"])
def test_wrong_labels_are_found_beside_their_copy(
    leak: str, table: tuple[pd.DataFrame, np.ndarray], tmp_path: Path
) -> None:
    frame, wrong = table
    columns = ["a", "b", leak, "label"]
    run = audited(frame[columns], tmp_path / "run")
    assert found(run, wrong) >= 0.8 * PLANTED
    (note,) = [note for note in run.manifest["notes"] if "no model was shown" in note]
    assert repr(leak) in note
    assert "columns=" in note
    # The check that sees the leak still sees it.
    (check,) = [check for check in run.quality["checks"] if check["name"] == "target_leakage"]
    assert leak in check["facts"]["columns"]


def test_columns_that_are_named_stay_with_a_warning(table: tuple[pd.DataFrame, np.ndarray], tmp_path: Path) -> None:
    frame, wrong = table
    run = audited(frame, tmp_path / "run", columns=["a", "b", "code"], quality=False)
    assert found(run, wrong) == 0
    (note,) = [note for note in run.manifest["notes"] if "may give the label away" in note]
    assert "'code'" in note
    assert "named in columns=" in note


def test_the_columns_of_an_own_model_stay_with_a_warning(
    table: tuple[pd.DataFrame, np.ndarray], tmp_path: Path
) -> None:
    frame, _ = table
    numbers = frame[["a", "b", "code", "label"]]
    run = audited(numbers, tmp_path / "run", model=RandomForestClassifier(5), budget=None, quality=False)
    assert any("the model is the caller's own" in note for note in run.manifest["notes"])


def test_a_run_is_continued_without_a_second_look(table: tuple[pd.DataFrame, np.ndarray], tmp_path: Path) -> None:
    frame, _ = table
    for _ in range(2):
        run = audited(frame[["a", "b", "code", "label"]], tmp_path / "run", quality=False)
    assert {stage["name"] for stage in run.manifest["stages"] if stage["reused"]} >= {"features", "train"}
    assert open_run(tmp_path / "run").counts["n_items"] == N
