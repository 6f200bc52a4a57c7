"""A scientist's session as a script without a ``__main__`` guard, from stdin, in a REPL and in a notebook: the same
lines work everywhere, run once, and tell their progress."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

#: Trains in two processes, judges and compares; the statements are those of a REPL too.
SESSION = """
print("top of the session", flush=True)
import warnings, uuid
import numpy as np
import auditor
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
class Mine(LogisticRegression): pass

X, y = load_wine(return_X_y=True)
noisy = y.copy()
noisy[::15] = (noisy[::15] + 1) % 3
mine = make_pipeline(StandardScaler(), Mine())
run = auditor.find_errors((X, noisy), model=mine, folds=3, workers=2, out="run")
print(run.counts["n_audited"], "audited")
print(auditor.RobustClassifier(cv=3).fit(X, noisy).score(X, y) > 0.9)
open("labels.csv", "w").write("id,label\\n" + "\\n".join(f"{k},{label}" for k, label in enumerate(y)))
done = auditor.improve(run, labels="labels.csv", model=mine, seeds=1, folds=2, workers=2)
print(len(done.to_frame()), "training sets")
"""
PRINTED = ["top of the session", "178 audited", "True", "4 training sets"]


def _environ() -> dict[str, str]:
    path = os.pathsep.join(p for p in sys.path if p)
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}


@pytest.mark.parametrize("how", ["script", "stdin", "repl"])
def test_a_session_of_the_interpreter(how: str, tmp_path: Path) -> None:
    (tmp_path / "session.py").write_text(SESSION)
    arguments = {"script": ["session.py"], "stdin": ["-"], "repl": ["-i", "-q"]}[how]
    done = subprocess.run(
        [sys.executable, *arguments],
        input=None if how == "script" else SESSION,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=_environ(),
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line in PRINTED] == PRINTED, done.stderr
    for words in ("train        3 model(s), 2 at a time", "train        6 fits: 3 training sets, 1 seeds"):
        assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr


def _cell(client: Any, code: str) -> tuple[list[str], dict[str, str]]:
    """What a cell prints, and its displays by their ids: as HTML, as they stand in the end."""
    printed, shown = [], dict[str, str]()

    def collect(message: Any) -> None:
        content = message["content"]
        if message["msg_type"] == "stream":
            printed.append(content["text"])
        elif message["msg_type"] in ("display_data", "update_display_data", "execute_result"):
            place = content.get("transient", {}).get("display_id", "value")
            shown[place] = content["data"].get("text/html") or content["data"].get("image/png", "")

    reply = client.execute_interactive(code, output_hook=collect, timeout=500)
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(printed).splitlines(), shown


def test_a_notebook(tmp_path: Path) -> None:
    manager = pytest.importorskip("jupyter_client.manager")
    pytest.importorskip("ipykernel")
    kernel, client = manager.start_new_kernel(kernel_name="python3", cwd=str(tmp_path), env=_environ())
    try:
        printed, shown = _cell(client, SESSION)
        assert [line for line in printed if line in PRINTED] == PRINTED
        assert not any("train" in line for line in printed[1:3])  # the bars take the place of lines
        told = [re.sub(r"<[^>]+>", "", html) for html in shown.values()]
        assert len(told) == 2
        assert "3 model(s), 2 at a time" in told[0]
        assert "6 fits: 3 training sets" in told[1]
        assert "━" not in "".join(told)
        printed, shown = _cell(client, "run")
        assert "auditor-view" in shown["value"]
        assert printed == []
        _, shown = _cell(client, "from auditor.plots import plot_confusion\nplot_confusion(run)")
        (picture,) = shown.values()  # once
        assert len(picture) > 5_000
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
