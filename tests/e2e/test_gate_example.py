"""The worked example of the gate: its README's commands, in order, with the exit codes it states."""

from __future__ import annotations

import contextlib
import re
import runpy
import shutil
import sys
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree

import pytest

from tests.running import Done, call

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "gate"


def _run(folder: Path, command: str, *more: str) -> Done:
    """A command of ``auditor`` or a script of the example, in its folder."""
    program, *arguments = command.split()
    if program == "auditor":
        return call(*arguments, *more, cwd=folder, check=None, GITHUB_ACTIONS="true")
    with contextlib.chdir(folder), mock.patch.object(sys, "argv", arguments):
        runpy.run_path(arguments[0], run_name="__main__")
    return Done(0, "", "")


def _commands() -> list[tuple[str, int]]:
    """Every command of the README with the exit code its comment states."""
    blocks = re.findall(r"```\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.strip().splitlines()]
    found = []
    for line in lines:
        command, _, comment = line.partition("#")
        code = re.search(r"exit code (\d)", comment)
        found.append((command.strip(), int(code[1]) if code else 0))
    return found


def test_the_example_passes_then_fails_on_a_leak_and_on_a_block_of_wrong_labels(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "repository")
    folder = tmp_path / "repository"
    commands = _commands()
    assert [code for command, code in commands if command.startswith("auditor check")] == [0, 0, 1, 1]
    checks = []
    for command, code in commands:
        checking = command.startswith("auditor check")
        more = ("--json", "--junit", "labels.xml") if checking else ()
        if command.startswith("auditor find-errors"):
            more = ("--budget", "smoke", "--model", "boosting", "--second-model", "none", "--folds", "2")
        done = _run(folder, command, *more)
        assert done.returncode == code, f"{command}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
        if checking:
            checks.append((done.document, done.stderr, ElementTree.parse(folder / "labels.xml").getroot()))
    status = [{o["name"]: o["status"] for o in document["outcomes"]} for document, *_ in checks]
    assert set(status[0].values()) == set(status[1].values()) == {"passed"}
    assert checks[0][0]["judged"] == checks[0][0]["rows"] == 1797
    assert checks[1][0]["judged"] == 0
    assert "::notice" in checks[0][1]

    leak, told, xml = checks[2]
    assert leak["judged"] == 1
    assert status[2]["max_new_duplicate_leaks"] == "failed"
    assert status[2]["max_label_conflicts"] == "passed"
    assert leak["outcomes"][0]["concerns"][0]["ids"] == ["digit-0004", "digit-new"]
    assert "::error title=auditor check%3A max_new_duplicate_leaks::" in told
    assert xml.find("./testsuite/testcase[@name='max_new_duplicate_leaks']/failure") is not None

    labels, *_ = checks[3]
    assert labels["judged"] == 120
    assert status[3]["max_estimated_error_rate_upper"] == "failed"
    assert status[3]["max_new_duplicate_leaks"] == status[3]["max_label_conflicts"] == "passed"
    rate = next(o for o in labels["outcomes"] if o["name"] == "max_estimated_error_rate_upper")
    assert rate["found"] > 0.5


def test_the_workflow_runs_the_gate() -> None:
    text = (EXAMPLE / ".github" / "workflows" / "labels.yml").read_text()
    assert "auditor check data/digits.csv" in text
