"""The house rules that a machine can check and no linter does: what start-up imports, licences.

Style, types and import directions have commands of their own: `.ci/run --list`.
"""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


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


#: Licences that must not come in (NOTICE and the package are Apache-2.0). LGPL is allowed for dynamic linking.
FORBIDDEN = re.compile(
    r"\bAGPL|Affero|(?<!L)(?<!Lesser )GPL|GNU General Public|NonCommercial|CC[- ]BY[- ]NC", re.IGNORECASE
)


def _closure(name: str) -> set[str]:
    """Installed distributions that `name` needs, with the extras of this project."""
    from packaging.requirements import Requirement

    seen: set[str] = set()
    queue = [(name, {"all"})]
    while queue:
        current, extras = queue.pop()
        for text in importlib.metadata.requires(current) or []:
            requirement = Requirement(text)
            wanted = [{"extra": e} for e in extras or {""}] or [{"extra": ""}]
            if requirement.marker and not any(requirement.marker.evaluate(e) for e in wanted):
                continue
            try:
                importlib.metadata.distribution(requirement.name)
            except importlib.metadata.PackageNotFoundError:
                continue
            key = requirement.name.lower()
            if key not in seen:
                seen.add(key)
                queue.append((requirement.name, set(requirement.extras)))
    return seen


def test_no_dependency_has_a_forbidden_licence() -> None:
    found = {}
    for name in _closure("auditor"):
        meta = importlib.metadata.metadata(name)
        texts = [meta.get("License-Expression") or "", (meta.get("License") or "")[:200]]
        texts += [c for c in meta.get_all("Classifier") or [] if c.startswith("License")]
        text = " | ".join(texts)
        # "OR" leaves the choice to us; a classifier list that also names a permissive licence does too.
        if FORBIDDEN.search(text) and not re.search(r"\bOR\b|MIT|BSD|Apache", text):
            found[name] = text
    assert len(_closure("auditor")) > 20
    assert not found


def test_cleanlab_is_of_the_apache_line() -> None:
    version = tuple(map(int, importlib.metadata.version("cleanlab").split(".")[:2]))
    assert version >= (2, 9)
