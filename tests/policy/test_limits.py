"""The gate judges what the data-quality checks found: every check, with the answers of `auditor quality`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import auditor
from auditor.core.config import Settings
from auditor.core.errors import ConfigError, UnreadableError
from auditor.data.open import open_dataset
from auditor.policy.baseline import write_baseline
from auditor.policy.check import check
from auditor.policy.limits import single_limit
from auditor.policy.policy import Policy, make_policy
from auditor.policy.result import GateResult, LimitResult
from auditor.policy.rows import Rows, rows_of_dataset
from auditor.quality.base import Findings, Severity
from auditor.quality.document import recorded_outcomes
from auditor.quality.registry import CHECKS, run_checks
from auditor.quality.run import check_quality
from auditor.quality.subject import Subject
from tests.contract.planted_quality import NOT_APPLICABLE, PLANTED, pixels_of

SETTINGS = Settings(cache_dir=Path("cache"), offline=True)


def judge(path: Path, everything: bool = False, **policy: object) -> GateResult:
    return check(str(path), make_policy(policy, "policy", path.parent), "policy", SETTINGS, everything=everything)[0]


def by_check(result: GateResult) -> dict[str, LimitResult]:
    return {limit.name.removeprefix("limits."): limit for limit in result.limits}


def table(path: Path, n: int = 80) -> Path:
    """A table with a leak, a conflict, a missing value, a constant column and a column that tells the label."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, n)
    frame = pd.DataFrame({"id": [f"r{k}" for k in range(n)], "label": np.where(label, "odd", "even")})
    frame["split"] = np.where(np.arange(n) % 3, "train", "test")
    frame["x"], frame["same"], frame["tells"] = rng.normal(size=n), 1.0, label * 2.0 + rng.normal(size=n) * 0.01
    frame.loc[7, "x"] = np.nan
    copies = frame.iloc[[0, 1]].assign(id=["leak", "conflict"], split=["train", "train"])
    copies.loc[1, "label"] = "even" if frame.loc[1, "label"] == "odd" else "odd"
    pd.concat([frame, copies]).to_csv(path, index=False)
    return path


def sentences(path: Path, extra: tuple[str, ...] = ("the cafÃ© was shut", "?!", "a broken � letter")) -> Path:
    words = ["river", "mountain", "window", "garden", "letter", "summer", "engine", "bridge", "candle", "forest"]
    rng = np.random.default_rng(3)
    column = [*(" ".join(rng.choice(words, 12)) for _ in range(60)), *extra]
    labels = [("ant", "bee")[k % 2] for k in range(len(column))]
    pd.DataFrame({"text": column, "label": labels, "split": "all"}).to_csv(path, index=False)
    return path


def pictures(folder: Path) -> Path:
    for k in range(40):
        place = folder / ("test" if k % 4 == 0 else "train") / "ab"[k % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels_of(k if k != 8 else 6)).save(place / f"{k:02d}.png")
    Image.fromarray(pixels_of(4)[:, ::-1]).save(folder / "train" / "a" / "mirrored.png")
    Image.fromarray((pixels_of(90) * 0.2).astype(np.uint8)).save(folder / "train" / "a" / "dark.png")
    (folder / "train" / "b" / "broken.png").write_bytes(b"no picture")
    return folder


MAKE = {"table": lambda f: table(f / "t.csv"), "texts": lambda f: sentences(f / "t.csv"), "pictures": pictures}


@pytest.mark.parametrize("kind", list(MAKE))
def test_every_check_answers_as_auditor_quality(kind: str, tmp_path: Path) -> None:
    data = MAKE[kind](tmp_path)
    results = by_check(judge(data, limits=dict.fromkeys(CHECKS.names(), 0)))
    checks = {c["name"]: c for c in check_quality(str(data), settings=SETTINGS).document["checks"]}
    assert list(results) == list(checks) == CHECKS.names()
    status = {"found": "failed", "passed": "passed", "not applicable": "not measured"}
    for name, seen in checks.items():
        assert results[name].status == status[seen["status"]], name
        assert seen["reason"] in results[name].words
        if seen["status"] == "found":
            assert results[name].found == (seen["n_items"] or 1)
    assert {r.status for r in results.values()} == set(status.values())


def _rows_of(subject: Subject) -> Rows:
    names = np.array(subject.class_names, dtype=object)
    text = (subject.ids.astype(object), subject.content.astype(object), names[subject.labels])
    return Rows("planted", "csv://planted", "", *text, subject.part.astype(object), None)


@pytest.mark.parametrize("name", CHECKS.names())
def test_every_check_can_be_limited(name: str, tmp_path: Path) -> None:
    subject = PLANTED[name][0](tmp_path)
    (outcome,) = run_checks(subject, [name])
    assert outcome.findings is not None
    n, judged = len(outcome.findings.items) or 1, np.ones(len(subject), bool)
    assert single_limit(name, outcome, _rows_of(subject), judged, n).status == "passed"
    broken = single_limit(name, outcome, _rows_of(subject), judged, n - 1)
    assert (broken.status, broken.found) == ("failed", n)
    assert bool(broken.concerns) == bool(len(outcome.findings.items))
    # Where every row was accepted, only what is found in the data as a whole is left.
    accepted = single_limit(name, outcome, _rows_of(subject), ~judged, 0)
    assert accepted.status == ("passed" if len(outcome.findings.items) else "failed")


@pytest.mark.parametrize("name", CHECKS.names())
def test_a_check_that_could_not_look_passes_no_limit(name: str, tmp_path: Path) -> None:
    subject = NOT_APPLICABLE[name](tmp_path)
    (outcome,) = run_checks(subject, [name])
    result = single_limit(name, outcome, _rows_of(subject), np.ones(len(subject), bool), 10**6)
    assert result.status == "not measured"
    assert outcome.reason in result.words


def test_names_and_codes_are_limits_of_one_check(tmp_path: Path) -> None:
    policy = make_policy({"limits": {"DQ105": 3, "dark": 0}}, "policy", tmp_path)
    assert policy.limits == {"near_leakage": 3, "dark": 0}
    for limits, match in (
        ({"leekage": 0}, "unknown check 'leekage'"),
        ({"dark": -1}, r"limits\.dark: .*greater than or equal"),
        ({"dark": "none"}, r"limits\.dark"),
        ({"dark": 0, "DQ204": 1}, "by its name and by its code"),
        ({}, "sets no limit"),
    ):
        with pytest.raises(ConfigError, match=match):
            make_policy({"limits": limits}, "policy", tmp_path)
    with pytest.raises(ConfigError, match="fail_on"):
        make_policy({"fail_on": "fatal"}, "policy", tmp_path)


def test_limits_by_severity(tmp_path: Path) -> None:
    data = table(tmp_path / "t.csv")
    # leakage and conflicting_duplicates are errors; exact_duplicates is a warning.
    results = by_check(judge(data, max_errors=2, max_warnings=0, fail_on="error"))
    assert (results["max_errors"].found, results["max_errors"].status) == (2, "passed")
    assert (results["max_warnings"].found, results["max_warnings"].status) == (1, "failed")
    assert (results["fail_on"].found, results["fail_on"].status) == (2, "failed")
    assert "leakage (1)" in results["fail_on"].words
    notes = judge(data, fail_on="warning").notes
    assert any(note.startswith("not applicable: ") and "odd_size" in note for note in notes)
    sound = sentences(tmp_path / "s.csv", ())
    assert judge(sound, fail_on="warning").passed
    assert not judge(sentences(tmp_path / "s.csv"), fail_on="warning").passed


def test_no_check_of_a_severity_could_look(tmp_path: Path) -> None:
    pd.DataFrame({"x": np.arange(4.0), "label": "one", "split": "all"}).to_csv(tmp_path / "t.csv", index=False)
    frame = pd.read_csv(tmp_path / "t.csv")
    frame.loc[0, "label"] = "two"
    frame.to_csv(tmp_path / "t.csv", index=False)
    (result,) = judge(tmp_path / "t.csv", fail_on="error").limits
    assert result.status == "passed"  # conflicting_duplicates looked
    assert "not applicable" in result.words


def test_accepted_items_are_not_judged_again(tmp_path: Path) -> None:
    data = sentences(tmp_path / "t.csv")
    limits = {"encoding_damage": 0, "near_empty_text": 0}
    assert [r.found for r in judge(data, limits=limits).limits] == [2, 1]
    baseline = tmp_path / "base.json"
    write_baseline(baseline, rows_of_dataset(open_dataset(str(data), SETTINGS)))
    assert judge(data, limits=limits, baseline="base.json").passed
    assert not judge(data, limits=limits, baseline="base.json", everything=True).passed
    frame = pd.read_csv(data)
    pd.concat([frame, frame.iloc[[0]].assign(text="naÃ¯ve views")]).to_csv(data, index=False)
    damage, empty = judge(data, limits=limits, baseline="base.json").limits
    assert (damage.status, damage.found, empty.status) == ("failed", 1, "passed")
    assert len(damage.concerns) == 1
    assert "in all rows: 3 of" in damage.words


def test_a_new_copy_of_an_accepted_leak_is_judged(tmp_path: Path) -> None:
    data = table(tmp_path / "t.csv")
    write_baseline(tmp_path / "base.json", rows_of_dataset(open_dataset(str(data), SETTINGS)))
    assert judge(data, limits={"leakage": 0}, baseline="base.json").passed
    frame = pd.read_csv(data)
    pd.concat([frame, frame[frame["id"] == "leak"].assign(id="again")]).to_csv(data, index=False)
    (result,) = judge(data, limits={"leakage": 0}, baseline="base.json").limits
    assert (result.status, result.found) == ("failed", 1)
    assert "again" in result.concerns[0].ids


def test_a_run_is_judged_by_what_its_checks_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = table(tmp_path / "t.csv")
    run = auditor.find_errors(str(data), out=tmp_path / "run", budget="smoke")
    zero = {"limits": dict.fromkeys(set(CHECKS.names()) - {"outliers"}, 0), "max_errors": 0}
    # A run has predictions, which the data alone have not: checks that need them do not say the same of both.
    alone = {r.name: r for r in judge(data, **zero).limits}
    predicted = {name for name, result in alone.items() if "nothing was predicted" in result.words}
    assert predicted == {f"limits.{name}" for name in ("overlapping_classes", "unlearnable_classes", "weak_slices")}
    recorded = {r.name: r for r in judge(run.path, **zero).limits}
    assert [recorded[name] for name in alone.keys() - predicted] == [alone[name] for name in alone.keys() - predicted]
    assert recorded.keys() == alone.keys()
    copies = {"max_new_duplicate_leaks": 0, "max_label_conflicts": 0}
    assert judge(run.path, **copies).limits == judge(data, **copies).limits
    # Groups that the document does not list are in the table.
    direct = {o.name: o for o in recorded_outcomes(run)}
    listed = dict(run.quality or {})
    listed["checks"] = [{**c, "groups": c["groups"][:0]} for c in listed["checks"]]
    monkeypatch.setitem(run.__dict__, "quality", listed)
    for outcome in recorded_outcomes(run):
        if outcome.name == "exact_duplicates":
            assert outcome.findings is not None
            assert [g.members.tolist() for g in outcome.findings.groups] == [
                g.members.tolist()
                for g in direct["exact_duplicates"].findings.groups  # type: ignore[union-attr]
            ]
    bare = auditor.find_errors(str(data), out=tmp_path / "bare", budget="smoke", quality=False)
    results = judge(bare.path, **copies, **zero).limits
    assert {r.status for r in results} == {"not measured"}
    assert all("not measured" in r.words for r in results)
    (run.path / "quality.json").unlink()
    with pytest.raises(UnreadableError, match=r"quality\.json"):
        judge(run.path, **copies, **zero)


def test_embeddings_of_the_policy_bring_outliers(tmp_path: Path) -> None:
    data = table(tmp_path / "t.csv")
    points = np.random.default_rng(0).normal(size=(82, 8)).astype(np.float32) + 6
    points[42] *= -1
    np.save(tmp_path / "z.npy", points)
    assert judge(data, limits={"outliers": 0}).limits[0].found == 0  # by its columns
    (result,) = judge(data, limits={"outliers": 0}, embeddings="z.npy").limits
    assert (result.found, result.concerns[0].ids) == (1, ("r42",))


@dataclass(frozen=True)
class Even:
    """A check of another package: labels called even."""

    code: ClassVar[str] = "XX001"
    name: ClassVar[str] = "even"
    severity: ClassVar[Severity] = "info"
    about: ClassVar[str] = "the label is even"

    def run(self, subject: Subject) -> Findings:
        items = np.flatnonzero(subject.labels == subject.class_names.index("even"))
        return Findings(f"{len(items)} are even", items)


def test_checks_of_other_packages_are_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("even", f"{__name__}:Even", "auditor.checks")
    monkeypatch.setattr(CHECKS, "_targets", dict(CHECKS._targets))
    monkeypatch.setattr(CHECKS, "_scanned", False)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [point])
    data = table(tmp_path / "t.csv")
    even = int((pd.read_csv(data)["label"] == "even").sum())
    (result,) = judge(data, limits={"XX001": 0}).limits
    assert (result.name, result.status, result.found) == ("limits.even", "failed", even)
    assert judge(data, limits={"even": even}).passed
    assert "even" in next(r for r in judge(data, fail_on="info").limits).words


def test_policies_without_checks_run_none(tmp_path: Path) -> None:
    assert Policy(min_reviewed=1).checks() == []
    assert Policy(max_label_conflicts=0, near_duplicates=False).checks() == ["undecodable", "exact_duplicates"]
    assert make_policy({"fail_on": "info"}, "policy", tmp_path).checks() == CHECKS.names()
