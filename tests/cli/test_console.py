"""What is printed where, and in which form."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console

from auditor.cli.console import RichProgress, fail, print_json, say, show_table
from auditor.cli.values import parse_class_names
from auditor.core.errors import UsageError
from auditor.core.progress import Progress


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
    with RichProgress() as progress:
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
    monkeypatch.setattr("auditor.cli.console.console", lambda: terminal)
    with RichProgress() as progress:
        progress.start(HOSTILE, 3)
        progress.advance(HOSTILE, 1, HOSTILE)
        progress._bars.refresh()
    assert "TITLE\x07" not in stream.getvalue()
    assert SHOWN in stream.getvalue()


def test_progress_is_plain_lines_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with RichProgress() as progress:
        assert isinstance(progress, Progress)
        progress.stage("train", "5 folds")
        progress.start("fold-0", 10)
        progress.advance("fold-0", 3, "epoch 1, accuracy 0.81")
        progress.advance("fold-0", 4, "too soon after the last line")
        progress.finish("fold-0", "accuracy 0.90")
    err = capsys.readouterr().err
    assert "epoch 1, accuracy 0.81" in err
    assert "too soon" not in err
    assert "accuracy 0.90" in err
    assert "\x1b" not in err


@pytest.mark.parametrize(
    ("total", "unit", "done", "line"),
    [
        (10, "epoch", 3, "fold-0: epoch 3 of 10, accuracy 0.81"),
        (30, "", 4.5, "fold-0: 4.5 of 30, accuracy 0.81"),
        (0, "", 2, "fold-0: accuracy 0.81"),
    ],
)
def test_plain_lines_say_how_far_a_task_is(
    total: float, unit: str, done: float, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with RichProgress() as progress:
        progress.start("fold-0", total, unit)
        progress.advance("fold-0", done, "accuracy 0.81")
    assert capsys.readouterr().err.strip() == line


def test_quiet_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with RichProgress(quiet=True) as progress:
        progress.stage("train")
        progress.advance("x", 1, "note")
        progress.note("hello")
        progress.finish("x", "note")
    assert capsys.readouterr() == ("", "")


def test_class_names(tmp_path) -> None:
    assert parse_class_names(None) is None
    assert parse_class_names(" cat, dog ") == ["cat", "dog"]
    (tmp_path / "names.txt").write_text("new york\nrome\n")
    assert parse_class_names(str(tmp_path / "names.txt")) == ["new york", "rome"]
    with pytest.raises(UsageError, match="at least two"):
        parse_class_names("cat")
