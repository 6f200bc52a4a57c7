"""What the footer of a parquet file says of its column chunks.

Read here and not by Arrow: asked for a chunk of a damaged footer (sizes of histograms that do not fit), pyarrow 24 ends
the process.

Source: the Thrift compact protocol, and ``parquet.thrift`` of apache/parquet-format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from auditor.core.reading import reading

_MAGIC: Final = b"PAR1"
_TYPES: Final = (*("BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"),)
_CODECS: Final = ("uncompressed", "snappy", "gzip", "lzo", "brotli", "lz4", "zstd", "lz4")
#: Structures inside one another that a footer may hold; a whole one has six.
_DEEPEST: Final = 16


@dataclass(frozen=True)
class ColumnChunk:
    """One column of one row group.

    Attributes
    ----------
    path : str
        Names joined by dots.
    physical_type, compression : str
    num_values, unpacked : int
        Values, and bytes of its pages before compression.
    has_dictionary : bool
    null_count : int or None
        Where it is told.
    """

    path: str
    physical_type: str
    compression: str
    num_values: int
    unpacked: int
    has_dictionary: bool
    null_count: int | None


def column_chunks(path: str | Path) -> list[list[ColumnChunk]]:
    """The chunks of each row group, in the order of the columns.

    Raises
    ------
    UnreadableError
        If the file is no parquet file, or its footer is damaged.
    """
    with reading(path, "parquet") as file, open(file, "rb") as handle:
        end = handle.seek(0, 2)
        handle.seek(max(0, end - 8))
        tail = handle.read(8)
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != _MAGIC or length > end - 8:
            raise ValueError("it has no footer")
        handle.seek(end - 8 - length)
        footer = _Compact(handle.read(length)).struct()
        return [[_chunk(column[3]) for column in group[1]] for group in footer.get(4, [])]


def _chunk(about: dict[int, Any]) -> ColumnChunk:
    return ColumnChunk(
        path=".".join(part.decode() for part in about[3]),
        physical_type=_TYPES[about[1]],
        compression=_CODECS[about[4]],
        num_values=about[5],
        unpacked=about[6],
        has_dictionary=about.get(11) is not None,
        null_count=about.get(12, {}).get(3),
    )


class _Compact:
    """Values of the compact protocol, structures as field number to value."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """The structure that begins here."""
        if depth > _DEEPEST:
            raise ValueError("its footer is nested too deeply")
        return dict(self._fields(depth))

    def _fields(self, depth: int) -> Iterator[tuple[int, Any]]:
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            kind = head & 15
            yield number, kind == 1 if kind in (1, 2) else self._value(kind, depth)

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2, 3):
            return self._byte()
        if kind in (4, 5, 6):
            return self._zigzag()
        if kind == 7:
            return self._bytes(8)
        if kind == 8:
            return self._bytes(self._varint())
        if kind in (9, 10):
            head = self._byte()
            size = head >> 4 if head >> 4 < 15 else self._varint()
            self._refuse_more(size)
            return [self._value(head & 15, depth + 1) for _ in range(size)]
        if kind == 11:
            if size := self._varint():
                self._refuse_more(size)
                kinds = self._byte()
                return [(self._value(kinds >> 4, depth + 1), self._value(kinds & 15, depth + 1)) for _ in range(size)]
            return []
        if kind == 12:
            return self.struct(depth + 1)
        raise ValueError(f"its footer holds a value of the unknown kind {kind}")

    def _refuse_more(self, size: int) -> None:
        """Every value takes a byte at least."""
        if size > len(self.data) - self.at:
            raise ValueError("its footer speaks of more values than it holds")

    def _byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def _bytes(self, size: int) -> bytes:
        self._refuse_more(size)
        self.at += size
        return self.data[self.at - size : self.at]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
            if shift > 63:
                raise ValueError("its footer holds a number that is too long")

    def _zigzag(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)
