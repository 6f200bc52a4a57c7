"""What is published: the wheel is whole and small, and works where it is installed, far from a checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, build_opener

import pytest
from twine.commands.check import check

from auditor.core.version import __version__
from tests.browser.server import TOKEN, free_port
from tests.cli.base_install import command_names
from tests.conftest import ROOT
from tests.running import ENVIRON

#: Four times what it is, so that nobody publishes data or weights by accident.
LARGEST = 6 << 20


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as for a release, with the hatchling that is installed."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment with the wheel, which borrows the packages of this one.

    A path file inside a borrowed folder is not read, so the editable installation of this checkout stays out.
    """
    home = tmp_path_factory.mktemp("env")
    venv.EnvBuilder(with_pip=False).create(home)
    programs = home / ("Scripts" if os.name == "nt" else "bin")
    python = programs / Path(sys.executable).name
    pip = [sys.executable, "-m", "pip", "--python", str(python if python.exists() else programs / "python")]
    subprocess.run([*pip, "install", "-q", "--no-deps", "--no-index", str(wheel)], check=True)
    (library,) = home.rglob("site-packages")
    borrowed = [path for path in sys.path if Path(path).name == "site-packages"]
    (library / "borrowed.pth").write_text("\n".join(borrowed) + "\n")
    return programs


def _environ(folder: Path, **more: str) -> dict[str, str]:
    """Without PYTHONPATH: nothing may come from the checkout."""
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "TEMP", "AUDITOR_DATA_DIR") if name in os.environ}
    return {**kept, **ENVIRON, "HOME": str(folder), "PATH": "", "OMP_NUM_THREADS": "1", **more}


def _call(programs: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [programs / "auditor", *arguments],
        cwd=folder,
        env=_environ(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = ROOT / "auditor"
    files = {path.relative_to(ROOT).as_posix() for path in package.rglob("*") if path.is_file()}
    tracked = {name for name in files if "__pycache__" not in name and ".tmp" not in name}
    assert {"auditor/py.typed", "auditor/pyproject.toml", "auditor/ui/script.py"} <= inside
    assert inside == tracked
    for kind in ("*.jinja", "*.js", "*.css", "*.schema.json", "migrations/*/*.py"):
        assert any(Path(name).match(kind) for name in inside), kind


def test_the_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < LARGEST


def test_its_metadata_can_be_published(wheel: Path) -> None:
    assert not check([str(wheel)], strict=True), "twine check fails"
    assert wheel.name == f"auditor-{__version__}-py3-none-any.whl"


def test_every_command_of_the_wheel_has_its_help(installed: Path, tmp_path: Path) -> None:
    """Those of the laboratory too, which come by entry points."""
    code = (
        "import contextlib, io, json, sys, auditor\n"
        "from auditor.cli.main import run\n"
        "sys.argv[:] = ['auditor']  # the name in the texts\n"
        "texts = {}\n"
        "for name in json.load(sys.stdin):\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):\n"
        "        run([*name.split(), '--help'])\n"
        "    texts[name] = out.getvalue()\n"
        "json.dump([auditor.__file__, texts], sys.stdout)\n"
    )
    asked = sorted(command_names())
    done = subprocess.run(
        [installed / "python", "-c", code],
        input=json.dumps(asked),
        cwd=tmp_path,
        env=_environ(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    file, texts = json.loads(done.stdout)
    assert Path(file).is_relative_to(installed.parent), "the package of the wheel, not of the checkout"
    assert [name for name in asked if f"auditor {name}" not in texts[name]] == []
    assert {"prune", "search", "grid", "benchmark-detection"} <= set(asked)


@contextmanager
def _served(programs: Path, folder: Path, port: int, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    with open(folder / "server.log", "wb") as log:
        server = subprocess.Popen(
            [programs / "auditor", "review", "--no-browser", "--port", str(port)],
            cwd=folder,
            env=_environ(folder, AUDITOR_TOKEN=TOKEN, **environ),
            stdout=log,
            stderr=log,
        )
    try:
        yield server
    finally:
        server.terminate()
        server.wait(30)


def _fetch(address: str, server: subprocess.Popen[bytes], log: Path) -> tuple[int, bytes]:
    deadline = time.monotonic() + 240  # a starved machine takes minutes to import
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()[-3000:]
        try:
            with build_opener(HTTPCookieProcessor()).open(address, timeout=10) as answer:
                return answer.status, answer.read()
        except HTTPError as error:
            return error.code, error.read()
        except OSError:
            time.sleep(0.1)
    raise AssertionError(log.read_text()[-3000:])


def test_the_wheel_audits_and_reviews(installed: Path, tmp_path: Path) -> None:
    """From the bundled digits to the reviewer's page; `auditor review` takes the place of the checkout's `app.py`."""
    assert _call(installed, tmp_path, "--version").stdout.strip() == f"auditor {__version__}"
    small = ("--budget", "smoke", "--folds", "2", "--workers", "1", "--no-quality", "--out", "run", "--json")
    document = json.loads(_call(installed, tmp_path, "find-errors", "digits", *small).stdout)
    assert document["n_audited"] == 1797
    assert "<html" in (tmp_path / "run" / "report.html").read_text()
    port, log = free_port(), tmp_path / "server.log"
    with _served(installed, tmp_path, port, AUDITOR_RUN="run") as server:
        assert _fetch(f"http://127.0.0.1:{port}/_stcore/health", server, log)[0] == 200
        status, page = _fetch(f"http://127.0.0.1:{port}/?token={TOKEN}", server, log)
    assert status == 200
    assert b"<html" in page
    assert (tmp_path / "run" / "review.sqlite").is_file()
    assert "Traceback" not in log.read_text()
