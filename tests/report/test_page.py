"""Markdown of our reports as one HTML file."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from auditor.core.errors import DataError
from auditor.report.page import page_html

LINES = """# A page & its title

Words with `code | **not bold**`, **bold <words>** and [a link](docs/x.md).
Second line of the paragraph.

## Part

| name | n |
|---|---:|
| `f16-c1` **chosen** | 1,000 [0.1, 0.2] |
| other | - |

- first
- second `x`

![what it <shows>](map.png)
![curves](curves.svg)
""".splitlines()


class Balanced(HTMLParser):
    """Fails on an element that is closed in the wrong place."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def page(tmp_path: Path) -> str:
    Image.new("RGB", (4, 4)).save(tmp_path / "map.png")
    (tmp_path / "curves.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    return page_html(LINES, tmp_path)


def test_every_block_becomes_its_element(page: str) -> None:
    checker = Balanced()
    checker.feed(page)
    assert checker.open == []
    assert "<title>A page &amp; its title</title>" in page
    assert "<code>code | **not bold**</code>" in page
    assert "<strong>bold &lt;words&gt;</strong>" in page
    assert '<a href="docs/x.md">a link</a>' in page
    assert "<p>Words" in page
    assert "Second line of the paragraph.</p>" in page
    assert page.count("<tr>") == 3
    assert '<th>name</th>\n<th style="text-align:right">n</th>' in page
    assert "<td><code>f16-c1</code> <strong>chosen</strong></td>" in page
    assert '<td style="text-align:right">1,000 [0.1, 0.2]</td>' in page
    assert "<li>first</li>\n<li>second <code>x</code></li>" in page
    assert "---" not in page.split("</style>")[1]


def test_pictures_are_inside_and_nothing_is_fetched(page: str, tmp_path: Path) -> None:
    sources = re.findall(r'src="([^"]+)"', page)
    assert [s.partition(";")[0] for s in sources] == ["data:image/png", "data:image/svg+xml"]
    assert 'alt="what it &lt;shows&gt;"' in page
    assert "<script" not in page
    assert "http" not in page.split("</style>")[1].replace("data:", "")
    with pytest.raises(FileNotFoundError):
        page_html(["![x](nowhere.png)"], tmp_path)


@pytest.mark.parametrize("source", ["../secret.png", "/etc/hostname", "a/../../secret.png", "link.png"])
def test_no_picture_from_elsewhere_gets_into_the_page(source: str, tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "report" / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match="outside"):
        page_html([f"![x]({source})"], tmp_path / "report")


@pytest.mark.parametrize(
    "line", ["<script>alert(1)</script>", "words <img src=x onerror=alert(1)>", "[x](javascript:alert(1))"]
)
def test_text_cannot_become_a_script(line: str, tmp_path: Path) -> None:
    body = page_html(["# T", "", line], tmp_path).split("<main>")[1]
    assert "<script" not in body
    assert "<img" not in body
    assert "href" not in body
