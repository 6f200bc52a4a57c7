"""The header says what the estimate says, without making anybody wait; its colours can be read."""

from __future__ import annotations

import math
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import auditor.ui
from auditor.estimation.state import draw_stream
from auditor.ui import SCRIPT, standing
from auditor.ui.standing import Standing, Watcher, header_words, status_of
from auditor.ui.workspace import Workspace
from tests.ui.events import events_on


def _judge(ws: Workspace, most: int) -> None:
    """Flagged items are wrong, the others right."""
    done = 0
    while done < most and (batch := ws.store.next_batch("ann", min(50, most - done))):
        for flagged, verdict in ((True, "neither"), (False, "given")):
            assert not ws.store.submit("ann", events_on([i for i in batch if i.flagged == flagged], verdict)).refused
        done += len(batch)


def test_the_words_follow_the_review(ws: Workspace) -> None:
    draw_stream(ws.run, ws.store, 120, 0, anew=False)
    first = Standing(ws.store.progress(), status_of(ws).outlook)
    words = header_words(first, 20)
    assert words.progress == "0 judged, 0 count towards the estimate, about 30 more for a first number"
    assert (words.share, words.light) == (0.0, "wait")
    _judge(ws, 2000)
    status = status_of(ws)
    now, high = Standing(status.progress, status.outlook), status.remaining.high
    judged, counted = status.progress.judged, status.progress.audit_counted
    total = status.estimate.strict
    assert total is not None
    half = (total.total.estimate.high - total.total.estimate.low) / 2
    narrow = math.ceil(half / 2)
    # A quarter of the draws gives twice the width.
    more = status.outlook.verdicts_for(narrow)
    assert more == min(math.ceil(total.total.draws * ((half / narrow) ** 2 - 1)), status.progress.items - judged)
    words = header_words(now, narrow)
    assert (
        words.progress
        == f"{judged:,} judged, {counted:,} count towards the estimate, about {more:,} more for ±{narrow:,}"
    )
    assert words.share == pytest.approx(counted / (counted + more))
    assert header_words(now, high).light == "go"
    assert header_words(now, high - 1) == replace(
        header_words(now, high - 1), light="wait", stop=f"Go on: up to {high:,} wrong may remain off the list"
    )
    assert header_words(now, math.ceil(half) + 1).progress.endswith(f"enough for ±{math.ceil(half) + 1:,}")
    assert header_words(now, None).light == "off"
    assert header_words(Standing(now.progress, None), 5).stop == ""


def test_it_is_computed_once_per_change_and_in_the_background(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[Any] = []
    compute = standing.review_status
    monkeypatch.setattr(standing, "review_status", lambda state: computed.append(state) or compute(state))
    monkeypatch.setattr(standing, "REST", 1.0)
    watcher = Watcher(ws)
    for _ in range(3):
        seen = watcher.look(60)
    assert seen is not None
    assert seen.outlook is not None
    assert len(computed) == 1
    ws.store.submit("ann", events_on(ws.store.page(limit=3).items, "given"))
    seen = watcher.look(60)
    assert seen is not None
    assert (seen.progress.judged, len(computed)) == (3, 2)


def test_a_large_run_has_the_same_words_from_a_process_of_its_own(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_stream(ws.run, ws.store, 120, 0, anew=False)
    _judge(ws, 300)
    status, asked = status_of(ws), list[str]()
    expected = header_words(Standing(status.progress, status.outlook), 20)
    assert "for ±20" in expected.progress

    start = subprocess.run

    def run(command: list[str], **options: Any) -> Any:
        if "input" not in options:  # what the store itself asks of others
            return start(command, **options)
        asked.append(options["input"])
        if len(asked) == 3:
            return SimpleNamespace(returncode=1, stdout="", stderr="MemoryError\n")
        # What the process runs, in this one.
        code = command[-1].replace("json.load(sys.stdin)", f"json.loads({asked[-1]!r})").replace("(10)", "(0)")
        capsys.readouterr()
        exec(code, {})
        return SimpleNamespace(returncode=0, stdout=capsys.readouterr().out, stderr="")

    monkeypatch.setattr(standing, "LIVE_ITEMS", 0)
    monkeypatch.setattr(standing, "REST", 1.0)
    monkeypatch.setattr(standing.subprocess, "run", run)
    watcher = Watcher(ws)
    for _ in range(2):  # once for as long as nobody says anything
        seen = watcher.look(60)
        assert seen is not None
        assert header_words(seen, 20) == expected
    assert len(asked) == 1
    for failing, outlook in ((False, None), (True, "kept")):
        ws.store.submit("bea", events_on([ws.store.page(limit=9).items[-1 - failing]], "given"))
        before = watcher.latest
        seen = watcher.look(60)
        assert seen is not None
        assert seen.progress.verdicts == ws.store.progress().verdicts  # counts at once, whatever becomes of the numbers
        assert outlook is None or (before is not None and seen.outlook == before.outlook)
    assert "MemoryError" in capsys.readouterr().err


def test_every_page_has_it(ws: Workspace) -> None:
    standing.watcher_of(ws).look(60)
    app = AppTest.from_file(SCRIPT, default_timeout=60).run()
    assert not app.exception
    shown = "".join(str(node.proto.body) for node in app.get("html"))
    assert '<h1 class="page-name">Overview</h1>' in shown
    assert f'dir="auto">{ws.run.id}</p>' in shown
    assert "0 judged, 0 count towards the estimate" in shown


def _contrast(one: str, other: str) -> float:
    """Of two colours, WCAG 2."""
    lights = []
    for colour in (one, other):
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_every_colour_can_be_read_in_both_themes() -> None:
    text = (Path(auditor.ui.__file__).parent / "browser" / "theme.css").read_text()
    colours = {name: pair for name, *pair in re.findall(r"--au-(\w+): light-dark\((#\w{6}), (#\w{6})\)", text)}
    assert len(colours) == 12
    least = {"line": 1.0, "edge": 3.0, "page": 1.0, "soft": 1.0}
    for name, pair in colours.items():
        for theme, colour in enumerate(pair):
            for ground in ("page", "soft"):
                assert _contrast(colour, colours[ground][theme]) >= least.get(name, 4.5), (name, theme, ground)
