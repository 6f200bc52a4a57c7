"""The pipeline of the published benchmark, with few draws: it rebuilds its folder and checks every number itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_rebuilds_its_folder(data_dir: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "pipelines/paper_cifar10.py", "--draws", "200", "--out", str(tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "AUDITOR_DATA_DIR": str(data_dir), "AUDITOR_OFFLINE": "1", "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"benchmark.json", "examples.json", "report.html", "report.md", "benchmark-manifest.json"} <= names
