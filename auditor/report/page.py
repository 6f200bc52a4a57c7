"""A report written as Markdown, shown as one HTML file: pictures inside, no script, no request to anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from auditor.core.errors import DataError
from auditor.report.pictures import data_uri

_STYLE = (
    ".wide { margin:12px 0; max-width:100% } ul { max-width:84ch; padding-left:1.2em } li { margin:5px 0 } "
    "th,td { text-align:left } td { white-space:normal } td code { white-space:nowrap }"
)


def page_html(lines: Sequence[str], folder: Path, language: str = "en") -> str:
    """The page.

    Parameters
    ----------
    lines : sequence of str
        CommonMark with tables; HTML in it is shown as text. The first ``# heading`` is the title.
    folder : Path
        Where its pictures lie.
    language : str
        Of the text, for screen readers.

    Raises
    ------
    FileNotFoundError
        If a picture is not there.
    DataError
        If it lies elsewhere: nothing of this machine but the folder's own pictures gets into the page.
    """
    from importlib.resources import files

    style = files("auditor.report").joinpath("templates/benchmark.css").read_text(encoding="utf-8")
    title = next((line[2:] for line in lines if line.startswith("# ")), "Report")
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.add_render_rule("image", _picture)
    markdown.add_render_rule("table_open", lambda *_: '<div class="scroll"><table>\n')
    markdown.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title><style>{style}\n{_STYLE}</style></head><body><main>\n"
        f"{markdown.render(chr(10).join(lines), {'folder': Path(folder)})}</main></body></html>\n"
    )


def _picture(renderer: Any, tokens: Sequence[Token], at: int, options: Any, env: Mapping[str, Path]) -> str:
    folder, source = env["folder"].resolve(), str(tokens[at].attrs["src"])
    path = (folder / source).resolve()
    if not path.is_relative_to(folder):
        raise DataError(f"the picture {source!r} lies outside of the report's folder.", "Copy it into the folder.")
    return f'<img class="wide" alt="{escape(tokens[at].content)}" src="{data_uri(path.read_bytes(), path.name)}">'
