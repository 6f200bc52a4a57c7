"""Options that several commands share mean one thing and are declared once."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from auditor.audit.config import AuditConfig
from auditor.benchmark.command import run_benchmark
from auditor.cli.main import TAKE_ROLES, app
from auditor.core.files import write_json
from auditor.runs.layout import MANIFEST
from tests.cli.base_install import make_inputs
from tests.running import call


def parameters(command: Any = None, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every parameter of every command, with the command's name."""
    command = command or typer.main.get_command(app)
    for name, child in getattr(command, "commands", {}).items():
        yield from parameters(child, f"{path} {name}".strip())
    yield from ((path, parameter) for parameter in command.params)


@pytest.mark.parametrize(
    ("option", "least"),
    [("--json", 18), ("--quiet", 9), ("--data-dir", 12), ("--offline", 6), ("--store", 9), ("--index", 4)],
)
def test_a_shared_option_says_the_same_everywhere(option: str, least: int) -> None:
    helps = {path: p.help for path, p in parameters() if option in p.opts}
    assert len(helps) >= least
    assert len(set(helps.values())) == 1, helps


def test_budgets_of_audits_and_budget_classes_of_papers_have_different_names() -> None:
    names = {path: tuple(p.opts) for path, p in parameters() if p.name == "budget"}
    papers = {path for path, opts in names.items() if opts == ("--budget-class", "--budget")}
    assert papers == {"benchmark", "grid", "prune", "search"}
    assert {path for path, opts in names.items() if opts == ("--budget",)} == set(names) - papers


@pytest.mark.parametrize("option", ["--budget-class", "--budget"])
def test_both_names_of_a_budget_class_are_read(option: str) -> None:
    with pytest.raises(Exception, match="huge"):
        CliRunner().invoke(app, ["grid", "cifake", option, "huge"], catch_exceptions=False)


def test_every_option_reaches_the_work() -> None:
    """Options are handed on by their names: each is a name of the work, or is used by the command itself."""
    options: dict[str, set[str]] = {}
    for path, p in parameters():
        options.setdefault(path, set()).add(p.name)
    own = {"json", "quiet", "data_dir", "help"}
    work = set(inspect.signature(run_benchmark).parameters) - {"settings", "progress", "reference", "command"}
    roles = {"label", "text", "image", "columns", "group", "id"}
    assert options["benchmark"] - own - roles - {"dataset"} == work
    calls = roles | {
        "kind",
        "data",
        "pred_probs",
        "labels",
        "class_names",
        "workers",
        "engine",
        "address",
        "out",
        "resume",
        "offline",
        "track",
    }
    fields = set(AuditConfig.model_fields) - {"near_duplicates"} | {"exact_duplicates_only", "top"}
    assert options["find-errors"] - own == fields | calls


@pytest.mark.parametrize("option", ["--label", "--text", "--image", "--columns", "--group", "--id"])
def test_every_command_that_takes_a_data_set_takes_its_columns(option: str) -> None:
    takers = {path for path, p in parameters() if p.param_type_name == "argument" and "DATASET" in (p.metavar or "")}
    takers |= {path for path, p in parameters() if {"--data", "--dataset"} & set(p.opts)}
    assert {"prune", "search", "improve", "patch convert"} <= takers
    assert {path.partition(" ")[0] for path in takers} == set(TAKE_ROLES)
    helps = {path: p.help for path, p in parameters() if option in p.opts}
    assert set(helps) == takers
    assert len(set(helps.values())) == 1


@pytest.mark.parametrize(
    "command",
    [
        ["quality", "x.csv"],
        ["check", "x.csv", "--policy", "policy.toml"],
        ["benchmark", "x.csv", "--verdicts", "mturk.json"],
        ["patch", "convert", "x.csv", "x.labelpatch.jsonl", "--from", "csv", "--data", "x.csv"],
        ["prune", "resnet20", "--data", "x.csv", "--budget-class", "smoke", "--out", "out"],
        ["search", "nasnet", "--dataset", "x.csv", "--budget-class", "smoke", "--out", "out"],
    ],
    ids=" ".join,
)
def test_the_columns_named_are_those_of_the_data_set(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,text,label\n" + "".join(f"{k},text {k},{k % 2}\n" for k in range(40)))
    make_inputs(tmp_path)
    done = call(*command, "--label", "nope", cwd=tmp_path, check=2)
    assert "no column 'nope'" in done.stderr


@pytest.mark.parametrize(
    "command", [["benchmark"], ["improve", "run"], ["patch", "convert", "x.csv", "y.csv"]], ids=lambda c: c[0]
)
def test_columns_without_a_data_set_are_refused(command: list[str], tmp_path: Path) -> None:
    write_json(tmp_path / "run" / MANIFEST, {})
    done = call(*command, "--label", "y", cwd=tmp_path, check=2)
    assert "--label names a column of a data set, and none is given" in done.stderr


@pytest.mark.parametrize(
    ("command", "header", "options"),
    [
        (["quality", "x.csv"], "u,species", ["--label", "species"]),
        (["find-errors", "x.csv", "--quiet"], "u,the species", ["--label", "'the species'"]),
        (["quality", "x.csv", "--label", "u"], "u,species", ["--label", "u", "--text", "species"]),
    ],
)
def test_a_missing_role_is_told_with_the_whole_command(
    command: list[str], header: str, options: list[str], tmp_path: Path
) -> None:
    rows = [f"{k * 0.37},{'cat' if k % 4 < 2 else 'dog'}" for k in range(40)]
    if len(options) > 2:
        rows = [f"{k % 2},name {k}" for k in range(40)]
    (tmp_path / "x.csv").write_text("\n".join([header, *rows]))
    done = call(*command, cwd=tmp_path, check=2)
    told = done.stderr.strip().rpartition("The whole command: auditor ")[2]
    for option, value in zip(options[::2], options[1::2], strict=True):
        assert f"{option} {value}" in told
    call(*shlex.split(told), *(["--budget", "smoke"] if command[0] == "find-errors" else []), cwd=tmp_path)
