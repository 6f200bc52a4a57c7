"""Networks with the weights of a file, ``NETWORK@FILE?key=value&..``: what such a name means, what is known of the
file, and its tensors. Nothing in a file is run.

``resnet56@weights/resnet56.safetensors``, ``torchvision:resnet18@resnet18-f37072fd.pth``,
``vgg16_bn@mine.pth?mean=.49/.48/.45&std=.25/.24/.26&size=32``. Files of weights are told by their ending (`SUFFIXES`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from auditor.core.errors import UnreadableError, UnsafeFileError, UsageError, require
from auditor.core.hashing import hash_file
from auditor.core.reading import reading, regular_file

if TYPE_CHECKING:
    import torch

#: Endings of files of weights.
SUFFIXES: Final = (".safetensors", ".pth", ".pt", ".th", ".bin")
#: A file of weights in a name, with what is said of it; around it may stand a method and how much it prunes.
_PART: Final = re.compile(rf"@([^@]+?(?:{'|'.join(map(re.escape, SUFFIXES))}))(\?[^@]*)?(?=@|$)")
OPTIONS: Final = ("mean", "std", "size", "seen", "in_sample")
IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
#: Side of images that a network takes.
LARGEST_SIDE: Final = 4096


@dataclass(frozen=True)
class Published:
    """What is known of a file of weights whose content is known.

    Attributes
    ----------
    network : str
    source, licence : str
    seen : str
        Split of the data set ``dataset`` it was trained on.
    dataset : str
    mean, std : three floats
        By channel, of pixels from 0 to 1.
    size : int
        Height and width of its images.
    top1 : float
        Accuracy on the test split of ``dataset``, in per cent, by the README of its source. There the state of the
        epoch with the best accuracy on that split was kept, so it is one that was chosen by these images.
    """

    network: str
    top1: float
    source: str = "akamaster/pytorch_resnet_cifar10"
    licence: str = "BSD-2-Clause"
    dataset: str = "cifar10"
    seen: str = "train"
    mean: tuple[float, ...] = IMAGENET[0]
    std: tuple[float, ...] = IMAGENET[1]
    size: int = 32


#: By the hash of the file.
PUBLISHED: Final = {
    "sha256:c7f18dc75b64991e46753899d485a3b20f795532bfcc5334a6744aeb56fe7771": Published("resnet20", 91.73),
    "sha256:6369539612f783bcdfbeb260f86e26299ce1be07dc7a4e9a2dafba1e89f512eb": Published("resnet32", 92.63),
    "sha256:dd9e7ec0c913047c7018bcadfad371ad16e4648962f88f020907ae42d318d97c": Published("resnet44", 93.10),
    "sha256:6e019783fa8b4ad8919842cd31de3bc5c58dffce597221c252538975c02e8bd5": Published("resnet56", 93.39),
}


@dataclass(frozen=True)
class Weights:
    """A network and the file its weights come from.

    Attributes
    ----------
    network : str
        Name of the network, e.g. ``"resnet56"``, ``"torchvision:resnet18"``.
    file : str
        Absolute path.
    sha256 : str
        Of its content.
    source, licence : str or None
        As the file, or what is known of it, says.
    mean, std : three floats
        By channel, of pixels from 0 to 1.
    size : int
        Height and width images are resized to.
    seen : str
        Split it was trained on; ``"none"``: none of the data it is asked about.
    in_sample : bool
        Whether it may predict what it was trained on.
    """

    network: str
    file: str
    sha256: str
    source: str | None
    licence: str | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    seen: str
    in_sample: bool

    @property
    def name(self) -> str:
        """The network with the beginning of the hash, ``resnet56@6e019783``; see `shorten`."""
        return f"{self.network}@{_short(self.sha256)}"

    def recipe(self) -> dict[str, Any]:
        """What changes its predictions, and its source: the file by its content, wherever it lies."""
        told = ("network", "sha256", "source", "mean", "std", "size")
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items() if key in told}

    def facts(self) -> dict[str, Any]:
        """For manifests and reports."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}


def names_weights(name: str) -> bool:
    """Whether a name says where the weights come from."""
    return "@" in name


def shorten(name: str) -> str:
    """`name` with the beginning of the hash of a file of weights in place of its path.

    Raises
    ------
    UnreadableError
        If the file is absent.
    """
    return _PART.sub(lambda part: f"@{_short(file_identity(Path(part[1]).expanduser()))}", name)


def _short(identity: str) -> str:
    return identity.removeprefix("sha256:")[:8]


def file_identity(path: Path) -> str:
    """``sha256:<hex>`` of a file of weights: another file under the same name is another network. Errors as
    `regular_file`."""
    state = regular_file(path).stat()
    return _hash_file(path, state.st_mtime_ns, state.st_size)


@lru_cache
def _hash_file(path: Path, modified: int, size: int) -> str:
    return hash_file(path)


def open_weights(name: str) -> Weights:
    """What ``NETWORK@FILE?key=value&..`` means.

    How images must be normalised (``mean``, ``std``: ``R/G/B`` of pixels from 0 to 1, or ``imagenet``) and their
    ``size`` are taken from the name, else from what auditor wrote into the file, else from what is known of its content
    (`PUBLISHED`), else from the library that the network is of, if the file is for its classes.

    Raises
    ------
    UsageError
        For another form of name, or if something is not said anywhere.
    UnreadableError, UnsafeFileError
        As `file_identity` and `read_state`.
    """
    network, _, rest = name.partition("@")
    match = _PART.fullmatch(f"@{rest}")
    if not network or match is None:
        raise UsageError(
            f"{name!r} does not name a network and a file of its weights.",
            f"Write NETWORK@FILE, e.g. resnet56@resnet56.safetensors; files end in {', '.join(SUFFIXES)}.",
        )
    path = Path(match[1]).expanduser()
    identity, options = file_identity(path), _options(name, match[2] or "")
    header = read_header(path)
    known = PUBLISHED.get(identity)
    told: dict[str, Any] = {} if known is None else asdict(known)
    if known is not None and known.network != network:
        raise UsageError(f"{str(path)!r} holds the weights of {known.network}, not of {network}.")
    if not told and network.partition(":")[0] in ("torchvision", "timm"):
        from auditor.models.libraries import library_input

        told = library_input(network, identity)
    told |= _told_by(header) | options
    if lacking := [key for key in ("mean", "std", "size") if key not in told]:
        raise UsageError(
            f"how the images of {str(path)!r} must look is not known: {', '.join(lacking)}.",
            f"Say it: {network}@{path}?mean=R/G/B&std=R/G/B&size=PIXELS, of pixels from 0 to 1; "
            "mean=imagenet and std=imagenet are .485/.456/.406 and .229/.224/.225.",
        )
    facts = {key: told.get(key) for key in ("source", "licence")}
    return Weights(
        network,
        str(path.absolute()),
        identity,
        **facts,
        mean=tuple(told["mean"]),
        std=tuple(told["std"]),
        size=int(told["size"]),
        seen=told.get("seen", "train"),
        in_sample=told.get("in_sample", False),
    )


def _options(name: str, query: str) -> dict[str, Any]:
    """What stands behind the question mark."""
    options: dict[str, Any] = {}
    try:
        pairs = parse_qsl(query.removeprefix("?"), keep_blank_values=True, strict_parsing=len(query) > 1)
    except ValueError as error:
        raise UsageError(f"{name!r}: the part behind '?' is not key=value.", "Write ?mean=imagenet&size=32.") from error
    for key, value in pairs:
        if key not in OPTIONS:
            raise UsageError(f"{name!r}: unknown option {key!r}.", f"Known: {', '.join(OPTIONS)}.")
        if key in options:
            raise UsageError(f"{name!r}: {key!r} is given twice.")
        options[key] = _value(name, key, value)
    return options


def _value(name: str, key: str, value: str) -> Any:
    if key == "seen":
        if not value:
            raise UsageError(f"{name!r}: seen= names no split.", "Write seen=train, or seen=none.")
        return value
    if key == "in_sample":
        if value not in ("yes", "no"):
            raise UsageError(f"{name!r}: in_sample={value!r} is neither yes nor no.")
        return value == "yes"
    if value == "imagenet" and key in ("mean", "std"):
        return IMAGENET[key == "std"]
    try:
        numbers = [float(part) for part in value.split("/")]
    except ValueError as error:
        raise UsageError(f"{name!r}: {key}={value!r} is no number.") from error
    return _checked(key, numbers[0] if key == "size" and len(numbers) == 1 else numbers, repr(name))


def _checked(key: str, value: Any, where: str) -> Any:
    """A mean, deviation or size as it may be."""
    if key == "size":
        if isinstance(value, int | float) and value == int(value) and 1 <= value <= LARGEST_SIDE:
            return int(value)
        raise UsageError(f"{where}: the size {value!r} is no whole number from 1 to {LARGEST_SIDE}.")
    numbers = value if isinstance(value, list | tuple) else ()
    good = len(numbers) == 3 and all(isinstance(v, int | float) and math.isfinite(v) for v in numbers)
    if not good or not all(0 <= v <= 1 for v in numbers) or (key == "std" and min(numbers) <= 0):
        raise UsageError(
            f"{where}: {key} must be three numbers from 0 to 1 for red, green and blue, not {value!r}.",
            f"Write {key}=.485/.456/.406; of pixels from 0 to 255, divide by 255.",
        )
    return tuple(map(float, numbers))


def _told_by(header: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says of its images and its source."""
    told = {key: str(header[name]) for key, name in (("source", "source"), ("licence", "license")) if name in header}
    kept = header.get("auditor")
    if isinstance(kept, Mapping) and "input_mean" in kept:
        where = "the header of the file"
        try:
            size = kept["input_size"]
            told |= {key: [v / 255 for v in kept[f"input_{key}"]] for key in ("mean", "std")}  # type: ignore[misc]
            told |= {"size": size[0] if isinstance(size, list) else size}
        except (KeyError, TypeError, IndexError) as error:
            raise UnreadableError(f"{where} does not say how its images look: {error}.") from error
        told |= {key: _checked(key, told[key], where) for key in ("mean", "std", "size")}
    return told


def read_header(path: Path) -> dict[str, Any]:
    """What a safetensors file says of itself, with what auditor wrote (``auditor``) as JSON; empty for other files.

    Raises
    ------
    UnreadableError
        If it is absent or damaged.
    """
    if path.suffix != ".safetensors":
        regular_file(path)
        return {}
    require("safetensors", "torch", f"reading {str(path)!r}")
    from safetensors import safe_open

    with reading(path, "weights") as file, safe_open(str(file), framework="np") as handle:
        header: dict[str, Any] = dict(handle.metadata() or {})
        if "auditor" in header:
            header["auditor"] = json.loads(header["auditor"])
    return header


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file of weights by name. A dictionary around them (``state_dict``, ``model``), and what
    `torch.nn.DataParallel` puts in front of the names, are taken off.

    Raises
    ------
    UnsafeFileError
        If it holds anything but tensors and numbers, which could run code.
    UnreadableError
        If it is absent, damaged, or holds no tensors.
    """
    require("torch", "torch", f"reading {str(path)!r}")
    import torch

    with reading(path, "weights") as file:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(file)
        else:
            try:
                state = torch.load(file, map_location="cpu", weights_only=True)
            except UnpicklingError as error:
                raise UnsafeFileError(
                    f"{str(path)!r} is damaged, or holds other objects than tensors, which could run code.",
                    "Fetch the published weights again, or save the state alone: torch.save(model.state_dict(), FILE).",
                ) from error
    for key in ("state_dict", "model", "net"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise UnreadableError(f"{str(path)!r} holds no weights by name.", "Save model.state_dict().")
    return {str(name).removeprefix("module."): value for name, value in state.items()}
