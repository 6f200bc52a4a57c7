"""Windows and macOS stay possible: one module asks for the system, nothing forks, names and paths are the same."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from auditor.core.machine import is_file_name, is_private
from auditor.data.folder import scan
from tests.conftest import ROOT
from tests.running import ENVIRON

PACKAGE = ROOT / "auditor"
#: The one module that may ask which system this is.
HOME = PACKAGE / "core" / "machine.py"
#: Modules of the standard library that Windows does not have.
POSIX_MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "crypt", "syslog", "posix"}
#: Names that are missing there, or mean something else.
POSIX_NAMES = re.compile(
    r"os\.(fork|forkpty|setsid|setpgid|killpg|getpgid|getuid|geteuid|getgid|getegid|setuid|chown|lchown|mkfifo|mknod|"
    r"sched_\w+|statvfs|pread|pwrite|sendfile|wait\w*|uname|O_NOFOLLOW|O_DIRECTORY|O_CLOEXEC|O_SYNC)$"
    r"|signal\.(SIGKILL|SIGHUP|SIGUSR\d|SIGALRM|SIGCHLD|SIGPIPE|alarm|setitimer|pthread_\w+)$"
)
POSIX_PATHS = re.compile(r"/(tmp|dev|proc|etc|var|usr|home)(/|$)")


@cache
def _nodes() -> list[tuple[Path, ast.AST]]:
    return [(path, node) for path in sorted(PACKAGE.rglob("*.py")) for node in ast.walk(ast.parse(path.read_text()))]


def _said(node: ast.AST) -> list[str]:
    """What of a node only POSIX has."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names if alias.name in POSIX_MODULES]
    if isinstance(node, ast.ImportFrom):
        return [node.module] if node.module in POSIX_MODULES else []
    if isinstance(node, ast.Attribute):
        return [name] if POSIX_NAMES.match(name := ast.unparse(node)) else []
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value] if POSIX_PATHS.match(node.value) else []
    if isinstance(node, ast.keyword) and node.arg in ("dir_fd", "preexec_fn", "pass_fds"):
        return [node.arg]
    return []


def test_what_only_posix_has_is_asked_for_in_one_module() -> None:
    found = {(path.relative_to(PACKAGE).as_posix(), word) for path, node in _nodes() for word in _said(node)}
    home = HOME.relative_to(PACKAGE).as_posix()
    assert {word for path, word in found if path == home} >= {"os.getuid", "resource", "/proc/self/status"}
    assert sorted(item for item in found if item[0] != home) == []


def test_texts_are_read_and_written_as_utf8() -> None:
    """On Windows the default is another encoding in every country."""
    bare = []
    for path, node in _nodes():
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        given = {keyword.arg for keyword in node.keywords}
        modes = [a.value for a in node.args[1:2] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        modes += [k.value.value for k in node.keywords if k.arg == "mode" and isinstance(k.value, ast.Constant)]
        binary = any("b" in mode for mode in modes)
        opens = name == "open" and not binary and not any(isinstance(a, ast.Name) for a in node.args[1:2])
        if (opens or re.search(r"\.(read_text|write_text)$", name)) and "encoding" not in given:
            bare.append(f"{path.relative_to(PACKAGE)}:{node.lineno} {name}")
    assert bare == []


def test_nothing_starts_processes_by_forking() -> None:
    """`multiprocessing` serves for its pipes; workers are loky's, which start anew on every system."""
    taken = set()
    for _, node in _nodes():
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("multiprocessing"):
            taken |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            taken |= {alias.name for alias in node.names if alias.name.startswith("multiprocessing")}
    assert taken
    assert [n for n in taken if not n.startswith("multiprocessing.connection.") and n != "multiprocessing.Pipe"] == []


_AS_ON_WINDOWS = """
import multiprocessing, os, sys

def refuse(*_):
    raise OSError("no system but POSIX can fork")

for name in ("fork", "forkpty", "sched_getaffinity", "getloadavg"):
    if hasattr(os, name):
        delattr(os, name)
os.fork = refuse
multiprocessing.set_start_method("spawn")
from auditor.cli.main import run
small = ["--budget", "smoke", "--folds", "2", "--no-quality", "--quiet"]
run(["find-errors", "digits", "--workers", "2", "--out", "run", *small])
"""


def test_an_audit_runs_where_nothing_can_fork(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _AS_ON_WINDOWS],
        cwd=tmp_path,
        env={**os.environ, **ENVIRON, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "run" / "manifest.json").is_file()


def test_items_of_a_folder_have_one_order_whatever_separates_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``/`` sorts before letters, a backslash behind capitals."""
    for name in ("a/1.png", "aZ/1.png", "a/Z/1.png", "b/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        Image.new("RGB", (2, 2)).save(tmp_path / name)
    there = [found.relative for found in scan(tmp_path, [], {})]
    monkeypatch.setattr("auditor.data.folder.os.sep", "\\")
    assert [found.relative for found in scan(tmp_path, [], {})] == there
    assert all("\\" not in relative for relative in there)


@pytest.mark.parametrize(
    ("name", "posix", "windows"),
    [
        ("cat", True, True),
        ("a cat.", True, False),
        ("cat ", True, False),
        ("what?", True, False),
        ("new:CAT", True, False),
        ("back\\slash", True, False),
        ("NUL", True, False),
        ("con.png", True, False),
        ("console", True, True),
        ("com1", True, False),
        ("Ödland", True, True),
        ("", False, False),
        ("..", False, False),
        ("a/b", False, False),
        ("a\0", False, False),
    ],
)
def test_which_names_a_file_can_have(name: str, posix: bool, windows: bool) -> None:
    assert is_file_name(name, "posix") == posix
    assert is_file_name(name, "nt") == windows


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
def test_a_private_file_is_this_users_alone(tmp_path: Path) -> None:
    for mode, private in ((0o600, True), (0o640, False), (0o604, False)):
        path = tmp_path / f"{mode:o}"
        path.touch(mode=mode)
        path.chmod(mode)
        assert is_private(path.lstat()) == private
