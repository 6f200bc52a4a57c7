"""The action, the hook and the DVC stages do what `docs/ci.md` says: their own commands are run."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer.main
import yaml

from auditor.cli.main import app
from tests.conftest import ROOT
from tests.running import ENVIRON

ACTION = yaml.safe_load((ROOT / ".github" / "actions" / "check" / "action.yml").read_text())
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
STAGES = yaml.safe_load((ROOT / "docs" / "examples" / "dvc" / "dvc.yaml").read_text())["stages"]
PAGE = (ROOT / "docs" / "ci.md").read_text()
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def _options(command: str) -> set[str]:
    return {opt for p in COMMANDS[command].params for opt in (*p.opts, *p.secondary_opts) if opt.startswith("--")}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data with a policy, and a folder of programs with `auditor` in it."""
    folder = tmp_path_factory.mktemp("repository")
    program = folder / "bin" / "auditor"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m auditor "$@"\n')
    program.chmod(0o755)
    here = os.getcwd()
    os.chdir(folder)
    try:
        runpy.run_path(str(ROOT / "docs" / "examples" / "gate" / "make_data.py"), run_name="__main__")
    finally:
        os.chdir(here)
    (folder / "auditor.toml").write_text("[check]\nmax_label_conflicts = 0\nmax_new_duplicate_leaks = 0\n")
    return folder


def _shell(folder: Path, script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    values = {**os.environ, **ENVIRON, "PYTHONPATH": str(ROOT), "PATH": path, "OMP_NUM_THREADS": "1", **environ}
    # As GitHub starts bash.
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=values, capture_output=True, text=True, check=False)


def _steps() -> list[dict[str, Any]]:
    return list(ACTION["runs"]["steps"])


def test_the_action_annotates_sums_up_and_writes_junit(repository: Path) -> None:
    (step,) = [step for step in _steps() if step.get("name") == "auditor check"]
    inputs = {**dict.fromkeys(step["env"], ""), "DATA": "data/digits.csv", "JUNIT": "out.xml", "ALL": "true"}
    page = repository / "summary.md"
    page.write_text("# Of another step\n")
    actions = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(page)}
    done = _shell(repository, step["run"], **inputs, **actions)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "::notice" in done.stdout
    assert page.read_text().startswith("# Of another step\n## auditor check: passed\n")
    assert "`max_label_conflicts` | pass |" in page.read_text()
    assert [case.get("name") for case in ElementTree.parse(repository / "out.xml").iter("testcase")]
    broken = _shell(repository, step["run"], **{**inputs, "POLICY": "absent.toml; touch run"}, **actions)
    assert broken.returncode == 2
    assert not (repository / "run").exists(), "an input is text, never a part of the script"


def test_no_input_is_pasted_into_a_script() -> None:
    assert [step["name"] for step in _steps() if "${{" in step.get("run", "")] == []
    given = {n for step in _steps() for n in re.findall(r"inputs\.([\w-]+)", str({k: step[k] for k in step}))}
    assert given == set(ACTION["inputs"])


def test_the_action_gives_options_that_there_are_and_the_page_names_every_input() -> None:
    scripts = " ".join(step.get("run", "") for step in _steps())
    given = set(re.findall(r"(?<![\w-])(--[a-z-]+)", scripts)) - {"--quiet"}
    assert {"--policy", "--run", "--store", "--patch", "--all", "--junit", "--github"} == given
    assert given <= _options("check")
    table = PAGE.partition("| input |")[2].partition("\n\n")[0]
    named = {name for row in table.splitlines()[2:] for name in re.findall(r"`([\w-]+)`", row.split("|")[1])}
    assert named == set(ACTION["inputs"])


def test_the_installed_version_is_that_of_the_action() -> None:
    (step,) = [step for step in _steps() if "pip install" in step.get("run", "")]
    up = re.search(r"\$\{GITHUB_ACTION_PATH\}/((?:\.\./?)+)", step["run"])
    assert up
    assert (ROOT / ".github" / "actions" / "check" / up[1] / "pyproject.toml").resolve() == ROOT / "pyproject.toml"


def test_the_hook_is_a_command_with_what_pre_commit_asks_for(repository: Path) -> None:
    (hook,) = HOOKS
    assert {"id", "name", "entry", "language"} <= hook.keys()
    assert f"id: {hook['id']}" in PAGE
    assert hook["pass_filenames"] is False
    done = _shell(repository, f"{hook['entry']} data/digits.csv")
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_stages_of_dvc_run_in_their_order_and_keep_what_people_judged(repository: Path) -> None:
    assert [next(iter(out.values()))["persist"] for out in STAGES["audit"]["outs"]] == [True]
    (repository / "audit").mkdir()
    for name, stage in STAGES.items():
        assert [path for path in stage["deps"] if not (repository / path).exists()] == [], name
        small = stage["cmd"].replace(
            "auditor find-errors", "auditor find-errors --budget smoke --folds 2 --workers 1 --no-quality"
        )
        done = _shell(repository, small)
        assert done.returncode == 0, done.stderr[-2000:]
        made = [next(iter(out)) for out in (*stage["outs"], *stage["metrics"])]
        assert [path for path in made if not (repository / path).exists()] == []


def test_every_command_of_the_pages_is_one_with_these_options() -> None:
    text = PAGE + (ROOT / "docs" / "scheduling.md").read_text()
    lines = re.findall(r"^ *(?:- )?auditor ([a-z-]+) (.*)$", text, re.MULTILINE)
    assert len(lines) >= 4
    for command, rest in lines:
        assert set(re.findall(r"(?<!\S)--[a-z-]+", rest)) <= _options(command), rest
