"""CVAT: "CVAT for images 1.1", with the class of a picture as a tag.

Source: docs.cvat.ai, "CVAT for images". Shapes are not looked at: labels of objects are of the kind `boxes`.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from auditor.core.errors import DataError
from auditor.core.escaping import xml_text
from auditor.core.files import atomic_write
from auditor.core.xml_elements import read_xml
from auditor.patch.convert.base import Correction, DataView, Options
from auditor.patch.convert.listed import DROP, corrections_of_list, drops_note, listed_rows
from auditor.patch.records import Patch

#: A million pictures take about 150 MB.
_MOST_BYTES = 1 << 30
_SHAPES = frozenset({"box", "polygon", "polyline", "points", "cuboid", "mask", "ellipse", "skeleton"})


class Cvat:
    """Tags of pictures; several tags are several labels."""

    summary = "CVAT for images 1.1 (XML), tags"
    needs_data_to_write = True

    def read(self, path: Path, data: DataView, options: Options) -> tuple[list[Correction], list[str]]:
        root = read_xml(path, _MOST_BYTES)
        images = [child for child in root["children"] if child["name"] == "image"]
        if root["name"] != "annotations" or not images:
            raise DataError(f"{str(path)!r} is no export of CVAT.", "Export the task as 'CVAT for images 1.1'.")
        kinds = {child["name"] for image in images for child in image["children"]}
        if kinds & _SHAPES and "tag" not in kinds:
            raise DataError(
                f"{str(path)!r} holds no tags, only {', '.join(sorted(kinds & _SHAPES))}: no picture has a class.",
                "Export a task whose class is a tag.",
            )
        said = []
        for image in images:
            tags = [child for child in image["children"] if child["name"] == "tag"]
            drops = [
                one["text"].strip()
                for tag in tags
                for one in tag["children"]
                if one["name"] == "attribute" and one["attributes"].get("name") == DROP
            ]
            labels = [tag["attributes"].get("label") for tag in tags]
            said.append((str(image["attributes"].get("name")), labels, drops[0] if drops else None))
        return corrections_of_list(said, data, path)

    def write(self, patch: Patch, path: Path, data: DataView, options: Options) -> list[str]:
        root = Element("annotations")
        SubElement(root, "version").text = "1.1"
        for number, (name, labels, reason) in enumerate(listed_rows(patch, data)):
            image = SubElement(root, "image", id=str(number), name=xml_text(name))
            for label in labels:
                tag = SubElement(image, "tag", label=xml_text(label), source="manual")
                if reason is not None:
                    SubElement(tag, "attribute", name=DROP).text = reason
        indent(root)
        with atomic_write(path) as handle:
            handle.write(tostring(root, encoding="utf-8", xml_declaration=True))
        return drops_note(patch, data)
