"""`auditor quality` as a command: one document on stdout, words on stderr, exit codes."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.conftest import Cli


def test_one_document_and_words_beside_it(cli: Cli, tmp_path: Path) -> None:
    done = cli("quality", "digits", "--json", "--out", "found")
    found = done.document
    assert found["schema"] == "auditor.quality/1"
    assert set(found["checks"][0]) >= {"code", "name", "status", "reason", "severity", "n_items", "groups", "items"}
    assert "Not applicable: near_duplicates" in done.stderr
    assert "Next:" in done.stderr
    assert (tmp_path / "found" / "quality.parquet").is_file()
    assert cli("quality", "digits", "--quiet").stderr == ""


def test_wrong_calls_and_data(cli: Cli, tmp_path: Path) -> None:
    assert "Did you mean" in cli("quality", "digits", "--check", "leekage", check=2).stderr
    assert "neither a split" in cli("quality", "digits", "--against", "tset", check=2).stderr
    (tmp_path / "x.parquet").write_bytes(b"PAR1 broken")
    assert "Traceback" not in cli("quality", "x.parquet", check=3).stderr
