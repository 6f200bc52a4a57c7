"""What the site has beside the pages of docs/: reference, changelog, gallery with its reports, decisions.

Links that lead out of docs/ lead to what the site has of it; of a file that only the repository has, its name is shown.
"""

from __future__ import annotations

import ast
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_CODE = re.compile(r"^(```|~~~)")


def exported() -> dict[str, str]:
    """Each name of the library -> the path of what it is: the table in ``auditor/__init__.py``, read and not run."""
    tree = ast.parse((ROOT / "auditor" / "__init__.py").read_text(encoding="utf-8"))
    tables = {node.targets[0].id: node.value for node in tree.body if isinstance(node, ast.Assign)}  # type: ignore[attr-defined]
    modules = ast.literal_eval(tables["_MODULES"])
    names = [name for name in ast.literal_eval(tables["__all__"]) if not name.startswith("__")]
    return {name: f"{modules.get(name, 'auditor.core.errors')}.{name}" for name in names}


def reference() -> str:
    """The page of names and docstrings."""
    names = exported()
    parts = [
        "# Names and docstrings",
        "",
        "Everything that `auditor.__all__` names; what is not here is private. In prose: [the library](library.md).",
        "",
    ]
    parts += [
        f"::: {path}" for path in sorted(names.values(), key=lambda path: (".core.errors." in path, path.lower()))
    ]
    return "\n\n".join(parts) + "\n"


def reports() -> list[Path]:
    """The pages of measured results, as HTML and as Markdown, and their figures."""
    kinds = {".html", ".md", ".svg", ".png"}
    return sorted(path for path in (ROOT / "reports").rglob("*") if path.suffix in kinds)


def gallery() -> str:
    """The reports that open as pages, then the list of all results with the command that rebuilds each."""
    pages = [path for path in reports() if path.suffix == ".html"]
    lines = [
        "# Gallery of reports",
        "",
        "Each page is one file that opens without a network, as `auditor report` and the recipes write it.",
        "",
    ]
    for page in pages:
        folder = page.parent.relative_to(ROOT / "reports").as_posix()
        lines.append(f"- [{folder}](reports/{folder}/{page.name})")
    text = (ROOT / "reports" / "README.md").read_text(encoding="utf-8").partition("\n")[2]
    return "\n".join(lines) + "\n\n" + text


def decisions() -> str:
    """All decisions on one page, the newest first, a level lower."""
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"), reverse=True)
    return "# Decisions\n\n" + "\n\n".join(
        re.sub(r"^#", "##", p.read_text(encoding="utf-8"), flags=re.MULTILINE) for p in pages
    )


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made, and the reports."""
    made = {
        "reference.md": reference(),
        "gallery.md": gallery(),
        "decisions.md": decisions(),
        "CHANGELOG.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
    }
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    for path in reports():
        if path.suffix != ".md":
            files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    for file in list(files):
        if file.src_uri.startswith("decisions/"):
            files.remove(file)
    return files


def _home(page: Any) -> str:
    """Where the text of a page lies in the repository, as a folder."""
    source = page.file.src_uri
    if source == "gallery.md":
        return "reports"
    if source == "decisions.md":
        return "docs/decisions"
    return "" if source == "CHANGELOG.md" else posixpath.dirname(f"docs/{source}")


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links as the site has them."""
    made = page.file.src_uri in ("gallery.md", "decisions.md", "CHANGELOG.md")

    def there(hit: re.Match[str]) -> str:
        text, target = hit[1], hit[2]
        path, mark, anchor = target.partition("#")
        if not path or re.match(r"[a-z]+:", path):
            return hit[0]
        place = posixpath.normpath(posixpath.join(_home(page), path))
        if made and path.startswith("reports/"):
            return hit[0]
        known = place.removeprefix("docs/") if place.startswith("docs/") else place
        known = {"reports/README.md": "gallery.md", "reports": "gallery.md"}.get(known, known)
        if known.startswith("decisions"):
            known, mark, anchor = "decisions.md", "", ""
        if (file := files.get_file_from_path(known)) is None or file.inclusion.is_excluded():
            if not (ROOT / place).exists():
                return hit[0]  # mkdocs says that it leads nowhere
            return text if text.startswith("`") else f"{text} (`{place}`)"
        return f"[{text}]({posixpath.relpath(known, posixpath.dirname(page.file.src_uri) or '.')}{mark}{anchor})"

    code, lines = False, []
    for line in markdown.split("\n"):
        code ^= bool(_CODE.match(line))
        lines.append(line if code else _LINK.sub(there, line))
    return "\n".join(lines)
