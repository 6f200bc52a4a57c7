"""XML of anybody's: elements as they stand, and refusals of what may grow without bound."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.core.errors import UnreadableError
from auditor.core.xml_elements import read_xml


def test_elements_have_names_attributes_texts_and_children(tmp_path: Path) -> None:
    (tmp_path / "x.xml").write_text('<a b="1">\u00e9 <c>d</c><c/></a>', encoding="utf-8")
    root = read_xml(tmp_path / "x.xml", 1000)
    assert (root["name"], root["attributes"], root["text"]) == ("a", {"b": "1"}, "\u00e9 ")
    assert [(child["name"], child["text"]) for child in root["children"]] == [("c", "d"), ("c", "")]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "XML"),
        ("<a>", "XML"),
        ("<a></b>", "XML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "declares types"),
        ("<a>" * 40 + "</a>" * 40, "16 deep"),
        ("<a>" + "b" * 2000 + "</a>", "more than the 1,000"),
    ],
)
def test_what_is_damaged_or_grows_is_refused(text: str, match: str, tmp_path: Path) -> None:
    (tmp_path / "x.xml").write_text(text)
    with pytest.raises(UnreadableError, match=match):
        read_xml(tmp_path / "x.xml", 1000)
