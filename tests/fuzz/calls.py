"""Where the package reads files: every function that calls a parser or opens something to read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

#: Calls that read a file, or parse what came out of one.
_READS = re.compile(
    r"""(^|\.)(
        read_bytes | read_text | read_lines | regular_file | reading | parsing | unpickle_arrays
        | load_npy | load_npz | fromfile | memmap | open_memmap | memory_map | input_stream | ParquetFile
        | read_(json|table|schema|metadata|csv|parquet|arrow|rows|row_group) | load_dataset | load_from_disk
        | ZipFile | safe_open | from_pretrained | create_model | DictReader | literal_eval
    )$
    | ^(np|numpy|torch|json|pickle|tomllib|yaml|tomli)\.loads?$
    | ^(csv\.reader|sqlite3\.connect|zarr\.open|os\.open|filesystem\.open|archive\.open|Image\.open|ElementTree\.\w+)$
    """,
    re.VERBOSE,
)


def reading_functions(package: Path) -> set[str]:
    """``file.py function`` of every function of a package that reads, as the traced names are written."""
    return {
        f"{path.relative_to(package).as_posix()} {name}"
        for path in package.rglob("*.py")
        for name, calls in _functions(ast.parse(path.read_text()), "")
        if any(_reads(call) for call in calls)
    }


def _functions(node: ast.AST, inside: str) -> Iterator[tuple[str, list[ast.Call]]]:
    """Functions by their qualified names, each with the calls of its own body; a lambda belongs to its function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{inside}{child.name}"
            yield name, list(_own_calls(child))
            yield from _functions(child, f"{name}.<locals>.")
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{inside}{child.name}.")
        else:
            yield from _functions(child, inside)


def _own_calls(node: ast.AST) -> Iterator[ast.Call]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from _own_calls(child)


def _reads(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    if name == "open":  # to write, or what another call opened
        mode = call.args[1] if len(call.args) > 1 else next((k.value for k in call.keywords if k.arg == "mode"), None)
        return not (isinstance(mode, ast.Constant) and str(mode.value)[:1] in ("w", "a", "x"))
    return bool(_READS.search(name))
