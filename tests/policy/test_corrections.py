"""The gate after a correction: what people confirmed is no suspect, what changed otherwise is."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

from PIL import Image

import auditor
from auditor.core.config import Settings
from auditor.core.errors import DataError, RunError
from auditor.data.open import open_dataset
from auditor.estimation.state import draw_stream, read_state
from auditor.patch.applying import apply_patch, revert_patch
from auditor.patch.create import create_patch
from auditor.patch.files import write_patch
from auditor.patch.records import Patch
from auditor.patch.rules import stored_consensus
from auditor.policy.check import check
from auditor.policy.corrections import Corrections
from auditor.policy.policy import Policy
from auditor.policy.result import LimitResult
from auditor.policy.review import error_rate
from auditor.review.loading import QueuePlan
from auditor.review.store import VerdictStore
from auditor.runs.run import Run
from tests.estimation.conftest import Case, Opened, case, event, opened, perfect, review

__all__ = ["case", "opened"]

N, WRONG = 90, range(0, 90, 9)
TRUTH = np.array(["cat", "dog", "owl"] * (N // 3))
GIVEN = np.where(np.isin(np.arange(N), WRONG), np.roll(TRUTH, 1), TRUTH)
TEXTS = [
    f"{'meow purr' if y == 'cat' else 'bark fetch' if y == 'dog' else 'hoot night'} {k}" for k, y in enumerate(TRUTH)
]
SETTINGS = Settings(cache_dir=Path("cache"), offline=True)
FORMS = ("csv", "parquet", "jsonl", "folder")


def written(form: str, root: Path, labels: np.ndarray) -> str:
    """The data with some labels in one form; its reference."""
    root.mkdir(parents=True)
    if form == "folder":
        for k, label in enumerate(labels):
            (root / label).mkdir(exist_ok=True)
            pixels = np.random.default_rng(k).integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(root / label / f"{k:03d}.png")
        return str(root)
    frame = pd.DataFrame({"id": [f"r{k}" for k in range(N)], "text": TEXTS, "label": labels})
    if form == "csv":
        frame.to_csv(root / "x.csv", index=False)
    elif form == "parquet":
        frame.to_parquet(root / "x.parquet", index=False)
    else:
        frame.to_json(root / "x.jsonl", orient="records", lines=True)
    return f"{root / f'x.{form}'}"


@dataclass(frozen=True)
class Reviewed:
    """Data, a run over it, and verdicts of one reviewer on every item."""

    source: str
    run: Run
    patch: Patch


def numbered(item: str, form: str) -> int:
    return int(Path(item).stem) if form == "folder" else int(item.removeprefix("r"))


def judge_all(run: Run, form: str, truth: np.ndarray, who: str = "ann", only: range | None = None) -> None:
    """Verdicts on the items of a run in its own store: what `truth` says."""
    with VerdictStore.open(run.path) as store:
        store.load_run(run, QueuePlan(overlap=0.0, audit_share=1.0, control_share=0.0, audit_size=N))
        draw_stream(run, store, 4 * N, 0, anew=False)
        events = []
        for row in run.scores.itertuples():
            k = numbered(row.id, form)
            if only is not None and k not in only:
                continue
            right = truth[k]
            said = "given" if right == row.given else "suggested" if right == row.suggested else f"other:{right}"
            events.append(event(row.id, row.given, row.suggested, said))
        assert not store.submit(who, events).refused


def run_over(source: str, form: str, out: Path) -> Run:
    """A run without training: probabilities that mistrust some labels."""
    dataset = open_dataset(source, SETTINGS)
    order = [numbered(item, form) for item in dataset.ids.tolist()]
    names = list(dataset.class_names)
    p = np.full((N, 3), 0.1)
    p[np.arange(N), [names.index(TRUTH[k]) for k in order]] = 0.8
    return auditor.find_errors(dataset, pred_probs=p, out=out, quality=False, settings=SETTINGS, progress=False)


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def done(form: str, tmp_path: Path) -> Reviewed:
    source = written(form, tmp_path / "source", GIVEN)
    run = run_over(source, form, tmp_path / "run")
    judge_all(run, form, TRUTH)
    return Reviewed(source, run, create_patch(run, stored_consensus(run, "majority"), SETTINGS).patch)


def gate(data: object, run: Run, patch: Path | None = None) -> LimitResult:
    policy = Policy(max_estimated_error_rate_upper=0.0, run=str(run.path), patch=None if patch is None else str(patch))
    return check(data, policy, "policy", SETTINGS)[0].limits[0]


def test_a_corrected_copy_has_no_suspects_and_a_reverted_one_has_them_again(
    done: Reviewed, form: str, tmp_path: Path
) -> None:
    before = gate(done.source, done.run)
    assert before.found == pytest.approx(len(WRONG) / N)
    apply_patch(done.patch, done.source, SETTINGS, tmp_path / "copy")
    copy = str(tmp_path / "copy" / Path(done.source).name) if form != "folder" else str(tmp_path / "copy")
    after = gate(copy, done.run)
    assert (after.status, after.found) == ("passed", 0.0), after.words
    assert f"{len(WRONG)} label(s) were corrected" in after.words
    revert_patch(done.patch, copy, SETTINGS, tmp_path / "back")
    back = str(tmp_path / "back" / Path(done.source).name) if form != "folder" else str(tmp_path / "back")
    assert gate(back, done.run).found == before.found


def test_a_part_of_the_patch_leaves_the_rest_wrong(done: Reviewed, form: str, tmp_path: Path) -> None:
    half = replace(done.patch, records=done.patch.records[:4])
    apply_patch(half, done.source, SETTINGS, tmp_path / "copy")
    copy = str(tmp_path / "copy" / Path(done.source).name) if form != "folder" else str(tmp_path / "copy")
    assert gate(copy, done.run).found == pytest.approx((len(WRONG) - 4) / N)


def test_labels_changed_in_place(done: Reviewed, form: str, tmp_path: Path) -> None:
    """Corrected by hand as people said, right; a label that people found right and that was changed, wrong."""
    assert gate(written(form, tmp_path / "fixed", TRUTH), done.run).found == 0
    spoiled = TRUTH.copy()
    spoiled[1] = TRUTH[2]
    found = gate(written(form, tmp_path / "spoiled", spoiled), done.run)
    assert found.found == pytest.approx(1 / N)
    assert "1 label(s) that people found right were changed" in found.words


def test_verdicts_newer_than_the_patch_count(done: Reviewed, form: str, tmp_path: Path) -> None:
    """The reviewer thinks again about a corrected item: what the patch made of it is wrong now."""
    copy = written(form, tmp_path / "copy", TRUTH)
    row = next(r for r in done.run.scores.itertuples() if numbered(r.id, form) in WRONG)
    with VerdictStore.open(done.run.path) as store:
        assert not store.submit("ann", [event(row.id, row.given, row.suggested, "given")]).refused
    assert gate(copy, done.run).found == pytest.approx(1 / N)


@pytest.mark.parametrize("form", ["csv"], indirect=True)
def test_a_patch_of_other_people(done: Reviewed, form: str, tmp_path: Path) -> None:
    """Items that nobody judged in this run: what the voters of a patch of this data said counts, and nothing else."""
    other = run_over(done.source, form, tmp_path / "other")
    wrong = set(WRONG)
    judge_all(other, form, TRUTH, "bob", range(45, N))  # the other half
    path, copy = tmp_path / "p.labelpatch.jsonl", written(form, tmp_path / "copy", TRUTH)
    write_patch(done.patch, path)
    without, with_patch = gate(copy, other), gate(copy, other, path)
    unconfirmed = len([k for k in wrong if k < 45])
    assert f"{unconfirmed} of {N} rows have a new label that nobody confirmed" in without.words
    assert "nobody confirmed" not in with_patch.words
    assert with_patch.found < without.found
    # Without votes nobody stands behind a record.
    records = tuple(replace(record, votes=None, verdict=None) for record in done.patch.records)
    silent = tmp_path / "q.labelpatch.jsonl"
    write_patch(replace(done.patch, records=records), silent)
    assert gate(copy, other, silent).found == without.found
    document = json.loads(path.read_text().splitlines()[0])
    document["dataset"]["hash"] = "sha256-row-values"
    path.write_text("\n".join([json.dumps(document), *path.read_text().splitlines()[1:]]) + "\n")
    with pytest.raises(DataError, match="names items by the hash"):
        gate(copy, other, path)


@pytest.mark.parametrize("form", ["csv"], indirect=True)
def test_dropped_rows_and_shifted_numbers(done: Reviewed, form: str, tmp_path: Path) -> None:
    """Rows found by their content where ids are row numbers, and dropped ones are no suspects."""
    frame = pd.read_csv(done.source).drop(columns="id")
    frame.to_csv(tmp_path / "n.csv", index=False)
    run = run_numbered(tmp_path / "n.csv", tmp_path / "numbered")
    kept = frame.drop(index=list(WRONG))
    kept.to_csv(tmp_path / "kept.csv", index=False)
    assert gate(str(tmp_path / "kept.csv"), run).found == 0
    with pytest.raises(RunError, match="other data"):
        kept.assign(text=kept["text"] + "!").to_csv(tmp_path / "strange.csv", index=False)
        gate(str(tmp_path / "strange.csv"), run)


def run_numbered(source: Path, out: Path) -> Run:
    dataset = open_dataset(str(source), SETTINGS)
    p = np.full((N, 3), 0.1)
    p[np.arange(N), [dataset.class_names.index(y) for y in TRUTH]] = 0.8
    run = auditor.find_errors(dataset, pred_probs=p, out=out, quality=False, settings=SETTINGS, progress=False)
    judge_all(run, "csv", TRUTH)
    return run


def test_what_is_estimated_after_a_correction(case: Case, opened: Opened) -> None:
    """The items nobody looked at are as bad as before, and the draws that are left must not say they are right."""
    store = opened(case, 900)
    review(store, case, "ann", perfect, store.progress().audit_total)
    state = read_state(case.run, store)
    everything, n = np.ones(len(state), bool), len(state)
    fixed = state.wrong("strict") & state.reviewed
    nothing = np.zeros(n, bool)
    now = Corrections(everything, nothing, fixed, nothing)
    after = error_rate(n, now, state, 1.0)
    left = int((case.wrong & ~fixed).sum())
    assert left > 0
    assert after.found is not None
    assert left / n <= after.found < error_rate(n, Corrections.none(everything), state, 1.0).found
    dropped = error_rate(n - int(fixed.sum()), Corrections(~fixed, fixed, fixed, nothing), state, 1.0)
    assert dropped.found is not None
    assert left / (n - fixed.sum()) <= dropped.found
