"""Patches of labels that are no classes, in every form a file holds them in: made, applied, applied twice, reverted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import auditor
from auditor.core.config import Settings
from auditor.core.errors import AuditorError, DataError
from auditor.data.open import open_dataset
from auditor.patch.applying import apply_patch, revert_patch, verify_patch
from auditor.patch.create import create_patch
from auditor.patch.files import read_patch, write_patch
from auditor.patch.records import Patch
from auditor.patch.rules import open_store, stored_consensus
from auditor.patch.verdict_table import read_table_votes, store_table_votes
from auditor.runs.run import Run
from tests.running import call

N = 80
#: Row -> label that people give it.
TAGS = {3: "sea;sun", 11: "(no tags)", 40: "city", 41: "sea;sun;city"}
STARS = {3: "5", 11: "1", 40: "2"}
RATINGS = {3: "superb", 11: "poor", 40: "fair"}
ROWS = {3: "PER O O", 11: "O O LOC", 40: "O O O"}
NUMBERS = {5: "17.5", 6: "-3", 50: "1000"}
_RNG = np.random.default_rng(0)
_X = _RNG.normal(size=(N, 3))
_SETS = _X > 0.4
_NAMES = ("sea", "sun", "city")


def _tags(kind: type) -> pd.DataFrame:
    frame = pd.DataFrame(_X.round(3), columns=["a", "b", "c"])
    return frame.assign(**{f"label:{name}": _SETS[:, k].astype(kind) for k, name in enumerate(_NAMES)})


def _joined(sep: str) -> pd.DataFrame:
    texts = [sep.join(n for n, has in zip(_NAMES, row, strict=True) if has) or "(no tags)" for row in _SETS]
    return pd.DataFrame(_X.round(3), columns=["a", "b", "c"]).assign(tags=texts)


def _numbers(kind: type) -> pd.DataFrame:
    values = (40 + 10 * _X[:, 0]).round(1)
    return pd.DataFrame(_X.round(3), columns=["a", "b", "c"]).assign(
        y=(values * 10).astype(int) if kind is int else values
    )


def _stars(kind: type) -> pd.DataFrame:
    stars = np.digitize(_X[:, 0], [-1, -0.3, 0.3, 1]) + 1
    return pd.DataFrame(_X.round(3), columns=["a", "b", "c"]).assign(stars=stars.astype(kind))


def _ratings(places: bool = False) -> pd.DataFrame:
    level = np.digitize(_X[:, 0], [-0.6, 0.0, 0.6])
    cells = level if places else np.array(["poor", "fair", "good", "superb"])[level]
    return pd.DataFrame(_X.round(3), columns=["a", "b", "c"]).assign(rating=cells)


def _tokens(kind: type = str) -> pd.DataFrame:
    rows = [["PER" if a > 0 else "LOC", "O", "LOC" if b > 0.5 else "O"] for a, b, _ in _X]
    words = [["Ann" if a > 0 else "Rome", f"in-{k}", "Oslo" if b > 0.5 else "."] for k, (a, b, _) in enumerate(_X)]
    place = {"O": 0, "PER": 1, "LOC": 2}
    cells = rows if kind is str else [[place[tag] for tag in row] for row in rows]
    return pd.DataFrame({"tokens": words, "tags": cells})


def _csv(frame: pd.DataFrame, folder: Path) -> Path:
    frame.to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


def _parquet(frame: pd.DataFrame, folder: Path) -> Path:
    frame.to_parquet(folder / "t.parquet")
    return folder / "t.parquet"


def _jsonl(frame: pd.DataFrame, folder: Path) -> Path:
    frame.to_json(folder / "t.jsonl", orient="records", lines=True)
    return folder / "t.jsonl"


_ORDINAL: dict[str, Any] = {"kind": "ordinal"}
_PLACES: dict[str, Any] = {"class_names": ["O", "PER", "LOC"]}
_NAMED: dict[str, Any] = {"label": "rating", "class_names": ["poor", "fair", "good", "superb"]}
CASES: dict[str, tuple[pd.DataFrame, Callable[[pd.DataFrame, Path], Path], dict[str, Any], dict[int, str]]] = {
    "columns, csv": (_tags(int), _csv, {}, TAGS),
    "columns, true and false, csv": (_tags(bool), _csv, {}, TAGS),
    "columns, parquet": (_tags(int), _parquet, {}, TAGS),
    "columns, floats, parquet": (_tags(float), _parquet, {}, TAGS),
    "columns, jsonl": (_tags(int), _jsonl, {}, TAGS),
    "joined, csv": (_joined(" ; "), _csv, {"label": "tags"}, TAGS),
    "lists, parquet": (
        _joined(";").assign(tags=lambda f: [[] if t == "(no tags)" else t.split(";") for t in f["tags"]]),
        _parquet,
        {"label": "tags"},
        TAGS,
    ),
    "lists, jsonl": (
        _joined(";").assign(tags=lambda f: [[] if t == "(no tags)" else t.split(";") for t in f["tags"]]),
        _jsonl,
        {"label": "tags"},
        TAGS,
    ),
    "ordered numbers, csv": (_stars(int), _csv, _ORDINAL | {"label": "stars"}, STARS),
    "ordered numbers, parquet": (_stars(int), _parquet, _ORDINAL | {"label": "stars"}, STARS),
    "ordered numbers, floats, parquet": (_stars(float), _parquet, _ORDINAL | {"label": "stars"}, STARS),
    "ordered names, csv": (_ratings(), _csv, _ORDINAL | _NAMED, RATINGS),
    "ordered names, parquet": (_ratings(), _parquet, _ORDINAL | _NAMED, RATINGS),
    "places of ordered names, csv": (_ratings(places=True), _csv, _ORDINAL | _NAMED, RATINGS),
    "places of ordered names, jsonl": (_ratings(places=True), _jsonl, _ORDINAL | _NAMED, RATINGS),
    "tokens, parquet": (_tokens(), _parquet, {"label": "tags"}, ROWS),
    "tokens, jsonl": (_tokens(), _jsonl, {"label": "tags"}, ROWS),
    "places of tags, parquet": (_tokens(int), _parquet, {"label": "tags", "kind": "tokens", **_PLACES}, ROWS),
    "tokens as texts, csv": (
        pd.DataFrame({name.replace("tokens", "text"): _tokens()[name].str.join(" ") for name in ("tokens", "tags")}),
        _csv,
        {"label": "tags", "kind": "tokens"},
        ROWS,
    ),
    "numbers, csv": (_numbers(float), _csv, {"label": "y"}, NUMBERS),
    "numbers, parquet": (_numbers(float), _parquet, {"label": "y"}, NUMBERS),
    "whole numbers, parquet": (_numbers(int), _parquet, {"label": "y"}, {5: "17", 6: "-3", 50: "1000"}),
    "numbers, jsonl": (_numbers(float), _jsonl, {"label": "y"}, NUMBERS),
}


def _patched(case: str, folder: Path) -> tuple[Run, Patch, Path, dict[int, str]]:
    frame, write, options, right = CASES[case]
    path = write(frame, folder)
    run = auditor.find_errors(path, **options, budget="smoke", folds=2, out=folder / "run", workers=1, progress=False)
    said = [{"id": str(row), "label": label} for row, label in right.items()]
    said.append({"id": "60", "verdict": "given"})
    table = folder / "said.jsonl"
    table.write_text("\n".join(json.dumps({"verdict": None, "label": None} | row) for row in said) + "\n")
    with open_store(run.path) as store:
        store.load_run(run)
        store_table_votes(read_table_votes(run, table, "ann"), store)
    patch = create_patch(run, stored_consensus(run, "majority"), Settings()).patch
    for name in ("p.labelpatch.jsonl", "p.labelpatch.parquet"):
        write_patch(patch, folder / name)
        assert read_patch(folder / name) == patch
    return run, patch, path, right


@pytest.mark.parametrize("case", CASES)
def test_there_and_back(case: str, tmp_path: Path) -> None:
    run, patch, path, right = _patched(case, tmp_path)
    settings, reference = Settings(), run.manifest["data"]["reference"]
    assert run.form is not None
    assert patch.header.form == run.form
    before = run.items["given"].tolist()
    expected = {row: run.form.canonical(label) for row, label in right.items() if label != before[row]}
    assert {record.index: record.to for record in patch.records} == {row: (text,) for row, text in expected.items()}
    assert verify_patch(patch, reference, settings).warnings == []
    done = apply_patch(patch, reference, settings, tmp_path / "copy")
    assert done.changed["relabel"] == len(expected)
    copied = open_dataset(
        tmp_path / "copy" / path.name, any_kind=True, kind=run.kind, label=_label(run), classes=_classes(run)
    )
    given = copied.given.tolist()
    assert [given[row] if row not in expected else expected[row] for row in range(N)] == given
    assert {row: given[row] for row in expected} == expected
    assert [g for row, g in enumerate(given) if row not in expected] == [
        g for row, g in enumerate(before) if row not in expected
    ]
    again = verify_patch(patch, str(tmp_path / "copy"), settings)
    assert (again.done, again.changed["relabel"]) == (len(expected), 0)
    revert_patch(patch, str(tmp_path / "copy"), settings, tmp_path / "back")
    if path.suffix == ".parquet":
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "back" / path.name), pd.read_parquet(path))
    else:
        assert (tmp_path / "back" / path.name).read_bytes() == path.read_bytes()


def _label(run: Run) -> str:
    from auditor.data.reference import parse_reference

    return parse_reference(run.manifest["data"]["reference"]).options["label"]


def _classes(run: Run) -> str | None:
    return ",".join(run.class_names) or None


def test_the_commands_go_the_whole_way(tmp_path: Path) -> None:
    run, _, path, right = _patched("columns, csv", tmp_path)
    call("patch", "create", run.path, "--out", tmp_path / "c.labelpatch.jsonl")
    call("patch", "verify", tmp_path / "c.labelpatch.jsonl", path)
    call("patch", "apply", tmp_path / "c.labelpatch.jsonl", path, "--out", tmp_path / "copy")
    call("patch", "apply", tmp_path / "c.labelpatch.jsonl", path, "--mapping", tmp_path / "m.csv")
    mapping = pd.read_csv(tmp_path / "m.csv", dtype=str)
    assert dict(zip(mapping["index"].astype(int), mapping["to"], strict=True)).items() <= right.items()
    found = call(
        "find-errors", tmp_path / "copy" / path.name, "--budget", "smoke", "--out", tmp_path / "after", "--json"
    )
    assert found.document["kind"] == "multilabel"


@pytest.mark.parametrize("case", ["columns, csv", "numbers, parquet"])
def test_the_gate_reads_data_run_and_corrections(case: str, tmp_path: Path) -> None:
    run, patch, path, right = _patched(case, tmp_path)
    policy, label = tmp_path / "auditor.toml", ["--label", _label(run)]
    policy.write_text(f"[check]\nmin_reviewed = {len(right) + 1}\nmax_label_conflicts = 0\n")
    asked = ["--policy", policy, "--run", run.path]
    for target in (run.path, path):
        more = [] if target == run.path else [*asked[2:], *label]
        done = call("check", target, *asked[:2], *more, "--json").document
        assert done["passed"], done
    apply_patch(patch, run.manifest["data"]["reference"], Settings(), tmp_path / "copy")
    copied = call("check", tmp_path / "copy" / path.name, *asked, *label, "--json").document
    assert copied["passed"], copied
    policy.write_text(f"[check]\nmin_reviewed = {len(right) + 9}\n")
    refused = call("check", path, *asked, *label, check=1)
    assert f"{len(right) + 1} of {N}" in refused.stderr


def test_a_patch_of_other_labels_is_refused(tmp_path: Path) -> None:
    _, patch, path, _ = _patched("numbers, csv", tmp_path)
    classes = tmp_path / "classes.csv"
    pd.read_csv(path).assign(y=["cat", "dog"] * (N // 2)).to_csv(classes, index=False)
    with pytest.raises(DataError, match="of the kind 'regression', those of 'classes' classes"):
        verify_patch(patch, f"{classes}?label=y", Settings())
    line = json.loads((tmp_path / "p.labelpatch.jsonl").read_text().splitlines()[1])
    head = (tmp_path / "p.labelpatch.jsonl").read_text().splitlines()[0]
    for to, said in (("much", "no number"), ("17.50", "is written '17.5'")):
        (tmp_path / "bad.labelpatch.jsonl").write_text(head + "\n" + json.dumps({**line, "to": to}) + "\n")
        with pytest.raises(DataError, match=said):
            read_patch(tmp_path / "bad.labelpatch.jsonl")
    header: dict[str, Any] = json.loads(head)
    for wrong in ({"kind": "colours", "names": []}, {"kind": "multilabel", "names": 3}):
        header["dataset"]["label_form"] = wrong
        (tmp_path / "bad.labelpatch.jsonl").write_text(json.dumps(header) + "\n")
        with pytest.raises(AuditorError, match="label_form"):
            read_patch(tmp_path / "bad.labelpatch.jsonl")


def test_other_tools_and_rankings_refuse_it(tmp_path: Path) -> None:
    _, _, path, _ = _patched("joined, csv", tmp_path)
    patch = tmp_path / "p.labelpatch.jsonl"
    for command in (
        ("patch", "convert", patch, tmp_path / "out.json", "--to", "label-studio", "--data", path),
        ("benchmark", f"{path}?label=tags&kind=class", "--verdicts", patch, "--out", tmp_path / "b"),
    ):
        assert "of the kind 'multilabel'" in call(*command, check=None).stderr, command


def test_a_fraction_does_not_go_into_whole_numbers(tmp_path: Path) -> None:
    frame, write, options, _ = CASES["whole numbers, parquet"]
    CASES["a fraction"] = (frame, write, options, {5: "17.5"})
    try:
        run, patch, _, _ = _patched("a fraction", tmp_path)
    finally:
        del CASES["a fraction"]
    with pytest.raises(DataError, match=r"whole numbers, which 17\.5 is none of"):
        apply_patch(patch, run.manifest["data"]["reference"], Settings(), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
