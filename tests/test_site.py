"""The documentation as a site: built by `docs/site/mkdocs.yml`, links checked, nothing fetched from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import auditor
from tests.conftest import ROOT
from tests.running import made_once

pytest.importorskip("mkdocs", reason="the extra docs is not installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def build(folder: Path) -> None:
        command = [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--strict",
            "-q",
            "-f",
            "docs/site/mkdocs.yml",
            "-d",
            str(folder),
        ]
        environ = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    return made_once(tmp_path_factory, "site", build)


class _Page(HTMLParser):
    """Where a page leads, what it loads, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in ("script", "img", "iframe", "source") and "src" in values:
            self.loaded.append(values["src"])
        if tag == "link" and values.get("rel", "") not in ("canonical", "prev", "next", "edit"):
            self.loaded.append(values["href"])


def _pages(site: Path) -> dict[Path, _Page]:
    return {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}


def test_every_link_leads_to_a_page_and_its_place(site: Path) -> None:
    pages, broken = _pages(site), []
    for path, page in pages.items():
        if (
            path.name == "404.html" or "reports" in path.relative_to(site).parts
        ):  # with addresses from the server's root; tested where written
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target = target / "index.html"
            anchors = pages[target].anchors if target in pages else set()
            if not target.exists() or (parts.fragment and target in pages and unquote(parts.fragment) not in anchors):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert len(pages) > 40
    assert broken == []


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for path, page in _pages(site).items():
        assert [url for url in page.loaded if re.match(r"(https?:)?//", url)] == [], path.relative_to(site)
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", sheet.read_text(encoding="utf-8")), sheet.name


def test_the_reference_has_every_name_of_the_library_with_its_docstring(site: Path) -> None:
    text = (site / "reference.html").read_text(encoding="utf-8")
    names = [name for name in auditor.__all__ if not name.startswith("__")]
    assert [name for name in names if not re.search(rf'<h2 id="auditor\.[\w.]+\.{name}"', text)] == []
    assert "Your own out-of-sample probabilities; nothing is trained" in text


def test_every_page_of_the_docs_is_in_the_site_and_the_gallery_has_the_reports(site: Path) -> None:
    docs = ROOT / "docs"
    pages = [
        p.relative_to(docs) for p in docs.rglob("*.md") if p.relative_to(docs).parts[0] not in ("decisions", "site")
    ]
    names = {"README": "index"}
    made = [site / page.with_name(f"{names.get(page.stem, page.stem)}.html") for page in pages]
    assert [str(path.relative_to(site)) for path in made if not path.is_file()] == []
    gallery = _Page((site / "gallery.html").read_text(encoding="utf-8"))
    reports = [path.relative_to(ROOT).as_posix() for path in (ROOT / "reports").rglob("*.html")]
    assert set(reports) <= set(gallery.links)
    assert all((site / report).is_file() for report in reports)
