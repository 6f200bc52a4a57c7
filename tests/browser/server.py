"""A review server in a process of its own, started, killed and slowed down by the tests."""

from __future__ import annotations

import re
import socket
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tests.running import ENVIRON, forked

__all__ = ["TOKEN", "ReviewServer", "free_port"]

#: Of every server's address.
TOKEN = "a-token-for-the-tests"

ROOT = Path(__file__).resolve().parents[2]


def _serve(arguments: list[str], seconds: float) -> None:
    """``auditor review`` with every `submit` slowed down: what a loaded server looks like to the card."""
    from auditor.cli.main import run
    from auditor.review.store import VerdictStore

    submit = VerdictStore.submit

    def slow(self: VerdictStore, *args: Any, **kwargs: Any) -> Any:
        time.sleep(seconds)
        return submit(self, *args, **kwargs)

    VerdictStore.submit = slow  # type: ignore[method-assign]
    run(arguments)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class ReviewServer:
    """``auditor review RUN`` on a port of its own.

    Parameters
    ----------
    run : Path
    slow : float
        Seconds of server work added to every rerun that stores something.
    home : Path, optional
        Home folder, for ``.streamlit/secrets.toml``.
    store : str, optional
        Verdict store, if not the run folder's.
    """

    def __init__(
        self,
        run: Path,
        slow: float = 0.0,
        log: Path | None = None,
        data_dir: Path | None = None,
        home: Path | None = None,
        store: str | None = None,
    ) -> None:
        self.run, self.slow, self.port = run, slow, free_port()
        self.log = log or run / "server.log"
        self.data_dir, self.home, self.store = data_dir, home, store
        self.process: BaseProcess | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def start(self) -> ReviewServer:
        arguments = ["review", str(self.run), "--port", str(self.port), "--no-browser"]
        env = {**ENVIRON, "AUDITOR_TOKEN": TOKEN}
        if self.store is not None:
            arguments += ["--store", self.store]
        if self.home is not None:
            env["HOME"] = str(self.home)
        if self.data_dir is not None:
            env["AUDITOR_DATA_DIR"] = str(self.data_dir)
        self.process = forked(_serve, arguments, self.slow, log=self.log, environ=env, cwd=ROOT)
        deadline = time.monotonic() + 240  # a starved machine takes minutes to import
        while time.monotonic() < deadline:
            if self.process.exitcode is not None:
                raise RuntimeError(f"the server ended: {self.log.read_text()[-3000:]}")
            try:
                with urlopen(f"{self.url}/_stcore/health", timeout=2):
                    return self
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"the server does not answer: {self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        """As a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.join(20)

    def tracebacks(self) -> list[str]:
        return re.findall(r"Traceback[\s\S]{0,800}", self.log.read_text())
