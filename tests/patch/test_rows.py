"""What is wrong with a corrected copy is said to be wrong with it, and a fault of the disk is not."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from auditor.core.errors import DataError, UnreadableError
from auditor.patch.rows import _copy_read


@pytest.mark.parametrize(
    "error",
    [
        ValueError("tuple.index(x): x not in tuple"),
        UnicodeDecodeError("utf-8", b"\x82", 0, 1, "invalid start byte"),
        TypeError("no common DType"),
        IndexError("index 4 is out of bounds"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_does_not_fit_is_the_copys_fault(error: Exception) -> None:
    with pytest.raises(UnreadableError, match="the copy '/c' does not fit") as caught, _copy_read(Path("/c")):
        raise error
    assert "make it again" in str(caught.value.way_out)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left"), MemoryError(), DataError("said already", "so")], ids=str
)
def test_other_faults_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, _copy_read(Path("/c")):
        raise error
    assert caught.value is error
