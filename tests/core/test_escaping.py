"""Output injection: what the data brings stays text in a terminal, a log, a table, XML and Markdown."""

from __future__ import annotations

import itertools
import json
import re
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from auditor.core.escaping import (
    csv_rows,
    csv_text,
    github_command,
    json_printable,
    markdown_text,
    printable,
    printable_lines,
    xml_text,
)

COMMANDS = [
    "a\n::error file=x.py,line=1::FORGED",
    "::stop-commands::token",
    "a cell that is folded ::set-output name=x::y",
    "glued::add-mask::x",
    "GLUED::Warning::x",
    "a\r::debug::x",
    "a\u2028::notice::x",
    "anywhere ##[error]x",
    "##vso[task.setvariable variable=x]y",
    "###teamcity[buildStop]",
]
CONTROLS = ["\x1b]0;TITLE\x07", "\x1b[2J", "\x9b31m", "\x08\x7f", "\u202egpj.exe", "\u2066x", "\ud800", "a\tb", "\x00"]


@pytest.mark.parametrize("text", COMMANDS + CONTROLS)
def test_nothing_is_obeyed_by_a_terminal_or_a_ci_system(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert not re.search(
        r"(?i)^\s*::|##\w*\[|::(error|add-mask|set-output|stop-commands|warning|debug|notice)\b", shown
    )
    for line in printable_lines(f"Error: {text}").split("\n"):
        assert line.isprintable()
        assert not line.startswith("::")
    document = json_printable(json.dumps({text: [text]}, ensure_ascii=False, indent=2))
    assert json.loads(document) == {text: [text]}
    assert all(line.isprintable() for line in document.split("\n"))
    assert not re.search(r"##\w*\[", document)


@pytest.mark.parametrize(
    "text", ["std::vector", "Net::HTTP error", "C:\\x", "été 中 👩‍💻 #1", "[bold]x[/]", "a::b", "12:30:00"]
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize("text", COMMANDS + CONTROLS)
def test_a_github_command_is_one_line_with_the_properties_given(text: str) -> None:
    line = github_command("error", text, file=text, title="a:b,c=d", line="")
    assert line.isprintable()
    properties, _, message = line.removeprefix("::error ").partition("::")
    assert [pair.split("=")[0] for pair in properties.split(",")] == ["file", "title"]
    assert "\n" not in message


ALPHABET = "'=+-@\t\n\r 1e＝,\";a"


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4])
def test_cells_are_no_formulas_and_are_read_as_they_were(length: int) -> None:
    texts = ["".join(letters) for letters in itertools.product(ALPHABET, repeat=length)]
    table = csv_text(["id", "n"], [[text, "x"] for text in texts])
    assert [row["id"] for row in csv_rows(table)] == texts
    cells = [line[0] for line in _cells(table)]
    assert not [
        c for c in cells if re.match(r"\s*[=@+\-＝]", c) and not re.fullmatch(r"[+-]?\d+(\.\d*)?(e[+-]?\d+)?", c)
    ]


def _cells(table: str) -> list[list[str]]:
    import csv
    import io

    return list(csv.reader(io.StringIO(table, newline="")))


def test_numbers_and_absent_values_of_a_table() -> None:
    rows = [["-1", -1, None], ["+1", 0.1, float("nan")], ["-1+2", True, "1e5"]]
    assert csv_text(["a", "b", "c"], rows) == "a,b,c\n-1,-1,\n+1,0.1,\n'-1+2,True,1e5\n"
    assert csv_text(["a"], [["\x1b::error::x"], ["=\n"]], printable) == "a\n\\x1b\\x3a:error::x\n'=\\n\n"


@pytest.mark.parametrize("text", ["a\x00b", "\x1b[2J", "\ud800", "\ufffe", "<a>&\"'", "]]>"])
def test_xml_can_hold_it(text: str) -> None:
    element = ElementTree.Element("a", note=xml_text(text))
    element.text = xml_text(text)
    again = ElementTree.fromstring(ElementTree.tostring(element, encoding="utf-8"))
    assert again.text == again.attrib["note"] == re.sub("[\x00\x1b\ud800\ufffe]", "\ufffd", text)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<!-- x -->",
        "[x](javascript:alert(1))",
        "![x](https://elsewhere.example/pixel.png)",
        "<javascript:alert(1)>",
        "[x]: javascript:alert(1)",
        "**b** _i_ `code` ~~gone~~",
        "\\*b\\*",
        "# heading",
        "> quote",
        "&lt;b&gt; &#60;",
        "a | b",
        "snake_case_name 10:30:00 <3 a&b 3 < 4",
    ],
)
def test_markdown_shows_the_text_itself(text: str) -> None:
    from html import unescape

    renderer = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    body = renderer.render(markdown_text(text))
    assert unescape(body) == f"<p>{text}</p>\n"
    assert re.findall("<[^>]*>", body) == ["<p>", "</p>"]
    cells = renderer.render(f"| a | b |\n|---|---|\n| {markdown_text(text)} | {markdown_text(text)} |")
    assert [unescape(cell) for cell in re.findall("<td>(.*)</td>", cells)] == [text, text]
