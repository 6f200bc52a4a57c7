"""Networks by name. Listing the names imports nothing heavy; building one imports torch."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.core.errors import UsageError, require
from auditor.core.registry import Registry
from auditor.models.weights import names_weights, shorten

if TYPE_CHECKING:
    from torch import nn

#: Name -> factory ``(n_classes, image_size, **options) -> nn.Module``. Input of every network: float images
#: (n, 3, H, W), normalised per channel; output: logits (n, n_classes). Third parties register under the
#: entry-point group ``auditor.models``.
MODELS: Registry[Callable[..., nn.Module]] = Registry(
    "model",
    {
        "cifake_cnn": "auditor.models.cifake_cnn:cifake_cnn",
        "fastnet": "auditor.models.fastnet:FastNet",
        "resnet20": "auditor.models.resnet:resnet20",
        "resnet32": "auditor.models.resnet:resnet32",
        "resnet44": "auditor.models.resnet:resnet44",
        "resnet56": "auditor.models.resnet:resnet56",
        "resnet18": "auditor.models.resnet:resnet18",
        "resnet34": "auditor.models.resnet:resnet34",
        "resnet50": "auditor.models.resnet:resnet50",
        "vgg11_bn": "auditor.models.vgg:vgg11_bn",
        "vgg13_bn": "auditor.models.vgg:vgg13_bn",
        "vgg16_bn": "auditor.models.vgg:vgg16_bn",
        "vgg19_bn": "auditor.models.vgg:vgg19_bn",
        "densenet121": "auditor.models.densenet:densenet121",
        "densenet161": "auditor.models.densenet:densenet161",
        "densenet169": "auditor.models.densenet:densenet169",
        "googlenet": "auditor.models.googlenet:googlenet",
        "inception_v3": "auditor.models.inception_v3:inception_v3",
        "mobilenet_v1": "auditor.models.mobilenet_v1:mobilenet_v1",
        "mobilenet_v2": "auditor.models.mobilenet_v2:mobilenet_v2",
        "nasnet_a": "auditor.models.nasnet:nasnet_a",
        "nasnet": "auditor.models.nasnet:nasnet",
        "proxyless": "auditor.models.proxyless:proxyless",
        "eas": "auditor.models.eas:eas",
    },
    "auditor.models",
)


#: Networks of libraries, ``library:name``; only with the weights of a file (`auditor.models.weights`).
LIBRARIES: Registry[Callable[..., nn.Module]] = Registry(
    "library",
    {"torchvision": "auditor.models.libraries:torchvision_network", "timm": "auditor.models.libraries:timm_network"},
)
_RESNETS = ("resnet20", "resnet32", "resnet44", "resnet56")
#: Networks that come in variants: ``name:variant``.
VARIANTS = frozenset(
    {"cifake_cnn", "densenet121", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"}
    | {"nasnet_a", "nasnet", "proxyless", "eas", *_RESNETS, *LIBRARIES}
)
#: Networks whose variant can be the file of a searched architecture, ``name:path/to/file.json``.
GENOTYPES = ("nasnet", "proxyless", "eas")
_FILE = re.compile(rf"\b({'|'.join(GENOTYPES)}):([^:@]*\.json)")
#: How recipes and kept networks name the ResNets for CIFAR: those that the bare names stood for before they stood for
#: option A are found again under them.
_STORED = {
    **{name: f"{name}:a" for name in _RESNETS},
    "resnet20:conv": "resnet20",
    "resnet32:conv": "resnet32",
    "resnet56:average": "resnet56",
}


def split_variant(name: str) -> tuple[str, str]:
    """``(name, variant)`` of a network's name, without the weights; the variant is empty where it has none."""
    name = name.partition("@")[0]
    base, _, variant = name.partition(":")
    return (base, variant) if base in VARIANTS else (name, "")


def stored_name(name: str) -> str:
    """The name of a network as recipes and kept networks hold it."""
    return _STORED.get(name, name)


def kept_name(stored: str) -> str:
    """The name of a network of its `stored_name`."""
    return next((name for name, of in _STORED.items() if of == stored), stored)


def genotype_facts(name: str) -> dict[str, str]:
    """What a recipe must hold beside the name of a network that a file describes: the hash of that file.

    Empty for all other networks.
    """
    _, variant = split_variant(name)
    if not variant or not Path(variant).is_file():
        return {}
    from auditor.models.genotype import file_hash

    return {"genotype_sha256": file_hash(variant)}


def short_name(name: str) -> str:
    """A name without the path of a genotype file in it.

    ``eas:reports/search/eas-dense/found.json`` becomes ``eas-dense-found-1a2b3c4d``: folder, file, and the beginning of
    the file's hash, so that two files of one name stay apart and a copy elsewhere is the same network.
    ``resnet56@weights/resnet56.safetensors`` becomes ``resnet56@6e019783``. All other names, and what stands around the
    file's, stay as they are.

    Raises
    ------
    UnreadableError
        If the file is absent.
    """
    return _FILE.sub(lambda match: _short(match[1], match[2]), shorten(name))


def _short(base: str, file: str) -> str:
    from auditor.models.genotype import file_hash

    path = Path(file)
    words = [path.resolve().parent.name, path.stem]
    if not words[0].startswith(base):
        words.insert(0, base)
    return "-".join([*filter(None, words), file_hash(path)[:8]])


def build_model(name: str, n_classes: int, image_size: int, seed: int, **options: Any) -> nn.Module:
    """Build an untrained network.

    Parameters
    ----------
    name : str
        A name in `MODELS`, or ``name:variant`` of a network that comes in variants, e.g.
        ``cifake_cnn:f32-c2-d64-n1`` or ``vgg16_bn:w0.25``; or a library's network, ``torchvision:resnet18``.
    n_classes : int
        Length of the logit vector, at least 2.
    image_size : int
        Height and width of the training images in pixels. A network below its ``min_size`` attribute is
        refused.
    seed : int
        Seeds the initial weights; the caller's random state is left as it was.
    **options
        Passed on to the factory, e.g. ``widths=(64, 256, 256)`` for ``fastnet``.

    Raises
    ------
    UnknownNameError
        With the nearest names.
    MissingExtraError
        If torch is not installed.
    UsageError
        For fewer than two classes, a too small image or an option the network does not have.
    """
    if names_weights(name):
        raise UsageError(f"{name!r} has the weights of a file; a network is built without.")
    base, variant = split_variant(name)
    networks = LIBRARIES if base in LIBRARIES else MODELS
    networks.target(base)  # an unknown name is reported before anything heavy is imported
    if variant:
        options = {"variant": variant, **options}
    require("torch", "torch", f"the network {name!r}")
    import torch

    if n_classes < 2:
        raise UsageError(f"network {name!r}: {n_classes} classes; at least 2 are needed.")
    factory = networks.load(base)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = factory(n_classes=n_classes, image_size=image_size, **options)
        except TypeError as error:
            raise UsageError(f"network {name!r} cannot be built with {options!r}: {error}.") from error
    smallest = getattr(model, "min_size", 1)
    if image_size < smallest:
        raise UsageError(
            f"network {name!r} needs images of at least {smallest} px; these have {image_size} px.",
            "Choose another network (auditor models) or enlarge the images.",
        )
    return model
