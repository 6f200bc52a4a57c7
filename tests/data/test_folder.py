from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from auditor.core.config import Settings
from auditor.core.errors import LabelError, UnreadableError
from auditor.data.kinds import FILE_SCHEME, RGB_SCHEME, ImageDataset
from auditor.data.open import open_dataset
from tests.data.conftest import encode, noise

Make = Callable[..., Path]


def opened(root: Path, settings: Settings, **options: str) -> ImageDataset:
    data = open_dataset(root, settings, **options)
    assert isinstance(data, ImageDataset)
    return data


def test_classes_ids_and_order(settings: Settings, make_folder: Make) -> None:
    root = make_folder(
        {"dog/b.png": noise(0), "cat/2.png": noise(1), "cat/sub/10.png": noise(2), "dog/a.png": noise(3)}
    )
    data = opened(root, settings)
    assert data.name == "pets"
    assert data.class_names == ("cat", "dog")
    assert list(data.ids) == ["cat/2.png", "cat/sub/10.png", "dog/a.png", "dog/b.png"]
    assert list(data.labels) == [0, 0, 1, 1]
    assert set(data.items.splits) == {"all"}
    np.testing.assert_array_equal(np.asarray(data.item(2)), noise(3))


def test_train_and_test_above_the_classes(settings: Settings, make_folder: Make) -> None:
    root = make_folder({f"{s}/{c}/{k}.png": noise(k) for s in ("train", "test") for c in "ab" for k in range(2)})
    data = opened(root, settings)
    assert list(dict.fromkeys(data.items.splits)) == ["train", "test"]
    assert list(data.items.index) == [0, 1, 2, 3] * 2
    assert data.class_names == ("a", "b")


def test_a_class_called_test_beside_others_is_a_class(settings: Settings, make_folder: Make) -> None:
    data = opened(make_folder({"test/1.png": noise(0), "cat/1.png": noise(1)}), settings)
    assert data.class_names == ("cat", "test")


def test_corrupt_files_are_bad_items_and_the_rest_loads(settings: Settings, make_folder: Make) -> None:
    root = make_folder({"a/1.png": noise(0), "a/2.png": b"", "b/1.png": noise(1), "b/2.png": encode(noise(2))[:50]})
    data = opened(root, settings)
    pixels, bad = data.load_images()
    assert [data.ids[b.position] for b in bad] == ["a/2.png", "b/2.png"]
    np.testing.assert_array_equal(pixels[2], noise(1))
    assert data.fingerprint == opened(root, settings).fingerprint


def test_one_class(settings: Settings, make_folder: Make) -> None:
    with pytest.raises(LabelError, match="one class") as caught:
        open_dataset(make_folder({"cat/1.png": noise(0), "cat/2.png": noise(1)}), settings)
    assert caught.value.exit_code == 3


def test_other_files_are_passed_over_and_said(settings: Settings, make_folder: Make) -> None:
    files = {"a/1.png": noise(0), "b/1.png": noise(1), "b/readme.txt": b"x", "b/.DS_Store": b"x", ".git/c/1.png": b"x"}
    root = make_folder(files)
    (root / "empty").mkdir()
    data = opened(root, settings)
    assert list(data.ids) == ["a/1.png", "b/1.png"]
    assert any("1 files that are not images" in note for note in data.notes)
    assert any("empty" in note for note in data.notes)


def test_unicode_names(settings: Settings, make_folder: Make) -> None:
    root = make_folder({"köter/größe 1.png": noise(0), "猫/三.png": noise(1)}, "Тест")
    data = opened(root, settings)
    assert data.class_names == ("köter", "猫")
    assert list(data.ids) == ["köter/größe 1.png", "猫/三.png"]
    assert not data.load_images()[1]
    assert open_dataset(data.reference, settings).fingerprint == data.fingerprint


@pytest.mark.skipif(os.name == "nt", reason="file names are bytes on POSIX only")
def test_names_that_are_not_utf8_get_printable_ids(settings: Settings, make_folder: Make) -> None:
    root = make_folder({"a/1.png": noise(0), "b/1.png": noise(1)})
    Path(os.fsdecode(os.fsencode(root / "a") + b"/\xff.png")).write_bytes(encode(noise(2)))
    data = opened(root, settings)
    assert "a/\\xff.png" in list(data.ids)
    assert not data.load_images()[1]
    assert data.fingerprint.startswith("sha256:")


def test_lossy_files_are_known_by_their_bytes(settings: Settings, make_folder: Make) -> None:
    assert opened(make_folder({"a/1.png": noise(0), "b/1.bmp": noise(1)}), settings).hash_scheme == RGB_SCHEME
    mixed = make_folder({"a/1.png": noise(0), "b/1.jpg": encode(noise(1), "JPEG")}, "mixed")
    assert opened(mixed, settings).hash_scheme == FILE_SCHEME


def test_folder_without_permission(settings: Settings, make_folder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_folder({"a/1.png": noise(0), "b/1.png": noise(1)})

    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    # Simulated, because tests may run as root, whom no permission stops.
    monkeypatch.setattr("auditor.data.folder.os.scandir", refuse)
    with pytest.raises(UnreadableError, match="Permission denied") as caught:
        opened(root, settings)
    assert caught.value.exit_code == 3


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission_is_a_bad_item(settings: Settings, make_folder: Make) -> None:
    root = make_folder({"a/1.png": noise(0), "b/1.png": noise(1)})
    (root / "a/1.png").chmod(0)
    _, bad = opened(root, settings).load_images()
    assert [b.position for b in bad] == [0]
    assert "Permission denied" in bad[0].reason


def test_file_that_cannot_be_opened_is_a_bad_item(
    settings: Settings, make_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder({"a/1.png": noise(0), "b/1.png": noise(1)})
    data = opened(root, settings)
    real = open

    def guarded(path: object, *args: object, **options: object) -> object:
        if str(path).endswith("a/1.png"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr("builtins.open", guarded)
    _, bad = data.load_images()
    assert [b.position for b in bad] == [0]
    assert "Permission denied" in bad[0].reason


def test_a_file_in_place_of_the_folder(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    with pytest.raises(UnreadableError, match="is a file"):
        open_dataset(f"folder://{tmp_path / 'x'}", settings)
