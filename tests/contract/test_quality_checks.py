"""What every data-quality check must do, run over the registry: a new one is tested by being registered and planted."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import numpy as np
import pytest

import auditor.quality
from auditor.core.errors import UnknownNameError
from auditor.quality.base import SEVERITIES, Check, Outcome
from auditor.quality.document import document, item_table
from auditor.quality.registry import CHECKS, run_checks
from auditor.runs import layout
from tests.contract.planted_quality import NOT_APPLICABLE, PLANTED, SOUND

ROOM = Path(auditor.quality.__file__).parent
DOCS = ROOM.parents[1] / "docs" / "quality.md"


@pytest.fixture(params=CHECKS.names())
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def outcome(name: str, subject: object) -> Outcome:
    (found,) = run_checks(subject, [name])  # type: ignore[arg-type]
    return found


def test_declares_what_it_is(name: str) -> None:
    check = CHECKS.load(name)
    assert isinstance(check, Check)
    assert check.name == name
    assert re.fullmatch(r"DQ\d{3}", check.code)
    assert check.severity in SEVERITIES
    assert check.about


def test_codes_are_unique_and_mean_one_thing() -> None:
    codes = [CHECKS.load(name).code for name in CHECKS.names()]
    assert len(set(codes)) == len(codes)
    assert CHECKS.load("undecodable").code in layout.CODES
    assert not set(codes) & (set(layout.CODES) - {"DQ001"})


def test_is_documented(name: str) -> None:
    check = CHECKS.load(name)
    assert f"| `{check.code}` | `{name}` | {check.severity} |" in DOCS.read_text()


def test_finds_what_was_planted(name: str, tmp_path: Path) -> None:
    build, expected = PLANTED[name]
    subject = build(tmp_path)
    found = outcome(name, subject)
    assert found.status == "found", found.reason
    assert found.findings is not None
    if expected is not None:
        assert sorted(found.findings.items.tolist()) == expected
    # The document is JSON, and the table has every item.
    entry = json.loads(json.dumps(document(subject, [found], {}), allow_nan=False))["checks"][0]
    assert set(entry) >= {"code", "name", "status", "reason", "severity", "n_items", "groups", "items"}
    assert len(item_table(subject, [found])) == entry["n_items"] == len(found.findings.items)


def test_finds_nothing_in_sound_data(name: str, tmp_path: Path) -> None:
    found = outcome(name, SOUND[name](tmp_path))
    assert found.status == "passed", found.reason
    assert found.reason


def test_says_when_it_cannot_look(name: str, tmp_path: Path) -> None:
    found = outcome(name, NOT_APPLICABLE[name](tmp_path))
    assert found.status == "not applicable", found.reason
    assert len(found.reason) > 10


def test_is_a_function_of_the_subject(name: str, tmp_path: Path) -> None:
    outcomes = []
    for k in (0, 1):  # a subject keeps its measures, so each look is at one of its own
        folder = tmp_path / str(k) / "data"
        folder.mkdir(parents=True)
        outcomes.append(outcome(name, PLANTED[name][0](folder)))
    first, second = outcomes
    assert first.findings is not None
    assert second.findings is not None
    assert np.array_equal(first.findings.items, second.findings.items)
    assert first.reason.replace(f"{tmp_path / '0'}", "") == second.reason.replace(f"{tmp_path / '1'}", "")


def test_every_check_runs_on_every_kind_of_data(tmp_path: Path) -> None:
    for number, build in enumerate({*SOUND.values(), *NOT_APPLICABLE.values()}):
        folder = tmp_path / str(number)
        folder.mkdir()
        outcomes = run_checks(build(folder))
        assert [o.name for o in outcomes] == CHECKS.names()


def test_one_function_per_check(name: str) -> None:
    module, _, function = CHECKS.target(name).partition(":")
    assert module.startswith("auditor.quality.")
    assert function == name


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="leakage"):
        CHECKS.load("leekage")


def test_checks_read_no_files_and_print_nothing() -> None:
    for name in CHECKS.names():
        tree = ast.parse((ROOM / f"{CHECKS.target(name).partition(':')[0].rpartition('.')[2]}.py").read_text())
        called = {
            node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"open", "print", "input"}, name
