"""Whether the log beside a SQLite store (``-wal``) still holds all that was committed to it.

SQLite reads a log up to the first damaged page and takes that for its end: what was acknowledged after it would be gone
without a word. Two witnesses know better. The index of the log (``-shm``) says how many pages were committed, until a
process opens the store and makes it anew. And a transaction is only begun when the one before it is on disk, so that
pages of a later one tell of a damaged one. Where the index is gone and the log ends in a part of its last transaction,
that is what a power cut leaves of one that was never acknowledged.
"""

from __future__ import annotations

import struct
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

#: Bytes of the header of a log, and of that of each page in it.
HEADER: Final = 32
FRAME: Final = 24
_INDEX: Final = 136
_PAGES: Final = {1 << k for k in range(9, 17)}
#: Pages whose checksums are computed at once.
_BLOCK: Final = 256


def log_of(store: Path) -> Path:
    """The log of a store."""
    return Path(f"{store}-wal")


def lost_pages(store: Path) -> str:
    """What was committed to the log of a store and cannot be read from it any more, in words; empty if nothing.

    The store itself and its index are not opened: closing them would drop the locks that this process holds on them.
    """
    # A live connection may be just closing, and then both files go: what is really lost is so at a second look.
    return _lost(store) and _lost(store)


def _lost(store: Path) -> str:
    index = _committed(store)
    salts, whole, later = _read(log_of(store))
    committed, in_store, index_salts = index or (0, 0, None)
    # An index of another generation of the log is older than it, as after a power cut.
    if index_salts is not None and salts in (None, index_salts) and committed > max(whole, in_store):
        return f"{max(whole, in_store):,} of {committed:,} pages are whole"
    return f"{whole:,} pages are whole, and {later:,} later transactions begin in what follows" if later > 1 else ""


def _committed(store: Path) -> tuple[int, int, bytes] | None:
    """By the index: pages committed to the log, those of them that are in the store itself, and the log's salts."""
    index = Path(f"{store}-shm")
    if not index.exists():
        return None
    try:  # in a process of its own, whose locks are not ours
        raw = subprocess.run(["head", "-c", str(_INDEX), str(index)], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    # Two copies of the header; one is being written where they differ.
    if len(raw) < _INDEX or raw[:48] != raw[48:96] or not raw[12]:
        return None
    if _Checksums(np.frombuffer(raw[:40], np.uint8)[None], "=")((0, 0)) != [struct.unpack_from("=II", raw, 40)]:
        return None
    (committed,), (in_store,) = struct.unpack_from("=I", raw, 16), struct.unpack_from("=I", raw, 96)
    return committed, in_store, raw[32:40]


def _read(log: Path) -> tuple[bytes | None, int, int]:
    """Salts of a log; pages up to its last whole transaction; transactions that end after that.

    Without salts where it is absent or its header is damaged.
    """
    try:
        handle = open(log, "rb")  # noqa: SIM115  no memory map: SQLite may cut the log off meanwhile
    except OSError:
        return None, 0, 0
    with handle:
        head = handle.read(HEADER)
        if len(head) < HEADER:
            return None, 0, 0
        order, page = ">" if head[3] & 1 else "<", int.from_bytes(head[8:12])
        start, end = np.frombuffer(head[:24], np.uint8)[None], struct.unpack_from(">II", head, 24)
        sound = page in _PAGES and _Checksums(start, order)((0, 0)) == [end]
        size, salts, state, unbroken = FRAME + (page if sound else 4096), head[16:24], end, sound
        whole = chained = later = before = 0
        while len(raw := handle.read(size * _BLOCK)) >= size:
            frames = np.frombuffer(raw[: len(raw) // size * size], np.uint8).reshape(-1, size)
            if not (sound or before):
                salts = frames[0, 8:16].tobytes()
            ours = (frames[:, 8:16] == np.frombuffer(salts, np.uint8)).all(axis=1)
            ends = ours & (frames[:, 4:8] != 0).any(axis=1)
            rows = np.concatenate([frames[:, :8], frames[:, FRAME:]], axis=1)
            for k, after in enumerate(_Checksums(rows, order)(state) if unbroken else ()):
                unbroken = bool(ours[k]) and struct.unpack(">II", frames[k, 16:24].tobytes()) == after
                if not unbroken:
                    break
                state, chained = after, chained + 1
                whole = chained if ends[k] else whole
            later += int(ends[max(0, chained - before) :].sum())
            before += len(frames)
    # A header is on disk before the first page is written: a damaged one hides transactions that were there.
    return (salts, whole, later) if sound else (None, 0, later and later + 1)


class _Checksums:
    """SQLite's checksum of each row of bytes, all following one another: ``s0 += x0 + s1; s1 += x1 + s0`` per 8 bytes,
    modulo 2**32, so that the state after a row is linear in the state before it and the row."""

    def __init__(self, rows: np.ndarray, order: str) -> None:
        words = np.ascontiguousarray(rows).view(f"{order}u4").astype(np.uint32)
        self._power, weights = _weights(rows.shape[1] // 8)
        self._added = [(words * weight).sum(axis=1, dtype=np.uint32).tolist() for weight in weights]

    def __call__(self, state: tuple[int, int]) -> list[tuple[int, int]]:
        states = []
        (a, b), (c, d) = self._power
        for x, y in zip(*self._added, strict=True):
            state = ((a * state[0] + b * state[1] + x) & 0xFFFFFFFF, (c * state[0] + d * state[1] + y) & 0xFFFFFFFF)
            states.append(state)
        return states


@lru_cache
def _weights(pairs: int) -> tuple[tuple[tuple[int, int], tuple[int, int]], np.ndarray]:
    """Of the state before `pairs` pairs of words in the state after them, and of each word, uint32 (2, 2 pairs)."""
    a, b, c, d = 1, 0, 0, 1
    columns = []
    for _ in range(pairs):
        # A pair adds (x0, x0 + x1), which the pairs after it carry on.
        columns.append([(a + b, b), (c + d, d)])
        a, b, c, d = ((a + b), (a + 2 * b), (c + d), (c + 2 * d))
        a, b, c, d = (value & 0xFFFFFFFF for value in (a, b, c, d))
    weights = np.array(columns[::-1], np.uint64).transpose(1, 0, 2).reshape(2, 2 * pairs)
    return ((a, b), (c, d)), weights.astype(np.uint32)
