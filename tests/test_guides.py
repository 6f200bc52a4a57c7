"""The guides run: every block of code is executed, and what a page shows is what its code printed.

``AUDITOR_WRITE_GUIDES=1 python -m pytest tests/test_guides.py`` writes what was printed into the pages.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import os
import re
import warnings
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.running import ENVIRON, call

PAGES = sorted((ROOT / "docs" / "guides").glob("*.md"))
#: A block of code and, right behind it, what it printed.
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def run_python(source: str, names: dict[str, object]) -> str:
    """What a cell prints: as in a notebook, the value of its last line, too."""
    tree, printed = ast.parse(source), io.StringIO()
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("error", SyntaxWarning)
        exec(compile(tree, "<guide>", "exec"), names)
        if (
            last is not None
            and (value := eval(compile(ast.Expression(last.value), "<guide>", "eval"), names)) is not None
        ):
            printed.write(f"{value}\n")
    return printed.getvalue()


def run_console(source: str, folder: Path) -> str:
    """What the commands of a block print for people, and for programs."""
    printed = ""
    for line in source.splitlines():
        assert line.startswith("$ auditor "), line
        done = call(*line.removeprefix("$ auditor ").split(), cwd=folder)
        printed += done.stderr + done.stdout
    return printed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_guide_runs_and_shows_what_it_printed(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    # By default each call of cleanlab forks a pool out of this process, with everything that tests have imported.
    monkeypatch.setattr("psutil.cpu_count", lambda logical=True: 1)
    text, names, end, written = page.read_text(), {"__name__": "__main__"}, 0, ""
    checker = doctest.OutputChecker()
    with contextlib.chdir(tmp_path):
        for block in BLOCK.finditer(text):
            language, source, shown = block.groups()
            run = run_python(source, names) if language == "python" else run_console(source, tmp_path)
            if os.environ.get("AUDITOR_WRITE_GUIDES"):
                output = f"\n```text\n{run}```\n" if run.strip() else ""
                if shown is not None and checker.check_output(shown, run, doctest.ELLIPSIS):
                    output = f"\n```text\n{shown}```\n"
                written += text[end : block.start()] + f"```{language}\n{source}```\n{output}"
                end = block.end()
            else:
                assert checker.check_output(shown or "", run, doctest.ELLIPSIS), f"{source}\nprinted\n{run}"
    if written:
        page.write_text(written + text[end:])


def test_every_guide_is_listed() -> None:
    listed = re.findall(r"\(guides/([\w-]+)\.md\)", (ROOT / "docs" / "library.md").read_text())
    assert sorted(listed) == [page.stem for page in PAGES]
    assert len(PAGES) == 5
