"""How the browser that prints is started."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from auditor.core.errors import ResourceError
from auditor.report.pdf import print_pdf


@pytest.mark.parametrize(("user", "sandboxed"), [(0, False), (1000, True), (None, True)])
def test_only_root_prints_without_a_sandbox(
    user: int | None, sandboxed: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def prints(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        commands.append(command)
        (target,) = (part.partition("=")[2] for part in command if part.startswith("--print-to-pdf="))
        Path(target).write_bytes(b"%PDF-1.4")
        return subprocess.CompletedProcess(command, 0, b"", b"")

    commands: list[list[str]] = []
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("subprocess.run", prints)
    if user is None:  # Windows
        monkeypatch.delattr(os, "geteuid", raising=False)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: user, raising=False)
    print_pdf("<p>x</p>", tmp_path / "r.pdf")
    assert (tmp_path / "r.pdf").read_bytes() == b"%PDF-1.4"
    assert ("--no-sandbox" not in commands[0]) is sandboxed
    assert commands[0][-1].startswith("file://")


def test_without_a_browser_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ResourceError, match="--format html"):
        print_pdf("<p>x</p>", tmp_path / "r.pdf")
