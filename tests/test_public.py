"""The public surface: `auditor.__all__`, the page that documents it, examples that run, and types."""

from __future__ import annotations

import ast
import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

import auditor
from auditor.core import errors

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "library.md").read_text()
NAMES = sorted(set(auditor.__all__) - {"__version__"})


def test_all_is_the_surface() -> None:
    assert sorted(auditor.__all__, key=str.lower) == sorted(set(auditor.__all__), key=str.lower)
    assert {"Audit", "check_quality", "estimate_errors", "find_errors", "flag", "improve", "open_dataset"} <= set(NAMES)
    raised = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)}
    assert raised <= set(NAMES), "what a caller may have to catch"
    assert set(NAMES) <= set(dir(auditor))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = auditor.nonsense


@pytest.mark.parametrize("name", NAMES)
def test_every_name_stands_on_the_page_with_its_module(name: str) -> None:
    thing = getattr(auditor, name)
    assert thing.__name__ == name
    row = re.search(rf"^\| `{name}` \| `([\w.]+)` \|", PAGE, re.MULTILINE)
    assert row is not None
    assert row[1] == thing.__module__


def test_the_page_documents_nothing_else() -> None:
    assert sorted(re.findall(r"^\| `(\w+)` \| `auditor\.[\w.]+` \|", PAGE, re.MULTILINE)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_an_example_that_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    (example,) = finder.find(getattr(auditor, name), name, globs={})
    assert example.examples, "an example in its docstring"
    said: list[str] = []
    assert runner.run(example, out=said.append).failed == 0, "".join(said)


def test_the_blocks_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, as somebody who reads it would type them."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 2
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/library.md", "exec"), names)


def test_type_checkers_see_what_is_imported_lazily() -> None:
    assert (ROOT / "auditor" / "py.typed").is_file()
    tree = ast.parse((ROOT / "auditor" / "__init__.py").read_text())
    (guarded,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in guarded.body if isinstance(node, ast.ImportFrom)]
    seen = {alias.name: node.module for node in imports for alias in node.names}
    assert seen == {name: getattr(auditor, name).__module__ for name in NAMES}


SNIPPET = """
from typing import assert_type
import numpy as np
import pandas as pd
import auditor
from auditor.audit.flagging import Flagging

run = auditor.find_errors("digits")
assert_type(run, auditor.Run)
assert_type(run.issues, pd.DataFrame)
assert_type(auditor.Audit("digits").run().get_issues("label"), pd.DataFrame)
assert_type(auditor.flag(run), Flagging)
try:
    auditor.open_run(3)
except auditor.RunError as error:
    assert_type(error.way_out, str | None)
"""


@pytest.mark.slow
def test_a_type_checker_reads_the_names(tmp_path: Path) -> None:
    (tmp_path / "snippet.py").write_text(SNIPPET)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", tmp_path / "snippet.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    (line, _) = done.stdout.splitlines()
    assert re.search(r'snippet.py:14: error: Argument 1 to "open_run"', line)
