"""Tasks of Label Studio."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from auditor.core.errors import UsageError
from auditor.kinds.base import KindFlags
from auditor.kinds.registry import flag_kind
from auditor.kinds.tasks import LOCAL_FILES, write_tasks
from tests.kinds.cases import boxes


@pytest.fixture(scope="module")
def flags() -> KindFlags:
    return flag_kind("boxes", **boxes().inputs)


def test_tasks_hold_what_is_given_and_what_is_suggested(flags: KindFlags, tmp_path: Path) -> None:
    for k in range(70):
        Image.new("L", (220, 220)).save(tmp_path / f"{10 + k}.png")
    path = tmp_path / "tasks.json"
    assert flags.pictured is not None
    assert write_tasks(flags, path, tmp_path) == len(flags.pictured)
    tasks = json.loads(path.read_text())
    rows = boxes().inputs["labels"]["annotations"]
    for task, picture in zip(tasks, flags.pictured, strict=True):
        assert task["data"]["image"] == f"{LOCAL_FILES}{picture.id}.png"
        given, suggested = task["predictions"]
        assert (given["model_version"], suggested["model_version"]) == ("given", "suggested")
        back = [[region["value"][side] * 2.2 for side in ("x", "y", "width", "height")] for region in given["result"]]
        np.testing.assert_allclose(back, [row["bbox"] for row in rows if row["image_id"] == picture.id], atol=1e-9)
        removed = sum("annotation" in finding for finding in picture.findings)
        instead = sum(not shape.given for shape in picture.shapes)
        assert len(suggested["result"]) == len(given["result"]) - removed + instead
        said = [region["meta"]["text"][0] for region in given["result"] if "meta" in region]
        assert len(said) == removed
        assert all(text in task["data"]["findings"] for text in said)
        ids = [region["id"] for one in (given, suggested) for region in one["result"]]
        assert len(set(ids)) == len(ids)


def test_the_configuration_names_the_controls_and_classes(flags: KindFlags, tmp_path: Path) -> None:
    document = boxes().inputs
    document["labels"]["categories"][0]["name"] = 'cat & "dog"'
    for row in document["labels"]["images"]:
        row["file_name"] = f"train set/{row['id']}.jpg"
    named = flag_kind("boxes", **document)
    write_tasks(named, tmp_path / "t.json", prefix="https://example.org/")
    view = ElementTree.fromstring((tmp_path / "t.xml").read_text())
    labels = view.find("RectangleLabels")
    assert labels is not None
    assert [label.get("value") for label in labels] == ['cat & "dog"', "dog", "cow"]
    task = json.loads((tmp_path / "t.json").read_text())[0]
    assert task["data"]["image"] == f"https://example.org/train%20set/{task['data']['id']}.jpg"
    region = task["predictions"][0]["result"][0]
    assert (region["from_name"], region["to_name"]) == (labels.get("name"), labels.get("toName"))
    assert view.find("Image").get("value") == "$image"  # type: ignore[union-attr]


def test_what_is_not_known_is_asked_for(flags: KindFlags, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="do not name the file") as raised:
        write_tasks(flags, tmp_path / "t.json")
    assert "--images" in raised.value.way_out
    p = np.arange(40.0) % 7
    numbers = flag_kind("regression", predictions=p, labels=p + 0.01 * np.arange(40))
    with pytest.raises(UsageError, match="'regression' lie in no pictures"):
        write_tasks(numbers, tmp_path / "t.json")
    assert not list(tmp_path.iterdir())
