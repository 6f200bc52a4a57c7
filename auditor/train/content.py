"""What a model of the caller is, as one hash: its parameters, tensors and code, and not where these lie in memory."""

from __future__ import annotations

import inspect
import io
import os
import pickle
import sys
import sysconfig
from types import CodeType
from typing import Any

import cloudpickle

from auditor.core.errors import UsageError
from auditor.core.hashing import hash_array, hash_bytes
from auditor.data.held import of

#: What a class holds beside its code: of Python itself, or another in every process.
_NO_CONTENT = {"__dict__", "__weakref__", "__firstlineno__", "__static_attributes__", "__doc__", "_abc_impl"}
_CODE = ("co_code", "co_consts", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_argcount", "co_flags")


def content_hash(model: Any, own_files: bool = False) -> str:
    """Hash of a model: equal in every process where parameters, tensors and code are.

    Parameters
    ----------
    model : object
        What cloudpickle takes.
    own_files : bool
        Whether the source of its classes counts that come from files of the caller. Otherwise, and of installed
        packages, only their names count.

    Raises
    ------
    UsageError
        If it cannot be pickled, or the source of such a class cannot be read: nothing could tell it from another then.
    """
    file = io.BytesIO()
    try:
        _Content(file, own_files).dump(model)
    except (pickle.PicklingError, TypeError, AttributeError, NotImplementedError, RuntimeError) as error:
        raise UsageError(
            f"a {type(model).__name__} cannot be told from another one, because it cannot be pickled: {error}.",
            "Leave out what belongs to this process (open files, locks, compiled modules), or give a function that "
            "makes the model.",
        ) from error
    return hash_bytes(file.getvalue())


class _Content(cloudpickle.Pickler):
    """Writes tensors as their hash, and classes that no import finds as what they hold."""

    def __init__(self, file: io.BytesIO, own_files: bool) -> None:
        super().__init__(file)
        self.own_files = own_files
        self.classes: set[type] = set()

    def persistent_id(self, obj: Any) -> Any:
        """What stands for an object; None where pickle writes it as usual."""
        if of(obj, "torch", "Tensor"):
            return _tensor(obj)
        if isinstance(obj, CodeType) and not os.path.isfile(obj.co_filename):
            # The cell of a notebook has the name of a file of its kernel's process.
            return tuple(getattr(obj, name) for name in _CODE)
        if not isinstance(obj, type):
            return None
        if obj.__module__ == "__main__" or not _can_be_imported(obj):
            if obj in self.classes:
                return obj.__qualname__
            self.classes.add(obj)
            # cloudpickle would write a number drawn at random beside it.
            held = {name: value for name, value in sorted(vars(obj).items()) if name not in _NO_CONTENT}
            return obj.__qualname__, obj.__bases__, held
        if self.own_files and _is_own(obj):
            return obj.__module__, obj.__qualname__, _source(obj)
        return None


def _tensor(tensor: Any) -> tuple[str, ...]:
    import torch

    if torch.nn.parameter.is_lazy(tensor):
        return ("tensor", "not initialised")
    plain = tensor.detach().cpu().resolve_conj().contiguous()
    return "tensor", str(plain.dtype), str(tuple(plain.shape)), hash_array(plain.flatten().view(torch.uint8).numpy())


def _can_be_imported(kind: type) -> bool:
    place: Any = sys.modules.get(kind.__module__)
    for name in kind.__qualname__.split("."):
        place = getattr(place, name, None)
    return place is kind


def _is_own(kind: type) -> bool:
    """Whether a class comes from a file of the caller, not from an installed package."""
    file = getattr(sys.modules[kind.__module__], "__file__", None)
    installed = {os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return file is not None and not any(os.path.realpath(file).startswith(folder + os.sep) for folder in installed)


def _source(kind: type) -> str:
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError) as error:
        raise UsageError(
            f"the source of {kind.__qualname__} cannot be read, so that a change of it would not be seen.",
            "Define it in the script itself, or in a file that Python can read.",
        ) from error
