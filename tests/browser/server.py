"""A review server in a process of its own, started, killed and slowed down by the tests."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

__all__ = ["TOKEN", "ReviewServer", "free_port"]

#: Of every server's address.
TOKEN = "a-token-for-the-tests"

ROOT = Path(__file__).resolve().parents[2]
#: Starts `auditor review` with every `submit` slowed down: what a loaded server looks like to the card.
SLOW = """
import sys, time
from auditor.review.store import VerdictStore
submit = VerdictStore.submit
def slow(self, *args, **kwargs):
    time.sleep({seconds})
    return submit(self, *args, **kwargs)
VerdictStore.submit = slow
from auditor.cli.main import run
run(sys.argv[1:])
"""


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
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def start(self) -> ReviewServer:
        code = ["-c", SLOW.format(seconds=self.slow)] if self.slow else ["-m", "auditor"]
        command = [sys.executable, *code, "review", str(self.run), "--port", str(self.port), "--no-browser"]
        env = {**os.environ, "AUDITOR_OFFLINE": "1", "NO_COLOR": "1", "AUDITOR_TOKEN": TOKEN}
        if self.store is not None:
            command += ["--store", self.store]
        if self.home is not None:
            env["HOME"] = str(self.home)
        if self.data_dir is not None:
            env["AUDITOR_DATA_DIR"] = str(self.data_dir)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=env, cwd=ROOT)
        deadline = time.monotonic() + 240  # a starved machine takes minutes to import
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended: {self.log.read_text()[-3000:]}")
            try:
                with urlopen(f"{self.url}/_stcore/health", timeout=2):
                    return self
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"the server does not answer: {self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        """As a power cut would."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(timeout=20)

    def tracebacks(self) -> list[str]:
        return re.findall(r"Traceback[\s\S]{0,800}", self.log.read_text())
