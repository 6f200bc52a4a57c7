"""What the data brings (names, ids, texts, messages about them) where it is shown: one function for each place.

Nothing of it may become a command of the terminal or of a CI system, a formula, a tag or a link.
"""

from __future__ import annotations

import csv
import io
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Final

#: Controls of terminals (C0, DEL, C1), of the direction of text, line and paragraph separators, halves of characters.
_CONTROLS: Final = "\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
#: Commands of the GitHub runner, ``::name`` at the start of a line, to which a narrow table may bring them.
_GITHUB: Final = (
    "add-mask|add-matcher|add-path|debug|echo|endgroup|error|group|internal-set-repo-path|notice|remove-matcher|"
    "save-state|set-env|set-output|stop-commands|warning"
)
#: Besides ``##[name]``, ``##vso[..]``, ``##teamcity[..]``: anywhere in a line, of GitHub, Azure and TeamCity.
_COMMANDS: Final = rf":(?=:(?:{_GITHUB})\b)|#(?=#\w*\[)"
_LOGGED: Final = re.compile(rf"[{_CONTROLS}]|(?<!\S):(?=:)|{_COMMANDS}", re.IGNORECASE)
_LOGGED_JSON: Final = re.compile(f"[{_CONTROLS}]|{_COMMANDS}", re.IGNORECASE)
#: What spreadsheets take for a formula, also after spaces and in full width; a plain number is none.
_FORMULA: Final = re.compile(r"(?![+-]?\d+(\.\d*)?(e[+-]?\d+)?\Z)[\s']*[=+\-@\t\r\n＝＋－＠]", re.IGNORECASE)
#: Most cells: nothing in them is a formula, a command or in need of quotes.
_EASY: Final = re.compile(r"\w[\w ./()+-]*\Z")
#: Characters that XML 1.0 does not allow.
_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: Markup of CommonMark, of GitHub's tables, formulas and strike-through, and of Streamlit's icons and colours; an
#: interval is no link.
_MARKUP: Final = re.compile(
    r"\[[-+−\d., ]+\](?![(\[:])|[\\`*\[\]|$]|(?<=\])\(|~(?=~)|<(?=[A-Za-z/!?])|&(?=#?\w+;)"
    r"|(?<![^\W_])_|_(?![^\W_])|:(?=[a-z][a-z_+/-]*\d*:)|^(?=[#>])"
)


def printable(text: str) -> str:
    r"""One line of a terminal or a log: control characters, and what a CI system would obey, as ``\x1b``, ``\x3a:``."""
    return _LOGGED.sub(lambda hit: _escaped(hit[0]), text)


def printable_lines(text: str) -> str:
    """`printable`, but that lines stay lines: for messages of our own, whose names are quoted."""
    return "\n".join(map(printable, text.split("\n")))


def _escaped(character: str) -> str:
    code = character.encode("unicode_escape").decode()
    return code if code != character else f"\\x{ord(character):02x}"


def quoted(word: object) -> str:
    """A path, a name or an id as one word of a command that a reader may copy into a shell."""
    return shlex.quote(str(word))


def json_printable(document: str) -> str:
    r"""JSON text of the same value, in which nothing is left for a terminal or a CI system to obey."""
    return _LOGGED_JSON.sub(lambda hit: hit[0] if hit[0] in "\n\r\t" else f"\\u{ord(hit[0]):04x}", document)


def github_command(name: str, message: str, **properties: str) -> str:
    """One workflow command of GitHub, ``::error title=..::message``; empty properties are left out."""
    given = ",".join(
        f"{key}={_github(value).replace(':', '%3A').replace(',', '%2C')}" for key, value in properties.items() if value
    )
    return f"::{name} {given}::{_github(message)}"


def _github(text: str) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return re.sub(f"[{_CONTROLS}]", lambda hit: _escaped(hit[0]), text)


def xml_text(text: str) -> str:
    """Text for a writer of XML: what XML 1.0 cannot hold becomes a replacement character."""
    return _NOT_IN_XML.sub("\ufffd", text)


def markdown_text(text: str) -> str:
    """Markdown that shows the text as it is, in one line: no tag, link, picture, emphasis, heading or end of a cell."""
    return _MARKUP.sub(_as_text, printable(text))


def _as_text(hit: re.Match[str]) -> str:
    return {"<": "&lt;", "&": "&amp;"}.get(hit[0], hit[0] if len(hit[0]) > 1 else f"\\{hit[0]}")


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]], show: Callable[[str], str] = str) -> str:
    """A table as CSV. A text that a spreadsheet would take for a formula begins with an apostrophe, which `csv_rows`
    takes away; absent values are empty.

    Parameters
    ----------
    columns : sequence of str
    rows : iterable of sequences
    show : callable
        Applied to every text first; `printable` where the table goes to a terminal.
    """
    lines = [",".join([_csv_cell(value, show) for value in row]) for row in chain((columns,), rows)]
    return "\n".join([*lines, ""])


def _csv_cell(value: Any, show: Callable[[str], str]) -> str:
    if not isinstance(value, str):
        return "" if value is None or value != value else str(value)
    if _EASY.match(value):
        return value
    text = show(value)
    text = f"'{text}" if _FORMULA.match(text) else text
    # Python's own writer leaves a lone carriage return without quotes, and a reader then ends the row there.
    return '"' + text.replace('"', '""') + '"' if re.search('[",\r\n]', text) else text


#: The first line that Excel writes and heeds where the delimiter is not that of its language.
_EXCEL: Final = re.compile(r'\ufeff?"?sep=([^\r\n])"?[;,\t|]*\r?\n', re.IGNORECASE)


def excel_delimiter(text: str) -> tuple[str | None, int]:
    """The delimiter that Excel's line ``sep=;`` names, and where the CSV begins after it; None and 0 without one."""
    line = _EXCEL.match(text)
    return (None, 0) if line is None else (line[1], line.end())


def csv_rows(text: str) -> list[dict[str, str]]:
    """Rows by the names of the header, each text as it was given to `csv_text`.

    Raises
    ------
    csv.Error
        If it is no CSV.
    """
    delimiter, start = excel_delimiter(text)
    rows = csv.DictReader(io.StringIO(text[start:], newline=""), strict=True, restval="", delimiter=delimiter or ",")
    return [{name: _plain(cell) for name, cell in row.items() if name is not None} for row in rows]


def _plain(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell[1:]) else cell
