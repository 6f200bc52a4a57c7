"""Damage to files, drawn from a seed: the same seed gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

#: Pieces that parsers stumble over.
_TOKENS = (
    *(b"null", b"[]", b"{}", b"true", b"-1", b"NaN", b"1e999", b"9" * 5000, b"[" * 200_000, b'{"a":' * 20_000),
    *(b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b'"', b"\r", b"\n\n", b",", b";", b"\\ud800"),
    *(b"18446744073709551616", b"0x7f", b"\x80\x04\x95", b"PK\x03\x04", b"\x93NUMPY\x03\x00", b"PAR1", b"../../x"),
)
#: What takes the place of a value in a JSON document.
_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**70, 1e308, "", "\ud800", "\0", "../..", [], {}, [[]], [None], {"": None}),
    *([[[[[[]]]]]], "a" * 10_000, 0.5),
)


def mutated(data: bytes, others: list[bytes], random: Random) -> bytes:
    """A damaged copy of `data`; pieces of `others` may be spliced in."""
    structured = _json_value(data) if random.random() < 0.5 else None
    if structured is not None:
        return structured(random)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        data = random.choice(_DAMAGES)(data, others, random)
    return data


def _place(data: bytes, random: Random) -> tuple[int, int]:
    """A short range; headers and footers are hit more often than the middle."""
    length = min(len(data), random.choice((1, 1, 2, 4, 8, 64)))
    last = len(data) - length
    edge = min(last, 64)
    start = random.choice((random.randint(0, last), random.randint(0, edge), last - random.randint(0, edge)))
    return start, start + length


def _truncate(data: bytes, _: list[bytes], random: Random) -> bytes:
    return data[: random.randint(0, max(0, len(data) - 1))]


def _flip(data: bytes, _: list[bytes], random: Random) -> bytes:
    changed = bytearray(data)
    for at in range(*_place(data, random)):
        changed[at] ^= 1 << random.randrange(8)
    return bytes(changed)


def _scramble(data: bytes, _: list[bytes], random: Random) -> bytes:
    start, stop = _place(data, random)
    return data[:start] + random.randbytes(stop - start) + data[stop:]


def _zero(data: bytes, _: list[bytes], random: Random) -> bytes:
    start, stop = _place(data, random)
    return data[:start] + bytes([random.choice((0, 255))]) * (stop - start) + data[stop:]


def _splice(data: bytes, others: list[bytes], random: Random) -> bytes:
    other = random.choice([*others, data])
    (start, stop), (first, last) = _place(data, random), _place(other, random)
    tail = random.random() < 0.3
    return data[:start] + (other[first:] if tail else other[first:last] + data[stop:])


def _insert(data: bytes, _: list[bytes], random: Random) -> bytes:
    at = _place(data, random)[0]
    return data[:at] + random.choice(_TOKENS) + data[at:]


def _delete(data: bytes, _: list[bytes], random: Random) -> bytes:
    start, stop = _place(data, random)
    return data[:start] + data[stop:]


_DAMAGES: tuple[Callable[[bytes, list[bytes], Random], bytes], ...] = (
    *(_truncate, _flip, _scramble, _zero, _splice, _insert, _delete),
)


def _json_value(data: bytes) -> Callable[[Random], bytes] | None:
    """Replaces one value of a JSON document, or of a line of JSON; None for other files."""
    if data[:1] not in (b"{", b"["):
        return None
    try:
        value = json.loads(data)
        return lambda random: _dump(_replaced(value, random))
    except ValueError:
        lines = data.split(b"\n")

    def one_line(random: Random) -> bytes:
        at = random.randrange(max(1, len(lines) - 1))
        try:
            return b"\n".join([*lines[:at], _dump(_replaced(json.loads(lines[at]), random)), *lines[at + 1 :]])
        except ValueError:
            return _insert(data, [], random)

    return one_line


def _dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def _replaced(value: Any, random: Random) -> Any:
    inside = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    if not inside or random.random() < 0.15:
        return random.choice(_VALUES)
    key, item = random.choice(inside)
    if isinstance(value, dict):
        if random.random() < 0.15:
            return {k: v for k, v in inside if k != key}
        return value | {key: _replaced(item, random)}
    if random.random() < 0.15:
        return value[:key] + value[key + 1 :]
    return [*value[:key], _replaced(item, random), *value[key + 1 :]]
