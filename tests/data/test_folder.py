from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from auditor.core.config import Settings, load_settings
from auditor.core.errors import LabelError, UnreadableError, UsageError
from auditor.data.kinds import FILE_SCHEME, RGB_SCHEME, ImageDataset
from auditor.data.open import open_dataset
from tests.data.conftest import encode, noise

Make = Callable[..., Path]


def opened(root: Path, settings: Settings, /, **options: str) -> ImageDataset:
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


def pictures(*folders: str, n: int = 2) -> dict[str, np.ndarray]:
    return {f"{folder}/{k}.png": noise(k) for folder in folders for k in range(n)}


@pytest.mark.parametrize(
    ("beside", "note"),
    [
        ({"__MACOSX/train/._1.png": b"x"}, "folders without images: __MACOSX"),
        ({"docs/readme.md": b"x"}, "folders without images: docs"),
        ({"logo.png": noise(9)}, "1 images outside class folders were passed over (first: logo.png)"),
    ],
)
def test_folders_without_images_have_no_say_in_what_the_tops_are(
    settings: Settings, make_folder: Make, beside: dict[str, bytes], note: str
) -> None:
    data = opened(make_folder({**pictures("train/cat", "train/dog", "test/cat", "test/dog"), **beside}), settings)
    assert data.class_names == ("cat", "dog")
    assert list(dict.fromkeys(data.items.splits)) == ["train", "test"]
    assert note in data.notes


@pytest.mark.parametrize(
    ("tops", "splits"),
    [
        (("training_set", "test_set"), ["train", "test"]),
        (("seg_train", "seg_test"), ["train", "test"]),
        (("Training", "Testing"), ["Training", "Testing"]),
        (("fold1", "fold2", "fold3"), ["fold1", "fold2", "fold3"]),
        (("train_images", "val-data"), ["train", "val"]),
        (("train1", "train2"), ["train1", "train2"]),
    ],
)
def test_longer_names_of_splits(
    settings: Settings, make_folder: Make, tops: tuple[str, ...], splits: list[str]
) -> None:
    data = opened(make_folder(pictures(*(f"{top}/{c}" for top in tops for c in ("cat", "dog")))), settings)
    assert data.class_names == ("cat", "dog")
    assert list(dict.fromkeys(data.items.splits)) == splits


@pytest.mark.parametrize(
    ("folders", "splits", "classes"),
    [
        (("train/cat", "train/dog", "test/cat", "test/dog", "docs"), ("cat", "dog"), ("docs", "test", "train")),
        (("north/cat", "north/dog", "south/cat", "south/dog"), ("cat", "dog"), ("north", "south")),
        (("data/cat", "data/dog", "test"), ("cat", "dog"), ("data", "test")),
        (("train/train/cat", "test/test/cat"), ("test", "train"), ("test", "train")),
    ],
)
def test_tops_that_could_be_splits_or_classes_ask(
    settings: Settings, make_folder: Make, folders: tuple[str, ...], splits: tuple[str, ...], classes: tuple[str, ...]
) -> None:
    root = make_folder(pictures(*folders))
    with pytest.raises(LabelError, match=r"splits or classes(.|\n)*layout=splits"):
        opened(root, settings)
    if "docs" in folders:
        assert any("2 images outside" in note for note in opened(root, settings, layout="splits").notes)
    assert opened(root, settings, layout="classes").class_names == classes
    assert opened(root, settings, layout="splits").class_names == splits
    assert open_dataset(f"folder://{root}?layout=splits", settings).class_names == splits


@pytest.mark.parametrize("folders", [("train", "bus", "car"), ("cat/images", "dog/images"), ("cat/2019", "dog/2020")])
def test_tops_that_are_classes(settings: Settings, make_folder: Make, folders: tuple[str, ...]) -> None:
    data = opened(make_folder(pictures(*folders)), settings)
    assert data.class_names == tuple(sorted({folder.partition("/")[0] for folder in folders}))
    nested = [note for note in data.notes if "inside a class folder" in note]
    assert len(nested) == ("/" in folders[0])


def test_unlabelled_images_of_a_split_are_counted(settings: Settings, make_folder: Make) -> None:
    data = opened(make_folder(pictures("train/cat", "train/dog", "test")), settings)
    assert len(data) == 4
    assert "2 images outside class folders were passed over (first: test/0.png)" in data.notes


def test_unknown_layout(settings: Settings, make_folder: Make) -> None:
    with pytest.raises(UsageError, match="neither splits nor classes"):
        opened(make_folder(pictures("a", "b")), settings, layout="tops")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder beside the data set that holds one picture."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/secret.png").write_bytes(encode(noise(9)))
    return tmp_path / "elsewhere"


def test_links_that_leave_the_folder_are_not_followed(settings: Settings, make_folder: Make, elsewhere: Path) -> None:
    root = make_folder(pictures("cat", "dog"))
    (root / "cat/link.png").symlink_to(elsewhere / "secret.png")
    (root / "cat/inside.png").symlink_to(root / "dog/1.png")
    (root / "bee").symlink_to(elsewhere)
    (root / "dog/up").symlink_to(root)
    data = opened(root, settings)
    assert data.class_names == ("cat", "dog")
    assert any("2 links to folders" in note and "(first: bee)" in note for note in data.notes)
    pixels, bad = data.load_images()
    assert [data.ids[b.position] for b in bad] == ["cat/link.png"]
    assert "leads out of" in bad[0].reason
    np.testing.assert_array_equal(pixels[list(data.ids).index("cat/inside.png")], noise(1))
    allowed = opened(root, settings, root=str(elsewhere.parent))
    assert allowed.class_names == ("bee", "cat", "dog")
    assert not allowed.load_images()[1]


def test_links_only_ask_for_the_root(settings: Settings, make_folder: Make, elsewhere: Path) -> None:
    root = make_folder({"cat/note.txt": b"x", "dog/note.txt": b"x"})
    for label in ("cat", "dog"):
        (root / label / "1.png").symlink_to(elsewhere / "secret.png")
    with pytest.raises(UsageError, match="root=FOLDER"):
        opened(root, settings)


def test_special_files_are_bad_items(settings: Settings, make_folder: Make) -> None:
    root = make_folder(pictures("cat", "dog"))
    os.mkfifo(root / "cat/pipe.png")
    (root / "dog/device.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(root / "dog/socket.png"))
        with open(root / "dog/huge.png", "wb") as sparse:
            sparse.truncate(2 << 30)
        data = opened(root, settings, root="/")
        _, bad = data.load_images()
    reasons = {str(data.ids[b.position]): b.reason for b in bad}
    assert reasons.keys() == {"cat/pipe.png", "dog/device.png", "dog/socket.png", "dog/huge.png"}
    for name, word in (
        ("cat/pipe", "a pipe"),
        ("dog/device", "a device"),
        ("dog/socket", "a socket"),
        ("dog/huge", "2,147"),
    ):
        assert word in reasons[f"{name}.png"]


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


@pytest.mark.parametrize("names", [("Cat", "cat "), ("CAT", "cat"), ("01", "1")])
def test_class_folders_that_look_like_one_class_are_said(names: tuple[str, str], tmp_path: Path) -> None:
    for k, name in enumerate((*names, "dog")):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4), (k, 0, 0)).save(tmp_path / name / "0.png")
    assert any("differ in case or blanks only" in note for note in open_dataset(tmp_path, load_settings()).notes)


def test_folders_whose_names_all_begin_as_splits_are_asked_about(tmp_path: Path) -> None:
    for k, name in enumerate(("trainA", "trainB", "testA", "testB")):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4), (k, 0, 0)).save(tmp_path / name / "0.png")
    with pytest.raises(LabelError, match="begin as those of splits do"):
        open_dataset(tmp_path, load_settings())
    assert len(open_dataset(f"{tmp_path}?layout=classes", load_settings()).class_names) == 4
