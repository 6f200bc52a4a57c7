from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from auditor.core.config import Settings
from auditor.core.errors import EmptyDataError, UnknownNameError, UnreadableError, UsageError
from auditor.data.open import DATASETS, list_datasets, open_dataset
from tests.data.conftest import noise


def test_unknown_name_suggests_the_nearest(settings: Settings) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'cifar10'") as caught:
        open_dataset("cifar11", settings)
    assert caught.value.exit_code == 2


def test_unknown_split_lists_the_known(settings: Settings, make_folder: Callable[..., Path]) -> None:
    root = make_folder({f"{s}/{c}/1.png": noise(0) for s in ("train", "test") for c in ("a", "b")})
    with pytest.raises(UnknownNameError, match=r"Did you mean 'test'.*train"):
        open_dataset(root, settings, split="tset")
    assert list(open_dataset(root, settings, split="test").ids) == ["test/a/1.png", "test/b/1.png"]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ("photos", {"label": "cls"}, r"label=cls cannot name one.*names of its folders: leave label out"),
        ("photos", {"image": "file", "group": "who"}, r"group=who, image=file cannot name one.*leave group, image out"),
        ("digits", {"label": "target"}, r"'digits' has no columns.*fixed: leave label out"),
        ("probs:///p.npy?label=y.npy", {}, "Did you mean 'labels'"),
    ],
)
def test_data_without_columns_say_so_where_one_is_named(
    data: str, options: dict[str, str], message: str, settings: Settings, make_folder: Callable[..., Path]
) -> None:
    root = make_folder({f"{c}/1.png": noise(0) for c in ("a", "b")})
    with pytest.raises(UsageError, match="(?s)" + message):
        open_dataset(root if data == "photos" else data, settings, **options)


def test_option_given_twice_must_agree(settings: Settings) -> None:
    assert len(open_dataset("digits?split=all", settings, split="all")) == 1797
    with pytest.raises(UsageError, match="given twice"):
        open_dataset("digits?split=all", settings, split="test")


def test_option_none_counts_as_not_given(settings: Settings) -> None:
    assert len(open_dataset("digits", settings, split=None)) == 1797


def test_path_that_does_not_exist(settings: Settings) -> None:
    with pytest.raises(UnreadableError, match="does not exist") as caught:
        open_dataset("no/such/folder", settings)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("reference", ["folder", "folder://", "csv://", "parquet://?label=y", "probs://"])
def test_form_without_a_path(settings: Settings, reference: str) -> None:
    with pytest.raises(UsageError, match="names no path"):
        open_dataset(reference, settings)


def test_file_of_unknown_kind(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "x.docx").write_text("x")
    with pytest.raises(UnreadableError, match="cannot tell"):
        open_dataset(tmp_path / "x.docx", settings)


def test_empty_folder(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(EmptyDataError, match="no images") as caught:
        open_dataset(tmp_path, settings)
    assert caught.value.exit_code == 3


def test_canonical_reference_opens_the_same_from_anywhere(
    settings: Settings, make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = make_folder({f"{c}/{k}.png": noise(k) for c in "ab" for k in range(2)})
    monkeypatch.chdir(root.parent)
    first = open_dataset("pets", settings)
    monkeypatch.chdir("/")
    again = open_dataset(first.reference, settings)
    assert again.reference == first.reference
    assert again.fingerprint == first.fingerprint


def test_listing_names_every_entry_and_says_what_is_missing(settings: Settings) -> None:
    rows = {row["name"]: row for row in list_datasets(settings)}
    assert list(rows) == DATASETS.names()
    assert rows["digits"]["status"] == "found"
    assert rows["cifar10"]["status"] == "missing"
    assert "cifar10/test-00000-of-00001.parquet" in rows["cifar10"]["where"]
    assert rows["cifake"]["status"] == "missing"
    assert all(row["description"] and row["example"] for row in rows.values())


def test_listing_finds_the_real_data(data_dir: Path, settings: Settings) -> None:
    found = {r["name"]: r for r in list_datasets(Settings(data_dirs=(data_dir,), cache_dir=settings.cache_dir))}
    assert found["cifar10"]["status"] == found["cifake"]["status"] == "found"
    assert found["cifar10"]["where"] == str(data_dir / "cifar10")


def test_third_parties_register_by_target(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DATASETS, "_targets", dict(DATASETS._targets))
    DATASETS.register("my-digits", "auditor.data.digits:Digits")
    assert len(open_dataset("my-digits", settings)) == 1797
    with pytest.raises(ValueError, match="duplicate"):
        DATASETS.register("digits", "x:Y")


def test_importing_open_is_light() -> None:
    heavy = "{'pandas','pyarrow','PIL','sklearn','datasets','torch','scipy'}"
    code = f"import sys, auditor.data.open; print({heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_digits_are_scaled_to_the_whole_range(settings: Settings) -> None:
    pixels, bad = open_dataset("digits", settings).load_images()  # type: ignore[attr-defined]
    assert pixels.shape == (1797, 8, 8, 3)
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert len(np.unique(pixels)) == 17
    assert not bad
