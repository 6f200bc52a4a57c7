"""XML of anybody's, as plain elements."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.parsers import expat

from auditor.core.reading import reading, regular_file


def read_xml(path: Path, limit: int) -> dict[str, Any]:
    """The root of an XML file, of at most `limit` bytes, as ``name``, ``attributes``, ``text`` and ``children``.

    Raises
    ------
    UnreadableError
        If it is damaged, too large, deeper than any file that is read here, or declares types, whose entities may grow
        without bound.
    """
    root: dict[str, Any] = {"name": "", "text": "", "children": []}
    open_elements = [root]

    def begin(name: str, attributes: dict[str, str]) -> None:
        if len(open_elements) > 16:
            raise ValueError("its elements lie more than 16 deep")
        element: dict[str, Any] = {"name": name, "attributes": attributes, "text": "", "children": []}
        open_elements[-1]["children"].append(element)
        open_elements.append(element)

    def end(_: str) -> None:
        open_elements.pop()

    def characters(data: str) -> None:
        open_elements[-1]["text"] += data

    def doctype(*_: Any) -> None:
        raise ValueError("it declares types (DOCTYPE), which may hide anything")

    with reading(path, "XML") as file:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = begin, end
        parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = characters, doctype
        parser.Parse(regular_file(file, limit).read_bytes(), True)
    return root["children"][0]
