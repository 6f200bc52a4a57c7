"""`auditor quality`: what is examined, what it is compared with, what is written, and the stage of find-errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import auditor
from auditor.core.config import Settings
from auditor.core.errors import DataError, UnknownNameError, UsageError
from auditor.core.progress import SilentProgress
from auditor.quality.document import quality_lines
from auditor.quality.registry import CHECKS
from auditor.quality.run import check_quality
from auditor.runs import layout
from auditor.runs.tables import read_table
from tests.conftest import DigitsRun


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    return Settings(data_dirs=(data_dir,), offline=True)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two hundred rows; rows 0 and 1 are equal and differ in label."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=200), "b": rng.normal(size=200), "label": rng.choice(["x", "y"], 200)})
    frame.loc[1, ["a", "b"]] = frame.loc[0, ["a", "b"]]
    frame.loc[[0, 1], "label"] = ["x", "y"]
    frame.to_csv(tmp_path / "old.csv", index=False)
    return tmp_path / "old.csv"


def by_name(document: dict) -> dict[str, dict]:
    return {c["name"]: c for c in document["checks"]}


def counts(check: dict) -> dict[str, tuple[int, int]]:
    return {e["class"]: (e["n_items"], e["n_distinct"]) for e in check["facts"]["by_class"]}


@pytest.mark.slow
def test_cifake_test_split(settings: Settings) -> None:
    checks = by_name(check_quality("cifake", split="test", checks=["exact_duplicates"], settings=settings).document)
    found = checks["exact_duplicates"]
    assert found["n_groups"] == 38
    assert found["facts"]["classes"] == {"FAKE": 38}
    assert counts(found) == {"FAKE": (10_000, 9_962), "REAL": (10_000, 10_000)}


@pytest.mark.slow
def test_cifake_test_against_train_exactly(settings: Settings) -> None:
    """All 120,000 images; about half a minute of CPU a core."""
    checks = by_name(check_quality("cifake", split="test", against="train", settings=settings).document)
    found = checks["exact_duplicates"]
    assert found["n_groups"] == 1336
    assert found["facts"]["sizes"] == {"2": 1336}
    assert found["facts"]["classes"] == {"FAKE": 1336}
    assert found["facts"]["parts"] == {"train": 920, "test": 38, "test + train": 378}
    assert counts(found) == {"FAKE": (60_000, 58_664), "REAL": (60_000, 60_000)}
    leaks = checks["leakage"]
    assert leaks["n_items"] == 378
    shares = {e["class"]: (e["n_leaked"], e["share"]) for e in leaks["facts"]["by_class"]}
    assert shares == {"FAKE": (378, 0.0378), "REAL": (0, 0.0)}
    assert {"test/FAKE/922 (3).jpg"} <= {i["id"] for i in leaks["items"]}
    assert checks["conflicting_duplicates"]["status"] == "passed"
    assert checks["drift"]["status"] == "passed"


def test_splits_are_compared_with_the_training_split(tmp_path: Path) -> None:
    from PIL import Image

    from tests.contract.planted_quality import pixels_of

    for split, seeds in (("test", range(20, 32)), ("train", range(14))):
        for k in [*seeds, *([3] if split == "test" else [])]:
            place = tmp_path / "pets" / split / "ab"[k % 2]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels_of(k)).save(place / f"{k}.png")
    document = check_quality(str(tmp_path / "pets")).document
    assert document["reference"] == "train"
    assert [i["id"] for i in by_name(document)["leakage"]["items"]] == ["test/b/3.png"]
    assert by_name(document)["non_iid_order"]["status"] == "not applicable"


def test_two_versions_of_a_table(table: Path) -> None:
    frame = pd.read_csv(table)
    new = table.with_name("new.csv")
    frame.assign(a=frame["a"] + 3.0).to_csv(new, index=False)
    options = "?label=label"
    document = check_quality(f"{new}{options}", against=f"{table}{options}").document
    checks = by_name(document)
    assert checks["drift"]["status"] == "found"
    moved = {t["what"] for t in checks["drift"]["facts"]["tests"] if t["found"]}
    assert moved == {"a"}
    assert document["n_examined"] == 200
    assert document["n_items"] == 400
    assert document["against"] == f"{table}{options}"
    assert checks["conflicting_duplicates"]["n_items"] == 4


def test_infinite_and_huge_values_are_values(table: Path) -> None:
    frame = pd.read_csv(table)
    y = (frame["label"] == "x").to_numpy()
    frame["tells"] = np.where(y, np.inf, -1e300)
    frame.loc[5, "a"], frame.loc[6, "b"] = np.inf, -np.inf
    frame.to_csv(table, index=False)
    found = by_name(check_quality(f"{table}?label=label").document)
    assert set(found["target_leakage"]["facts"]["columns"]) == {"tells"}
    assert all(c["status"] in ("found", "passed", "not applicable") for c in found.values())


def test_what_is_written(table: Path, tmp_path: Path) -> None:
    found = check_quality(f"{table}?label=label", out=tmp_path / "out")
    stored = json.loads((tmp_path / "out" / layout.QUALITY).read_text())
    assert stored == found.document
    assert [c["name"] for c in stored["checks"]] == CHECKS.names()
    rows = read_table(tmp_path / "out" / layout.QUALITY_ITEMS)
    per_code = rows.groupby("name").size().to_dict()
    assert per_code == {c["name"]: c["n_items"] for c in stored["checks"] if c["n_items"]}
    assert set(rows[rows["name"] == "conflicting_duplicates"]["index"]) == {0, 1}
    assert rows[rows["name"] == "conflicting_duplicates"]["group"].tolist() == [0, 0]


def test_checks_by_name_or_code(table: Path) -> None:
    document = check_quality(f"{table}?label=label", checks=["DQ101", "drift"]).document
    assert [c["name"] for c in document["checks"]] == ["exact_duplicates", "drift"]
    assert document["against"] is None
    with pytest.raises(UnknownNameError, match="exact_duplicates"):
        check_quality(f"{table}?label=label", checks=["exact_duplicate"])


def test_embeddings_bring_outliers(table: Path, tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32) + 6
    points[42] *= -1
    np.save(tmp_path / "z.npy", points)
    found = by_name(check_quality(f"{table}?label=label", embeddings=tmp_path / "z.npy").document)["outliers"]
    assert [i["id"] for i in found["items"]] == ["42"]
    with pytest.raises(DataError, match="200"):
        check_quality(f"{table}?label=label", embeddings=points[:7])


@pytest.mark.parametrize("kind", ["image", "text"])
def test_embeddings_are_compared_as_in_an_audit(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentence vectors are made for the cosine and stay as they are; image features are standardised."""
    from auditor.data.kinds import TextDataset
    from auditor.quality import run
    from auditor.train.choose_embedding import Embedding, standardised

    rows = np.random.default_rng(0).normal(3.0, 2.0, (5, 4)).astype(np.float32)

    class Encoder:
        def __init__(self) -> None:
            self.kind = kind

    monkeypatch.setattr(Embedding, "encoder", lambda self: Encoder())
    monkeypatch.setattr("auditor.train.choose_embedding.choose_embedding", lambda *a: Embedding("any", "asked for"))
    monkeypatch.setattr("auditor.train.embeddings.embed", lambda *a: rows)
    texts = TextDataset.__new__(TextDataset)
    texts.column = np.array(list("abcde"), dtype=object)
    name, vectors = run._embedded(run._choose("any", kind), [texts], Settings(), SilentProgress())
    assert name == "any"
    assert np.array_equal(vectors, standardised(rows) if kind == "image" else rows)


@pytest.mark.parametrize("embeddings", ["nope", "efficientnet-lite0", "minilm", "auto", "none"])
def test_embeddings_that_cannot_be_are_refused_before_an_item_is_read(
    embeddings: str, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.quality.run.make_subject", lambda *_, **__: pytest.fail("the items were read"))
    with pytest.raises(UsageError):
        check_quality(f"{table}?label=label", embeddings=embeddings)


def test_what_cannot_be_compared_is_said(table: Path, settings: Settings) -> None:
    with pytest.raises(UsageError, match="neither a split"):
        check_quality(f"{table}?label=label", against="nothing")
    with pytest.raises(UsageError, match="compared with itself"):
        check_quality("digits", split="all", against="all")
    with pytest.raises(UsageError, match="among them"):
        check_quality("cifake", against="train", settings=settings)
    with pytest.raises(UsageError, match="holds image items"):
        check_quality("digits", against=f"{table}?label=label")


def test_the_stage_of_find_errors(digits_run: DigitsRun) -> None:
    run = auditor.open_run(digits_run.path)
    assert run.quality is not None
    assert [c["name"] for c in run.quality["checks"]] == CHECKS.names()
    assert by_name(run.quality)["undecodable"]["status"] == "passed"
    assert next(o for o in run.manifest["outcomes"] if o["part"] == "quality")["status"] == "done"
    assert "Data quality" in run.report_path.read_text()
    assert "near_duplicates" in run.report_path.read_text()
    before = (run.path / layout.QUALITY).read_bytes()
    again = auditor.find_errors("digits", out=digits_run.path, embeddings="none")
    assert {s["name"]: s["reused"] for s in again.manifest["stages"]}["quality"]
    assert (run.path / layout.QUALITY).read_bytes() == before


def test_the_stage_can_be_left_out_and_has_nothing_to_say_of_probabilities(tmp_path: Path) -> None:
    p, y = np.full((100, 2), 0.3), np.arange(100) % 2
    p[np.arange(100), y] = 0.7
    run = auditor.find_errors(pred_probs=p, labels=y, out=tmp_path / "run")
    assert next(o for o in run.manifest["outcomes"] if o["part"] == "quality")["status"] == "not applicable"
    assert run.quality is None
    off = auditor.find_errors(pred_probs=p, labels=y, out=tmp_path / "off", quality=False)
    assert all(o["part"] != "quality" for o in off.manifest["outcomes"])


@pytest.mark.parametrize("kind", ["table", "texts", "pictures"])
def test_checks_that_do_not_apply_take_one_line(kind: str, table: Path, tmp_path: Path) -> None:
    """Each reason is said once, and the items are called what people call them."""
    data: object = f"{table}?label=label"
    if kind == "texts":
        data = {"text": [f"sentence number {k}" for k in range(20)], "label": ["x", "y"] * 10}
    if kind == "pictures":
        data = {"image": np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8), "label": ["x", "y"] * 10}
    found = check_quality(data, progress=False).document
    (line,) = (line for line in quality_lines(found) if line.startswith("Not applicable"))
    silent = [c for c in found["checks"] if c["status"] == "not applicable"]
    assert all(c["name"] in line for c in silent)
    assert all(line.count(f"({c['reason']})") == 1 for c in silent)
    word = {"table": "rows", "texts": "texts", "pictures": "images"}[kind]
    assert f"(not made for {word})" in line
