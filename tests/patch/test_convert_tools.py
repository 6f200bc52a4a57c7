"""Files of Argilla, CVAT and COCO as the tools write them, and what is refused.

``fixtures/argilla-2.8.0-records.json`` was written by argilla 2.8.0 (``JsonIO.to_json``); CVAT's and COCO's are as the
tools' documentation shows them. Written and read again: `test_convert.py`, for every format.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.core.config import Settings
from auditor.core.errors import DataError, UnreadableError
from auditor.patch.convert.base import Converted, convert
from tests.patch.conftest import Source

Make = Callable[[str], Source]
FIXTURES = Path(__file__).parent / "fixtures"


def _read(name: str, path: Path, source: Source, settings: Settings, tmp_path: Path) -> Converted:
    return convert(path, tmp_path / "b.labelpatch.jsonl", settings, read_as=name, reference=source.reference)


def test_argilla_as_written_by_argilla(make: Make, settings: Settings, tmp_path: Path) -> None:
    done = _read("argilla", FIXTURES / "argilla-2.8.0-records.json", make("csv"), settings, tmp_path)
    (record,) = done.patch.records  # a label that two people confirmed makes none
    assert (record.index, record.from_label, record.to) == (4, "horse", ("cat",))
    assert (dict(record.votes or {}), record.n) == ({"given": 1, "other:cat": 2}, 3)
    assert any("1 records without a response" in note for note in done.notes)
    assert any("1 tasks on which no answer has more than half" in note for note in done.notes)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda records: records[0].pop("responses"), "no records of Argilla"),
        (lambda records: records[0]["responses"].update(other=[{"value": "x"}]), "several questions"),
        (lambda records: records[0]["responses"].update(label=[{"value": "bird"}]), "not one of the 3 classes"),
        (lambda records: records[0]["responses"].update(label="cat"), "no list of objects"),
        (lambda records: records[0]["fields"].update(text="another text"), "is not in"),
    ],
)
def test_argilla_of_something_else_is_refused(
    change: Callable[[list[Any]], Any], match: str, make: Make, settings: Settings, tmp_path: Path
) -> None:
    records = json.loads((FIXTURES / "argilla-2.8.0-records.json").read_text())
    change(records)
    (tmp_path / "x.json").write_text(json.dumps(records))
    with pytest.raises(DataError, match=match):
        _read("argilla", tmp_path / "x.json", make("csv"), settings, tmp_path)


_CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><id>4</id><name>pets</name><labels><label><name>cat</name><type>tag</type></label></labels></task></meta>
  <image id="0" name="cat/0.png" subset="default" task_id="4" width="5" height="6">
    <tag label="dog" source="manual"></tag>
  </image>
  <image id="1" name="dog/2.png" width="5" height="6">
    <tag label="dog" source="manual"></tag>
    <tag label="cat" source="manual"><attribute name="sure">yes</attribute></tag>
    <box label="cat" xtl="0" ytl="0" xbr="2" ybr="2" occluded="0" z_order="0"></box>
  </image>
  <image id="2" name="horse/1.png" width="5" height="6"></image>
  <image id="3" name="elsewhere/9.png" width="5" height="6"><tag label="cat" source="manual"></tag></image>
</annotations>
"""


def test_cvat_for_images_as_documented(make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("folder")
    (tmp_path / "x.xml").write_text(_CVAT)
    done = _read("cvat", tmp_path / "x.xml", source, settings, tmp_path)
    assert {(r.path, r.op, r.to) for r in done.patch.records} == {
        ("cat/0.png", "relabel", ("dog",)),
        ("dog/2.png", "multi", ("dog", "cat")),
    }
    assert "1 pictures without a label were passed over" in done.notes
    assert "1 pictures that are not in the data were passed over" in done.notes


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("<html></html>", DataError, "no export of CVAT"),
        (_CVAT.replace("tag", "box"), DataError, "holds no tags, only box"),
        (_CVAT.replace("<annotations>", "<!DOCTYPE a [<!ENTITY b 'c'>]><annotations>"), UnreadableError, "DOCTYPE"),
        (_CVAT[:300], UnreadableError, "XML"),
        (_CVAT.replace('label="dog"', 'label="bird"'), DataError, "not one of the 3 classes"),
    ],
)
def test_cvat_of_something_else_is_refused(
    text: str, error: type[DataError], match: str, make: Make, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "x.xml").write_text(text)
    with pytest.raises(error, match=match):
        _read("cvat", tmp_path / "x.xml", make("folder"), settings, tmp_path)


def _coco() -> dict[str, Any]:
    size = {"width": 5, "height": 6}
    return {
        "info": {"year": 2026},
        "licenses": [],
        "images": [
            {"id": 7, "file_name": "cat/0.png", **size},
            {"id": 9, "file_name": "dog/2.png", **size},
            {"id": 11, "file_name": "horse/1.png", **size},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 18, "bbox": [0, 0, 5, 6], "area": 30, "iscrowd": 0},
            {"id": 2, "image_id": 9, "category_id": 18},
            {"id": 3, "image_id": 9, "category_id": 18},
        ],
        "categories": [{"id": 18, "name": "dog", "supercategory": "animal"}, {"id": 17, "name": "cat"}],
    }


def test_coco_as_documented(make: Make, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps(_coco()))
    done = _read("coco", tmp_path / "x.json", make("folder"), settings, tmp_path)
    (record,) = done.patch.records  # two annotations of one class are one label
    assert (record.path, record.to) == ("cat/0.png", ("dog",))
    assert done.notes == ("1 pictures without a label were passed over",)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: d.pop("categories"), "'categories' is no list"),
        (lambda d: d["annotations"][0].update(category_id=1), "no category 1"),
        (lambda d: d["annotations"][0].update(category_id=[1]), "'category_id' is no number and no text"),
        (lambda d: d["categories"][0].update(id={}), "'id' is no number and no text"),
        (lambda d: d["annotations"][0].update(image_id=1), "1 images that it does not list"),
        (lambda d: d["images"][0].update(auditor_drop="bored"), "auditor_drop is 'bored'"),
        (lambda d: d["categories"][0].update(name="bird"), "not one of the 3 classes"),
        (lambda d: [image.update(file_name="no.png") for image in d["images"]], "none of its 2 pictures"),
    ],
)
def test_coco_of_something_else_is_refused(
    change: Callable[[dict[str, Any]], Any], match: str, make: Make, settings: Settings, tmp_path: Path
) -> None:
    document = _coco()
    change(document)
    (tmp_path / "x.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=match):
        _read("coco", tmp_path / "x.json", make("folder"), settings, tmp_path)
