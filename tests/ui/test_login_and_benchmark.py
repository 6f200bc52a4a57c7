"""The script before, after and without the right login; the Benchmark page of a run that holds a result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from auditor.benchmark.command import run_benchmark
from auditor.core.config import Settings
from auditor.core.progress import SilentProgress
from auditor.ui import SCRIPT
from auditor.ui.config import ReviewConfig, configure
from auditor.ui.workspace import Workspace


def _script(monkeypatch: pytest.MonkeyPatch, user: dict[str, Any]) -> AppTest:
    # AppTest does not reach Streamlit's secrets, where a login is configured.
    monkeypatch.setattr("auditor.ui.people.has_login", lambda: True)
    app = AppTest.from_file(SCRIPT, default_timeout=60)
    app.user = user
    return app.run()


def test_before_the_login_there_is_a_button_and_nothing_else(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    app = _script(monkeypatch, {"is_logged_in": False})
    assert [b.label for b in app.button] == ["Log in"]
    assert not app.metric
    assert not app.exception


def test_after_the_login_the_pages_are_there(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    app = _script(monkeypatch, {"is_logged_in": True, "email": "ann@example.org"})
    assert [m.label for m in app.metric][:1] == ["Verdicts"]
    assert not app.exception


def test_who_is_not_on_the_list_is_told(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(ReviewConfig(run=str(ws.run.path), allowed=("@example.com",)))
    app = _script(monkeypatch, {"is_logged_in": True, "email": "ann@example.org"})
    assert "may not review here" in app.error[0].value
    assert [b.label for b in app.button] == ["Log out"]
    assert not app.metric


def _benchmark() -> None:
    from auditor.ui import workspace as workspaces
    from auditor.ui.views.benchmark import benchmark_page

    opened = workspaces.workspace()
    assert opened is not None
    benchmark_page(opened)


def test_the_benchmark_page(ws: Workspace, data_dir: Path) -> None:
    settings = Settings(data_dirs=(data_dir,), cache_dir=ws.run.path / "cache", offline=True)
    run_benchmark(
        settings,
        SilentProgress(),
        reference="cifar10?split=test",
        predictions=data_dir / "predictions" / "cifar10",
        verdicts=data_dir / "label_errors" / "cifar10" / "mturk.json",
        draws=200,
        out=ws.run.path / "benchmark",
        command="auditor benchmark cifar10",
    )
    app = AppTest.from_function(_benchmark, default_timeout=60).run()
    assert not app.exception
    values = {m.label: m.value for m in app.metric}
    assert (values["Models"], values["Labels corrected"]) == ("13", "18")
    table = app.dataframe[0].value
    assert list(table["rank"]) == sorted(table["rank"])
    assert len(table) == 13
