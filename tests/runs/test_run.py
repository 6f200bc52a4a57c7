"""Opening run folders, good and bad."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auditor.core.errors import RunError, UnreadableError
from auditor.core.files import write_json
from auditor.runs import layout
from auditor.runs.lock import locked
from auditor.runs.run import open_run
from auditor.runs.tables import read_table, write_table


def test_absent_folder(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run folder 'nothing'"):
        open_run("nothing", tmp_path)


def test_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run folder"):
        open_run(tmp_path)


def test_unfinished_run(tmp_path: Path) -> None:
    write_json(tmp_path / layout.CONFIG, {})
    with pytest.raises(RunError, match="is not finished"):
        open_run(tmp_path)


def test_newer_layout(tmp_path: Path) -> None:
    write_json(tmp_path / layout.MANIFEST, {"schema": "auditor.run/99"})
    with pytest.raises(RunError, match=r"auditor\.run/99"):
        open_run(tmp_path)


def test_found_by_name_in_the_runs_folder(tmp_path: Path) -> None:
    write_json(tmp_path / "mine" / layout.MANIFEST, {"schema": layout.RUN_SCHEMA})
    assert open_run("mine", tmp_path).id == "mine"


def test_lock_excludes_another_process_and_is_freed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from auditor.runs.lock import locked\n"
        "from auditor.core.errors import RunError\n"
        "try:\n    with locked(Path(sys.argv[1])): print('got it')\nexcept RunError as e: print('busy', e.exit_code)"
    )
    run = lambda: subprocess.run(  # noqa: E731
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout.strip()
    with locked(tmp_path):
        assert run() == "busy 3"
    assert run() == "got it"


def test_tables_are_byte_equal_for_equal_content(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "x": [1.5, np.nan]})
    write_table(tmp_path / "1.parquet", frame, "auditor.test/1")
    write_table(tmp_path / "2.parquet", frame.copy(), "auditor.test/1")
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()
    pd.testing.assert_frame_equal(read_table(tmp_path / "1.parquet"), frame, check_dtype=False)


def test_damaged_table(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(UnreadableError, match=r"x\.parquet"):
        read_table(tmp_path / "x.parquet")
