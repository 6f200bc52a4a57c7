"""A PostgreSQL server of our own: made in a temporary folder, started and stopped by the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path


def find_binaries() -> Path | None:
    """Folder of ``initdb`` and ``pg_ctl``: the newest under Debian's place, or on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3].split(".")[0]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def unprivileged_user() -> str | None:
    """Whom the server runs as: PostgreSQL refuses root. None where we are not root, or nobody fits."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


class Server:
    """One cluster in one folder, reached by its socket."""

    def __init__(self, binaries: Path) -> None:
        self.binaries, self.user = binaries, unprivileged_user()
        self.folder = Path(tempfile.mkdtemp(prefix="auditor-pg-", dir="/tmp"))
        if self.user is not None:
            shutil.chown(self.folder, self.user)
        self.data = self.folder / "data"
        self._run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.binaries / program), *arguments]
        done = subprocess.run(
            command, user=self.user, cwd=self.folder, capture_output=True, text=True, check=False, timeout=120
        )
        if done.returncode:
            log = self.folder / "log"
            raise RuntimeError(f"{program}: {done.stderr}\n{log.read_text()[-2000:] if log.is_file() else ''}")

    def start(self) -> None:
        # No fsync: the machine does not lose power during a test, and the server's own crash loses nothing.
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c fsync=off -c max_connections=200"
        # The log goes to a file: an inherited pipe would keep `subprocess.run` waiting for the server.
        command = [
            str(self.binaries / "pg_ctl"),
            "-D",
            str(self.data),
            "-o",
            options,
            "-l",
            str(self.folder / "log"),
            "-w",
            "start",
        ]
        subprocess.run(command, user=self.user, cwd=self.folder, check=True, timeout=120, stdout=subprocess.DEVNULL)

    def stop(self, mode: str = "fast") -> None:
        """`mode` ``immediate`` is a crash: no clean shutdown, recovery at the next start."""
        self._run("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")

    def new_schema(self) -> str:
        """URL of a fresh, empty schema: as good as a database of its own, and made in no time."""
        import psycopg

        name = "t" + uuid.uuid4().hex[:12]
        with psycopg.connect(f"host={self.folder} user=postgres dbname=postgres", autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"postgresql://postgres@/postgres?host={self.folder}&options=-csearch_path%3D{name}"

    def remove(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)
