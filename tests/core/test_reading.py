"""Only regular files are read, whoever asks, and what a parser raises is said to be wrong with the file."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from auditor.core.config import load_settings
from auditor.core.errors import AuditorError, ConfigError, MemoryGuardError, UnreadableError
from auditor.core.hashing import hash_file
from auditor.core.reading import parsing, reading, regular_file, unusable_path
from auditor.data.intake import open_probabilities
from auditor.data.open import open_dataset
from auditor.models.genotype import file_hash
from auditor.policy.policy import load_policy
from auditor.runs.run import open_run
from tests.running import call


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


_LONG = "a" * 300


@pytest.mark.parametrize(
    "use",
    [
        lambda path: open_dataset(path),
        lambda path: open_dataset(f"csv://{path}.csv"),
        lambda path: open_dataset(f"folder://{path}"),
        lambda path: open_run(path),
        lambda path: open_probabilities(f"{path}.npy", ["a", "b"]),
    ],
    ids=["path", "csv", "folder", "run", "probabilities"],
)
def test_a_name_that_no_file_can_have_is_refused(use: Callable[[str], object]) -> None:
    with pytest.raises(AuditorError, match="name too long"):
        use(_LONG)


@pytest.mark.parametrize(
    "arguments",
    [
        ("find-errors", _LONG),
        ("find-errors", "digits", "--budget", "smoke", "--out", _LONG),
        ("show", _LONG),
        ("flag", "--pred-probs", f"{_LONG}.npy", "--labels", "y.npy"),
        ("review", _LONG),
    ],
    ids=lambda arguments: " ".join(word[:12] for word in arguments),
)
def test_no_command_fails_of_a_name_that_no_file_can_have(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = call(*arguments, cwd=tmp_path, check=3)
    assert "name too long" in done.stderr
    assert "Check the path." in done.stderr


def test_other_faults_of_the_system_are_not_taken_for_the_path() -> None:
    assert unusable_path(OSError(errno.EIO, "Input/output error", "x")) is None
    assert unusable_path(OSError(errno.ENAMETOOLONG, "File name too long")) is None  # nobody's path
    assert unusable_path(ValueError("x")) is None
