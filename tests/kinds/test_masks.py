"""Masks: what is refused and where, every form of file, the four kinds of pieces, and what must not matter."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score

from auditor.core.errors import (
    AuditorError,
    DataError,
    EmptyDataError,
    LabelError,
    ProbabilityError,
    UnreadableError,
    UnsafeFileError,
    UsageError,
)
from auditor.kinds.base import KindFlags
from auditor.kinds.formulas import mask_quality
from auditor.kinds.mask_regions import BORDER, MISSING, SURPLUS, SWAPPED, find_regions, kinds_of
from auditor.kinds.masks import Masks
from auditor.kinds.outlines import joined
from auditor.kinds.registry import flag_kind
from auditor.kinds.rle import decode_rle
from tests.kinds.cases import masks
from tests.kinds.test_outlines import painted
from tests.running import call


def small(n: int = 3, side: int = 24) -> dict[str, np.ndarray]:
    """A square of class 1 or 2 in every picture, and a model that sees it; picture 1 has one that it does not."""
    labels = np.zeros((n, side, side), np.uint8)
    for k in range(n):
        labels[k, 4:12, 4:12] = 1 + k % 2
    p = np.full((n, 3, side, side), 0.05, np.float32)
    np.put_along_axis(p, labels[:, None].astype(np.int64), 0.9, axis=1)
    labels[1, 14:20, 14:20] = 1
    return {"labels": labels, "pred_probs": p}


def ask(**inputs: Any) -> KindFlags:
    return flag_kind("masks", **inputs)


def folders(folder: Path, suffix: str = ".png", **inputs: np.ndarray) -> dict[str, Path]:
    """One file a picture, called 9, 10, .., so that names order otherwise than numbers."""
    paths = {"labels": folder / "masks", "predictions": folder / "probabilities"}
    for path in paths.values():
        path.mkdir()
    for k, (mask, p) in enumerate(zip(inputs["labels"], inputs["pred_probs"], strict=True)):
        np.save(paths["predictions"] / f"{9 + k}.npy", p)
        if suffix == ".npy":
            np.save(paths["labels"] / f"{9 + k}.npy", mask)
        else:
            Image.fromarray(mask).save(paths["labels"] / f"{9 + k}{suffix}")
    return paths


def coco(labels: np.ndarray) -> dict[str, Any]:
    """Masks as a document, runs as numbers, classes 1 and 2."""
    annotations = []
    for k, mask in enumerate(labels):
        for value in (1, 2):
            inside = (mask == value).T.ravel()
            edges = np.flatnonzero(np.diff(np.r_[False, inside])) if not inside[0] else None
            counts = np.diff(np.r_[0, edges, inside.size]).tolist()
            segmentation = {"size": list(mask.shape), "counts": counts}
            annotations.append({"id": len(annotations), "image_id": 9 + k, "category_id": value})
            annotations[-1]["segmentation"] = segmentation
    side = labels.shape[1]
    return {
        "images": [{"id": 9 + k, "height": side, "width": side} for k in range(len(labels))],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": annotations,
    }


# --- pieces ----------------------------------------------------------------------------------------------------------


def test_each_wrong_piece_is_named_located_and_flagged() -> None:
    truth = np.zeros((1, 60, 60), np.int64)
    truth[0, 5:20, 5:20], truth[0, 5:20, 35:50], truth[0, 35:50, 5:20] = 1, 2, 1
    p = np.moveaxis(0.05 + 0.85 * np.eye(3)[truth], -1, 1)
    given = truth.copy()
    given[0, 5:20, 5:20] = 0  # its mask is missing
    given[0, 5:20, 35:50] = 1  # another class
    given[0, 35:50, 20:24] = 1  # four columns too wide
    given[0, 40:50, 40:50] = 2  # about nothing
    flags = ask(labels=given, pred_probs=p)
    said = {item["kind"]: item for item in flags.facts["items"]}
    assert len(flags.facts["items"]) == len(said) == 4
    boxes = {"missing_piece": [5, 5, 15, 15], "swapped_class": [35, 5, 15, 15], "border": [20, 35, 4, 15]}
    assert {kind: item["box"] for kind, item in said.items()} == boxes | {"surplus_piece": [40, 40, 10, 10]}
    assert [said["swapped_class"][name] for name in ("given", "suggested", "area")] == [1, 2, 225]
    assert flags.facts["background"] == 0
    assert dict(zip(flags.codes, flags.given, strict=True)).keys() <= set(Masks.codes)


def test_kinds_follow_the_shares_and_small_pieces_are_left_out() -> None:
    mask, seen = np.zeros((2, 30, 30), np.int64)
    seen[2:10, 2:10] = 1
    mask[2:10, 2:6] = 1  # half of an object that the model sees is background here
    mask[15:25, 15:25] = 2
    seen[15:25, 15:19] = 2  # of the mask's object the model sees four columns of ten
    mask[27, 0:3] = 1  # three pixels
    p = np.moveaxis(0.1 + 0.7 * np.eye(3)[seen], -1, 0)
    regions = find_regions(mask, p, seen)
    assert regions.area.tolist() == [32, 60]
    assert kinds_of(regions, 0).tolist() == [MISSING, SURPLUS]
    assert kinds_of(regions, 7).tolist() == [SWAPPED, SWAPPED]
    np.testing.assert_allclose(regions.core, np.log(0.8 / 0.1), rtol=1e-4)
    np.testing.assert_allclose(regions.thickness, [2, 3])
    mask[2:10, 2:7] = 1
    seen[15:25, 15:21] = 2
    assert kinds_of(find_regions(mask, p, seen), 0).tolist() == [BORDER, BORDER]


def test_pictures_rank_by_their_worst_piece_and_without_one_by_softmin() -> None:
    case = masks()
    flags = ask(**case.inputs)
    items = flags.facts["items"]
    worst: dict[int, float] = {}
    for item in items:
        worst.setdefault(item["id"], item["score"])
    without = sorted(set(range(40)) - set(worst))
    for k, score in worst.items():
        assert flags.saved[k] == pytest.approx(score, abs=1e-6)
    assert not without or flags.saved[without].max() < min(worst.values())
    assert [item["flagged"] for item in items] == [item["score"] >= 0.5 for item in items]
    quality = mask_quality(case.inputs["pred_probs"], case.inputs["labels"])
    np.testing.assert_array_equal(flags.facts["softmin"], quality)
    wrong = np.zeros(40, bool)
    wrong[[item["id"] for k, item in zip(np.argsort(-flags.scores), items, strict=False) if case.wrong[k]]] = True
    assert average_precision_score(wrong, flags.saved) > 0.9


def test_the_order_of_pictures_and_turned_pictures_do_not_matter() -> None:
    case = masks()
    plain = ask(**case.inputs)
    order = np.random.default_rng(1).permutation(40)
    other = ask(**{name: value[order] for name, value in case.inputs.items()})
    np.testing.assert_allclose(other.saved, plain.saved[order], rtol=1e-9)
    turned = ask(**{name: value.swapaxes(-1, -2) for name, value in case.inputs.items()})
    np.testing.assert_allclose(np.sort(turned.scores), np.sort(plain.scores), rtol=1e-5)


def test_void_pixels_are_not_judged() -> None:
    given = small()
    flags = ask(**given)
    assert [(item["id"], item["kind"]) for item in flags.facts["items"]] == [(1, "surplus_piece")]
    given["labels"][1, 13:21, 13:21] = 255
    flags = ask(**given)
    assert flags.facts["items"] == []
    assert flags.facts["n_void"] == 64
    assert flags.shape == (0,)
    assert json.loads(json.dumps(flags.document()))["n_cells"] == 0
    given["labels"][0] = 255  # a picture of nothing else
    assert ask(**given).saved[0] == 0


def test_nothing_flagged_is_answered_by_the_command(tmp_path: Path) -> None:
    given = small()
    given["labels"][1, 14:20, 14:20] = 0
    paths = folders(tmp_path, **given)
    done = call("flag", "--kind", "masks", "--labels", paths["labels"], "--pred-probs", paths["predictions"])
    assert "0 of 0 cells flagged" in done.stderr + done.stdout


def test_flagged_pictures_show_the_pieces_and_the_tasks_hold_both_masks(tmp_path: Path) -> None:
    inputs = masks().inputs
    labels = inputs["labels"].copy()
    labels[:, :2] = 255
    flags = ask(labels=labels, pred_probs=inputs["pred_probs"])
    assert flags.pictured is not None
    assert flags.pictured.classes == ("1", "2")
    pictures = list(flags.pictured)
    assert sum(len(one.findings) for one in pictures) == len(flags.flagged)
    assert len(pictures) == len(flags.pictured) == (flags.saved >= 0.5).sum()
    for one in pictures:
        seen = inputs["pred_probs"][one.id].argmax(axis=0)
        given = np.where(labels[one.id] == 255, 0, labels[one.id])
        drawn = [_painted([shape for shape in one.shapes if shape.given])]
        drawn += [_painted([shape for shape in one.shapes if not shape.given or shape.finding is None])]
        np.testing.assert_array_equal(drawn[0], given)
        changed = drawn[1] != given
        assert changed.sum() == sum(finding["area"] for finding in one.findings)
        np.testing.assert_array_equal(drawn[1][changed], seen[changed])


def _painted(shapes: Any) -> np.ndarray:
    mask = np.zeros((40, 60), np.int64)
    for shape in shapes:
        mask[painted(joined(shape.outlines), 40, 60)] = int(shape.label)
    return mask


def test_a_page_and_tasks_of_a_folder(tmp_path: Path) -> None:
    given = masks().inputs
    paths = folders(
        tmp_path, **{name: value.astype(value.dtype if name[0] == "p" else np.uint8) for name, value in given.items()}
    )
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for k in range(40):
        Image.new("RGB", (60, 40)).save(pictures / f"{9 + k}.jpg")
    page, tasks = tmp_path / "page.html", tmp_path / "tasks.json"
    options = ["--images", pictures, "--report", page, "--tasks", tasks, "--json"]
    done = call("flag", "--kind", "masks", "--labels", paths["labels"], "--predictions", paths["predictions"], *options)
    written = json.loads(tasks.read_text())
    flagged = [item for item in done.document["items"] if item["flagged"]]
    assert [task["data"]["id"] for task in written] == list(dict.fromkeys(item["id"] for item in flagged))
    assert {region["type"] for task in written for region in task["predictions"][0]["result"]} == {"polygonlabels"}
    assert page.read_text().count('<polygon class="instead"') == sum(item["suggested"] > 0 for item in flagged)


# --- forms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [".png", ".tif", ".bmp", ".npy", "palette", "sixteen bits", "array", "list"])
def test_every_form_gives_the_same(form: str, tmp_path: Path) -> None:
    given = small()
    expected = ask(**given)
    if form == "list":
        flags = ask(labels=list(given["labels"]), predictions=list(given["pred_probs"]))
    elif form == "array":
        np.save(tmp_path / "y.npy", given["labels"])
        paths = folders(tmp_path, **given)
        flags = ask(labels=tmp_path / "y.npy", pred_probs=paths["predictions"])
    else:
        paths = folders(tmp_path, form if form[0] == "." else ".png", **given)
        for k, mask in enumerate(given["labels"]):
            if form == "palette":
                picture = Image.fromarray(mask, "P")
                picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
                picture.save(paths["labels"] / f"{9 + k}.png")
            elif form == "sixteen bits":
                Image.fromarray(mask.astype(np.uint16)).save(paths["labels"] / f"{9 + k}.png")
        flags = ask(**paths)
    np.testing.assert_array_equal(flags.scores, expected.scores)
    np.testing.assert_array_equal(flags.saved, expected.saved)
    ids = [1] if form == "list" else ["10"]
    assert [item["id"] for item in flags.facts["items"]] == ids


@pytest.mark.parametrize("by", ["names", "order"])
def test_a_coco_document_gives_the_same(by: str, tmp_path: Path) -> None:
    given = small()
    document, expected = coco(given["labels"]), ask(**given)
    (tmp_path / "coco.json").write_text(json.dumps(document))
    found = folders(tmp_path, **given)["predictions"] if by == "names" else given["pred_probs"]
    flags = ask(labels=tmp_path / "coco.json", predictions=found)
    np.testing.assert_array_equal(flags.scores, expected.scores)
    item = flags.facts["items"][0]
    assert (item["id"], item["given"], item["suggested"]) == (10, "cat", "background")
    for picture in document["images"]:
        picture["file_name"] = f"a/{picture['id']}.jpg"
    np.testing.assert_array_equal(ask(labels=document, predictions=found).scores, expected.scores)


def test_categories_become_class_numbers() -> None:
    given = small()
    document, expected = coco(given["labels"]), ask(**given)
    for row in (*document["categories"], *document["annotations"]):
        key = "id" if "name" in row else "category_id"
        row[key] *= 40  # ids as of the real documents: beyond the maps' numbers
    np.testing.assert_array_equal(ask(labels=document, **_only(given)).scores, expected.scores)
    document["categories"].append({"id": 3, "name": "cow"})  # as many as maps: there is no background
    flags = ask(labels=document, **_only(given))
    covered = int((given["labels"] > 0).sum())
    assert flags.facts["n_void"] == given["labels"].size - covered
    document["categories"].append({"id": 4, "name": "hen"})
    with pytest.raises(LabelError, match="has 4 categories, the predictions 3 maps"):
        ask(labels=document, **_only(given))


def test_later_annotations_lie_above_and_ignored_ones_are_void() -> None:
    given = small()
    document = coco(given["labels"])
    above = {"size": [24, 24], "counts": [0, 24 * 24]}
    document["annotations"].append({"image_id": 9, "category_id": 1, "segmentation": above, "ignore": 1})
    assert ask(labels=document, **_only(given)).facts["n_void"] == 24 * 24


def _only(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"pred_probs": given["pred_probs"]}


def test_memory_is_that_of_a_picture(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    peaks = []
    for n in (2, 12):
        (tmp_path / str(n)).mkdir()
        labels = (rng.random((n, 256, 256)) < 0.001).astype(np.uint8)
        p = np.full((n, 8, 256, 256), 0.01, np.float32)
        p[:, 0] = 0.93
        paths = folders(tmp_path / str(n), labels=labels, pred_probs=p)
        tracemalloc.start()
        ask(**paths)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2**20


# --- what is refused -------------------------------------------------------------------------------------------------


def _with(side: str, change: Any) -> Any:
    def changed(given: dict[str, Any]) -> dict[str, Any]:
        return given | {side: change(given[side])}

    return changed


def _mask(change: Any) -> Any:
    def changed(labels: np.ndarray) -> np.ndarray:
        labels = labels.astype(np.int64)
        labels[1, 2, 3] = change
        return labels

    return _with("labels", changed)


def _probability(value: float) -> Any:
    def changed(p: np.ndarray) -> np.ndarray:
        p = p.copy()
        p[1, 0, 5, 7] = value
        return p

    return _with("pred_probs", changed)


@pytest.mark.parametrize(
    ("change", "error", "message", "way_out"),
    [
        (_mask(3), LabelError, r"labels\[1\]: 3 in 1 pixels is no class; predictions have 3", "0 to 2"),
        (_mask(-1), LabelError, r"labels\[1\]: -1 in 1 pixels", "are 255"),
        (_with("labels", lambda y: y.astype(float)), LabelError, "holds float64 values", "class numbers"),
        (_with("labels", lambda y: y[:2]), LabelError, "2 masks, and probabilities of 3 pictures", "same order"),
        (_with("labels", lambda y: y[0]), LabelError, r"has shape \(24, 24\), not", "One mask"),
        (_with("labels", lambda y: y[:0]), EmptyDataError, "no pictures", None),
        (_with("labels", lambda y: np.full_like(y, 255)), EmptyDataError, "are void", None),
        (_with("labels", lambda y: np.where(y, 255, 0)), LabelError, "class 0 or 255", "divide the values"),
        (_with("labels", lambda y: [*y[:2], np.zeros((24, 24, 3), int)]), LabelError, r"\[2\] has shape", "Save"),
        (_with("labels", lambda y: ["a.png", "b.png"]), UsageError, "labels are 2 paths", "one folder"),
        (_with("labels", lambda y: 7), LabelError, "has shape int", "One mask"),
        (_with("pred_probs", lambda p: p[:, :, :20]), ProbabilityError, "24 high and 24 wide", "Resize"),
        (_with("pred_probs", lambda p: p.transpose(0, 2, 3, 1)), ProbabilityError, r"\(24, 24, 3\)", "moveaxis"),
        (_with("pred_probs", lambda p: p * 0.9), ProbabilityError, "at x 0, y 0 sum to 0.9", "softmax"),
        (_with("pred_probs", lambda p: np.log(p)), ProbabilityError, "map 0 holds values from", "softmax"),
        (_with("pred_probs", lambda p: p[:, :1]), ProbabilityError, "has 1 maps", "each class"),
        (_with("pred_probs", lambda p: (p * 255).astype(np.uint8)), ProbabilityError, "holds uint8", "softmax"),
        (_with("pred_probs", lambda p: p.argmax(axis=1)), ProbabilityError, "not .n, K", "K maps"),
        (_probability(float("nan")), ProbabilityError, r"predictions\[1\]: map 0 holds values from nan", "softmax"),
        (_probability(-0.1), ProbabilityError, r"predictions\[1\]: map 0 holds values from -0.1", "softmax"),
        (_with("pred_probs", lambda p: [p[0], p[1][:2] / p[1][:2].sum(0), p[2]]), ProbabilityError, "before 3", "one"),
        (lambda given: given | {"predictions": given["pred_probs"]}, UsageError, "needs one of", "Give a folder"),
        (lambda given: {"labels": given["labels"]}, UsageError, "needs either", "Give a folder"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_the_place(
    change: Any, error: type[AuditorError], message: str, way_out: str | None
) -> None:
    with pytest.raises(error, match=message) as raised:
        ask(**change(small()))
    assert way_out is None or way_out in str(raised.value.way_out)


@pytest.mark.parametrize(
    ("file", "content", "error", "message"),
    [
        ("masks/10.png", "colours", UnreadableError, "stores colours or fractions .mode RGB."),
        ("masks/10.png", b"no picture", UnreadableError, "not an image file"),
        ("masks/10.png", None, LabelError, "1 of 3 files of probabilities have no mask, e.g. '10'"),
        ("probabilities/10.npy", None, ProbabilityError, "1 of 3 masks have no probabilities, e.g. '10'"),
        ("probabilities/10.npy", b"no array", UnsafeFileError, "10.npy"),
        ("probabilities/10.npy", b"\x80\x04K\x01.", UnsafeFileError, "10.npy"),
        ("masks/10.npy", b"", LabelError, "'10.npy' and '10.png' of the same picture"),
    ],
)
def test_damaged_folders_are_told_with_the_file(
    file: str, content: Any, error: type[AuditorError], message: str, tmp_path: Path
) -> None:
    paths = folders(tmp_path, **small())
    if content is None:
        (tmp_path / file).unlink()
    elif content == "colours":
        Image.new("RGB", (24, 24)).save(tmp_path / file)
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(error, match=message):
        ask(**paths)


def test_empty_folders_and_missing_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmptyDataError, match=r"holds no \.png"):
        ask(labels=tmp_path / "empty", pred_probs=small()["pred_probs"])
    done = call("flag", "--kind", "masks", "--labels", tmp_path / "n.json", "--pred-probs", tmp_path / "p", check=3)
    assert "n.json" in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("images"), "has no list 'images'"),
        (lambda d: d["images"][1].pop("width"), r"images\[1\] is missing wide, 24 high"),
        (lambda d: d["images"][1].update(width=10**9), r"images\[1\] is 1000000000 wide"),
        (lambda d: d["images"][1].update(id=9), r"images\[1\] and \[0\] have the id 9"),
        (lambda d: d["annotations"][1].update(image_id=3), r"annotations\[1\]\.image_id is 3, which"),
        (lambda d: d["annotations"][1].update(category_id=[]), r"annotations\[1\]\.category_id is \[\], which"),
        (lambda d: d["annotations"][1].update(segmentation=[[1, 2, 3, 4]]), "list of polygons"),
        (lambda d: d["annotations"][1].update(segmentation=None), r"annotations\[1\]\.segmentation is no run-length"),
        (lambda d: d["annotations"][1]["segmentation"].update(size=[12, 48]), r"has the size \(12, 48\), its picture"),
        (lambda d: d["annotations"][1]["segmentation"].update(counts=[5]), "runs cover 5 pixels of 24x24"),
    ],
)
def test_documents_that_are_wrong_are_refused_with_the_place(change: Any, message: str) -> None:
    given = small()
    document = coco(given["labels"])
    change(document)
    with pytest.raises(LabelError, match=message):
        ask(labels=document, **_only(given))


def test_predictions_of_other_pictures_are_noticed() -> None:
    inputs = masks().inputs
    with pytest.raises(ProbabilityError, match="unrelated to the labels"):
        ask(labels=inputs["labels"], pred_probs=np.roll(inputs["pred_probs"], 1, axis=1))


def test_files_that_changed_in_between_are_told(tmp_path: Path) -> None:
    """Flagged pictures are read a second time for the page and the tasks."""
    paths = folders(tmp_path, ".npy", **small())
    flags = ask(**paths)
    np.save(paths["labels"] / "10.npy", small()["labels"][0])
    assert flags.pictured is not None
    with pytest.raises(DataError, match="x 14, y 14 is not in its picture any more"):
        list(flags.pictured)


# --- run-length encoding ---------------------------------------------------------------------------------------------

#: A disc of 437 pixels, as pycocotools 2.0.10 writes it.
DISC = "`d09k14M2N2N2N2O0O2O0000000000000001N101N2N2N2N3LdV1"


def test_a_text_of_pycocotools_is_read() -> None:
    y, x = np.mgrid[:70, :50]
    disc = decode_rle({"size": [70, 50], "counts": DISC}, "x")
    np.testing.assert_array_equal(disc, (y - 30) ** 2 + (x - 20) ** 2 < 140)
    np.testing.assert_array_equal(decode_rle({"size": [70, 50], "counts": DISC.encode()}, "x"), disc)


@pytest.mark.parametrize("seed", range(20))
def test_texts_and_numbers_give_the_mask(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(1, 90, 2))
    mask = np.kron(rng.random((height // 9 + 1, width // 9 + 1)) < 0.5, np.ones((9, 9), bool))[:height, :width]
    column = mask.T.ravel()
    runs = np.diff(np.flatnonzero(np.r_[True, np.diff(column), True])).tolist()
    runs = [0, *runs] if column[0] else runs
    text = ""
    for k, run in enumerate(runs):  # as COCO's maskApi.c writes it
        value, more = run - (runs[k - 2] if k > 2 else 0), True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr(48 + bits + (32 if more else 0))
    for counts in (runs, text):
        np.testing.assert_array_equal(decode_rle({"size": [height, width], "counts": counts}, "x"), mask)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"size": [2, 2]}, "no run-length encoding"),
        ("04", "no run-length encoding"),
        ({"size": [2, 0], "counts": [0]}, "not .height, width."),
        ({"size": [2, "2"], "counts": [4]}, "not .height, width."),
        ({"size": [10**6, 10**6], "counts": [10**12]}, "claims 1000000x1000000"),
        ({"size": [2, 2], "counts": [1, 2]}, "cover 3 pixels"),
        ({"size": [2, 2], "counts": [10**30]}, "pixels of 2x2"),
        ({"size": [2, 2], "counts": [5, -1]}, "neither a list of whole numbers"),
        ({"size": [2, 2], "counts": [4.0]}, "neither a list of whole numbers"),
        ({"size": [2, 2], "counts": {}}, "neither a list of whole numbers"),
        ({"size": [2, 2], "counts": ""}, "no text of runs"),
        ({"size": [2, 2], "counts": "T"}, "no text of runs"),
        ({"size": [2, 2], "counts": "4é"}, "no text of runs|cover"),
        ({"size": [2, 2], "counts": "PPPPPPPP0"}, "more than 6 characters"),
        ({"size": [2, 2], "counts": "O"}, "cover -1 pixels"),
    ],
)
def test_encodings_that_are_none_are_refused(given: Any, message: str) -> None:
    with pytest.raises(LabelError, match=f"x.*{message}"):
        decode_rle(given, "x")
