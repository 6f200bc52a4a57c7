"""`auditor.Audit`: one object over the run, the review, the corrections and what they are good for."""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import shutil
import subprocess
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from filelock import FileLock
from sklearn.linear_model import LogisticRegression

import auditor
from auditor import Audit
from auditor.audit.folder import holds_verdicts
from auditor.core.config import Settings
from auditor.interactive import _spellings
from auditor.review import launch
from auditor.review.store import VerdictStore
from auditor.runs.lock import locked
from tests.running import call

#: Rows whose labels are wrong.
WRONG = {"r3": "cat", "r99": "dog"}


def make_frame() -> pd.DataFrame:
    """Two classes far apart, two labels wrong, one row twice; the index is no count."""
    size = np.random.default_rng(0).normal(size=120)
    frame = pd.DataFrame({"size": size, "kind": ["cat"] * 60 + ["dog"] * 60}, index=[f"r{k}" for k in range(120)])
    frame.loc[frame["kind"] == "dog", "size"] += 8
    frame.loc["r8"] = frame.loc["r7"]
    frame.loc["r3", "kind"], frame.loc["r99", "kind"] = "dog", "cat"
    return frame


FRAME = make_frame()
P = np.where((FRAME["size"] > 4).to_numpy()[:, None], [0.1, 0.9], [0.9, 0.1])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(runs_dir=tmp_path / "runs", offline=True)


def of_probabilities(settings: Settings, quality: bool = False) -> Audit:
    """An audit that trains nothing."""
    return Audit(FRAME, label="kind", settings=settings).run(pred_probs=P, quality=quality, progress=False)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its run, made once."""
    folder = tmp_path_factory.mktemp("audit")
    return of_probabilities(Settings(runs_dir=folder, offline=True), quality=True).save(folder / "run")


@pytest.fixture
def audit(source: Path, settings: Settings, tmp_path: Path) -> Audit:
    """A copy of it."""
    return Audit.load(shutil.copytree(source, tmp_path / "run"), FRAME, label="kind", settings=settings)


def end(held: list[Any]) -> None:
    """Let go of what only the list holds."""
    held.clear()
    gc.collect()


def judge(audit: Audit, verdicts: dict[str, str], who: str = "ann") -> None:
    """Give verdicts on items by id."""
    with VerdictStore.open(audit.folder) as store:
        store.load_run(audit.result)
        for item_id, verdict in verdicts.items():
            state = store.state(item_id)
            assert state is not None
            shown = {"shown_label": state.item.given, "shown_suggested": state.item.suggested}
            event = {"uuid": str(uuid4()), "item_id": item_id, "verdict": verdict, **shown, "ms": 900}
            assert store.submit(who, [event]).accepted


def test_issues_stand_in_the_order_and_under_the_index_of_the_caller(audit: Audit) -> None:
    issues = audit.issues
    assert issues.index.equals(FRAME.index)
    assert set(issues.index[issues["is_label_issue"]]) == set(WRONG)
    assert issues.loc["r3", ["given_label", "suggested_label"]].tolist() == ["dog", "cat"]
    assert set(issues.index[issues["is_exact_duplicates_issue"]]) == {"r7", "r8"}
    assert "is_dark_issue" not in issues  # rows are no pictures: not looked at is not the same as not found
    assert FRAME.join(issues)["label_score"].notna().all()


def test_the_items_of_a_kind_come_worst_first(audit: Audit) -> None:
    assert set(audit.get_issues().index) == set(WRONG)
    assert audit.get_issues("label")["label_score"].is_monotonic_decreasing
    for name in ("exact_duplicates", "DQ101", "Exact_Duplicates"):
        assert set(audit.get_issues(name).index) == {"r7", "r8"}
    with pytest.raises(auditor.UnknownNameError, match=r"leakag.*\n.*leakage"):
        audit.get_issues("leakag")
    with pytest.raises(auditor.UsageError, match=r"dark.*could not look"):
        audit.get_issues("dark")


def test_the_summary_counts_every_kind_and_says_which_check_could_not_look(audit: Audit) -> None:
    table = audit.summary.set_index("kind")
    assert table["count"]["label"] == 2
    assert table["count"]["exact_duplicates"] == len(audit.get_issues("exact_duplicates"))
    assert table["status"]["dark"] == "not applicable"
    assert pd.isna(table["count"]["dark"])
    assert table["estimate"].isna().all()
    assert audit.estimate(40).strict is None
    with VerdictStore.open(audit.folder) as store:
        drawn = list(map(str, store.audit_stream().item_ids))
    judge(audit, dict.fromkeys(drawn, "given"))
    label = audit.summary.set_index("kind").loc["label"]
    assert label["low"] <= label["estimate"] <= label["high"]


def test_a_repeated_run_computes_nothing_again(audit: Audit) -> None:
    folder = audit.folder
    audit.run(pred_probs=P, progress=False)
    assert audit.folder == folder
    assert all(stage["reused"] for stage in audit.result.manifest["stages"])


def test_a_refused_run_leaves_the_last_one(audit: Audit) -> None:
    with pytest.raises(auditor.ConfigError, match="unknown rule 'nonsense'"):
        audit.run(pred_probs=P, rule="nonsense", progress=False)
    with pytest.raises(auditor.DataError, match="7 rows of embeddings for 120 items"):
        audit.run(pred_probs=P, embeddings=np.ones((7, 2)), progress=False)
    assert auditor.open_run(audit.folder).counts["n_flagged"] == 2
    with pytest.raises(auditor.RunError, match=r"Call \.run"):
        _ = Audit(FRAME, label="kind").issues


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("modle", "unknown option 'modle'. Did you mean 'model'"),
        ("seed_", "Did you mean 'seed'"),
        ("out", "called folder="),
        ("label", "Give it to Audit"),
        ("class_names", "Give it to Audit"),
        ("zzz", "unknown option 'zzz'"),
    ],
)
def test_an_option_of_another_name_is_told_from_those_there_are(option: str, message: str) -> None:
    with pytest.raises(auditor.UsageError, match=message):
        Audit(FRAME, label="kind").run(pred_probs=P, progress=False, **{option: "kind"})


def test_an_interrupted_run_goes_on(settings: Settings, tmp_path: Path) -> None:
    fits = str(tmp_path / "fits")  # not in memory: what a function refers to is a part of the model

    def model(X: pd.DataFrame, y: np.ndarray, T: pd.DataFrame) -> np.ndarray:
        with open(fits, "a") as file:
            file.write(".")
            if file.tell() == 3:
                raise KeyboardInterrupt
        return np.where((T["size"] > 4).to_numpy()[:, None], [0.1, 0.9], [0.9, 0.1])

    audit = Audit(FRAME, label="kind", settings=settings)
    call_again = partial(audit.run, model=model, folds=4, workers=1, quality=False, progress=False)
    with pytest.raises(KeyboardInterrupt):
        call_again()
    with pytest.raises(auditor.RunError, match=r"Call \.run"):
        _ = audit.result
    call_again()
    assert len(Path(fits).read_text()) == 5  # two folds were there


def test_own_embeddings_serve_the_checks_that_compare_neighbours(settings: Settings) -> None:
    embeddings = np.random.default_rng(1).normal(0, 0.01, (120, 4)) + 1
    embeddings[17] = [50, -50, 50, -50]
    audit = Audit(FRAME, label="kind", settings=settings).run(pred_probs=P, embeddings=embeddings, progress=False)
    assert audit.result.manifest["embeddings"]["name"] == "given"
    assert audit.get_issues("outliers").index[0] == "r17"
    assert np.array_equal(audit.result.embeddings, embeddings.astype(np.float32))


@pytest.mark.parametrize(
    "model",
    [LogisticRegression(), lambda X, y, T: np.where((T["size"] > 4).to_numpy()[:, None], [0.1, 0.9], [0.9, 0.1])],
    ids=["estimator", "callable"],
)
def test_the_model_is_the_callers(model: Any, settings: Settings) -> None:
    audit = Audit(FRAME, label="kind", settings=settings)
    audit.run(model=model, folds=3, workers=1, quality=False, progress=False)
    assert audit.result.manifest["model"]["reason"] == "given by the caller"
    assert set(WRONG) <= set(audit.get_issues().index)


#: All others: tests/test_inputs.py.
FORMS: dict[str, Callable[[], Audit]] = {
    "X and y": lambda: Audit((FRAME[["size"]], FRAME["kind"])),
    "values": lambda: Audit(FRAME[["size"]], label=FRAME["kind"].to_numpy()),
    "positions": lambda: Audit((FRAME[["size"]].to_numpy(), [0, 1] * 2 + [0] * 56 + [1] * 60), classes=["cat", "dog"]),
    "labels alone": lambda: Audit(label=FRAME["kind"], classes=["cat", "dog"]),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_find_errors(name: str, tmp_path: Path) -> None:
    audit = FORMS[name]().run(pred_probs=P, quality=False, folder=tmp_path / "run", progress=False)
    assert len(audit.issues) == 120
    assert audit.issues["is_label_issue"].to_numpy()[99 if name != "positions" else 1]


def test_a_temporary_folder_goes_where_it_is_saved_and_stays_there(settings: Settings, tmp_path: Path) -> None:
    audit = of_probabilities(settings)
    first = audit.folder
    saved = audit.save(tmp_path / "kept")
    assert not first.parent.exists()
    assert saved == audit.folder
    assert set(audit.get_issues().index) == set(WRONG)
    with pytest.raises(auditor.UsageError, match="kept"):
        audit.save(saved)
    copy = audit.save(tmp_path / "copy")  # of a folder that is the caller's
    assert saved.is_dir()
    assert call("show", copy, "--json").document["n_flagged"] == 2
    loaded = Audit.load(copy)
    assert len(loaded.get_issues()) == 2
    loaded.run(pred_probs=P, quality=False, progress=False)  # on the data that the run keeps
    assert loaded.result.manifest["data"]["reference"] == "memory:DataFrame?label=kind"


@pytest.mark.parametrize("whose", ["temporary", "the caller's"])
def test_a_run_that_somebody_else_reviews_is_neither_moved_nor_copied(
    settings: Settings, tmp_path: Path, whose: str
) -> None:
    audit = of_probabilities(settings)
    if whose != "temporary":
        audit.save(tmp_path / "kept")
    with VerdictStore.open(audit.folder) as store:  # as a review server has it open
        store.load_run(audit.result)
        with pytest.raises(auditor.RunError, match="a review is running"):
            audit.save(tmp_path / "elsewhere")
        assert not (tmp_path / "elsewhere").exists()
        judge(audit, {"3": "given"})  # goes where everybody looks
    saved = audit.save(tmp_path / "elsewhere")
    assert holds_verdicts(saved)


def test_a_temporary_folder_goes_with_the_object(settings: Settings) -> None:
    held = [of_probabilities(settings)]
    with VerdictStore.open(held[0].folder) as store:
        store.load_run(held[0].result)  # a review that was opened, and nobody judged
    folder = held[0].folder
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        end(held)
    assert not folder.parent.exists()


@pytest.mark.parametrize("ask", ["issues", "save", "show", "folder", "estimate", "run"])
def test_an_audit_that_was_pickled_says_that_its_folder_is_gone(ask: str, settings: Settings, tmp_path: Path) -> None:
    """As after the kernel was started anew; `run` makes another one."""
    held = [of_probabilities(settings)]
    kept = pickle.dumps(held[0])
    end(held)
    audit: Audit = pickle.loads(kept)
    if ask == "run":
        assert len(audit.run(pred_probs=P, quality=False, progress=False).get_issues()) == 2
        return
    with pytest.raises(auditor.RunError, match="is gone"):
        audit.save(tmp_path / "kept") if ask == "save" else getattr(audit, ask) if ask in ("issues", "folder") else (
            getattr(audit, ask)()
        )


def test_what_people_judged_outlives_the_object(settings: Settings) -> None:
    held = [of_probabilities(settings)]
    judge(held[0], {"3": "suggested"})
    folder = held[0].folder
    assert holds_verdicts(folder)
    with pytest.warns(UserWarning, match="kept in"):
        end(held)
    assert not folder.parent.exists()
    (kept,) = settings.runs_dir.iterdir()
    assert Audit.load(kept).corrected(FRAME)["kind"]["r3"] == "cat"


@pytest.mark.parametrize("case", ["dead", "judged", "living", "held", "at work", "reviewed", "another's"])
def test_folders_of_killed_programs_go_but_for_those_that_hold_work(
    case: str, source: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = subprocess.Popen(["true"])
    ended.wait()
    process = os.getpid() if case == "living" else ended.pid
    folder = tmp_path / f"auditor-{process}-x" / "run"
    shutil.copytree(source, folder)
    owner = folder.parent / ("notes.txt" if case == "another's" else "owner.lock")
    owner.touch()
    if case == "judged":
        judge(Audit.load(folder), {"3": "given"})
    with contextlib.ExitStack() as held:
        if case == "held":
            held.enter_context(FileLock(owner))
        if case == "at work":
            held.enter_context(locked(folder))
        if case == "reviewed":
            held.enter_context(VerdictStore.open(folder)).load_run(auditor.open_run(folder))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            audit = of_probabilities(settings)
    assert folder.is_dir() == (case != "dead")
    assert [str(folder) in str(warning.message) for warning in told] == [True] * (case in ("judged", "reviewed"))
    assert audit.folder.parent.parent == tmp_path


@pytest.mark.parametrize(
    "form", [lambda f: f, lambda f: pa.Table.from_pandas(f, preserve_index=False)], ids=["pandas", "arrow"]
)
def test_corrected_labels_are_those_of_people(audit: Audit, form: Callable[[pd.DataFrame], Any]) -> None:
    frame = form(FRAME)
    with pytest.raises(auditor.RunError, match="nobody has judged"):
        audit.corrected(frame)
    judge(audit, {"3": "suggested", "5": "neither", "99": "given"})
    corrected = audit.corrected(frame)
    assert type(corrected) is type(frame)
    after = corrected["kind"].to_pylist() if isinstance(corrected, pa.Table) else corrected["kind"].tolist()
    expected = FRAME["kind"].tolist()
    expected[3] = "cat"
    del expected[5]  # no class at all; the suspect 99, which a person found right, stays what it is
    assert after == expected
    before = frame["kind"].to_pylist() if isinstance(frame, pa.Table) else frame["kind"].tolist()
    assert before == FRAME["kind"].tolist()
    patch = audit.patch(only=["relabel"])
    assert [(r.from_label, r.to) for r in patch.patch.records] == [("dog", ("cat",))]
    assert len(audit.corrected(frame, patch=patch.patch)) == 120


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        ([0, 1, 1], ("cat", "dog", "cow"), {"cat": 0, "dog": 1, "cow": 2}),
        ([5, 7, 7], ("5", "7", "9"), {"5": 5, "7": 7, "9": 9}),
        (["cat", "dog", "dog"], ("cat", "dog", "cow"), {"cat": "cat", "cow": "cow"}),
        ([False, True, True], ("False", "True"), {"False": False, "True": True}),
        ([0.0, 1.0, 1.0], ("0", "1", "2"), {"0": 0.0, "2": 2.0}),
    ],
    ids=["positions", "numbers", "texts", "booleans", "floats"],
)
def test_a_class_is_written_as_the_frame_writes_it(labels: list[Any], names: Any, expected: dict[str, Any]) -> None:
    items = pd.DataFrame({"given": [names[0], names[1], names[1]]})
    spelled = _spellings([*labels, None], np.array([0, 1, 2, -1]), SimpleNamespace(items=items, class_names=names))
    for name, value in expected.items():
        assert spelled(name) == value
        assert type(spelled(name)) is type(value)


def test_the_patch_is_that_of_the_command(audit: Audit, tmp_path: Path) -> None:
    judge(audit, {"3": "suggested"})
    audit.patch(tmp_path / "own.labelpatch.jsonl")
    call("patch", "create", audit.folder, "--out", tmp_path / "command.labelpatch.jsonl")
    own, command = (auditor_records(tmp_path / f"{name}.labelpatch.jsonl") for name in ("own", "command"))
    assert own == command
    with pytest.raises(auditor.UsageError, match="unknown operation 'delete'"):
        audit.patch(only=["delete"])
    with pytest.raises(auditor.UsageError, match="unknown treatment 'mild'"):
        audit.patch(treatment="mild")  # type: ignore[arg-type]
    with pytest.raises(auditor.UsageError, match="exists"):
        audit.patch(tmp_path / "own.labelpatch.jsonl")


def auditor_records(path: Path) -> list[str]:
    return path.read_text().splitlines()[1:]


def test_improvement_is_asked_of_the_run(settings: Settings) -> None:
    truth = np.where(FRAME["size"] > 4, "dog", "cat")
    audit = Audit(FRAME, label="kind", settings=settings)
    audit.run(model=LogisticRegression(), folds=3, workers=1, quality=False, progress=False)
    assert "nobody has judged" in audit.improvement(progress=False).conclusion
    answer = audit.improvement(labels=truth, seeds=1, workers=1, progress=False)  # with the caller's own model
    assert answer.document["held_out"]["given_label_wrong"] == 2
    assert answer.document["model"]["name"] == "LogisticRegression"


def test_the_reviewer_is_started_once_and_ends_with_the_object(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    def popen(command: list[str], **options: Any) -> Any:
        started.append(command)
        return real([command[0], "-c", SERVER], **options)

    real = launch.subprocess.Popen
    monkeypatch.setattr(launch.subprocess, "Popen", popen)
    held: list[Any] = [of_probabilities(settings)]
    held.append(held[0].review(browser=False))
    process = held[1].process
    assert held[1].address.startswith("http://127.0.0.1:")
    assert held[0].review(browser=False) is held[1]
    assert len(started) == 1
    with pytest.raises(auditor.UsageError, match="running"):
        held[0].save("nowhere")
    folder = held.pop(0).folder
    gc.collect()
    assert held[0].running  # who holds the review keeps its run
    assert folder.is_dir()
    end(held)
    assert process.wait(10) is not None
    assert not folder.exists()


#: Says what the server says, and takes connections, without what takes seconds to import.
SERVER = """
import json, socket, sys
config, port, browser = json.loads(sys.stdin.readline())
assert config["run"] and config["token"] and not browser
server = socket.create_server(("127.0.0.1", port))
print("The review is open at http://127.0.0.1:%d/?token=x" % server.getsockname()[1], file=sys.stderr, flush=True)
sys.stdin.read()
"""


def test_a_reviewer_that_does_not_start_says_why(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    real = launch.subprocess.Popen
    silent = "import sys; sys.exit('Error: no such port.')"
    monkeypatch.setattr(launch.subprocess, "Popen", lambda command, **o: real([command[0], "-c", silent], **o))
    with pytest.raises(auditor.ResourceError, match="did not start: no such port"):
        audit.review()
    with pytest.raises(auditor.UsageError, match="nonsense"):
        audit.review(nonsense=1)


@pytest.mark.slow
def test_the_real_reviewer_answers(audit: Audit) -> None:
    import http.client

    with audit.review(browser=False) as review:
        where = launch.urlsplit(review.address)
        connection = http.client.HTTPConnection(str(where.hostname), where.port)
        connection.request("GET", f"/?{where.query}")
        assert connection.getresponse().status == 303
    assert not review.running


def test_it_shows_itself(audit: Audit) -> None:
    assert repr(Audit(FRAME)) == "Audit, not run yet: call .run()"
    assert repr(audit).startswith("Audit of Run(")
    assert "r3" not in repr(audit.show(1))
    assert "dog" in repr(audit.show(2))
    assert "<table" in audit._repr_html_()
