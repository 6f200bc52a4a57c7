"""The footer says what pyarrow says of it, and damage to it never ends the process."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.core.errors import UnreadableError
from auditor.data.parquet_footer import column_chunks

TABLE = pa.table(
    {
        "number": pa.array([1.5, None, 2.5, 3.5] * 10),
        "text": ["a", "bb", "a", None] * 10,
        "picture": [{"bytes": b"x" * k, "path": None} for k in range(40)],
        "list": [[k, k + 1] for k in range(40)],
        "yes": [True, False] * 20,
    }
)


@pytest.mark.parametrize("options", [{}, {"use_dictionary": False}, {"compression": "zstd"}, {"compression": "none"}])
@pytest.mark.parametrize("rows", [7, 1000])
def test_chunks_are_those_of_pyarrow(options: dict[str, object], rows: int, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(TABLE, path, row_group_size=rows, **options)
    metadata = pq.ParquetFile(path).metadata
    groups = column_chunks(path)
    assert [len(group) for group in groups] == [metadata.num_columns] * metadata.num_row_groups
    for number, group in enumerate(groups):
        for place, chunk in enumerate(group):
            theirs = metadata.row_group(number).column(place)
            assert (chunk.path, chunk.physical_type) == (theirs.path_in_schema, theirs.physical_type)
            assert chunk.compression == theirs.compression.lower()
            assert (chunk.num_values, chunk.unpacked) == (theirs.num_values, theirs.total_uncompressed_size)
            assert chunk.has_dictionary == theirs.has_dictionary_page
            if theirs.statistics is not None:
                assert chunk.null_count == theirs.statistics.null_count


def test_damaged_footers_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(TABLE, path, row_group_size=10)
    raw = path.read_bytes()
    length = int.from_bytes(raw[-8:-4], "little")
    random, refused = Random(0), 0
    for _ in range(500):
        at = len(raw) - 8 - random.randrange(length)
        path.write_bytes(raw[:at] + random.randbytes(random.choice((1, 4))) + raw[at + 1 :])
        try:
            column_chunks(path)
        except UnreadableError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1PAR1", b"PAR1" + b"\xff" * 8 + b"PAR1", b"\x1c" * 99])
def test_what_is_no_parquet_file(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(UnreadableError, match="as parquet"):
        column_chunks(tmp_path / "t.parquet")
