"""The gate on tables: what is new, what leaks, what contradicts, what a review says, and how it is told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

from auditor.cli.main import app
from auditor.core.config import Settings
from auditor.core.errors import AuditorError, ConfigError, DataError, RunError, UnreadableError
from auditor.data.open import open_dataset
from auditor.estimation.state import read_state
from auditor.policy.baseline import new_rows, read_baseline, write_baseline
from auditor.policy.check import check
from auditor.policy.corrections import Corrections
from auditor.policy.output import check_document, check_lines, check_markdown, github_annotations, is_summary, junit_xml
from auditor.policy.policy import Policy
from auditor.policy.result import Concern, GateResult, LimitResult
from auditor.policy.review import error_rate, reviewed
from auditor.policy.rows import Rows, rows_of_dataset
from tests.estimation.conftest import Case, Opened, case, event, opened, perfect, review

__all__ = ["case", "opened"]

SETTINGS = Settings(cache_dir=Path("cache"))
COPIES = Policy(max_new_duplicate_leaks=0, max_label_conflicts=0)


def table(path: Path, n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": [f"r{i}" for i in range(n)],
            "label": np.where(np.arange(n) % 2, "odd", "even"),
            "split": np.where(np.arange(n) % 3, "train", "test"),
            "x": rng.normal(size=n),
            "y": rng.normal(size=n),
        }
    )
    frame.to_csv(path, index=False)
    return frame


def rows_of(path: Path) -> Rows:
    return rows_of_dataset(open_dataset(str(path), SETTINGS))


def judge(path: Path, policy: Policy = COPIES, everything: bool = False) -> GateResult:
    return check(str(path), policy, "policy", SETTINGS, everything=everything)[0]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    table(tmp_path / "data.csv")
    return tmp_path / "data.csv"


@pytest.fixture
def accepted(data: Path) -> Policy:
    """A policy whose baseline holds the data as they are."""
    baseline = data.parent / "baseline.json"
    write_baseline(baseline, rows_of(data))
    return COPIES.model_copy(update={"baseline": str(baseline)})


def add(path: Path, **changes: object) -> None:
    """Append a copy of the first row (even, test) with changes."""
    frame = pd.read_csv(path)
    pd.concat([frame, frame.iloc[[0]].assign(id="new", **changes)]).to_csv(path, index=False)


def test_clean_data_pass(data: Path, accepted: Policy) -> None:
    assert judge(data).passed
    result = judge(data, accepted)
    assert result.passed
    assert (result.rows, result.judged) == (60, 0)
    assert judge(data, accepted, everything=True).judged == 60


def test_a_leak_and_a_conflict_are_told_apart(data: Path, accepted: Policy) -> None:
    add(data, split="train")
    result = judge(data, accepted)
    assert [o.status for o in result.limits] == ["failed", "passed"]
    assert result.judged == 1
    assert result.limits[0].concerns[0].ids == ("r0", "new")
    table(data)
    add(data, label="odd")
    assert [o.status for o in judge(data, accepted).limits] == ["passed", "failed"]
    table(data)
    add(data)  # a plain copy within its split
    assert judge(data, accepted).passed


def test_what_was_accepted_stays_accepted(data: Path, accepted: Policy) -> None:
    """An old leak is not judged again, a new copy of it is."""
    add(data, split="train")
    write_baseline(Path(accepted.baseline or ""), rows_of(data))
    assert judge(data, accepted).passed
    assert not judge(data, accepted, everything=True).passed
    frame = pd.read_csv(data)
    pd.concat([frame, frame.iloc[[-1]].assign(id="newer")]).to_csv(data, index=False)
    result = judge(data, accepted)
    assert result.judged == 1
    assert not result.passed


def test_a_changed_label_is_new_and_a_new_order_is_not(data: Path, accepted: Policy) -> None:
    rows = rows_of(data)
    frame = pd.read_csv(data)
    frame.sample(frac=1, random_state=0).to_csv(data, index=False)
    assert judge(data, accepted).judged == 0
    frame.loc[3, "label"] = "even"
    frame.to_csv(data, index=False)
    changed = rows_of(data)
    assert np.flatnonzero(new_rows(read_baseline(Path(accepted.baseline or "")), changed)).tolist() == [3]
    assert len(rows) == len(changed)


def test_damaged_and_foreign_baselines(data: Path, accepted: Policy) -> None:
    path = Path(accepted.baseline or "")
    document = json.loads(path.read_text())
    for damage in ({"schema": "other/1"}, {"rows": []}, {"n_items": 7}):
        path.write_text(json.dumps(document | damage))
        with pytest.raises(DataError):
            judge(data, accepted)
    path.write_text(json.dumps(document | {"hash_scheme": "sha256-rgb-bytes"}))
    with pytest.raises(DataError, match="hashes"):
        judge(data, accepted)
    path.unlink()
    with pytest.raises(UnreadableError):
        judge(data, accepted)


def test_the_review_must_be_of_these_data(data: Path, case: Case) -> None:
    limited = Policy(max_estimated_error_rate_upper=0.1)
    with pytest.raises(ConfigError, match="takes a reviewed run"):
        judge(data, limited)
    with pytest.raises(RunError, match="other data"):
        judge(data, limited.model_copy(update={"run": str(case.run.path)}))
    with pytest.raises(DataError, match="probabilities alone"):
        judge(case.run.path, COPIES)


def test_the_error_rate_of_all_rows(case: Case, opened: Opened) -> None:
    store = opened(case, 600)
    everything = Corrections.none(np.ones(len(case.wrong), bool))
    n = len(case.wrong)
    empty = read_state(case.run, store)
    assert error_rate(n, everything, empty, 0.5).status == "not measured"
    assert reviewed(n, everything, empty, 1).status == "failed"
    review(store, case, "ann", perfect, store.progress().audit_total)
    state, rate = read_state(case.run, store), case.wrong.mean()
    assert error_rate(n, everything, state, 0.5).status == "passed"
    assert error_rate(n, everything, state, rate).status == "failed"  # the upper limit counts
    assert reviewed(n, everything, state, 100).status == "passed"
    # Rows that the run does not know count as possibly wrong.
    more = error_rate(2 * n, everything, state, 0.5)
    assert more.status == "failed"
    assert "could not be audited" in more.words


def test_the_error_rate_of_a_part(case: Case, opened: Opened) -> None:
    store = opened(case, 900)
    review(store, case, "ann", perfect, store.progress().audit_total)
    state = read_state(case.run, store)
    part = (case.run.scores["given"] == "class 1").to_numpy()
    found = error_rate(int(part.sum()), Corrections.none(part), state, 1.0)
    assert found.found is not None
    assert case.wrong[part].mean() <= found.found < 3 * case.wrong[part].mean()
    few = np.zeros(len(part), bool)
    few[np.flatnonzero(~state.reviewed)[-20:]] = True
    assert error_rate(20, Corrections.none(few), state, 0.5).status == "not measured"
    few[state.draws[np.argsort(state.margin[state.draws])[:3]]] = True  # drawn, and trusted by the model
    assert "exact" in error_rate(int(few.sum()), Corrections.none(few), state, 0.5).words
    # Every row reviewed: no sampling error is left.
    rows = case.run.scores[few]
    store.submit("ann", [event(r.id, r.given, r.suggested, "given") for r in rows.itertuples()])
    done = error_rate(int(few.sum()), Corrections.none(few), read_state(case.run, store), 0.0)
    assert done.found == 0
    assert "every row reviewed" in done.words


def hostile() -> GateResult:
    concern = Concern(("a", "b"), "data/x,1:2.png", "100% of\nthese \x00 are <wrong>")
    limits = (
        LimitResult("max_label_conflicts", "failed", 0, 1, "1 set: 100%\nbad", (concern,) * 20),
        LimitResult("max_estimated_error_rate_upper", "not measured", 0.1, None, "not measured"),
        LimitResult("min_reviewed", "passed", 1, 2, "fine"),
    )
    return GateResult("data", "csv:///x.csv", 10, 4, "b.json", "auditor.toml", limits, ("a note",))


def test_annotations_are_one_line_each_and_escaped() -> None:
    lines = list(github_annotations(hostile()))
    assert all(line.startswith("::error ") and "\n" not in line for line in lines)
    assert len(lines) == 1 + 9 + 1
    assert "file=data/x%2C1%3A2.png" in lines[1]
    assert "100%25 of%0Athese" in lines[1]


def test_junit_is_xml_with_one_case_per_limit() -> None:
    root = ElementTree.fromstring(junit_xml(hostile()))
    assert {key: root.attrib[key] for key in ("tests", "failures", "errors")} == {
        "tests": "3",
        "failures": "1",
        "errors": "1",
    }
    cases = {c.attrib["name"]: [child.tag for child in c] for c in root.iter("testcase")}
    assert cases == {
        "max_label_conflicts": ["failure"],
        "max_estimated_error_rate_upper": ["error"],
        "min_reviewed": ["system-out"],
    }


def test_the_summary_is_one_table_that_the_data_cannot_break(tmp_path: Path) -> None:
    text = check_markdown(hostile())
    assert text.startswith("## auditor check: failed\n")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 3
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in rows)
    assert "**not measured**" in rows[3]
    assert "<wrong>" not in text
    assert "and 15 more" in text
    (tmp_path / "a.md").write_text(text)
    (tmp_path / "b.md").write_text("# Mine\n")
    assert is_summary(tmp_path / "a.md")
    assert not is_summary(tmp_path / "b.md")
    assert not is_summary(tmp_path / "absent.md")


def test_json_and_lines() -> None:
    document = check_document(hostile())
    assert json.loads(json.dumps(document, allow_nan=False))["passed"] is False
    text = "\n".join(check_lines(hostile()))
    assert "4 new or changed of 10 rows" in text
    assert "and 15 more" in text
    assert "The gate fails." in text


def test_the_command(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data.parent)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    (data.parent / "auditor.toml").write_text(
        '[check]\nmax_new_duplicate_leaks = 0\nmax_label_conflicts = 0\nbaseline = "base.json"\n'
    )

    def call(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["check", *arguments])
        if isinstance(done.exception, AuditorError):
            return done.exception.exit_code, done.exception.what
        return done.exit_code, done.stdout

    assert call("data.csv")[0] == 3  # no baseline yet
    assert call("data.csv", "--all", "--write-baseline", "base.json") == (0, "")
    assert call("data.csv")[0] == 0
    add(data, split="train")
    code, told = call("data.csv", "--github", "--write-baseline", "never.json", "--junit", "j.xml")
    assert code == 1
    assert told.startswith("::error ")
    assert not (data.parent / "never.json").exists()
    assert (data.parent / "j.xml").is_file()
    code, told = call("data.csv", "--json", "--github")
    assert (code, json.loads(told)["schema"]) == (1, "auditor.check/1")
    assert call("absent.csv")[0] == 3
    (data.parent / "auditor.toml").write_text("[check]\nmax_leaks = 0\n")
    assert call("data.csv")[0] == 2
