"""What is printed where, and in which form."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console

from auditor.cli.console import fail, print_json, show_table
from auditor.cli.values import parse_class_names
from auditor.core.display import ShownProgress, say
from auditor.core.errors import UsageError


def test_people_read_stderr_and_programs_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    say("[bold]class[/bold] names may hold brackets")
    print_json({"a": "ü"})
    out, err = capsys.readouterr()
    assert err == "[bold]class[/bold] names may hold brackets\n"
    assert json.loads(out) == {"a": "ü"}


HOSTILE = "[/b]\x1b]0;TITLE\x07\n::error file=x.py::FORGED ##[error]x :bomb:"
SHOWN = r"[/b]\x1b]0;TITLE\x07\n\x3a:error file=x.py::FORGED \x23#[error]x :bomb:"


def test_names_are_text_in_messages_errors_tables_and_progress(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    say(HOSTILE)
    with ShownProgress() as progress:
        progress.note(HOSTILE)
        progress.finish("fold-0", HOSTILE)
    show_table(["name"], [[HOSTILE]])
    fail(UsageError(f"two lines:\n  {HOSTILE!r}", "the way out"))
    err = capsys.readouterr().err
    assert err.count(SHOWN) == 5
    assert err.endswith(" :bomb:'\n  the way out\n")
    assert all(line.isprintable() and not line.lstrip().startswith("::") for line in err.split("\n"))
    # Bars of a terminal.
    stream = StringIO()
    terminal = Console(file=stream, force_terminal=True, width=200, no_color=True)
    monkeypatch.setattr("auditor.core.display.console", lambda: terminal)
    with ShownProgress() as progress:
        progress.start(HOSTILE, 3)
        progress.advance(HOSTILE, 1, HOSTILE)
        progress._bars.refresh()
    assert "TITLE\x07" not in stream.getvalue()
    assert SHOWN in stream.getvalue()


def test_class_names(tmp_path) -> None:
    assert parse_class_names(None) is None
    assert parse_class_names(" cat, dog ") == ["cat", "dog"]
    (tmp_path / "names.txt").write_text("new york\nrome\n")
    assert parse_class_names(str(tmp_path / "names.txt")) == ["new york", "rome"]
    with pytest.raises(UsageError, match="at least two"):
        parse_class_names("cat")
