"""Progress as a person sees it: lines, bars, and what a notebook draws over."""

from __future__ import annotations

import sys
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from auditor.core import display
from auditor.core.display import ShownProgress, shown
from auditor.core.progress import Progress, SilentProgress


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain lines from the beginning of a task."""
    monkeypatch.setattr(ShownProgress, "FIRST", 0.0)


@pytest.mark.usefixtures("at_once")
def test_progress_is_plain_lines_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with ShownProgress() as progress:
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


@pytest.mark.usefixtures("at_once")
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
    with ShownProgress() as progress:
        progress.start("fold-0", total, unit)
        progress.advance("fold-0", done, "accuracy 0.81")
    assert capsys.readouterr().err.strip() == line


def test_long_tasks_say_how_far_they_are_and_how_long_they_take(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: clock[0])
    with ShownProgress() as progress:
        progress.start("load images", 1000, "images")
        for seconds, done in ((1, 10), (2.9, 30), (4, 40), (5, 60), (18, 300), (20, 500), (200, 900), (201, 1000)):
            clock[0] = 100.0 + seconds
            progress.advance("load images", done)
    assert capsys.readouterr().err.splitlines() == [
        "  load images: images 40 of 1,000, about 2 min left",
        "  load images: images 500 of 1,000, about 20 s left",
        "  load images: images 900 of 1,000, about 22 s left",
    ]


@pytest.mark.parametrize("asked", [False, SilentProgress()], ids=["False", "receiver"])
def test_a_call_can_be_silent(asked: Any, capfd: pytest.CaptureFixture[str]) -> None:
    with shown(asked) as progress:
        progress.stage("train")
        progress.start("x", 10, "epoch")
        progress.advance("x", 1, "note")
        progress.note("hello")
        progress.finish("x", "note")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("asked", [None, True])
def test_a_call_is_not_silent_by_itself(asked: bool | None, capfd: pytest.CaptureFixture[str]) -> None:
    with shown(asked) as progress:
        progress.stage("train")
    assert capfd.readouterr() == ("", "train\n")


class _Cell:
    """The output of a notebook's cell: what was drawn last, and how often."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.drawn: list[str] = []
        monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=self.display))
        monkeypatch.setattr(display, "console", lambda: Console(force_jupyter=True, file=StringIO(), width=100))
        monkeypatch.setattr(display, "_REDRAW", 0.0)

    def display(self, picture: Any, display_id: bool) -> _Cell:
        assert display_id
        self.update(picture)
        return self

    def update(self, picture: Any) -> None:
        self.drawn.append(picture._repr_mimebundle_((), ())["text/html"])


def test_a_notebook_draws_lines_and_bars_in_one_place(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    cell = _Cell(monkeypatch)
    with shown() as progress:
        progress.stage("train", "2 models <b>x</b> [red]")
        progress.start("fold-0", 10, "epoch")
        progress.advance("fold-0", 3, "accuracy 0.81")
        running = cell.drawn[-1]
        progress.start("fold-1", 10, "epoch")
    for words in ("train", "&lt;b&gt;x&lt;/b&gt; [red]", "fold-0", "epoch 3 of 10", "accuracy 0.81", "━", "-:--:--"):
        assert words in running
    assert "fold" not in cell.drawn[-1]
    assert "train" in cell.drawn[-1]
    assert capfd.readouterr() == ("", "")


def test_an_interrupted_call_leaves_no_bar_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = _Cell(monkeypatch)
    with pytest.raises(KeyboardInterrupt), shown() as progress:
        progress.stage("train")
        progress.start("fold-0", 10, "epoch")
        progress.advance("fold-0", 3)
        raise KeyboardInterrupt
    assert "fold-0" in cell.drawn[-2]
    assert "fold-0" not in cell.drawn[-1]


def test_a_terminal_shows_bars_with_place_and_note(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = StringIO()
    terminal = Console(file=stream, force_terminal=True, width=120, no_color=True)
    monkeypatch.setattr(display, "console", lambda: terminal)
    with shown() as progress:
        progress.start("fold-0", 10, "epoch")
        progress.advance("fold-0", 3, "accuracy 0.81")
        progress._bars.refresh()  # type: ignore[attr-defined]
    assert "epoch 3 of 10" in stream.getvalue()
    assert "accuracy 0.81" in stream.getvalue()
