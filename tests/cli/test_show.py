"""A list of suspects shows what they say, in words that fit them; and commands to copy name the real run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auditor.audit.find_errors import find_errors
from auditor.cli.main import COMMANDS
from auditor.runs.run import open_run
from tests.conftest import DigitsRun
from tests.running import call

KINDS = ("text", "table", "probabilities")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a blank in its name: data and a run of each kind, some labels wrong."""

    folder = tmp_path_factory.mktemp("runs to show")
    rng = np.random.default_rng(0)
    truth = np.arange(60) % 2
    given = np.where(np.arange(60) < 4, 1 - truth, truth)
    words = [["good film", "bad soup"][k] + f" number {row}" for row, k in enumerate(truth)]
    pd.DataFrame({"text": words, "label": np.array(["film", "soup"])[given]}).to_csv(folder / "text.csv", index=False)
    x = truth + rng.normal(0, 0.1, 60).round(3)
    table = pd.DataFrame({"width": x, "colour": np.array(["red", "blue"])[truth], "label": np.array(["p", "q"])[given]})
    table.to_csv(folder / "table.csv", index=False)
    for kind in ("text", "table"):
        find_errors(folder / f"{kind}.csv", out=folder / kind, folds=2, budget="smoke", workers=1)
    p = np.full((60, 2), 0.1)
    p[np.arange(60), truth] = 0.9
    find_errors(pred_probs=p, labels=given, out=folder / "probabilities")

    return folder


@pytest.mark.parametrize(("kind", "said"), [("text", "good film"), ("table", "width = ")])
def test_suspects_are_shown_with_what_they_say(kind: str, said: str, runs: Path) -> None:
    run = runs / kind
    listed = call("show", run).stderr
    assert open_run(run).counts["n_flagged"]
    assert said in listed
    item = open_run(run).findings["id"].iloc[0]
    done = call("show", run, "--item", item, "--json")
    assert said.split()[0] in done.document["content"]
    assert f"{'row' if kind == 'table' else kind}: {done.document['content'][:20]}" in done.stderr


def test_probabilities_alone_have_nothing_to_show(runs: Path) -> None:
    item = open_run(runs / "probabilities").findings["id"].iloc[0]
    assert call("show", runs / "probabilities", "--item", item, "--json").document["content"] is None
    call("show", runs / "probabilities")


def test_items_whose_data_has_changed_are_listed_without_content(runs: Path, tmp_path: Path) -> None:
    lines = (runs / "text.csv").read_text().splitlines()
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    run = find_errors(tmp_path / "t.csv", out=tmp_path / "run", folds=2, budget="smoke", workers=1, quality=False)
    item = run.findings["id"].iloc[0]
    (tmp_path / "t.csv").write_text("\n".join([lines[0], *(line.replace("number", "no") for line in lines[1:])]) + "\n")
    assert "number" in call("show", run.path).stderr  # as the run saw them
    (run.path / "work" / "suspects.json").unlink()
    listed = call("show", run.path).stderr
    assert "texts themselves cannot be shown" in listed
    assert f" {item} " in listed
    assert "not here" in call("show", run.path, "--item", item, "--json").document["content"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_run_of_another_kind_speaks_of_pictures(kind: str, runs: Path) -> None:
    report = (runs / kind / "report.html").read_text()
    visible = re.sub(r"(?s)<style.*?</style>|<[^>]+>", " ", report)
    said = [
        visible,
        call("show", runs / kind).stderr,
        call("report", runs / kind, "--format", "md", "--out", "-").stdout,
    ]
    for text in said:
        assert not re.search(r"(?i)\bpictures?\b", text)
    hard = {"text": "text", "table": "row", "probabilities": "item"}[kind]
    assert f"where the {hard} is hard" in visible


def test_an_image_is_called_an_image(digits_run: DigitsRun) -> None:
    assert "where the image is hard" in (digits_run.path / "report.html").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_command_can_be_copied(kind: str, runs: Path) -> None:
    """Every command that says what comes next names the run as a shell reads it."""
    run = runs / kind
    item = open_run(run).findings["id"].iloc[0]
    for command in (["show"], ["show", "--item", item], ["status"], ["estimate"], ["flag"]):
        printed = call(command[0], run, *command[1:]).stderr
        nexts = [line for line in printed.splitlines() if line.startswith("Next: ")]
        if not nexts:
            assert (kind, command[1:]) == ("probabilities", ["--item", item])
            continue
        (line,) = nexts
        words = shlex.split(line.removeprefix("Next: ").partition(", ")[0])
        assert words[0] == "auditor"
        assert words[1] in COMMANDS
        assert words[2] == str(run)
