"""Documentation that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import typer.main

from auditor.cli.main import app
from auditor.core.version import __version__
from auditor.runs import layout

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = typer.main.get_command(app)

NAMES = sorted(COMMANDS.commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_documented(name: str) -> None:
    assert f"auditor {name}" in (ROOT / "docs" / "cli.md").read_text()


def test_every_option_of_find_errors_is_documented() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    options = [o for p in COMMANDS.commands["find-errors"].params for o in (*p.opts, *p.secondary_opts)]  # type: ignore[attr-defined]
    missing = [o for o in options if o.startswith("--") and o != "--help" and f"`{o}`" not in text]
    assert len(options) > 15
    assert not missing


def test_every_file_of_the_run_folder_is_documented() -> None:
    text = (ROOT / "docs" / "run-folder.md").read_text()
    names = (
        layout.CONFIG,
        layout.ITEMS,
        layout.DATA,
        layout.PRED_PROBS,
        layout.AUDITED,
        layout.FOLDS,
        layout.DYNAMICS,
        layout.SCORES,
        layout.FINDINGS,
        layout.REPORT,
        layout.MANIFEST,
        layout.STAGES,
        layout.TASKS,
        layout.WORK,
    )
    assert [n for n in names if f"`{n}" not in text] == []
    assert layout.RUN_SCHEMA in text
    assert [code for code in layout.CODES if f"`{code}`" not in text] == []


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "reports").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if not target.startswith("http") and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert not broken


def test_ci_runs_the_test_command_of_the_readme_and_the_checks_of_the_contributing_page() -> None:
    done = subprocess.run([ROOT / ".ci" / "run", "--list"], capture_output=True, text=True, check=True, cwd="/")
    pinned, tests, *checks = done.stdout.splitlines()
    assert pinned.endswith("--require-hashes -r .ci/requirements.txt")
    assert f"\n{tests}\n" in (ROOT / "README.md").read_text()
    assert re.search(r" -m pytest( -n \d --dist \w+)?$", tests), "all tests, nothing left out"
    assert [command.split()[0] for command in checks] == [
        f".venv/bin/{tool}" for tool in ("ruff", "ruff", "lint-imports", "mypy")
    ]
    contributing = (ROOT / "CONTRIBUTING.md").read_text().splitlines()
    assert [command for command in checks if command not in contributing] == []


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_layers_of_the_architecture_are_those_that_import_linter_checks() -> None:
    contract = PYPROJECT["tool"]["importlinter"]["contracts"][0]
    layers = re.sub(r"auditor\.|[()]", "", "\n".join(contract["layers"]))
    assert f"```\n{layers}\n```" in ARCHITECTURE


def test_every_room_has_its_sentence_and_every_sentence_its_room() -> None:
    told = re.search(r"^auditor/\n(.*?)^pipelines/", ARCHITECTURE, re.MULTILINE | re.DOTALL)
    assert told is not None
    folders = re.findall(r"^( {2,4})(\w+)/ ", told[1], re.MULTILINE)
    rooms = [path.name for path in (ROOT / "auditor").iterdir() if (path / "__init__.py").is_file()]
    laboratory = [path.name for path in (ROOT / "auditor" / "lab").iterdir() if (path / "__init__.py").is_file()]
    assert sorted(name for indent, name in folders if len(indent) == 2) == sorted(rooms)
    assert sorted(name for indent, name in folders if len(indent) == 4) == sorted(laboratory)


def test_every_entry_point_group_is_named() -> None:
    files = (ROOT / "auditor").rglob("*.py")
    calls = [node for path in files for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    made = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Registry"]
    texts = {
        n.value for call in made for n in (*call.args, *(k.value for k in call.keywords)) if isinstance(n, ast.Constant)
    }
    groups = {text for text in texts if isinstance(text, str) and text.startswith("auditor.")}
    assert len(groups) >= 10
    assert [group for group in sorted(groups) if f"`{group}`" not in ARCHITECTURE] == []


def _schemas() -> set[str]:
    """Every schema that the package writes or reads."""
    files = (ROOT / "auditor").rglob("*.py")
    nodes = (node for path in files for node in ast.walk(ast.parse(path.read_text())))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in texts if re.fullmatch(r"auditor\.[a-z-]+/\d+", text)}


def test_every_schema_is_in_the_table_of_the_versions_page() -> None:
    table = (ROOT / "docs" / "versions.md").read_text().partition("| schema |")[2]
    assert sorted(set(re.findall(r"`(auditor\.[a-z-]+/\d+)`", table))) == sorted(_schemas())


def test_the_changelog_has_a_section_for_this_version() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert re.match(rf"{re.escape(__version__)}\b|Unreleased$", headings[0])
    assert any(heading.split()[0] == __version__ for heading in headings)


def test_every_page_has_its_place_in_the_site() -> None:
    """`tests/test_site.py` builds it; this is told at once."""
    text = (ROOT / "docs" / "site" / "mkdocs.yml").read_text().partition("\nnav:")[2]
    placed = re.findall(r"([\w./-]+\.md)\b", text)
    made = {"reference.md", "gallery.md", "decisions.md", "CHANGELOG.md"}
    docs = ROOT / "docs"
    pages = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    assert sorted(placed) == sorted(made | {page for page in pages if not page.startswith("decisions/")})
