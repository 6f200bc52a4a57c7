"""Flagged pictures: what is drawn over them, and where their files lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from auditor.core.errors import DataError, EmptyDataError, UnreadableError, UsageError
from auditor.kinds.base import KindFlags
from auditor.kinds.pictured import FlaggedPicture, PictureFolder, size_of
from auditor.kinds.registry import flag_kind
from tests.kinds.cases import boxes


@pytest.fixture(scope="module")
def flags() -> KindFlags:
    return flag_kind("boxes", **boxes().inputs)


def picture(file: str | None = None, size: tuple[float, float] | None = None) -> FlaggedPicture:
    return FlaggedPicture(7, file, size, 1.0, (), ())


def test_shapes_are_the_given_boxes_and_what_is_suggested(flags: KindFlags) -> None:
    assert flags.pictured is not None
    pictures = list(flags.pictured)
    rows = boxes().inputs["labels"]["annotations"]
    assert len(pictures) == len(flags.pictured) == len({i["id"] for i in flags.facts["items"] if i["flagged"]})
    assert sum(len(one.findings) for one in pictures) == len(flags.flagged)
    firsts = [one.findings[0]["score"] for one in pictures]
    assert firsts == sorted(firsts, reverse=True)
    kinds = set()
    for one in pictures:
        given = [shape for shape in one.shapes if shape.given]
        assert [list(shape.box) for shape in given] == [row["bbox"] for row in rows if row["image_id"] == one.id]
        assert one.size == (220, 220)
        assert one.score == flags.facts["image_scores"][one.id - 10]
        for number, finding in enumerate(one.findings):
            wrong = [shape for shape in given if shape.finding == number]
            instead = [shape for shape in one.shapes if not shape.given and shape.finding == number]
            kinds.add(finding["kind"])
            assert len(wrong) == ("annotation" in finding)
            assert len(instead) <= 1
            if finding["kind"] == "surplus":
                assert not instead
            if finding["kind"] in ("overlooked", "swapped"):
                assert instead[0].label == finding["suggested"]
            if instead and wrong:
                assert (instead[0].label, instead[0].box) != (wrong[0].label, wrong[0].box)
    assert kinds == {"overlooked", "swapped", "surplus", "badly_located"}


def test_a_picture_is_found_by_its_path_its_name_or_its_id(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    for name in ("train/a.png", "7.jpg", "b.png", "train/b.png"):
        Image.new("RGB", (30, 20)).save(tmp_path / name)
    folder = PictureFolder(tmp_path)
    assert folder.find(picture("train/b.png")) == tmp_path / "train" / "b.png"
    assert folder.find(picture("elsewhere/a.png")) == tmp_path / "train" / "a.png"
    assert folder.find(picture()) == folder.find(picture("gone.png")) == tmp_path / "7.jpg"
    with pytest.raises(DataError, match=r"holds 2 files called 'b\.png'"):
        folder.find(picture("x/b.png"))
    with pytest.raises(DataError, match="lies outside"):
        PictureFolder(tmp_path / "train").find(picture("../7.jpg"))
    with pytest.raises(UnreadableError, match="picture 7 is not in"):
        PictureFolder(tmp_path / "train").find(picture())
    with pytest.raises(UnreadableError, match="is no folder"):
        PictureFolder(tmp_path / "7.jpg")
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmptyDataError, match="holds no pictures"):
        PictureFolder(tmp_path / "empty")


def test_a_size_comes_from_the_labels_or_the_file(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / "7.png")
    assert size_of(picture(size=(8, 9)), None) == (8, 9)
    assert size_of(picture(), PictureFolder(tmp_path)) == (30, 20)
    with pytest.raises(UsageError, match="how large picture 7 is"):
        size_of(picture(), None)
    (tmp_path / "7.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableError, match=r"7\.png"):
        size_of(picture(), PictureFolder(tmp_path))


def test_kinds_without_pictures_have_none() -> None:
    p = np.array([0.1, 0.9, 5.0, 3.0] * 10)
    assert flag_kind("regression", predictions=p, labels=p + 0.01 * np.arange(40)).pictured is None
