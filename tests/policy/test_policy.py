"""The policy: where it is found, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.core.errors import ConfigError
from auditor.policy.policy import load_policy


def test_pyproject_and_auditor_toml(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.auditor.check]\nmax_label_conflicts = 0\nbaseline = "audit/manifest.json"\n'
        "max_estimated_error_rate_upper = 0.03\nmin_reviewed = 200\nmax_new_duplicate_leaks = 0\n"
    )
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    policy, file = load_policy(cwd=below)
    assert file == tmp_path / "pyproject.toml"
    assert (policy.max_label_conflicts, policy.max_estimated_error_rate_upper, policy.min_reviewed) == (0, 0.03, 200)
    assert policy.baseline == str(tmp_path / "audit" / "manifest.json")  # relative to the file, not to the folder
    # A nearer file wins, and one without the table is passed over.
    (below / "auditor.toml").write_text("offline = true\n")
    assert load_policy(cwd=below)[1] == tmp_path / "pyproject.toml"
    (below / "auditor.toml").write_text("[check]\nmax_label_conflicts = 3\n")
    assert load_policy(cwd=below)[0].max_label_conflicts == 3
    assert load_policy(tmp_path / "pyproject.toml", below)[0].max_label_conflicts == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[check]\nmax_label_conflict = 0\n", "max_label_conflict: unknown key"),
        ("[check]\nmax_label_conflicts = -1\n", "greater than or equal to 0"),
        ("[check]\nmax_label_conflicts = 'none'\n", "valid integer"),
        ("[check]\nmax_estimated_error_rate_upper = 3\n", "max_estimated_error_rate_upper"),
        ("[check]\nbaseline = 'x.json'\n", "sets no limit"),
        ("check = 3\n", "must be a table"),
        ("[check\n", "cannot read"),
        ("offline = true\n", "there is no policy"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "auditor.toml").write_text(text)
    with pytest.raises(ConfigError, match=told) as error:
        load_policy(tmp_path / "auditor.toml")
    assert error.value.exit_code == 2


def test_every_key_is_documented() -> None:
    from auditor.policy.policy import Policy

    text = (Path(__file__).resolve().parents[2] / "docs" / "check.md").read_text()
    assert [name for name in Policy.model_fields if f"`{name}`" not in text] == []
