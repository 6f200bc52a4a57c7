"""Flagged pictures as tasks of Label Studio, in which people draw what is wrong anew.

Source: labelstud.io, "Import pre-annotated data": units of regions are per cent of the picture's width and height.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np

from auditor.core.errors import UsageError
from auditor.core.files import atomic_write, write_json
from auditor.kinds.base import KindFlags
from auditor.kinds.outlines import joined
from auditor.kinds.pictured import FlaggedPicture, Pictured, PictureFolder, Shape, size_of

#: How Label Studio addresses files of its own machine.
LOCAL_FILES: Final = "/data/local-files/?d="
#: Names of the two predictions of a task; a person starts from either.
GIVEN, SUGGESTED = "given", "suggested"
_CONTROLS: Final = {"boxes": ("rectanglelabels", "RectangleLabels"), "outlines": ("polygonlabels", "PolygonLabels")}


def pictured(flags: KindFlags) -> Pictured:
    """The flagged pictures of `flags`.

    Raises
    ------
    UsageError
        Its kind is about no pictures.
    """
    if flags.pictured is None:
        raise UsageError(f"labels of the kind {flags.kind!r} lie in no pictures.", "Only those of boxes and masks do.")
    return flags.pictured


def write_tasks(flags: KindFlags, path: Path, images: Path | str | None = None, prefix: str = LOCAL_FILES) -> int:
    """Write the tasks, most suspicious picture first, and beside them the project's labelling configuration (``.xml``).

    Every task has two predictions: ``given``, the shapes of the labels, of which suspicious ones say in their remark
    what is wrong, and ``suggested``, the same with what should be there instead.

    Parameters
    ----------
    flags : KindFlags
        Of boxes or masks.
    path : Path
        Ends in ``.json``.
    images : path, optional
        Folder of the pictures: needed where the labels do not name the files, or their sizes.
    prefix : str
        In front of the files' paths in the addresses of the pictures.

    Returns
    -------
    int
        Tasks.

    Raises
    ------
    UsageError
        No pictures in this kind; a file or a size that neither labels nor `images` tell.
    UnreadableError, DataError
        As `PictureFolder`.
    """
    found, folder = pictured(flags), None if images is None else PictureFolder(images)
    tasks = list(_tasks(found, folder, prefix))
    write_json(path, tasks)
    with atomic_write(path.with_suffix(".xml")) as handle:
        handle.write(configuration(found).encode())
    return len(tasks)


def configuration(found: Pictured) -> str:
    """The labelling configuration of a project that takes these tasks: XML."""
    _, tag = _CONTROLS[found.forms]
    labels = "".join(f'    <Label value="{escape(name)}"/>\n' for name in found.classes)
    return (
        f'<View>\n  <Header value="$findings"/>\n  <Image name="image" value="$image" zoom="true"/>\n'
        f'  <{tag} name="label" toName="image">\n{labels}  </{tag}>\n</View>\n'
    )


def _tasks(found: Pictured, folder: PictureFolder | None, prefix: str) -> Iterator[dict[str, Any]]:
    for number, picture in enumerate(found, start=1):
        size = size_of(picture, folder)
        given = [shape for shape in picture.shapes if shape.given]
        # What is suspicious gives way to its suggestion, or to nothing where it is about nothing.
        right = [shape for shape in picture.shapes if not shape.given or shape.finding is None]
        yield {
            "id": number,
            "data": {
                "image": prefix + quote(_file(picture, folder)),
                "id": picture.id,
                "score": picture.score,
                "findings": "; ".join(map(words, picture.findings)),
            },
            "predictions": [
                {
                    "model_version": name,
                    "score": picture.score,
                    "result": _regions(name, shapes, picture, size, found.forms),
                }
                for name, shapes in ((GIVEN, given), (SUGGESTED, right))
            ],
        }


def words(finding: Any) -> str:
    """A finding in one line: ``swapped: given dog, suggested cat``."""
    said = [f"{name} {finding[name]}" for name in ("given", "suggested") if name in finding]
    return f"{finding['kind'].replace('_', ' ')}: {', '.join(said)}"


def _file(picture: FlaggedPicture, folder: PictureFolder | None) -> str:
    if folder is not None:
        return folder.find(picture).relative_to(folder.folder).as_posix()
    if picture.file is None:
        raise UsageError(
            f"the labels do not name the file of picture {picture.id!r}.", "Name the folder of the pictures: --images."
        )
    return picture.file


def _regions(
    name: str, shapes: list[Shape], picture: FlaggedPicture, size: tuple[float, float], forms: str
) -> list[dict[str, Any]]:
    kind, _ = _CONTROLS[forms]
    regions: list[dict[str, Any]] = []
    for shape in shapes:
        region: dict[str, Any] = {
            "id": f"{name}-{len(regions)}",
            "from_name": "label",
            "to_name": "image",
            "type": kind,
            "original_width": round(size[0]),
            "original_height": round(size[1]),
            "image_rotation": 0,
            "value": _value(shape, size) | {kind: [shape.label]},
        }
        if shape.finding is not None:
            region["meta"] = {"text": [words(picture.findings[shape.finding])]}
        regions.append(region)
    return regions


def _value(shape: Shape, size: tuple[float, float]) -> dict[str, Any]:
    """Where a shape lies, in per cent."""
    if not shape.outlines:
        x, y, width, height = (100 * v / size[k % 2] for k, v in enumerate(shape.box))
        return {"x": x, "y": y, "width": width, "height": height, "rotation": 0}
    return {"points": (100 * joined(shape.outlines) / np.array(size)).tolist(), "closed": True}
