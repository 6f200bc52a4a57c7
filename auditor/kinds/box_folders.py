"""Boxes in folders: YOLO's text files beside their pictures, and Pascal VOC's XML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from auditor.core.errors import EmptyDataError, LabelError, UnreadableError
from auditor.core.files import read_lines
from auditor.core.reading import reading, regular_file, usable_paths
from auditor.core.xml_elements import read_xml
from auditor.data.decode import UndecodableImage, image_size
from auditor.kinds.box_sets import GivenBoxes, checked_box, refuse_outside
from auditor.kinds.pictured import SUFFIXES

#: A file of labels of one picture is some kilobytes.
_MOST_BYTES: Final = 16 << 20
#: Normalised coordinates may miss [0, 1] by as much as tools round.
_ROUNDING: Final = 0.01
_YOLO_LINE = "A line is: class, centre x, centre y, width, height, as shares of the picture."


@usable_paths()
def read_folder(folder: Path) -> GivenBoxes:
    """The labels of a folder, by what lies in it: Pascal VOC's ``.xml`` or YOLO's ``.txt``.

    Raises
    ------
    UnreadableError
        No folder, or neither lies in it; a damaged file.
    EmptyDataError
        No boxes.
    LabelError
        A class without a name, a box that is none or outside of its picture, a picture without labels' size.
    """
    if not folder.is_dir():
        raise UnreadableError(f"{str(folder)!r} is no folder.", "Check the path.")
    if documents := _files(folder, "Annotations", {".xml"}):
        return _read_voc(documents, folder)
    texts = [path for path in _files(folder, "labels", {".txt"}) if path.name != "classes.txt"]
    if texts:
        return _read_yolo(texts, folder)
    raise UnreadableError(
        f"{str(folder)!r} holds no labels: neither .xml (Pascal VOC) nor .txt (YOLO).",
        "They lie in it, or in Annotations and labels below it; a COCO document is named by its own path.",
    )


def _files(folder: Path, below: str, suffixes: set[str] | frozenset[str]) -> list[Path]:
    """Files of these suffixes, in the folder called `below` and its parts where there is one; by their names."""
    inside = folder / below
    found = inside.rglob("*") if inside.is_dir() else folder.iterdir()
    return sorted(path for path in found if path.suffix.lower() in suffixes and path.is_file())


def _gathered(
    ids: Sequence[str],
    sizes: Sequence[tuple[float, float]],
    names: Sequence[str],
    rows: Sequence[tuple[int, int, list[float], bool]],
    where: str,
    files: Sequence[str | None],
) -> GivenBoxes:
    if not rows:
        raise EmptyDataError(f"{where} holds no boxes: there is nothing to compare.")
    image = np.array([row[0] for row in rows], np.int64)
    boxes, size = np.array([row[2] for row in rows]), np.array(sizes, np.float64).reshape(-1, 2)
    refuse_outside(boxes, size[image], ids, image, where, LabelError)
    return GivenBoxes(
        ids=tuple(ids),
        sizes=size,
        names=tuple(names),
        category_ids=tuple(range(len(names))),
        image=image,
        category=np.array([row[1] for row in rows], np.int64),
        boxes=boxes,
        box_ids=tuple(range(len(rows))),
        ignored=np.array([row[3] for row in rows]),
        files=tuple(files),
    )


# --- YOLO ------------------------------------------------------------------------------------------------------------


def _read_yolo(texts: list[Path], folder: Path) -> GivenBoxes:
    """One text a picture; pictures without one have no boxes, and a text needs its picture, which says the size."""
    pictures = {path.stem: path for path in _files(folder, "images", SUFFIXES)}
    labels = {path.stem: path for path in texts}
    names = _yolo_names(folder)
    ids = sorted(pictures.keys() | labels.keys())
    sizes, rows, highest = [], [], -1
    for k, called in enumerate(ids):
        if called not in pictures:
            raise LabelError(
                f"{str(labels[called])!r} has no picture: the size of {called!r} is not known.",
                "Put the pictures beside the texts, or into images beside labels.",
            )
        with reading(pictures[called], "a picture") as file:
            try:
                height, width = image_size(file.read_bytes())
            except UndecodableImage as error:
                raise UnreadableError(f"{str(file)!r}: {error}.") from error
        sizes.append((float(width), float(height)))
        if called not in labels:
            continue
        regular_file(labels[called], _MOST_BYTES)
        for number, line in enumerate(read_lines(labels[called]), 1):
            if line.strip():
                where = f"{str(labels[called])!r}, line {number}"
                category, box = _yolo_box(line, where, width, height)
                if names is not None and category >= len(names):
                    raise LabelError(f"{where}: class {category} has no name; there are {len(names)}.")
                rows.append((k, category, box, False))
                highest = max(highest, category)
    files = [pictures[called].relative_to(folder).as_posix() for called in ids]
    return _gathered(ids, sizes, names or tuple(map(str, range(highest + 1))), rows, repr(str(folder)), files)


def _yolo_box(line: str, where: str, width: int, height: int) -> tuple[int, list[float]]:
    """Class, and x, y, width, height in pixels, of a line; of a polygon the box around it."""
    cells = line.split()
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        raise LabelError(f"{where}: {line.strip()[:60]!r} holds no numbers.", _YOLO_LINE) from None
    polygon = len(cells) >= 7 and len(cells) % 2 == 1
    if len(cells) not in (5, 6) and not polygon:
        raise LabelError(f"{where} has {len(cells)} cells.", _YOLO_LINE)
    # a category beyond this is damage: a name is kept for each below it
    if not cells[0].isascii() or not cells[0].isdecimal() or len(cells[0]) > 5:
        raise LabelError(f"{where}: class {cells[0][:20]!r} is no class number.", _YOLO_LINE)
    shares = np.array(numbers[1:] if polygon else numbers[1:5])
    if not (np.isfinite(shares).all() and shares.min() >= -_ROUNDING and shares.max() <= 1 + _ROUNDING):
        raise LabelError(f"{where}: {shares.tolist()[:8]} are no shares of the picture, 0 to 1.", _YOLO_LINE)
    if polygon:
        corners = shares.reshape(-1, 2)
        (x, y), (w, h) = corners.min(axis=0), np.ptp(corners, axis=0)
    else:
        w, h = shares[2:]
        x, y = shares[:2] - shares[2:] / 2
    box = [float(x * width), float(y * height), float(w * width), float(h * height)]
    return int(cells[0]), checked_box(box, where, LabelError)


def _yolo_names(folder: Path) -> tuple[str, ...] | None:
    """Names of the classes, of ``data.yaml`` or ``classes.txt``, in the folder or above; None without either."""
    for place in (folder, folder.parent):
        for called in ("data.yaml", "data.yml", "classes.txt"):
            path = place / called
            if path.is_file():
                regular_file(path, _MOST_BYTES)
                lines = read_lines(path)
                if called == "classes.txt":
                    return tuple(line.strip() for line in lines if line.strip())
                return names_of_yaml(lines, repr(str(path)))
    return None


def names_of_yaml(lines: Sequence[str], where: str) -> tuple[str, ...]:
    """The entry ``names`` of YOLO's data.yaml: a list, or numbers and names, in one line or one a line.

    Raises
    ------
    LabelError
        There is none, or it is written in another way.
    """
    way_out = "Write names: [cat, dog], or classes.txt with one name a line."
    begin = next((k for k, line in enumerate(lines) if re.match(r"names\s*:", line)), None)
    if begin is None:
        raise LabelError(f"{where} has no entry 'names'.", way_out)
    head = lines[begin].partition(":")[2].partition(" #")[0].strip()
    if head[:1] in ("[", "{"):
        text = head
        for line in lines[begin + 1 :]:
            if text.endswith(("]", "}")):
                break
            text += " " + line.partition(" #")[0].strip()
        if text[-1] != {"[": "]", "{": "}"}[text[0]]:
            raise LabelError(f"{where}: the list of names does not end.", way_out)
        cells = [cell.strip() for cell in text[1:-1].split(",") if cell.strip()]
        numbered = head[0] == "{"
    else:
        block = []
        for line in lines[begin + 1 :]:
            if line.strip() and not line.startswith((" ", "\t", "-")):
                break
            block.append(line.partition(" #")[0].strip())
        cells = [cell for cell in block if cell]
        numbered = not any(cell.startswith("-") for cell in cells)
        cells = cells if numbered else [cell.removeprefix("-").strip() for cell in cells]
    if numbered:
        pairs = [cell.partition(":") for cell in cells]
        if [number.strip() for number, _, _ in pairs] != list(map(str, range(len(pairs)))):
            raise LabelError(f"{where}: the names are not numbered from 0 without gaps.", way_out)
        cells = [name.strip() for _, _, name in pairs]
    cells = [
        cell[1:-1] if cell[:1] in ("'", '"') and cell[-1:] == cell[:1] and len(cell) > 1 else cell for cell in cells
    ]
    if not cells or not all(cells):
        raise LabelError(f"{where}: a class has no name.", way_out)
    return tuple(cells)


# --- Pascal VOC ------------------------------------------------------------------------------------------------------


def _read_voc(documents: list[Path], folder: Path) -> GivenBoxes:
    """One document a picture, called like it; objects marked as difficult are ignored, as in the challenge."""
    ids: list[str] = []
    found: list[tuple[int, str, list[float], bool]] = []
    sizes = []
    for k, path in enumerate(documents):
        where, root = repr(str(path)), read_xml(path, _MOST_BYTES)
        if root.get("name") != "annotation":
            raise LabelError(f"{where} begins with <{root.get('name')}>; Pascal VOC's files hold an <annotation>.")
        if path.stem in ids[-1:]:
            raise LabelError(f"{where}: another file is called {path.stem!r}.", "One document a picture.")
        ids.append(path.stem)
        size = _child(root, "size")
        sides = [_text(size, side) if size else None for side in ("width", "height")]
        numbers = [_float(side) if side else float("nan") for side in sides]
        if any(number is None or number < 0 for number in numbers):
            raise LabelError(f"{where}: size {sides} is no number of pixels.", "Leave it out, or correct it.")
        # tools that do not know the size write 0
        sizes.append((numbers[0] or float("nan"), numbers[1] or float("nan")))
        for n, one in enumerate(child for child in root["children"] if child["name"] == "object"):
            place, name = f"{where}, object {n}", _text(one, "name")
            if not name:
                raise LabelError(f"{place} has no name.", "Name the class of every object.")
            corners = [_text(_child(one, "bndbox") or {}, side) for side in ("xmin", "ymin", "xmax", "ymax")]
            edges = [_float(corner) for corner in corners]
            if any(edge is None for edge in edges):
                raise LabelError(f"{place}: bndbox {corners} are not four finite numbers.", "xmin, ymin, xmax, ymax.")
            left, top, right, bottom = (edge or 0.0 for edge in edges)
            box = checked_box([left, top, right - left, bottom - top], place, LabelError)
            found.append((k, name, box, _text(one, "difficult") == "1"))
    names = sorted({name for _, name, _, _ in found})
    number = {name: k for k, name in enumerate(names)}
    rows = [(k, number[name], box, difficult) for k, name, box, difficult in found]
    given = _gathered(ids, sizes, names, rows, repr(str(folder)), [None] * len(ids))
    # A class has no number in these files: predictions call it by its name.
    return GivenBoxes(**{**vars(given), "category_ids": tuple(names)})


def _child(element: dict[str, Any], name: str) -> dict[str, Any] | None:
    return next((child for child in element.get("children", ()) if child["name"] == name), None)


def _text(element: dict[str, Any], name: str) -> str | None:
    child = _child(element, name)
    return child["text"].strip() if child else None


def _float(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if np.isfinite(number) else None
