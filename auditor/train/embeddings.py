"""Embeddings of all items, computed once, in chunks that survive an interruption, shared by all workers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from auditor.core.errors import UnreadableError, UnsafeFileError, storage_errors
from auditor.core.files import atomic_path, load_npy
from auditor.core.hashing import hash_array, hash_json, hash_strings
from auditor.core.progress import Progress, no_foreign_bars
from auditor.runs.tables import write_array
from auditor.train.encoders import Encode, Encoder

if TYPE_CHECKING:
    from auditor.train.device import Precision

#: Items per chunk file, and per call of the encoder. Constants: both can change the last bit of a feature.
CHUNK, BATCH = 1024, 64
#: Images from which they are encoded in bf16 where the hardware has it.
FAST_FROM = 5_000
WHOLE = "embeddings.npy"


def encoding_precision(kind: str, device: str, items: int = FAST_FROM) -> Precision:
    """In what an encoder of ``image`` or ``text`` computes on `device`: images in bf16 where the hardware has it and
    there are `FAST_FROM` of them; fewer take seconds, and get the same features on every machine.

    EfficientNet-Lite0 then takes half the time: 5.1 ms of a thread for an image of 144 px on an AMD EPYC with
    AVX512-BF16, 11.2 in fp32. Its features agree to a correlation of .998 and more once standardised, and votes of 10
    and of 50 neighbours on the 10,000 test images of CIFAR-10 are right as often (-.1 and +.0 points, standard errors
    .2 and .1).
    """
    from auditor.train.device import choose_precision

    return choose_precision(device) if kind == "image" and items >= FAST_FROM else "fp32"


def embedding_key(encoder: Encoder, features: Any, device: str = "cpu") -> str:
    """``sha256:<hex>`` over the encoder with its weights, the content of all items, in order, and the precision."""
    content = hash_array(features) if isinstance(features, np.ndarray) else hash_strings(features)
    precision = encoding_precision(encoder.kind, device, len(features))
    how = {"chunk": CHUNK, "batch": BATCH, "version": 1, **({} if precision == "fp32" else {"precision": precision})}
    return hash_json([encoder.recipe(), content, how])


def _opened(encoder: Encoder, device: str, items: int) -> Encode:
    """The encoder, computing in `encoding_precision`."""
    encode = encoder.open(device)
    if encoding_precision(encoder.kind, device, items) == "fp32":
        return encode
    import torch

    def encode_fast(items: Any) -> np.ndarray:
        with torch.autocast(device, torch.bfloat16):  # of the thread that computes
            return encode(items)

    return encode_fast


def rows_of(features: Any, rows: np.ndarray) -> Any:
    """Some items of what `embed` takes."""
    return np.asarray(features[rows]) if isinstance(features, np.ndarray) else [features[row] for row in rows]


def embed(
    encoder: Encoder, features: Any, folder: Path | None, device: str, threads: int, progress: Progress, task: str
) -> np.ndarray:
    """Embeddings of all items, float16 (n, width).

    Parameters
    ----------
    encoder : Encoder
    features : uint8 array (n, H, W, 3) or list of str
    folder : Path or None
        Cache. Processes that share it share the work: each chunk is computed by whoever gets its lock. Without
        it everything is computed here and kept in memory.
    device : str
    threads : int
        Chunks computed at the same time. Each is computed on one thread, so the number does not change the
        result.
    progress : Progress
    task : str
        Display name of the progress task.

    Returns
    -------
    float16 array (n, width)
        A read-only memory map where `folder` is given.

    Raises
    ------
    StorageError
        If `folder` cannot be written.
    """
    n = len(features)
    starts = list(range(0, n, CHUNK))
    progress.start(task, n, "embedded")
    if folder is None:
        done = _run(encoder, features, starts, None, device, threads, progress, task)
        return np.concatenate([done[start] for start in starts])
    home = Path(folder) / embedding_key(encoder, features, device).removeprefix("sha256:")[:32]
    whole = home / WHOLE
    if not (stored := _stored(whole, n)):
        with storage_errors(home):
            home.mkdir(parents=True, exist_ok=True)
        _run(encoder, features, starts, home, device, threads, progress, task)
        with _lock(home / "whole.lock"):
            if not _stored(whole, n):
                _assemble(home, whole, starts, n)
    progress.finish(task, "stored" if stored else "")
    return load_npy(whole, mmap=True)


def _stored(path: Path, n: int) -> bool:
    """Whether `path` holds embeddings of `n` items; a damaged file counts as absent and is made again."""
    if not path.is_file():
        return False
    try:
        rows = load_npy(path, mmap=True)
        return rows.ndim == 2 and len(rows) == n and rows.dtype == np.float16
    except (UnreadableError, UnsafeFileError):
        return False


def _run(
    encoder: Encoder,
    features: Any,
    starts: list[int],
    home: Path | None,
    device: str,
    threads: int,
    progress: Progress,
    task: str,
) -> dict[int, np.ndarray]:
    """Compute the chunks that are not stored. Returns them where nothing is stored (`home` is None)."""
    import torch

    from auditor.train.device import torch_threads

    done: dict[int, np.ndarray] = {}
    finished, guard, opening = set[int](), threading.Lock(), threading.Lock()
    opened = threading.local()

    def encode_chunk(start: int, wait: bool) -> None:
        size = min(CHUNK, len(features) - start)
        path = None if home is None else home / f"chunk-{start:09d}.npy"
        with _lock(None if path is None else path.with_suffix(".lock"), wait) as mine:
            if not mine:
                return
            # The whole file may have been put together while this process waited for its lock.
            if path is None or not (_stored(path, size) or _stored(path.with_name(WHOLE), len(features))):
                torch.set_num_threads(1)
                if not hasattr(opened, "encode"):
                    with opening:  # libraries import their parts when first asked, which two threads cannot do at once
                        opened.encode = _opened(encoder, device, len(features))
                rows = _encode_rows(opened.encode, features, start, size)
                if path is None:
                    done[start] = rows
                else:
                    write_array(path, rows)
        with guard:
            finished.add(start)
            progress.advance(task, min(len(features), len(finished) * CHUNK))

    with no_foreign_bars(), torch_threads(torch.get_num_threads()):
        # First what nobody works on, then wait for what others had begun (and do it if they died).
        for wait in (False, True):
            todo = [start for start in starts if start not in finished]
            with ThreadPoolExecutor(max_workers=max(1, threads if device == "cpu" else 1)) as pool:
                list(pool.map(lambda start, wait=wait: encode_chunk(start, wait), todo))
    return done


def moments(features: np.ndarray, rows: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of every column over `rows` (all without them), float64, read in blocks."""
    n = len(features) if rows is None else len(rows)
    total, squares = np.zeros(features.shape[1]), np.zeros(features.shape[1])
    for at in range(0, n, 4096):
        here: Any = slice(at, at + 4096) if rows is None else rows[at : at + 4096]
        block = features[here].astype(np.float64)
        total, squares = total + block.sum(axis=0), squares + np.square(block).sum(axis=0)
    mean = total / n
    return mean, np.maximum(squares / n - mean**2, 0)


def _encode_rows(encode: Encode, features: Any, start: int, size: int) -> np.ndarray:
    # float16: 3,824 features of 60,000 images take 0.46 GB; the largest value is clipped, not made infinite.
    parts = [encode(features[at : min(at + BATCH, start + size)]) for at in range(start, start + size, BATCH)]
    limit = float(np.finfo(np.float16).max)
    return np.clip(np.concatenate(parts), -limit, limit).astype(np.float16)


def _assemble(home: Path, whole: Path, starts: list[int], n: int) -> None:
    """Join the chunks into one file and delete them."""
    chunks = [home / f"chunk-{start:09d}.npy" for start in starts]
    width = load_npy(chunks[0], mmap=True).shape[1]
    with atomic_path(whole) as temporary:
        out = np.lib.format.open_memmap(temporary, "w+", np.float16, (n, width))
        for start, chunk in zip(starts, chunks, strict=True):
            rows = load_npy(chunk)
            out[start : start + len(rows)] = rows
        out.flush()
        del out
    for chunk in chunks:
        chunk.unlink(missing_ok=True)
        chunk.with_suffix(".lock").unlink(missing_ok=True)


@contextmanager
def _lock(path: Path | None, wait: bool = True) -> Iterator[bool]:
    """Hold a lock on `path`, if given; it goes with the process, however that ends. Yields whether it is held."""
    if path is None:
        yield True
        return
    try:
        with FileLock(path, blocking=wait):
            yield True
    except Timeout:
        yield False
