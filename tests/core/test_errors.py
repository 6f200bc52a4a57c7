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
    names = {c.__name__ for c in _classes()}
    assert names | {"require", "storage_errors"} == set(errors.__all__)
    for name in names:
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


@pytest.mark.parametrize(
    ("cause", "stays"), [(ValueError("of a library"), True), (OSError(errno.EIO, lambda: 0), False), (None, False)]
)
def test_error_of_a_worker_keeps_its_cause_if_that_can_be_sent(cause: BaseException | None, stays: bool) -> None:
    original = DataError("it cannot be read")
    original.__cause__ = cause
    copy = pickle.loads(pickle.dumps(original))
    assert (repr(copy.__cause__) == repr(cause)) is (stays or cause is None)
    assert str(copy) == "it cannot be read"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_storage_errors_become_exit_4(number: int, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write"), errors.storage_errors(tmp_path / "x"):
        raise OSError(number, "boom")


def test_other_os_errors_pass_through(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), errors.storage_errors(tmp_path):
        raise IsADirectoryError(errno.EISDIR, "boom")


def test_a_missing_package_is_said_with_its_extra() -> None:
    errors.require("json", "hf", "reading")
    with pytest.raises(errors.MissingExtraError, match=r"no_such_package.*not installed.*\n?.*auditor\[hf\]"):
        errors.require("no_such_package", "hf", "reading")


def test_nearest_names_are_suggested_whatever_their_case() -> None:
    assert UnknownNameError("model", "RESNET81", ["fastnet", "resnet18"]).suggestions == ("resnet18",)
    assert UnknownNameError("model", "zzz", ["fastnet"]).suggestions == ()
    many = UnknownNameError("model", "name7", [f"name{i}" for i in range(500)])
    assert "500 names" in str(many.way_out)
    assert "name7" in many.suggestions
