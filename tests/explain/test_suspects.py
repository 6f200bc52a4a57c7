"""What a notebook and a terminal show of a run: the items themselves, as text that stays text, and never much of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.audit.find_errors import find_errors
from auditor.core.errors import UnknownNameError, UsageError
from auditor.core.files import read_json, write_json
from auditor.core.hashing import hash_file
from auditor.data.open import open_dataset
from auditor.explain.suspects import suspects
from auditor.report.find_errors import kept_contents
from auditor.report.pictures import EXCERPT
from auditor.runs import layout
from auditor.runs.run import Run, open_run

HOSTILE = "<script>alert(1)</script>\x1b[2J\" onmouseover='x' http://evil.example"
PIXELS = np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3), dtype=np.uint8)
KINDS = {
    "image": PIXELS,
    "text": [f"{HOSTILE} {k} " + "word " * 400 for k in range(20)],
    "row": pd.DataFrame({"u": PIXELS[:, 0, 0, 0].astype(float), "kind": [f"{HOSTILE}{k % 2}" for k in range(20)]}),
}


def _run(kind: str, folder: Path) -> Run:
    """Items 3 and 8 are suspects."""
    labels = pd.Series(np.array([f"cat{HOSTILE}", "dog"])[np.arange(20) % 2])
    likely = np.where((labels != "dog").to_numpy()[:, None], [[0.9, 0.1]], [[0.1, 0.9]])
    likely[[3, 8]] = 1 - likely[[3, 8]]
    ids = [f"{HOSTILE}{k}" for k in range(20)]
    return find_errors(
        (KINDS[kind], labels), pred_probs=likely, id=ids, out=folder / "run", quality=False, progress=False
    )


@pytest.fixture(scope="module", params=KINDS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Run]:
    return request.param, _run(request.param, tmp_path_factory.mktemp(request.param))


def test_items_are_shown_as_what_they_are(case: tuple[str, Run]) -> None:
    kind, run = case
    shown = suspects(run, 5)
    assert (len(shown), shown.word, shown.missing) == (2, kind, "")
    assert [int(item.removeprefix(HOSTILE)) for item in shown.frame["id"]] in ([3, 8], [8, 3])
    for html in (shown._repr_html_(), run._repr_html_()):
        assert len(re.findall(r'<img src="data:image/png;base64,[\w+/=]+"', html)) == (2 if kind == "image" else 0)
        assert (html.count(f'title="{"<script>".replace("<", "&lt;").replace(">", "&gt;")}') == 2) == (kind == "text")
    assert "20 items, 2 classes" in run._repr_html_()


def test_nothing_of_the_data_becomes_markup_or_a_command(case: tuple[str, Run]) -> None:
    _, run = case
    shown = run.show(5)
    for html in (shown._repr_html_(), run._repr_html_()):
        assert "<script" not in html
        assert "\x1b" not in html
        assert not re.search(r"<[^>]*\son\w+\s*=[^>]*>", re.sub(r'"[^"]*"', '""', html))
        assert not re.search(r'(src|href)="(?!data:image/png;)|(src|href)=[^"]|url\(|@import', html)
    for text in (repr(shown), repr(run)):
        assert all(line.isprintable() for line in text.split("\n"))


def test_plain_texts_are_short(case: tuple[str, Run]) -> None:
    kind, run = case
    assert len(repr(run).split("\n")) <= 6
    assert "2 of 20 audited items flagged" in repr(run)
    lines = repr(run.show(5)).split("\n")
    assert len(lines) == 4  # how many, names of columns, two rows
    assert ("…" in lines[2]) == (kind != "image")
    assert all(len(line) < 400 for line in lines)


def test_a_view_has_a_bound(case: tuple[str, Run]) -> None:
    kind, run = case
    assert len(run.show(100)._repr_html_()) < 2_500 + 2 * (6 * EXCERPT if kind == "text" else 38_000)
    for n in (0, 101):
        with pytest.raises(UsageError, match="cannot be shown at once"):
            run.show(n)


def test_what_the_run_saw_is_shown_without_its_data(case: tuple[str, Run], tmp_path: Path) -> None:
    kind, run = case
    data, kept = (tmp_path / name for name in ("data.parquet", "suspects.json"))
    before = run._repr_html_()
    (run.path / "data.parquet").rename(data)
    try:
        assert open_run(run.path)._repr_html_() == before
        (run.path / layout.SUSPECTS).rename(kept)  # as in a run of an earlier version
        assert f"{kind}s themselves cannot be shown" in open_run(run.path)._repr_html_()
        data.rename(run.path / "data.parquet")
        assert open_run(run.path)._repr_html_() == before
        same = open_dataset((KINDS[kind], pd.Series(run.items["given"])), id=run.items["id"].tolist())
        assert suspects(run, 5, dataset=same).missing == ""
        other = suspects(run, 5, dataset=open_dataset((KINDS[kind], pd.Series(["a", "b"] * 10))))
        assert other.contents == ((None, None), (None, None))
        assert "no longer the one this run saw" in other._repr_html_()
    finally:
        for path, place in ((data, "data.parquet"), (kept, layout.SUSPECTS)):
            if path.exists():
                path.rename(run.path / place)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return _run("image", tmp_path_factory.mktemp("pictures"))


@pytest.mark.parametrize(
    ("change", "recorded"),
    [
        (lambda kept: kept[0].__setitem__(1, kept[1][1]), False),
        (lambda kept: kept[0].__setitem__(1, "https://evil.example/x.png"), True),
        (lambda kept: kept[0].__setitem__(1, "data:image/svg+xml;base64,AAAA"), True),
        (lambda kept: kept[0].__setitem__(2, 3), True),
        (lambda kept: kept.append(3), True),
        (lambda kept: kept[0].pop(), True),
    ],
    ids=["another picture", "a request", "another format", "no text", "no item", "a part"],
)
def test_contents_that_the_run_did_not_keep_are_not_shown(
    change: Callable[[list[Any]], Any], recorded: bool, pictures: Run, tmp_path: Path
) -> None:
    """Not even where somebody else made the folder, and recorded the hash of what they put there."""
    for path in pictures.path.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / layout.WORK).unlink()
    kept, place = read_json(pictures.path / layout.SUSPECTS), tmp_path / layout.SUSPECTS
    assert len(kept_contents(pictures)) == 2
    change(kept)
    write_json(place, kept)
    files = {**pictures.manifest["files"], **({layout.SUSPECTS: hash_file(place)} if recorded else {})}
    run = Run(tmp_path, {**pictures.manifest, "files": files})
    assert kept_contents(run) == {}
    assert run._repr_html_().count("data:image/png") == 2  # made anew
    assert "evil.example/x.png" not in run._repr_html_()


def test_probabilities_alone_are_a_table(tmp_path: Path) -> None:
    labels = np.arange(40) % 2
    likely = 0.2 + 0.6 * np.eye(2)[labels]
    likely[7] = likely[7][::-1]
    run = find_errors(pred_probs=likely, labels=labels, out=tmp_path / "run", progress=False)
    assert "<table>" in run._repr_html_()
    assert "<img" not in run._repr_html_()
    assert (len(run.show()), run.show().word) == (1, "")


def test_no_suspect_is_said(tmp_path: Path) -> None:
    labels = np.arange(40) % 2
    run = find_errors(pred_probs=0.2 + 0.6 * np.eye(2)[labels], labels=labels, out=tmp_path / "run", progress=False)
    assert "No label is flagged." in run._repr_html_()
    assert repr(run.show()) == "No label is flagged."


@pytest.mark.parametrize("kind", KINDS)
def test_items_of_a_check_are_shown_as_what_they_are(kind: str, tmp_path: Path) -> None:
    """The same view as of suspects; item 0 is there twice."""
    data = KINDS[kind]
    twice = pd.concat([data, data[:1]]) if isinstance(data, pd.DataFrame) else [*data, data[0]]
    labels = pd.Series(["cat", f"dog{HOSTILE}"])[np.arange(21) % 2]
    likely = np.where((labels == "cat").to_numpy()[:, None], [[0.9, 0.1]], [[0.1, 0.9]])
    run = find_errors((twice, labels.tolist()), pred_probs=likely, out=tmp_path / "run", workers=1, progress=False)
    shown = run.show(5, kind="exact_duplicates")
    assert {0, 20} <= set(shown.frame["index"])
    assert len(run.show(1, kind="DQ101")) == 1
    html = shown._repr_html_()
    assert len(re.findall(r'<img src="data:image/png;base64,[\w+/=]+"', html)) == (len(shown) if kind == "image" else 0)
    assert "<script" not in html
    assert "group 0" in html
    assert f"{len(shown)} of {shown.total} items of exact_duplicates" in repr(shown)
    assert all(line.isprintable() for line in repr(shown).split("\n"))
    for unknown, error in (("nope", UnknownNameError), ("drift", UsageError)):
        with pytest.raises(error):
            run.show(5, kind=unknown)
    with pytest.raises(UsageError, match="1 to 100"):
        run.show(0, kind="exact_duplicates")
