"""What is printed where, and in which form."""

from __future__ import annotations

import json

import pytest

from auditor.cli.console import RichProgress, print_json, say
from auditor.cli.values import parse_class_names
from auditor.core.errors import UsageError
from auditor.core.progress import Progress


def test_people_read_stderr_and_programs_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    say("[bold]class[/bold] names may hold brackets")
    print_json({"a": "ü"})
    out, err = capsys.readouterr()
    assert err == "[bold]class[/bold] names may hold brackets\n"
    assert json.loads(out) == {"a": "ü"}


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
