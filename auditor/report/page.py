"""A report written as Markdown, shown as one HTML file: pictures inside, no script, no request to anywhere.

Reads what our reports write: headings, paragraphs, tables, lists, pictures of a line of their own, and in text
`` `code` ``, ``**bold**`` and ``[words](address)``. Everything else is shown as it stands.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

__all__ = ["page_html"]

_KINDS = {".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg", ".webp": "image/webp"}
_PICTURE = re.compile(r"!\[(.*)\]\((.+)\)")
_STYLE = (
    ".wide { margin:12px 0; max-width:100% } ul { max-width:84ch; padding-left:1.2em } li { margin:5px 0 } "
    "td { white-space:normal } td code { white-space:nowrap }"
)


def page_html(lines: Sequence[str], folder: Path, language: str = "en") -> str:
    """The page.

    Parameters
    ----------
    lines : sequence of str
        Markdown; blocks are separated by empty lines. The first ``# heading`` is the title.
    folder : Path
        Where its pictures lie.
    language : str
        Of the text, for screen readers.

    Raises
    ------
    FileNotFoundError
        If a picture is not there.
    """
    from importlib.resources import files

    style = files("auditor.report").joinpath("templates/benchmark.css").read_text(encoding="utf-8")
    title = next((line[2:] for line in lines if line.startswith("# ")), "Report")
    return "\n".join(
        [
            f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{style}\n{_STYLE}</style></head><body><main>",
            *_blocks(lines, folder),
            "</main></body></html>",
            "",
        ]
    )


def _blocks(lines: Sequence[str], folder: Path) -> Iterator[str]:
    for kind, members in groupby(lines, _kind):
        block = list(members)
        if kind == "heading":
            for line in block:
                level, _, text = line.partition(" ")
                yield f"<h{len(level)}>{_inline(text)}</h{len(level)}>"
        elif kind == "table":
            yield _table(block)
        elif kind == "list":
            yield "<ul>" + "".join(f"<li>{_inline(line[2:])}</li>" for line in block) + "</ul>"
        elif kind == "picture":
            yield from (_picture(line, folder) for line in block)
        elif kind == "text":
            yield f"<p>{_inline(' '.join(block))}</p>"


def _kind(line: str) -> str:
    if re.match(r"#{1,4} ", line):
        return "heading"
    if line.startswith("|"):
        return "table"
    if line.startswith(("- ", "* ")):
        return "list"
    if _PICTURE.fullmatch(line):
        return "picture"
    return "text" if line.strip() else "none"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _table(block: Sequence[str]) -> str:
    """Columns of words stand left, columns of numbers right, by what is in their first row."""
    head, *body = [_cells(line) for line in block if not re.fullmatch(r"[|\s:-]+", line)]
    words = [not re.match(r"[-+\d]", cell) for cell in (body[0] if body else head)]
    top = _row(head, "th", words)
    rows = "".join(_row(cells, "td", words) for cells in body)
    return f'<div class="scroll"><table><thead>{top}</thead><tbody>{rows}</tbody></table></div>'


def _row(cells: Sequence[str], tag: str, words: Sequence[bool]) -> str:
    left = [*words, *[False] * len(cells)]
    opening = [f'<{tag} class="left">' if word else f"<{tag}>" for word in left]
    inside = "".join(f"{start}{_inline(cell)}</{tag}>" for start, cell in zip(opening, cells, strict=False))
    return f"<tr>{inside}</tr>"


def _picture(line: str, folder: Path) -> str:
    found = _PICTURE.fullmatch(line)
    if found is None:
        return ""
    path = folder / found[2]
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img class="wide" alt="{escape(found[1])}" src="data:{_KINDS[path.suffix]};base64,{data}">'


def _inline(text: str) -> str:
    """Text with its marks; inside code nothing is a mark."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(f"<code>{escape(p[1:-1])}</code>" if p.startswith("`") else _marks(p) for p in parts)


def _marks(text: str) -> str:
    safe = escape(text)
    safe = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", safe)
    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", r'<a href="\2">\1</a>', safe)
