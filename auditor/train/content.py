"""What a model of the caller is, as one hash: its parameters, tensors and code, and not where these lie in memory."""

from __future__ import annotations

import inspect
import io
import os
import pickle
import re
import sys
import sysconfig
from types import CodeType, FunctionType, ModuleType
from typing import Any

import cloudpickle

from auditor.core.errors import UsageError
from auditor.core.hashing import hash_array, hash_bytes
from auditor.data.held import of

#: What a class holds beside its code: of Python itself, or another in every process.
_NO_CONTENT = {"__dict__", "__weakref__", "__firstlineno__", "__static_attributes__", "__doc__", "_abc_impl"}
_CODE = ("co_code", "co_consts", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_argcount", "co_flags")


def content_hash(model: Any) -> str:
    """Hash of a model: equal in every process where parameters, tensors and code are.

    Of classes and functions that come from files of the caller their source counts, and that of what they name there:
    base classes, functions, other classes, and constants (numbers, texts and tuples of them). Other values of these
    files, and what is called by a name that is made while the program runs, do not count; of installed packages only
    names do.

    Parameters
    ----------
    model : object
        What cloudpickle takes.

    Raises
    ------
    UsageError
        If it cannot be pickled, or the source of such a class cannot be read: nothing could tell it from another then.
    """
    file = io.BytesIO()
    try:
        _Content(file).dump(model)
    except (pickle.PicklingError, TypeError, AttributeError, NotImplementedError, RuntimeError) as error:
        raise UsageError(
            f"a {type(model).__name__} cannot be told from another one, because it cannot be pickled: {error}.",
            "Leave out what belongs to this process (open files, locks, compiled modules), or give a function that "
            "makes the model.",
        ) from error
    return hash_bytes(file.getvalue())


class _Content(cloudpickle.Pickler):
    """Writes tensors as their hash, and classes that no import finds as what they hold."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.classes: set[type] = set()

    def persistent_id(self, obj: Any) -> Any:
        """What stands for an object; None where pickle writes it as usual."""
        if of(obj, "torch", "Tensor"):
            return _tensor(obj)
        if isinstance(obj, CodeType) and not os.path.isfile(obj.co_filename):
            # The cell of a notebook has the name of a file of its kernel's process.
            return tuple(getattr(obj, name) for name in _CODE)
        if not isinstance(obj, type | FunctionType):
            return None
        if obj.__module__ == "__main__" or not _can_be_imported(obj):
            if not isinstance(obj, type):
                return None  # cloudpickle writes what it is
            if obj in self.classes:
                return obj.__qualname__
            self.classes.add(obj)
            # cloudpickle would write a number drawn at random beside it.
            held = {name: value for name, value in sorted(vars(obj).items()) if name not in _NO_CONTENT}
            return obj.__qualname__, obj.__bases__, held
        return (obj.__module__, obj.__qualname__, *_sources(obj)) if _is_own(obj) else None


def _tensor(tensor: Any) -> tuple[str, ...]:
    import torch

    if torch.nn.parameter.is_lazy(tensor):
        return ("tensor", "not initialised")
    plain = tensor.detach().cpu().resolve_conj().contiguous()
    return "tensor", str(plain.dtype), str(tuple(plain.shape)), hash_array(plain.flatten().view(torch.uint8).numpy())


def _can_be_imported(code: type | FunctionType) -> bool:
    place: Any = sys.modules.get(code.__module__)
    for name in code.__qualname__.split("."):
        place = getattr(place, name, None)
    return place is code


def _is_own(value: Any) -> bool:
    """Whether a class, a function or a module comes from a file of the caller, not from an installed package."""
    module = value if isinstance(value, ModuleType) else sys.modules.get(value.__module__)
    file = getattr(module, "__file__", None)
    installed = {os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return file is not None and not any(os.path.realpath(file).startswith(folder + os.sep) for folder in installed)


def _sources(code: type | FunctionType) -> list[str]:
    """Source of a class or function, and in the order of their names of all that it names in the caller's files."""
    first, others = _source(code), dict[str, str]()
    seen: set[Any] = {code}
    waiting: list[tuple[Any, str]] = [] if _is_ours(code) else [(code, first)]
    while waiting:
        user, source = waiting.pop()
        # Words of comments are among them, which does no harm.
        words, known = set(re.findall(r"[^\W\d]\w*", source)), vars(sys.modules[user.__module__])
        values = {f"{user.__module__}.{word}": known[word] for word in words if word in known}
        for module in [value for value in values.values() if isinstance(value, ModuleType) and _is_own(value)]:
            values |= {f"{module.__name__}.{word}": vars(module)[word] for word in words if word in vars(module)}
        values |= {f"{base.__module__}.{base.__qualname__}": base for base in getattr(user, "__mro__", ())}
        for name, value in values.items():
            if _is_constant(value):
                others[name] = repr(value)
            elif (
                isinstance(value, type | FunctionType) and value not in seen and _is_own(value) and not _is_ours(value)
            ):
                seen.add(value)
                try:
                    others[name] = _source(value)
                except UsageError:
                    continue  # made while the program runs, such as a named tuple
                waiting.append((value, others[name]))
    return [first, *(f"{name}: {others[name]}" for name in sorted(others))]


def _is_ours(code: type | FunctionType) -> bool:
    """Whether it is of this package, which is not installed where it is developed."""
    return code.__module__.partition(".")[0] == __name__.partition(".")[0]


def _is_constant(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_constant, value))
    return isinstance(value, bool | int | float | complex | str | bytes | None)


def _source(code: type | FunctionType) -> str:
    try:
        return inspect.getsource(code)
    except (OSError, TypeError) as error:
        raise UsageError(
            f"the source of {code.__qualname__} cannot be read, so that a change of it would not be seen.",
            "Define it in the script itself, or in a file that Python can read.",
        ) from error
