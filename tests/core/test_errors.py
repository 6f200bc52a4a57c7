"""The error tree: exit codes, messages, transport between processes."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path

import pytest

from auditor.core import errors
from auditor.core.errors import AuditorError, DataError, ResourceError, StorageError, UnknownNameError, UsageError


def _classes() -> list[type[AuditorError]]:
    return [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, AuditorError)]


def test_every_error_is_public_and_in_the_drawn_tree() -> None:
    names = {c.__name__ for c in _classes()} | {"storage_errors"}
    assert names == set(errors.__all__)
    for name in names - {"storage_errors"}:
        assert name in (errors.__doc__ or "")


@pytest.mark.parametrize("cls", _classes())
def test_exit_code_follows_the_branch(cls: type[AuditorError]) -> None:
    branches = {UsageError: 2, DataError: 3, ResourceError: 4}
    codes = [code for branch, code in branches.items() if issubclass(cls, branch)]
    assert [cls.exit_code] == codes or (cls is AuditorError and codes == [])


def test_error_survives_pickling_with_its_way_out() -> None:
    original = UnknownNameError("model", "resnet81", ["resnet18"], ["resnet18"])
    copy = pickle.loads(pickle.dumps(original))
    assert type(copy) is UnknownNameError
    assert copy.way_out == original.way_out
    assert copy.suggestions == ("resnet18",)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_storage_errors_become_exit_4(number: int, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write"), errors.storage_errors(tmp_path / "x"):
        raise OSError(number, "boom")


def test_other_os_errors_pass_through(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), errors.storage_errors(tmp_path):
        raise IsADirectoryError(errno.EISDIR, "boom")
