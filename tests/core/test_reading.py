"""Only regular files are read, whoever asks, and what a parser raises is said to be wrong with the file."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from auditor.core.config import load_settings
from auditor.core.errors import AuditorError, ConfigError, MemoryGuardError, UnreadableError
from auditor.core.hashing import hash_file
from auditor.core.reading import parsing, reading, regular_file
from auditor.models.genotype import file_hash
from auditor.policy.policy import load_policy


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _nowhere(path: Path) -> None:
    path.symlink_to(path.with_name("absent"))


READERS: dict[str, Callable[[Path], object]] = {
    "policy": load_policy,
    "settings": lambda path: load_settings(environ={}, cwd=path.parent),
    "hash": hash_file,
    "genotype": file_hash,
    "any": regular_file,
}


@pytest.fixture
def bounded() -> Iterator[None]:
    """Ends what waits for a writer, or reads on and on: the test fails then, instead of never ending."""

    def stop(*_: object) -> None:
        raise TimeoutError("it waits, or reads on and on")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("make", [_pipe, _device, Path.mkdir])
def test_special_files_are_refused(name: str, make: Callable[[Path], object], tmp_path: Path) -> None:
    """Without waiting for a writer, and without reading on and on."""
    path = tmp_path / "auditor.toml"
    make(path)
    if name == "settings" and make is Path.mkdir:  # a folder called so holds no settings
        load_settings(environ={}, cwd=tmp_path)
        return
    with pytest.raises(AuditorError, match=r"is (a pipe|a device|a folder), not a regular file"):
        READERS[name](path)


def test_links_to_nowhere_and_files_that_are_too_large(tmp_path: Path) -> None:
    path = tmp_path / "auditor.toml"
    _nowhere(path)
    with pytest.raises(UnreadableError, match="No such file"):
        regular_file(path)
    with pytest.raises(ConfigError, match="No such file"):
        load_policy(path)
    path.unlink()
    with open(path, "wb") as handle:
        handle.truncate(5 << 20)
    with pytest.raises(UnreadableError, match="more than the 10 that are read"):
        regular_file(path, 10)
    for read in (load_policy, lambda path: load_settings(environ={}, cwd=path.parent)):
        with pytest.raises(ConfigError, match="more than the 4,194,304 that are read"):
            read(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [(b"\xff", "utf-8"), (b"a = " + b"9" * 5000, "TOML"), (b"a = " + b"[" * 20_000, "recursion"), (b"=", "TOML")],
)
def test_a_configuration_that_cannot_be_read_is_a_wrong_call(text: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "auditor.toml").write_bytes(text)
    with pytest.raises(ConfigError, match=said):
        load_settings(environ={}, cwd=tmp_path)


def test_what_a_parser_raises_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"x")
    for raised, error in ((RecursionError("deep"), UnreadableError), (MemoryError("1 TB"), MemoryGuardError)):
        with pytest.raises(error, match=r"x\.bin"), reading(path, "a form"):
            raise raised
        with pytest.raises(error, match="s3://x"), parsing("s3://x", "a form"):
            raise raised
    with pytest.raises(KeyboardInterrupt), reading(path, "a form"):
        raise KeyboardInterrupt
