"""Feeds damaged files to the readers in a process of its own, which may crash, hang or eat memory.

    python -m tests.fuzz.harness FOLDER SEED INPUTS SECONDS SKIP [READER ..]

writes ``FOLDER/failures.jsonl``, ``FOLDER/inputs.jsonl`` (how many inputs each reader got) and ``FOLDER/entered`` (the
functions that reading whole files went through); `run_fuzz` starts it, watches it, and starts it again behind an input
that ended it.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import CodeType, FrameType
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
#: Inputs that broke a reader once: ``corpus/READER/NAME/FILE``, FILE as it is called in the reader's folder.
CORPUS = Path(__file__).parent / "corpus"
#: Bytes that reading one damaged file of some kilobytes may add to the largest memory so far.
MEMORY_BOUND = 512 << 20
#: Seconds after which a reader hangs. The slowest input takes .1 s on an idle machine.
SECONDS_BOUND = 20.0


@dataclass(frozen=True)
class Reader:
    """A door for files of anybody's.

    Attributes
    ----------
    make : callable
        Writes whole files into a folder; returns those to damage.
    read : callable
        Reads a file, or the folder it lies in, as far as a user's command would.
    folder : bool
        Whether it is the folder.
    """

    make: Callable[[Path], Sequence[Path]]
    read: Callable[[Path], object]
    folder: bool = False


def run_fuzz(
    inputs: int, seed: int, folder: Path, seconds: float = float("inf"), readers: Sequence[str] = ()
) -> dict[str, list[str]]:
    """What went wrong, by reader: a traceback that is no `AuditorError`, a hang, a crash, too much memory.

    Every reader, or each of `readers`, gets its kept inputs and `inputs` new ones, of these as many as `seconds` allow.
    """
    folder.mkdir(parents=True, exist_ok=True)
    progress, failures = folder / "progress", folder / "failures.jsonl"
    left = list(readers)
    skip = 0
    while True:
        progress.write_text("")
        with open(folder / "stderr", "wb") as stderr:
            child = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.harness", *map(str, (folder, seed, inputs, seconds, skip)), *left],
                cwd=ROOT,
                env=os.environ | {name: str(folder / "caches") for name in ("HF_HOME", "AUDITOR_HOME", "TORCH_HOME")},
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        hung = _watch(child, progress)
        if child.returncode == 0:
            break
        at = progress.read_text().split(maxsplit=2)
        if len(at) < 3:
            raise RuntimeError(f"the fuzz process ended at once: {(folder / 'stderr').read_text()[-3000:]}")
        reader, skip = at[0], int(at[1]) + 1
        file = at[2].strip()
        _keep(folder, reader, skip - 1, Path(file), (folder / "work" / reader / file).read_bytes())
        what = "hangs" if hung else f"ends the process ({child.returncode})"
        _record(failures, reader, skip - 1, what)
        left = left[left.index(reader) :] if readers else [f"{reader}.."]
    found: dict[str, list[str]] = {}
    for line in failures.read_text().splitlines() if failures.exists() else ():
        row = json.loads(line)
        found.setdefault(row["reader"], []).append(f"input {row['number']}: {row['what']}")
    return found


def _watch(child: subprocess.Popen[bytes], progress: Path) -> bool:
    """Wait for the process; end it when it makes no progress. Whether it hung."""
    last, since = "", time.monotonic()
    while True:
        try:
            child.wait(0.5)
            return False
        except subprocess.TimeoutExpired:
            text = progress.read_text()
        if text != last:
            last, since = text, time.monotonic()
        if text and time.monotonic() - since > SECONDS_BOUND:
            child.kill()
            child.wait()
            return True


def _record(path: Path, reader: str, number: int, what: str) -> None:
    with open(path, "a") as handle:
        handle.write(json.dumps({"reader": reader, "number": number, "what": what}) + "\n")


def _keep(folder: Path, reader: str, number: int, file: Path, data: bytes) -> None:
    target = folder / "inputs" / reader / str(number) / file
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def main(folder: Path, seed: int, inputs: int, seconds: float, skip: int, names: Sequence[str]) -> None:
    """Run the readers one after the other, by default all, ``NAME..`` from this one on; the first goes on behind input
    `skip` - 1."""
    from auditor.core.machine import available_memory
    from tests.fuzz.readers import READERS

    faulthandler.enable()
    warnings.simplefilter("ignore")
    progress = os.open(folder / "progress", os.O_WRONLY)
    # So that a runaway input cannot take the machine with it.
    resource.setrlimit(resource.RLIMIT_DATA, (min(6 << 30, available_memory()),) * 2)
    if not names or names[0].endswith(".."):
        every = list(READERS)
        names = every[every.index(names[0].removesuffix("..")) if names else 0 :]
    for name in names:
        work = folder / "work" / name
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        reader = READERS[name]
        files = reader.make(work)
        whole = {path: path.read_bytes() for path in files}
        with open(folder / "entered", "a") as log, _entered(log):
            # What is whole is read: a door that refuses everything would pass.
            for path in {path.relative_to(work).parts[0]: path for path in files}.values() if reader.folder else files:
                reader.read(path)
        beside = {path for path in work.rglob("*") if path.is_file()}
        kept = sorted(path for path in (CORPUS / name).rglob("*") if path.is_file())
        highest, begun = _peak(), time.monotonic()
        number = skip - 1
        for number in range(skip, len(kept) + inputs):
            if number >= len(kept) and time.monotonic() - begun > seconds:
                break
            if number < len(kept):
                relative = Path(*kept[number].relative_to(CORPUS / name).parts[1:])
                path, data = work / relative, kept[number].read_bytes()
            else:
                random = Random(f"{seed} {name} {number - len(kept)}")
                path = random.choice(files)
                data = _damaged(whole, path, random)
            path.write_bytes(data)
            os.pwrite(progress, f"{name} {number} {path.relative_to(work)}".ljust(400).encode(), 0)
            what = _outcome(reader.read, path)
            if _peak() - highest > MEMORY_BOUND:
                what, highest = f"takes {(_peak() - highest) >> 20} MiB", _peak()
            if what:
                _record(folder / "failures.jsonl", name, number, what)
                _keep(folder, name, number, path.relative_to(work), data)
            for stray in {p for p in work.rglob("*") if p.is_file()} - beside:
                stray.unlink()
            path.write_bytes(whole[path]) if path in whole else path.unlink()
        with open(folder / "inputs.jsonl", "a") as log:
            log.write(json.dumps({"reader": name, "inputs": number + 1 - skip}) + "\n")
        skip = 0


@contextmanager
def _entered(log: IO[str]) -> Iterator[None]:
    """Write down which functions of the package are called, in all threads."""
    seen: set[CodeType] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        seen.add(frame.f_code)

    sys.settrace(note)
    threading.settrace(note)
    try:
        yield
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
        package = str(ROOT / "auditor")
        for code in seen:
            if code.co_filename.startswith(package + os.sep):
                log.write(f"{Path(code.co_filename).relative_to(package).as_posix()} {code.co_qualname}\n")


def _damaged(whole: dict[Path, bytes], path: Path, random: Random) -> bytes:
    from tests.fuzz.mutations import mutated

    return mutated(whole[path], list(whole.values()), random)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _outcome(read: Callable[[Path], object], path: Path) -> str:
    """Empty for a file that was read or refused."""
    from auditor.core.errors import AuditorError

    try:
        read(path)
    except AuditorError:
        return ""
    except BaseException as error:  # noqa: BLE001 -- also what would end a command: SystemExit, KeyboardInterrupt
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "/auditor/" in f.filename]
        place = f"{frames[-1].filename.partition('/auditor/')[2]}:{frames[-1].lineno}" if frames else "?"
        return f"{type(error).__name__} at {place}: {str(error)[:200]}"
    return ""


if __name__ == "__main__":
    folder, seed, inputs, seconds, skip, *names = sys.argv[1:]
    main(Path(folder), int(seed), int(inputs), float(seconds), int(skip), names)
