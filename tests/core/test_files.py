"""Atomic writes and loading without running code."""

from __future__ import annotations

import pickle
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.cli.values import parse_class_names
from auditor.core.errors import MemoryGuardError, StorageError, UnreadableError, UnsafeFileError
from auditor.core.files import (
    atomic_path,
    atomic_write,
    json_value,
    load_npy,
    load_npz,
    parse_json,
    read_json,
    read_lines,
    read_sealed,
    unpickle_arrays,
    write_json,
    write_sealed,
)
from auditor.review.published import read_index


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(RuntimeError), atomic_write(path) as handle:
        handle.write(b"half")
        raise RuntimeError("killed")
    assert read_json(path) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_full_device_is_a_storage_error(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    with pytest.raises(StorageError, match="no space is left"), atomic_path(tmp_path / "x") as temporary:
        with open(full, "wb") as handle:
            handle.write(b"x" * 100_000)
        temporary.touch()


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (open, ("exploded", "w"))


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.pkl"])
def test_pickles_are_never_opened(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(UnsafeFileError):
        (load_npz if name.endswith("z") else load_npy)(path)
    assert not (tmp_path / "exploded").exists()


def test_object_arrays_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "o.npy"
    np.save(path, np.array([_Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(UnsafeFileError):
        load_npy(path)
    np.savez(tmp_path / "o.npz", a=np.array([{}], dtype=object))
    with pytest.raises(UnsafeFileError):
        load_npz(tmp_path / "o.npz")


@pytest.mark.parametrize("loader", [load_npy, load_npz])
def test_damaged_and_absent_files_are_named(tmp_path: Path, loader) -> None:
    path = tmp_path / "x.npz"
    with pytest.raises(UnreadableError, match=r"x\.npz"):
        loader(path)
    np.savez(path, a=np.arange(1000))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises((UnreadableError, UnsafeFileError), match=r"x\.npz"):
        loader(path)


def test_json_round_trip_and_errors(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"ü": [1, 2]})
    assert read_json(tmp_path / "a.json") == {"ü": [1, 2]}
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(UnreadableError, match=r"b\.json"):
        read_json(tmp_path / "b.json")
    with pytest.raises(ValueError):
        write_json(tmp_path / "c.json", {"x": float("nan")})
    assert not (tmp_path / "c.json").exists()


@dataclass(frozen=True)
class Point:
    x: float
    rest: tuple[float, ...]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (float("nan"), None),
        (np.float64("inf"), None),
        (-np.inf, None),
        (np.array([[1.0, np.nan], [2.0, 3.0]]), [[1.0, None], [2.0, 3.0]]),
        ({3: (np.float64("nan"), "x", None)}, {"3": [None, "x", None]}),
        (pd.NaT, None),
        (Point(np.float64(1.5), (np.nan, 2)), {"x": 1.5, "rest": [None, 2]}),
    ],
)
def test_what_json_cannot_hold_becomes_what_it_can(value: object, expected: object, tmp_path: Path) -> None:
    assert json_value(value) == expected
    write_json(tmp_path / "a.json", json_value(value))
    assert read_json(tmp_path / "a.json") == expected


def test_floats_are_rounded_at_any_depth_and_whole_numbers_are_not() -> None:
    assert json_value({"a": [0.123456, np.float64(2 / 3), 1234567, True]}, digits=4) == {
        "a": [0.1235, 0.6667, 1234567, True]
    }


@pytest.mark.parametrize("damage", [{"digest": None}, {"digest": "sha256:00"}, {"asked": "b"}, {"more": 1}])
def test_a_document_that_always_had_a_digest_is_read_with_it_alone(damage: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "choices.json"
    write_sealed(path, {"asked": "a"})
    assert read_sealed(path, unsealed=False) == read_sealed(path) == {"asked": "a"}
    changed = {name: value for name, value in (read_json(path) | damage).items() if value is not None}
    write_json(path, changed)
    with pytest.raises(UnreadableError, match="damaged, or was changed"):
        read_sealed(path, unsealed=False)
    if "digest" not in changed:  # as an earlier version wrote it
        assert read_sealed(path) == {"asked": "a"}


def test_a_document_with_nan_in_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["archive", "json"])
def test_what_unpacks_to_far_more_is_refused(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITOR_MAX_FILE_MB", "1")
    path = tmp_path / "x"
    if kind == "archive":
        np.savez_compressed(path, small=np.zeros(3), large=np.zeros(1 << 20))
        path = path.with_suffix(".npz")
        assert path.stat().st_size < 1 << 15
        assert load_npz(path, ["small"])["small"].tolist() == [0, 0, 0]
    else:
        path.write_text("[" + "0," * (1 << 20) + "0]")
    with pytest.raises(MemoryGuardError, match="max_file_mb is 1"):
        (load_npz if kind == "archive" else read_json)(path)
    monkeypatch.setenv("AUDITOR_MAX_FILE_MB", "9")
    assert (load_npz if kind == "archive" else read_json)(path)


@pytest.mark.parametrize("sign", ["\u2028", "\x85", "\x0c", "\x1e"])
def test_lines_end_at_line_ends_only(sign: str, tmp_path: Path) -> None:
    lines = [f"a{sign}b", "", "c"]
    for end in ("\n", "\r\n"):
        (tmp_path / "x.txt").write_bytes(end.join([*lines, ""]).encode())
        assert read_lines(tmp_path / "x.txt") == lines
    assert parse_class_names(str(tmp_path / "x.txt")) == [f"a{sign}b", "c"]
    assert read_index(tmp_path / "x.txt") == lines


def _arrays() -> dict[bytes, object]:
    ragged = np.empty(2, object)
    ragged[:] = [np.array([1, 2]), np.array([3])]
    columns = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    return {b"data": np.arange(12, dtype=">u2").reshape(2, 6), b"columns": columns, b"lists": ragged, b"names": [b"a"]}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_come_out_of_a_pickle_as_they_went_in(protocol: int) -> None:
    given = _arrays()
    read = unpickle_arrays(pickle.dumps(given, protocol), "x", "bytes")
    for name, value in given.items():
        if not isinstance(value, np.ndarray):
            assert read[name] == value
            continue
        assert (read[name].dtype, read[name].shape) == (value.dtype, value.shape)
        assert repr(read[name].tolist()) == repr(value.tolist())


def _shared(levels: int) -> Any:
    value: Any = (0,)
    for _ in range(levels):
        value = (value, value)
    return value


_DTYPE = b"cnumpy\ndtype\n"


@pytest.mark.parametrize(
    "raw",
    [
        _DTYPE + b"(X\x02\0\0\0u1\x89\x88tR(K\x03X\x01\0\0\0|NJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb.",
        _DTYPE + b"(X\x06\0\0\0O8,(9)\x89\x88tR.",
        b"cnumpy\nndarray\n(K\x09tR.",
        b"c_codecs\nencode\n}X\x01\0\0\0aK\x01sb.",
        pickle.dumps(_shared(60)),
        b"}" + pickle.dumps(_shared(60), 2)[2:-1] + b"K\x01s.",
        b"\x8f(K\x01\x90.",
        b"]q\0h\0a.",
    ],
    ids=["type", "type name", "call", "function", "tree", "hash", "set", "circle"],
)
def test_a_pickle_that_is_no_tree_of_arrays_is_refused(raw: bytes) -> None:
    """NumPy takes any state that a pickle gives its types and arrays, and a damaged one ends the process."""
    with pytest.raises((UnreadableError, UnsafeFileError)):
        unpickle_arrays(raw, "x")


def test_a_damaged_type_in_a_pickle_does_not_end_the_process() -> None:
    whole = pickle.dumps(np.arange(3, dtype=np.uint8), 3)
    damaged = whole.replace(b"NNN", b"N")
    assert damaged != whole
    assert unpickle_arrays(damaged, "x").tolist() == [0, 1, 2]


@pytest.mark.parametrize("announced", [99, 1 << 34, (1 << 64) - 1])
def test_a_pickle_that_announces_more_bytes_than_follow_takes_no_memory(announced: int) -> None:
    whole = pickle.dumps(bytearray(b"0123456789ab"), 5)
    assert unpickle_arrays(whole, "x") == bytearray(b"0123456789ab")
    at = whole.index(pickle.BYTEARRAY8) + 1
    tracemalloc.start()
    with pytest.raises(UnreadableError, match="damaged"):
        unpickle_arrays(whole[:at] + announced.to_bytes(8, "little") + whole[at + 8 :], "x")
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


@pytest.mark.parametrize("text", [r'{"\ud800given": 1}', r'["a\uDFFF"]', rb'"\udbff"'])
def test_halves_of_characters_are_no_json(text: str | bytes) -> None:
    with pytest.raises(ValueError, match="surrogates"):
        parse_json(text)


def test_whole_characters_beyond_the_first_plane_are_read() -> None:
    assert parse_json(r'{"a": "\ud83d\ude00"}') == {"a": "\U0001f600"}
    assert parse_json("[1, null]") == [1, None]
