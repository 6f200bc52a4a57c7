from __future__ import annotations

from pathlib import Path

import pytest

from auditor.core.errors import UsageError
from auditor.data.reference import PATH_SCHEME, Reference, parse_reference

NAMES = ("cifar10", "cifake:class", "digits")


@pytest.mark.parametrize(
    ("text", "scheme", "location", "options"),
    [
        ("cifar10", "cifar10", "", {}),
        (" cifar10?split=test ", "cifar10", "", {"split": "test"}),
        ("cifake:class?split=test", "cifake:class", "", {"split": "test"}),
        ("folder:///data/pets", "folder", "/data/pets", {}),
        ("csv:///x.csv?image=path&label=y", "csv", "/x.csv", {"image": "path", "label": "y"}),
        ("HF://org/name?split=test", "hf", "org/name", {"split": "test"}),
        ("./digits", PATH_SCHEME, "./digits", {}),
        ("data/x.csv?label=y", PATH_SCHEME, "data/x.csv", {"label": "y"}),
        ("x.csv", PATH_SCHEME, "x.csv", {}),
        ("cifar11", "cifar11", "", {}),
    ],
)
def test_forms(text: str, scheme: str, location: str, options: dict[str, str]) -> None:
    assert parse_reference(text, NAMES) == Reference(scheme, location, options)


@pytest.mark.parametrize("text", ["", "  ", "x.csv?label", "cifar10?split=a&split=b"])
def test_malformed_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse_reference(text, NAMES)


def test_name_wins_over_a_folder_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    (tmp_path / "pets").mkdir()
    assert parse_reference("digits", NAMES).scheme == "digits"
    assert parse_reference("./digits", NAMES).scheme == PATH_SCHEME
    assert parse_reference("pets", NAMES).scheme == PATH_SCHEME


@pytest.mark.parametrize("name", ["what?.csv", "50%41.csv", "a b#c&d.csv", "größe.csv"])
def test_canonical_text_finds_odd_file_names_again(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("x")
    assert parse_reference(str(path)).path == path
    canonical = str(Reference("csv", str(path), {"label": "a&b=c"}))
    back = parse_reference(canonical)
    assert back.path == path
    assert back.options == {"label": "a&b=c"}


def test_canonical_text_sorts_options() -> None:
    assert str(Reference("x", "", {"b": "2", "a": "1"})) == "x?a=1&b=2"


def test_unknown_option_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'split'"):
        Reference("cifar10", "", {"splt": "test"}).check_options({"split", "label"})
