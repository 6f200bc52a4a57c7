"""Where a setting comes from, and what happens when it is wrong."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from auditor.core.config import Settings, load_settings
from auditor.core.errors import ConfigError


def test_precedence_flag_environment_file_default(tmp_path: Path) -> None:
    (tmp_path / "auditor.toml").write_text('runs_dir = "from-file"\ndata_dirs = ["a", "b"]\n')
    inner = tmp_path / "deep" / "er"
    inner.mkdir(parents=True)
    only_file = load_settings(environ={}, cwd=inner)
    assert only_file.runs_dir == tmp_path / "from-file"
    assert only_file.data_dirs == (tmp_path / "a", tmp_path / "b")
    assert only_file.origin["offline"] == "default"
    assert load_settings(environ={"AUDITOR_MAX_FILE_MB": "7"}, cwd=inner).max_file_mb == 7
    assert only_file.embeddings_dir is None
    env = {"AUDITOR_RUNS_DIR": "/env", "AUDITOR_DATA_DIR": "/x:/y", "AUDITOR_EMBEDDINGS_DIR": "/e"}
    both = load_settings(environ=env, cwd=inner)
    assert both.embeddings_dir == Path("/e")
    again = load_settings(environ=both.environ(), cwd=tmp_path)
    assert again.environ() == both.environ()
    assert both.runs_dir == Path("/env")
    assert both.data_dirs == (Path("/x"), Path("/y"))
    assert both.origin["data_dirs"] == "environment"
    flags = load_settings({"data_dir": "/flag", "offline": None}, environ=env, cwd=inner)
    assert flags.data_dirs == (Path("/flag"),)
    assert flags.origin["data_dirs"] == "flag"


def test_pyproject_table_is_read(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.auditor]\noffline = true\n[tool.auditor.check]\nx = 1\n")
    assert load_settings(environ={}, cwd=tmp_path).offline is True


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("data_dir = 3", "data_dirs must be a list of folders"),
        ("runs_dri = 'x'", "unknown setting 'runs_dri'"),
        ("offline = 'maybe'", "offline must be true or false"),
        ("= broken", "cannot read"),
        ("runs_dir = 3", "runs_dir must be a path"),
        ("max_file_mb = 0", "max_file_mb must be a whole number of MiB, not 0"),
        ("max_file_mb = 'much'", "max_file_mb must be a whole number"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "auditor.toml").write_text(text)
    with pytest.raises(ConfigError, match=match):
        load_settings(environ={}, cwd=tmp_path)


@pytest.mark.parametrize(("text", "value"), [("1", True), ("off", False), ("", False), ("YES", True)])
def test_offline_from_environment(tmp_path: Path, text: str, value: bool) -> None:
    assert load_settings(environ={"AUDITOR_OFFLINE": text}, cwd=tmp_path).offline is value


def test_another_process_comes_to_the_same_settings(tmp_path: Path) -> None:
    folders = ((tmp_path / "a", tmp_path / "b"), tmp_path / "cache", tmp_path / "runs")
    settings = Settings(*folders, True, 7, tmp_path / "e")
    default = Settings()
    assert all(getattr(settings, f.name) != getattr(default, f.name) for f in fields(Settings) if f.name != "origin")
    again = load_settings(environ=settings.environ(), cwd=tmp_path)
    assert replace(again, origin={}) == settings


def test_home_moves_the_cache(tmp_path: Path) -> None:
    assert load_settings(environ={"AUDITOR_HOME": str(tmp_path)}, cwd=tmp_path).cache_dir == tmp_path


def test_settings_made_by_hand_keep_secrets_and_caches_out_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key of the review server once lay beside the source."""
    monkeypatch.setenv("AUDITOR_HOME", str(tmp_path / "home"))
    assert Settings().cache_dir == tmp_path / "home"
    assert Settings(offline=True).environ()["AUDITOR_HOME"] == str(tmp_path / "home")
    monkeypatch.delenv("AUDITOR_HOME")
    assert Settings().cache_dir == load_settings(environ={}).cache_dir
    assert Settings().cache_dir.is_absolute()
