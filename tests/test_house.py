"""House rules that no linter checks: circles of files, modules without a test, imports at start-up, dangerous calls.

Style, types and import directions have commands of their own: `.ci/run --list`.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]


@cache
def _imports() -> dict[str, set[str]]:
    """Each module of the package -> the modules it imports; imports for type checkers alone do not count."""
    graph = grimp.build_graph("auditor", exclude_type_checking_imports=True, cache_dir=None)
    return {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}


def _circles(modules: dict[str, set[str]]) -> list[tuple[str, ...]]:
    """Groups of modules that reach one another; `modules` maps each name to what it imports."""

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        queue = [start]
        while queue:
            for name in modules[queue.pop()] - seen:
                seen.add(name)
                queue.append(name)
        return seen

    reached = {name: reach(name) for name in modules}
    return sorted({tuple(sorted(o for o in reached[n] if n in reached[o])) for n in modules if n in reached[n]})


@pytest.mark.parametrize(
    ("modules", "circles"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"a"}, "c": {"a"}}, [("a", "b")]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"e"}, "e": {"d"}}, [("a", "b", "c"), ("d", "e")]),
    ],
)
def test_circles_are_seen(modules: dict[str, set[str]], circles: list[tuple[str, ...]]) -> None:
    assert _circles(modules) == circles


def test_no_circle_of_files() -> None:
    """Imports inside functions count too: they hide a circle, they do not open it. Those for type checkers do not."""
    modules = _imports()
    assert modules["auditor.core.registry"]
    assert _circles(modules) == []


def _room(module: str) -> str:
    """``auditor.lab.prune.rd.allocate`` -> ``lab/prune``, ``auditor.api`` -> ``.``."""
    parts = module.split(".")[1:-1]
    return "/".join(parts[: 2 if parts[:1] == ["lab"] else 1]) or "."


def _imported_in(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def _registered() -> set[str]:
    """Modules named as a text: in a registry, which contract tests run over, an entry point, a lazy import."""
    sources = [*(ROOT / "auditor").rglob("*.py"), ROOT / "pyproject.toml"]
    return {module for path in sources for module in re.findall(r'"(auditor(?:\.\w+)+)(?::\w+)?"', path.read_text())}


#: Started by their path or by another program; tests start them too.
_STARTED = {"auditor.__main__", "auditor.ui.script"}


def test_every_module_is_tested_in_its_room() -> None:
    """Imported by a test, or named in a registry; or it serves such a module of its room."""
    imports = _imports()
    leaves = {m for m in imports if not any(other.startswith(f"{m}.") for other in imports)}
    tested = _registered().union(*map(_imported_in, (ROOT / "tests").rglob("*.py"))) & imports.keys()
    queue = list(tested)
    while queue:
        module = queue.pop()
        served = {m for m in imports[module] - tested if _room(m) == _room(module)}
        tested |= served
        queue += served
    migrations = {m for m in leaves if m.startswith("auditor.review.migrations.")}  # alembic loads them by path
    assert sorted(leaves - tested - migrations - _STARTED) == []


def test_tests_lie_in_the_folder_of_the_room_they_test() -> None:
    """``tests/contract``, ``parity``, ``fuzz``, ``browser`` and ``e2e`` go across rooms."""
    rooms = {_room(module) for module in _imports()}
    across = {"contract", "parity", "fuzz", "browser", "e2e", "."}
    strays = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        parts = path.relative_to(ROOT / "tests").parts[:-1]
        room = "/".join(parts[: 2 if parts[:1] == ("lab",) else 1]) or "."
        if room not in rooms | across | {"lab"}:
            strays.append(str(path))
    assert strays == []


#: typer and what typer needs. Anything else costs every call of every command its time, and so does `rich`.
_LIGHT = {"auditor", "typer", "click", "shellingham", "annotated_doc", "typing_extensions", "colorama"}


def _imported_by(code: str) -> set[str]:
    """Top-level modules that `code` brings into a fresh interpreter, without the standard library."""
    show = "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    names = []
    for text in ("", code):
        done = subprocess.run([sys.executable, "-c", text + show], cwd=ROOT, capture_output=True, text=True, check=True)
        names.append(set(done.stderr.split()))
    return names[1] - names[0] - set(sys.stdlib_module_names)


_HELP = """
import runpy, sys
sys.argv = ["auditor", "--help"]
try:
    runpy.run_module("auditor", run_name="__main__")
except SystemExit as end:
    assert end.code == 0, end.code
"""


@pytest.mark.parametrize("code", ["import auditor", _HELP], ids=["import", "--help"])
def test_start_up_imports_nothing_heavy(code: str) -> None:
    """How long it takes is measured by ``benchmarks/startup.py``."""
    imported = _imported_by(code)
    assert "auditor" in imported
    assert imported <= _LIGHT


_ABSENT_RUNS = """
import contextlib, io
import typer.main
from auditor.cli.main import app, run

def commands(command, *words):
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, *words, name)
    for parameter in command.params:
        if parameter.name == "run" or "RUN" in (parameter.metavar or ""):
            yield words, command, parameter

told = 0
for words, command, parameter in commands(typer.main.get_command(app)):
    if words == ("check",) and parameter.name == "target":  # a data set or a run
        continue
    others = [p for p in command.params if p.required and p is not parameter]
    given = [word for p in [parameter, *others] if p.opts[0].startswith("-") for word in (p.opts[0], "x")]
    given += ["x" for p in command.params if p in [parameter, *others] and not p.opts[0].startswith("-")]
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            run([*words, *given])
    except SystemExit as end:
        assert end.code == 3, (words, end.code)
        told += 1
assert told >= 15, told
"""


def test_an_absent_run_is_told_without_what_reads_one() -> None:
    """Of every command and option that takes a RUN: importing what reads one takes seconds."""
    imported = _imported_by(_ABSENT_RUNS)
    assert not imported & {"numpy", "pandas", "pyarrow", "sklearn", "scipy", "torch", "numba", "sqlalchemy"}


def test_a_worker_starts_without_what_only_the_main_process_needs() -> None:
    imported = _imported_by("import auditor.train.workers")
    assert not imported & {"pandas", "pyarrow", "sklearn", "scipy", "torch", "pydantic", "numba"}


def test_the_names_of_the_models_are_told_without_what_trains_them() -> None:
    imported = _imported_by("from auditor.train.choose import list_models\nlist_models()")
    assert not imported & {"pandas", "pyarrow", "sklearn", "scipy", "torch", "numba"}


@cache
def _calls(path: Path) -> set[str]:
    """What a module calls, by its written name."""
    return {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}


#: Calls that need care, and the one module that takes it, if any. Pillow with all its plug-ins runs PostScript; four
#: bytes bring down Arrow's reader of JSON, and with it the process; a cell of a table may be a formula.
_CAREFUL = {
    r"(Image\.open|ImageFile\.Parser|\bimread|read_image|decode_image)$": ["data/decode.py"],
    r"\.(read_json|open_json)$": [],
    r"(to_csv|csv\.(writer|DictWriter|DictReader)|write_csv)$": ["core/escaping.py"],
}


@pytest.mark.parametrize(("call", "homes"), _CAREFUL.items())
def test_what_is_dangerous_is_called_in_one_place(call: str, homes: list[str]) -> None:
    package = ROOT / "auditor"
    paths = [path for path in package.rglob("*.py") if any(re.search(call, name) for name in _calls(path))]
    assert [path.relative_to(package).as_posix() for path in paths] == homes
