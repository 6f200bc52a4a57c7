"""The results of a run beside the rows of the frame that was audited."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import auditor
from auditor.runs.run import Run

FRAME = pd.DataFrame(
    {
        "text": [f"{'a small cat' if k < 30 else 'a large dog'} number {k}" for k in range(60)],
        "animal": ["cat"] * 30 + ["dog"] * 30,
        "weight": np.arange(60.0),
    },
    index=pd.date_range("2026-01-01", periods=60),
)
FRAME.loc[FRAME.index[4], "animal"] = "dog"
P = np.where(np.arange(60)[:, None] >= 30, [0.1, 0.9], [0.9, 0.1])


def audited(folder: Path, data: Any, p: np.ndarray = P, **roles: Any) -> Run:
    return auditor.find_errors(data, pred_probs=p, quality=False, out=folder, progress=False, **roles)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return audited(tmp_path_factory.mktemp("joining") / "run", FRAME, text="text", label="animal")


@pytest.mark.parametrize("library", ["pandas", "arrow", "batch", "polars"])
def test_a_copy_of_the_frame_gets_the_columns(run: Run, library: str) -> None:
    frame: Any = FRAME
    if library == "polars":
        frame = pytest.importorskip("polars").from_pandas(FRAME)
    elif library != "pandas":
        frame = pa.Table.from_pandas(FRAME, preserve_index=False)
        frame = frame if library == "arrow" else frame.combine_chunks().to_batches()[0]
    joined = run.join(frame)
    names = list(joined.columns) if hasattr(joined, "columns") and library != "arrow" else joined.schema.names
    if library == "batch":
        names = joined.schema.names
    assert list(map(str, names)) == [*FRAME, "is_label_issue", "label_score", "given_label", "suggested_label"]
    flagged = joined["is_label_issue"]
    flagged = flagged.to_pylist() if hasattr(flagged, "to_pylist") else list(flagged)
    assert np.flatnonzero(flagged).tolist() == [4]
    assert list(FRAME) == ["text", "animal", "weight"]
    if library == "pandas":
        assert joined.index.equals(FRAME.index)


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "fewer rows": (lambda: FRAME[:50], auditor.DataError, "50 rows; the run 'run' saw 60 items"),
    "more rows": (lambda: pd.concat([FRAME, FRAME[:2]]), auditor.DataError, "62 rows"),
    "another order": (lambda: FRAME[::-1], auditor.DataError, "row 0 of the frame is labelled 'dog', and 'cat'"),
    "corrected labels": (lambda: FRAME.assign(animal=FRAME["animal"].iloc[0]), auditor.DataError, "one class|labelled"),
    "order in a class": (
        lambda: FRAME.iloc[[1, 0, *range(2, 60)]],
        auditor.DataError,
        "row 0 of the frame has another content",
    ),
    "other texts": (lambda: FRAME.assign(text=FRAME["text"].str.upper()), auditor.DataError, "60 such rows"),
    "its own columns": (lambda: FRAME.assign(label_score=0), auditor.UsageError, "prefix='auditor_'"),
    "no frame": (lambda: [1, 2], auditor.UsageError, "'list' is no data frame"),
    "a series": (lambda: FRAME["text"], auditor.UsageError, "is no data frame"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_frame_that_does_not_fit_is_refused(run: Run, name: str) -> None:
    make, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        run.join(make())


def test_what_may_differ(run: Run) -> None:
    assert "x_label_score" in run.join(FRAME.assign(label_score=0), prefix="x_")
    changed = FRAME.assign(text=FRAME["text"].str.upper(), more=1)
    assert run.join(changed, contents=False)["is_label_issue"].sum() == 1


def test_rows_with_ids_are_found_in_any_order_and_number(tmp_path: Path) -> None:
    frame = FRAME.assign(id=[f"item {k}" for k in range(60)])
    run = audited(tmp_path / "run", frame, text="text", label="animal")
    part = frame.iloc[[40, 4, 2]]
    joined = run.join(part)
    assert joined["is_label_issue"].tolist() == [False, True, False]
    assert joined["given_label"].tolist() == part["animal"].tolist()
    with pytest.raises(auditor.DataError, match="no item 'new'"):
        run.join(part.assign(id=["new", "item 4", "item 2"]))


def test_rows_without_a_label_have_no_result(tmp_path: Path) -> None:
    frame = FRAME.copy()
    frame.iloc[[0, 50], 1] = None
    run = audited(tmp_path / "run", frame, np.delete(P, [0, 50], axis=0), text="text", label="animal")
    joined = run.join(frame)
    assert np.flatnonzero(joined["is_label_issue"]).tolist() == [4]
    assert np.flatnonzero(joined["label_score"].isna()).tolist() == [0, 50]
    assert joined["suggested_label"].isna().sum() == 2


def test_splits_have_a_frame_each_or_a_column(tmp_path: Path) -> None:
    parts = {"train": FRAME[:40], "test": FRAME[40:]}
    more = pd.concat([FRAME[40:], FRAME[:4]])  # both classes
    run = audited(tmp_path / "run", {**parts, "test": more}, np.r_[P, P[:4]], text="text", label="animal", audit="all")
    assert np.flatnonzero(run.join(parts["train"], split="train")["is_label_issue"]).tolist() == [4]
    assert not run.join(more, split="test")["is_label_issue"].any()
    with pytest.raises(auditor.UsageError, match="split='train'"):
        run.join(parts["train"])
    with pytest.raises(auditor.UnknownNameError, match="validation"):
        run.join(parts["train"], split="validation")
    whole = FRAME.assign(split=["train"] * 40 + ["test"] * 20)
    one = audited(tmp_path / "one", whole, text="text", label="animal", audit="all")
    assert np.flatnonzero(one.join(whole)["is_label_issue"]).tolist() == [4]


def test_labels_may_lie_beside_the_frame_and_be_numbers(tmp_path: Path) -> None:
    codes = (FRAME["animal"] == "dog").to_numpy().astype(int)
    beside = audited(tmp_path / "beside", (FRAME[["weight"]], codes), class_names=["cat", "dog"])
    assert np.flatnonzero(beside.join(FRAME[["weight"]])["is_label_issue"]).tolist() == [4]
    inside = audited(tmp_path / "inside", FRAME.assign(animal=codes), label="animal", class_names=["cat", "dog"])
    assert np.flatnonzero(inside.join(FRAME.assign(animal=codes))["is_label_issue"]).tolist() == [4]
    numbered = FRAME.assign(animal=codes + 5)
    unnamed = audited(tmp_path / "unnamed", numbered, label="animal")
    assert unnamed.join(numbered)["given_label"].tolist() == [str(code + 5) for code in codes]


def test_a_run_of_a_file_and_one_of_probabilities_alone(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "data.csv", index=False)
    of_file = audited(tmp_path / "file", str(tmp_path / "data.csv"), text="text", label="animal")
    assert of_file.join(FRAME)["is_label_issue"].sum() == 1
    alone = auditor.find_errors(pred_probs=P, labels=FRAME["animal"], out=tmp_path / "alone", progress=False)
    assert alone.join(FRAME)["is_label_issue"].sum() == 1
    with pytest.raises(auditor.DataError, match="59 rows"):
        alone.join(FRAME[:59])
