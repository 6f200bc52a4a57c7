"""Labels that are no classes, from a data set to findings, report and what other commands say of the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import auditor
from auditor.audit.why import inspect_item, item_lines
from auditor.benchmark.reporting import render_report
from auditor.core.errors import AuditorError, UsageError
from auditor.report.label_kinds import scatter
from auditor.runs import layout
from auditor.runs.run import Run, open_run
from tests.running import call

N = 150
#: Rows whose label is wrong, and what is wrong with it.
WRONG = {"regression": [3, 40, 41, 42], "multilabel": [5, 60, 99], "ordinal": [4, 16, 73], "tokens": [9, 31, 77]}
#: What the command is told where it cannot tell by looking.
TOLD = {"ordinal": ["--kind", "ordinal", "--class-names", "poor,fair,good,superb"]}


def tagged_sentences(rng: np.random.Generator) -> pd.DataFrame:
    """Sentences with a person and a place, of whom some are tagged as the other, or not at all."""
    people, places = ["Ann Lee", "Bob Ray", "Eve Fox"], ["Paris", "New York", "Oslo"]
    rows = []
    for k in range(N):
        person, place = people[rng.integers(3)], places[rng.integers(3)]
        words, tags = ["Yesterday"] * (k % 3), ["O"] * (k % 3)
        for text, tag in ((person, "PER"), ("went to", "O"), (place, "LOC"), (f"again in {k} .", "O")):
            words += text.split()
            tags += [tag] * len(text.split())
        rows.append((words, tags))
    for number, row in enumerate(WRONG["tokens"]):
        wrong, right = ("LOC", "PER") if number % 2 else ("O", "LOC")
        rows[row] = (rows[row][0], [wrong if tag == right else tag for tag in rows[row][1]])
    return pd.DataFrame(rows, columns=["tokens", "tags"])


def frame_of(kind: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A table whose label is told by its columns, but for `WRONG`; and the options of `find_errors`."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    if kind == "regression":
        y = np.round(50 + 10 * x[:, 0] + rng.normal(0, 1, N), 1)
        y[WRONG[kind][0]] = 150.0
        y[WRONG[kind][1:]] = np.round(y[WRONG[kind][1:]] * 1000, 1)
        return frame.assign(price=y), {"label": "price"}
    if kind == "tokens":
        return tagged_sentences(rng), {"label": "tags"}
    if kind == "ordinal":
        names = np.array(["poor", "fair", "good", "superb"])
        level = np.digitize(x[:, 0] + rng.normal(0, 0.05, N), [-0.8, 0.0, 0.8])
        level[WRONG[kind]] = np.where(level[WRONG[kind]] < 2, 3, 0)
        return frame.assign(rating=names[level]), {"label": "rating", "kind": "ordinal", "class_names": list(names)}
    tags = x + rng.normal(0, 0.15, x.shape) > [0.0, 0.3, 0.6]
    first, second, third = WRONG[kind]
    tags[first, 0], tags[second, 1], tags[third, 2] = x[first, 0] < 0, x[second, 1] < 0.3, x[third, 2] < 0.6
    return frame.assign(**{f"label:{name}": tags[:, k] * 1 for k, name in enumerate(("sea", "sun", "city"))}), {}


@pytest.fixture(scope="module", params=sorted(WRONG))
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Run, Path]:
    """A run of every kind, made by the command from a file; and the file."""
    kind, folder = request.param, tmp_path_factory.mktemp(request.param)
    frame, options = frame_of(kind)
    path = folder / ("t.parquet" if kind == "tokens" else "t.csv")
    frame.to_parquet(path) if kind == "tokens" else frame.to_csv(path, index=False)
    labels = ["--label", options["label"]] if options else []
    labels += TOLD.get(kind, [])
    done = call("find-errors", path, *labels, "--budget", "smoke", "--out", folder / "run", "--json")
    document = json.loads(done.stdout)
    assert (document["kind"], document["n_audited"]) == (kind, N)
    assert kind in TOLD or f"label kind: {kind}" in done.stderr
    assert f"labels of the kind {kind}" in done.stderr
    return kind, open_run(folder / "run"), path


def test_wrong_labels_are_found_with_what_they_should_be(found: tuple[str, Run, Path]) -> None:
    kind, run, _ = found
    findings = run.findings
    assert tuple(findings.columns) == layout.FINDING_COLUMNS
    top = findings.head(len(WRONG[kind]) + 2)
    assert set(map(str, WRONG[kind])) <= set(top["id"])
    assert findings["score"].is_monotonic_decreasing or kind == "multilabel"
    assert run.form is not None
    for row in findings.itertuples():
        assert row.given != row.suggested
        assert run.form.canonical(row.suggested) == row.suggested
    by_id = findings.set_index("id")
    if kind == "regression":
        assert set(by_id.loc[["40", "41", "42"], "code"]) == {"LE042"}
        assert by_id.loc["3", "code"] == "LE041"
        given = float(by_id.loc["40", "given"])
        assert float(by_id.loc["40", "suggested"]) == pytest.approx(given / 1000, abs=0.051)
        assert len(by_id.loc["3", "suggested"].partition(".")[2]) <= 1, "rounded as the given numbers are"
        assert run.predictions.shape == (N, 2)
    elif kind == "tokens":
        assert by_id.loc[list(map(str, WRONG[kind])), "code"].tolist() == ["LE023", "LE021", "LE023"]
        assert run.class_names == ("O", "LOC", "PER")
        assert run.predictions.shape == (N, 3 * max(map(len, frame_of(kind)[0]["tags"])))
        assert by_id.loc["31", "message"].endswith(": LOC, likely PER")
        people, words = {"Ann", "Lee", "Bob", "Ray", "Eve", "Fox"}, frame_of(kind)[0]["tokens"][31]
        places = {"Paris", "New", "York", "Oslo"}
        right = ["PER" if word in people else "LOC" if word in places else "O" for word in words]
        assert by_id.loc["31", "suggested"] == " ".join(right)
    elif kind == "ordinal":
        assert set(by_id.loc[list(map(str, WRONG[kind])), "code"]) == {"LE062"}
        assert run.class_names == ("poor", "fair", "good", "superb")
        assert run.predictions.shape == (N, 4)
        np.testing.assert_allclose(run.predictions.sum(axis=1), 1, atol=1e-5)
    else:
        for item, tag in zip(WRONG[kind], ("sea", "sun", "city"), strict=True):
            has = tag in by_id.loc[str(item), "given"].split(";")
            assert (tag in by_id.loc[str(item), "suggested"].split(";")) != has
            assert by_id.loc[str(item), "code"] == ("LE012" if has else "LE011")
            assert tag in by_id.loc[str(item), "message"]
        assert run.predictions.shape == (N, 3)
        assert run.class_names == ("sea", "sun", "city")
    assert (findings["p_given"] < 0.9).all(), "what is flagged is likely enough to be wrong"
    wrong = run.manifest["labels"]["expected_wrong"]
    assert wrong == pytest.approx((1 - run.scores["p_given"]).sum())
    assert 0.5 * len(WRONG[kind]) < wrong < 6 * len(WRONG[kind])


def test_a_run_is_continued_and_its_data_are_opened_again(found: tuple[str, Run, Path]) -> None:
    kind, run, path = found
    call("find-errors", run.manifest["data"]["reference"], "--budget", "smoke", "--out", run.path, "--quiet")
    assert all(stage["reused"] for stage in open_run(run.path).manifest["stages"])
    assert run.open_data().fingerprint == run.manifest["data"]["fingerprint"]
    other = path.with_name(f"other{path.suffix}")
    if kind == "tokens":
        pd.read_parquet(path).iloc[::-1].to_parquet(other)
    else:
        pd.read_csv(path).iloc[::-1].to_csv(other, index=False)
    label = {
        "regression": ["--label", "price"],
        "ordinal": ["--label", "rating", *TOLD["ordinal"]],
        "tokens": ["--label", "tags"],
    }.get(run.kind, [])
    refused = call("find-errors", other, *label, "--budget", "smoke", "--out", run.path, check=3)
    assert "belongs to other data" in refused.stderr
    call("verify", run.path)


def test_the_report_says_kind_numbers_and_suspects(found: tuple[str, Run, Path]) -> None:
    kind, run, _ = found
    html, markdown = (render_report(str(run.path), form, Path()) for form in ("html", "md"))
    document = json.loads(render_report(str(run.path), "json", Path()))
    assert document["labels"]["kind"] == kind
    worst = run.findings.iloc[0]
    for page in (html, markdown):
        assert f"{run.counts['n_flagged']}" in page
        assert "expected" in page
        assert worst["given"] in page or (kind == "tokens" and page == html)
        assert worst["message"].split(" (")[0] in page
    if kind == "regression":
        assert "Given against predicted" in html
        assert "x1000" in html
        assert "x1000" in markdown
    elif kind == "tokens":
        assert 'class="span wrong"' in html
        assert "<s class=" in html
    else:
        assert ("By class" if kind == "ordinal" else "By tag") in html
    assert "Data quality" in html
    by_name = {check["name"]: check for check in run.quality["checks"]}
    assert by_name["class_imbalance"]["reason"] == "the labels are no classes"
    assert by_name["exact_duplicates"]["status"] == "passed"
    if kind == "multilabel":
        assert "| sea |" in markdown
    shown = call("show", run.path, "--top", "3")
    assert worst["code"] in shown.stderr
    facts = inspect_item(run, worst["id"])
    assert facts["suggested"] == worst["suggested"]
    assert any(line.startswith("predictions: ") for line in item_lines(facts, run))
    assert "suspects" in repr(run.show(2))


def test_what_takes_classes_refuses_it_and_says_so(found: tuple[str, Run, Path]) -> None:
    kind, run, _ = found
    commands = (["flag", run.path], ["explain", run.path, "--item", "3"], ["improve", run.path])
    for command in commands:
        refused = call(*command, check=2)
        assert "takes one class an item" in refused.stderr, command
        assert kind in refused.stderr, command


@pytest.mark.parametrize("kind", sorted(WRONG))
def test_a_frame_is_audited_as_its_file_is(kind: str, tmp_path: Path) -> None:
    frame, options = frame_of(kind)
    run = auditor.find_errors(frame, **options, budget="smoke", out=tmp_path / "run", workers=1, progress=False)
    assert set(map(str, WRONG[kind])) <= set(run.findings["id"].head(len(WRONG[kind]) + 2))
    assert run.open_data().form == run.form
    issues = run.issues
    assert issues["is_label_issue"].sum() == run.counts["n_flagged"]
    assert len(issues) == N


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "boosting"}, "model is for labels that are classes"),
        ({"rule": "paper"}, "rule is for"),
        ({"refits": 2}, "refits is for"),
        ({"embeddings": np.zeros((N, 2))}, "embeddings is for"),
        ({"kind": "regression", "pred_probs": np.full((N, 2), 0.5)}, "auditor flag --kind regression"),
        ({"kind": "annotators"}, "annotators"),
    ],
)
def test_options_that_only_classes_have_are_refused_before_anything_is_written(
    options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    frame, label = frame_of("regression")
    with pytest.raises(AuditorError) as refused:
        auditor.find_errors(frame, **label, **options, out=tmp_path / "run", progress=False)
    assert said in str(refused.value) + str(getattr(refused.value, "way_out", ""))
    assert not (tmp_path / "run").exists()


def test_texts_and_pictures_have_numbers_and_tags_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    level = rng.integers(0, 4, 120)
    texts = [f"a review of the {('poor', 'fair', 'good', 'superb')[k]} film number {n}" for n, k in enumerate(level)]
    stars = level + np.round(rng.normal(0, 0.05, 120), 2)
    stars[7] = 40.0
    run = auditor.find_errors(
        {"text": texts, "stars": stars}, label="stars", budget="smoke", out=tmp_path / "a", workers=1, progress=False
    )
    assert run.findings["id"].iloc[0] == "7"
    with pytest.raises(UsageError, match="one class an item"):
        _ = run.pred_probs


def test_points_outside_the_picture_are_counted_and_drawn_at_its_edge() -> None:
    points = [[float(k), float(k) + 0.1, False] for k in range(200)] + [[1e9, 5.0, True]]
    drawn = scatter(points)
    assert drawn is not None
    assert drawn["points"][-1]["flagged"]
    assert drawn["points"][-1]["y"] == 1.0
    assert 1 <= drawn["outside"] < 12
    assert scatter([]) is None
