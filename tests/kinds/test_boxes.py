"""Boxes: what is refused and where, every form of file, the four errors, and what must not matter."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score

from auditor.core.errors import AuditorError, EmptyDataError, LabelError, ProbabilityError, UnreadableError
from auditor.kinds.box_folders import names_of_yaml
from auditor.kinds.box_model import merged, overlaps, partners
from auditor.kinds.boxes import Boxes, any_wrong
from auditor.kinds.registry import flag_kind
from tests.kinds.cases import boxes
from tests.running import call

READ = Boxes().read


def small() -> dict[str, Any]:
    """Two pictures, two classes, three boxes and as many predictions."""
    rows = [(1, 7, [2, 3, 10, 12]), (1, 9, [30, 30, 8, 8]), (2, 7, [5, 5, 20, 20])]
    named = [{"image_id": i, "category_id": c, "bbox": b} for i, c, b in rows]
    return {
        "labels": {
            "images": [{"id": 1, "width": 64, "height": 48}, {"id": 2, "width": 64, "height": 48}],
            "categories": [{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}],
            "annotations": [{"id": 5 + k, **row} for k, row in enumerate(named)],
        },
        "predictions": [{**row, "score": 0.9} for row in named],
    }


BAD_BOXES = [
    ([1, 2, 3], "not four finite numbers"),
    ([1, 2, 3, 0], "has no area"),
    ([1, 2, -3, 4], "has no area"),
    ([1, 2, float("nan"), 4], "not four finite numbers"),
    ([1, 2, "3", 4], "not four finite numbers"),
    ([1, 2, True, 4], "not four finite numbers"),
    ([1, 2, 10**400, 4], "not four finite numbers"),
    ([1e9, 2, 3, 4], "beyond 1e"),
    ([64, 2, 3, 4], "lies outside of picture"),
    ([-9, -9, 3, 4], "lies outside of picture"),
    (None, "missing, not four"),
    ({"x": 1}, "not four finite numbers"),
]


@pytest.mark.parametrize(("box", "message"), BAD_BOXES)
def test_a_box_that_is_none_is_refused_with_its_place(box: Any, message: str) -> None:
    given = small()
    given["labels"]["annotations"][1]["bbox"] = box
    with pytest.raises(LabelError, match=rf"annotations\[1\]\.bbox.*{message}"):
        READ(**given)
    given = small()
    given["predictions"][2]["bbox"] = box
    with pytest.raises(ProbabilityError, match=rf"predictions\[2\]\.bbox.*{message}"):
        READ(**given)


def _set(*path: Any, value: Any) -> Any:
    def change(given: dict[str, Any]) -> None:
        for step in path[:-1]:
            given = given[step]
        given[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (_set("labels", "annotations", 1, "image_id", value=3), LabelError, r"annotations\[1\]\.image_id is 3, which"),
        (_set("labels", "annotations", 1, "category_id", value=8), LabelError, r"\[1\]\.category_id is 8, which names"),
        (_set("labels", "annotations", 1, "category_id", value=[7]), LabelError, r"category_id is \[7\]"),
        (_set("labels", "annotations", 1, "id", value=5), LabelError, r"annotations\[1\] and \[0\] have the id 5"),
        (_set("labels", "annotations", 1, "id", value={}), LabelError, r"annotations\[1\]\.id is {}"),
        (_set("labels", "annotations", 1, value="box"), LabelError, r"annotations\[1\] is 'box', no object"),
        (_set("labels", "images", 1, "id", value=1), LabelError, r"images\[1\] and \[0\] have the id 1"),
        (_set("labels", "images", 1, "id", value=1.5), LabelError, r"images\[1\]\.id is 1\.5"),
        (_set("labels", "images", 1, "width", value=-4), LabelError, r"images\[1\]\.width is -4"),
        (_set("labels", "images", 1, "height", value="9"), LabelError, r"images\[1\]\.height is '9'"),
        (_set("labels", "categories", 1, "id", value=7), LabelError, r"categories\[1\] and \[0\]"),
        (_set("labels", "categories", value=None), LabelError, "has no list 'categories'"),
        (_set("labels", "annotations", value={}), LabelError, "'annotations' is no list"),
        (_set("labels", "annotations", value=[]), EmptyDataError, "'annotations' is empty"),
        (_set("labels", "images", value=[]), EmptyDataError, "'images' is empty"),
        (_set("labels", value=[]), LabelError, "is a list, no COCO document"),
        (_set("labels", value=7), LabelError, "is no COCO document"),
        (_set("predictions", value=[]), EmptyDataError, "holds no predictions"),
        (_set("predictions", value={"annotations": []}), ProbabilityError, "is a COCO document of labels"),
        (_set("predictions", value=[1, 2]), ProbabilityError, "is no list of objects"),
        (_set("predictions", 0, "score", value=1.5), ProbabilityError, r"\[0\]\.score is 1\.5, no probability"),
        (_set("predictions", 0, "score", value=float("nan")), ProbabilityError, r"\[0\]\.score is nan"),
        (_set("predictions", 0, "score", value=None), ProbabilityError, r"\[0\]\.score is missing"),
        (_set("predictions", 1, "image_id", value=99), ProbabilityError, r"predictions\[1\]\.image_id is 99"),
        (_set("predictions", 1, "category_id", value=None), ProbabilityError, r"\[1\]\.category_id is missing"),
    ],
)
def test_documents_that_are_wrong_are_refused_with_the_place(
    change: Any, error: type[AuditorError], message: str
) -> None:
    given = copy.deepcopy(small())
    change(given)
    with pytest.raises(error, match=message) as raised:
        READ(**given)
    assert raised.value.exit_code == 3


def test_all_boxes_ignored_missing_files_and_other_files_are_told(tmp_path: Path) -> None:
    given = small()
    for row in given["labels"]["annotations"]:
        row["iscrowd"] = 1
    with pytest.raises(EmptyDataError, match="crowds or marked as ignored"):
        READ(**given)
    with pytest.raises(UnreadableError, match=r"nothing\.json"):
        READ(labels=tmp_path / "nothing.json", predictions=[])
    with pytest.raises(UnreadableError, match=r"neither \.xml"):
        READ(labels=tmp_path, predictions=[])
    np.save(tmp_path / "y.npy", np.zeros(3))
    with pytest.raises(UnreadableError, match="as JSON"):
        READ(labels=tmp_path / "y.npy", predictions=[])
    done = call("flag", "--kind", "boxes", "--labels", tmp_path / "n.json", "--predictions", "p.json", check=3)
    assert "n.json" in done.stderr


def test_predictions_of_other_pictures_and_corners_for_sizes_are_noticed() -> None:
    inputs = boxes().inputs
    n = len(inputs["labels"]["images"])
    moved = [row | {"image_id": 10 + (row["image_id"] - 10 + 7) % n} for row in inputs["predictions"]]
    for row in moved:
        row["bbox"] = [10 + 3 * row["image_id"] % 90, *row["bbox"][1:]]
    with pytest.raises(ProbabilityError, match="unrelated to the labels"):
        READ(labels=inputs["labels"], predictions=moved)


def _folder(folder: Path, form: str) -> Path:
    """`small` as YOLO's or Pascal VOC's folder, the pictures called 1 and 2."""
    document = small()["labels"]
    for name in ("images", "labels", "Annotations"):
        (folder / name).mkdir(parents=True)
    for picture in document["images"]:
        rows = [r for r in document["annotations"] if r["image_id"] == picture["id"]]
        if form == "yolo":
            Image.new("L", (64, 48)).save(folder / "images" / f"{picture['id']}.png")
            lines = [
                f"{(r['category_id'] - 7) // 2} {(x + w / 2) / 64} {(y + h / 2) / 48} {w / 64} {h / 48}"
                for r in rows
                for x, y, w, h in [r["bbox"]]
            ]
            (folder / "labels" / f"{picture['id']}.txt").write_text("\n".join(lines) + "\n")
        else:
            objects = "".join(
                f"<object><name>{('cat', 'dog')[r['category_id'] > 7]}</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin>"
                f"<xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object>"
                for r in rows
                for x, y, w, h in [r["bbox"]]
            )
            text = f"<annotation><size><width>64</width><height>48</height></size>{objects}</annotation>"
            (folder / "Annotations" / f"{picture['id']}.xml").write_text(text)
    if form == "yolo":
        (folder / "data.yaml").write_text("train: images\nnames:\n  0: cat  # a comment\n  1: 'dog'\nnc: 2\n")
    return folder


@pytest.mark.parametrize("form", ["yolo", "voc"])
def test_folders_hold_what_the_document_holds(form: str, tmp_path: Path) -> None:
    """Predictions name classes of YOLO by number, of Pascal VOC by name, pictures by number or name."""
    expected = READ(**small())
    found = small()["predictions"]
    for row in found:
        row["category_id"] = (row["category_id"] - 7) // 2
        if form == "voc":
            row["category_id"], row["image_id"] = ("cat", "dog")[row["category_id"]], str(row["image_id"])
    read = READ(labels=str(_folder(tmp_path / form, form)), predictions=found)
    assert read.labels.names == ("cat", "dog")
    np.testing.assert_allclose(read.labels.boxes, expected.labels.boxes)
    for name in ("image", "category"):
        assert getattr(read.labels, name).tolist() == getattr(expected.labels, name).tolist()
        assert getattr(read.predictions, name).tolist() == getattr(expected.predictions, name).tolist()
    assert read.labels.sizes.tolist() == [[64, 48]] * 2


@pytest.mark.parametrize(
    ("form", "file", "text", "message"),
    [
        ("yolo", "labels/1.txt", "0 .5 .5 .1", "line 1 has 4 cells"),
        ("yolo", "labels/1.txt", "\n0 .5 .5 .1 x", "line 2: .* holds no numbers"),
        ("yolo", "labels/1.txt", "cat .5 .5 .1 .1", "holds no numbers"),
        ("yolo", "labels/1.txt", "-1 .5 .5 .1 .1", "'-1' is no class number"),
        ("yolo", "labels/1.txt", "5 .5 .5 .1 .1", "class 5 has no name; there are 2"),
        ("yolo", "labels/1.txt", "0 32 24 10 10", "are no shares of the picture"),
        ("yolo", "labels/1.txt", "0 .5 .5 nan .1", "are no shares of the picture"),
        ("yolo", "labels/1.txt", "0 .5 .5 0 .1", "has no area"),
        ("yolo", "labels/3.txt", "0 .5 .5 .1 .1", "has no picture"),
        ("yolo", "images/1.png", "no picture", "not an image file"),
        ("yolo", "data.yaml", "nc: 2\n", "has no entry 'names'"),
        ("voc", "Annotations/1.xml", "<annotation><object/></annotation>", "object 0 has no name"),
        ("voc", "Annotations/1.xml", "<annotation><object><name>cat</name></object></annotation>", "bndbox"),
        ("voc", "Annotations/1.xml", "<annotation><size><width>x</width></size></annotation>", "no number of pixels"),
        ("voc", "Annotations/1.xml", "<html></html>", "begins with <html>"),
        ("voc", "Annotations/1.xml", "<annotation>", "as XML"),
        ("voc", "Annotations/1.xml", '<!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>', "declares types"),
        ("voc", "Annotations/1.xml", "<a>" * 30 + "</a>" * 30, "16 deep"),
    ],
)
def test_damaged_folders_are_told_with_the_file(form: str, file: str, text: str, message: str, tmp_path: Path) -> None:
    folder = _folder(tmp_path, form)
    (folder / file).write_text(text)
    with pytest.raises(AuditorError, match=message) as raised:
        READ(labels=folder, predictions=small()["predictions"])
    assert Path(file).name in raised.value.what


@pytest.mark.parametrize(
    "text",
    [
        "names: [cat, 'dog']",
        "nc: 2\nnames:\n- cat\n- dog\npath: x",
        'names:\n  - cat\n  - "dog"',
        "names: {0: cat, 1: dog}",
        "names: [cat,\n  dog]",
        "names:\n  0: cat\n  1: dog # too",
    ],
)
def test_every_way_to_write_names(text: str) -> None:
    assert names_of_yaml(text.split("\n"), "x") == ("cat", "dog")


@pytest.mark.parametrize("text", ["names: 7", "names:\n  1: cat", "names: [cat,", "names: []", "names: ['']", "nc: 1"])
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(LabelError, match="x"):
        names_of_yaml(text.split("\n"), "x")


def test_items_name_what_is_wrong_and_what_would_be_right() -> None:
    case = boxes()
    flags = flag_kind("boxes", **case.inputs)
    items, rows = flags.facts["items"], {r["id"]: r for r in case.inputs["labels"]["annotations"]}
    assert [i["score"] for i in items] == sorted((i["score"] for i in items), reverse=True)
    assert {i["kind"] for i in items if i["flagged"]} == {"overlooked", "badly_located", "swapped", "surplus"}
    assert sum(i["flagged"] for i in items) == len(flags.flagged) == len(flags.columns["image"])
    names = {1: "cat", 2: "dog", 3: "cow"}
    for item in items:
        if item["kind"] == "overlooked":
            assert "annotation" not in item
            continue
        assert item["box"] == rows[item["annotation"]]["bbox"]
        assert item["id"] == rows[item["annotation"]]["image_id"]
        assert item["given"] == names[rows[item["annotation"]]["category_id"]]
        assert "suggested" not in item or item["suggested"] != item["given"] or item["kind"] != "swapped"
    wrong = np.zeros(len(flags.saved))
    cells = np.r_[[r["image_id"] - 10 for r in rows.values()], np.zeros(len(case.wrong) - len(rows))].astype(int)
    wrong[cells[: len(rows)][case.wrong[: len(rows)]]] = 1
    for item in items:
        wrong[item["id"] - 10] = max(wrong[item["id"] - 10], item["kind"] == "overlooked" and item["flagged"])
    assert average_precision_score(wrong, flags.saved) > 0.8


def test_the_order_of_the_document_does_not_matter() -> None:
    case = boxes()
    plain = flag_kind("boxes", **case.inputs)
    turned = {name: list(reversed(rows)) for name, rows in case.inputs["labels"].items()}
    other = flag_kind("boxes", labels=turned, predictions=case.inputs["predictions"][::-1])
    np.testing.assert_allclose(other.saved, plain.saved[::-1], atol=1e-6)
    key = [(i["id"], i["kind"], round(i["score"], 4)) for i in plain.facts["items"] if i["flagged"]]
    assert sorted(key) == sorted(
        (i["id"], i["kind"], round(i["score"], 4)) for i in other.facts["items"] if i["flagged"]
    )


def test_odd_but_legal_input_is_answered() -> None:
    """One class; pictures without boxes or predictions; crowds; a single box; exact twins."""
    given = small()
    given["labels"]["images"].append({"id": 3})
    given["labels"]["annotations"] += [
        {"id": 90, "image_id": 2, "category_id": 7, "bbox": [5, 5, 20, 20]},
        {"id": 91, "image_id": 2, "category_id": 9, "bbox": [0, 0, 64, 48], "iscrowd": 1},
    ]
    given["predictions"].append({"image_id": 2, "category_id": 9, "bbox": [40, 30, 9, 9], "score": 1.0})
    flags = flag_kind("boxes", **given)
    assert np.isfinite(flags.scores).all()
    assert len(flags.saved) == 3
    assert not any(i["kind"] == "overlooked" and i["id"] == 2 for i in flags.facts["items"]), "it lies in a crowd"
    assert not any(i.get("annotation") == 91 for i in flags.facts["items"])
    one = {
        "images": [{"id": "a"}, {"id": "b"}],
        "categories": [{"id": 0, "name": "only"}],
        "annotations": [{"image_id": "a", "category_id": 0, "bbox": [1, 1, 5, 5]}],
    }
    found = [{"image_id": "b", "category_id": 0, "bbox": [1, 1, 5, 5], "score": 0.5}]
    flags = flag_kind("boxes", labels=one, predictions=found)
    assert flags.shape == (2,)
    assert json.loads(json.dumps(flags.document()))["n_given"] == 1


def test_geometry() -> None:
    a = np.array([[0.0, 0, 10, 10], [100, 0, 10, 10]])
    b = np.array([[5.0, 0, 10, 10], [0, 0, 10, 5]])
    np.testing.assert_allclose(overlaps(a, b), [[1 / 3, 0.5], [0, 0]])
    places, scores, members = merged(
        np.array([[0.0, 0, 10, 10], [0, 1, 10, 10], [50, 0, 10, 10]]), np.array([0, 1, 0]), np.array([0.6, 0.3, 0.9]), 2
    )
    assert members.tolist() == [1, 2]
    np.testing.assert_allclose(scores, [[0.9, 0], [0.6, 0.3]])
    np.testing.assert_allclose(places[1], [0, 1 / 3, 10, 10], atol=1e-6)
    # each of two boxes side by side has a proposal of its own, though one proposal overlaps the first box more
    side_by_side = np.array([[0.0, 0, 10, 10], [4, 0, 10, 10]])
    proposed = np.array([[1.0, 0, 10, 10], [-3, 0, 10, 10]])
    assert partners(side_by_side, np.zeros(2, int), proposed, np.full((2, 1), 0.9)).tolist() == [1, 0]
    np.testing.assert_allclose(any_wrong(np.array([0.5, 0.5, 0.25]), np.array([0, 0, 1]), 2), np.log([3, 1 / 3]))
