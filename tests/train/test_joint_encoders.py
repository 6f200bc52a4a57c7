"""Encoders of images and texts in one space: what transformers gives, and what is said where one cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from auditor.core.errors import OfflineError, UnreadableError, UsageError
from auditor.train.choose_embedding import choose_embedding, fit_for_cosine
from auditor.train.encoders import JointEncoder, encoder_kind, make_encoder, missing
from tests.train.joint_models import SIDE, save_joint_model

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

PROMPTS = ["a photo of a red", "a photo of a blue", "a photo of an unknown"]


@pytest.fixture(scope="module", params=["clip", "siglip"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_joint_model(tmp_path_factory.mktemp(request.param), request.param)


def joint(folder: Path, size: int | None = None) -> JointEncoder:
    encoder = make_encoder(f"clip:{folder}", size)
    assert isinstance(encoder, JointEncoder)
    return encoder


def test_images_and_texts_are_those_of_the_model(folder: Path) -> None:
    from transformers import AutoModel, AutoProcessor, AutoTokenizer

    images = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)
    encoder = joint(folder)
    pictures, words = encoder.open("cpu")(images), encoder.open_texts("cpu")(PROMPTS)
    assert pictures.shape == (5, 16)
    assert words.shape == (3, 16)
    assert words.dtype == np.float32
    processor = AutoProcessor.from_pretrained(folder)
    processor = getattr(processor, "image_processor", processor)
    tokens = AutoTokenizer.from_pretrained(folder)(
        PROMPTS, padding="max_length", max_length=12, truncation=True, return_tensors="pt"
    )
    pixels = processor(images=list(images), return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        whole = AutoModel.from_pretrained(folder).eval()(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"], pixel_values=pixels
        )
    for mine, theirs in ((pictures, whole.image_embeds), (words, whole.text_embeds)):
        unit = mine / np.linalg.norm(mine, axis=1, keepdims=True)
        np.testing.assert_allclose(unit, theirs.numpy(), atol=1e-5)


def test_as_an_encoder_of_images_alone(folder: Path) -> None:
    images = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    alone = make_encoder(f"transformers:{folder}", SIDE).open("cpu")(images)
    np.testing.assert_allclose(alone, joint(folder).open("cpu")(images), atol=1e-6)


def test_another_size_and_long_texts(folder: Path) -> None:
    assert joint(folder, 32).open("cpu")(np.zeros((2, 20, 20, 3), np.uint8)).shape == (2, 16)
    assert joint(folder).open_texts("cpu")(["a " * 200] * 70).shape == (70, 16)


def test_the_recipe_tells_weights_and_words(folder: Path, tmp_path: Path) -> None:
    recipe = joint(folder).recipe()
    assert recipe["weights"].startswith("sha256:")
    assert "tokenizer.json" in recipe["tokenizer"]
    assert missing(f"clip:{folder}") is None
    assert json.loads(json.dumps(recipe)) == recipe


def test_its_features_are_compared_as_they_are(folder: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(9, 16)).astype(np.float16)
    assert fit_for_cosine(rows, joint(folder)) is rows
    assert not np.array_equal(fit_for_cosine(rows, make_encoder(f"transformers:{folder}")), rows)
    assert choose_embedding(f"clip:{folder}", "image", (), "smoke").name == f"clip:{folder}"


def test_what_is_not_here_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.train.encoders_hub._in_hub_cache", lambda repository: None)
    for name, wanted in (
        ("clip", "openai/clip-vit-base-patch32"),
        ("clip:openai/clip-vit-large-patch14", "openai/clip-vit-large-patch14"),
        (f"clip:{tmp_path}", str(tmp_path)),  # a folder without weights
    ):
        with pytest.raises(OfflineError) as caught:
            choose_embedding(name, "image", (), "smoke")
        assert f"{wanted}/model.safetensors" in caught.value.what
        assert "huggingface-cli download" in str(caught.value.way_out)
        assert caught.value.exit_code == 4


@pytest.mark.parametrize("config", ['{"model_type": "bert"}', "{}", "[]", '{"model_type": ["clip"]}'])
def test_models_of_another_kind_are_refused_before_anything_is_trained(config: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match="of images and texts in one space") as caught:
        choose_embedding(f"clip:{tmp_path}", "image", (), "smoke")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_damaged_file_is_told(name: str, tmp_path: Path) -> None:
    folder = save_joint_model(tmp_path / "model")
    (folder / name).write_bytes((folder / name).read_bytes()[:-100])
    with pytest.raises(UnreadableError):
        joint(folder).open_texts("cpu")(PROMPTS)


@pytest.mark.parametrize("kind", ["text", "table"])
def test_it_reads_images_alone(kind: str) -> None:
    assert encoder_kind("clip") == "image"
    with pytest.raises(UsageError, match=f"holds {kind} data"):
        choose_embedding("clip", kind, (), "smoke")
