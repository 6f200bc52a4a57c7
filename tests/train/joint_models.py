"""Encoders of images and texts as small as they get, in folders as transformers keeps them; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

#: All other words are unknown.
WORDS = ("a", "photo", "of", "red", "green", "blue")
SIDE = 16


def save_joint_model(folder: Path, kind: str = "clip") -> Path:
    """A ``"clip"`` or ``"siglip"`` with two layers, weights from a seed; returns `folder`."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import (
        CLIPConfig,
        CLIPImageProcessor,
        CLIPModel,
        PreTrainedTokenizerFast,
        SiglipConfig,
        SiglipModel,
    )

    numbers = {word: i for i, word in enumerate(("[PAD]", "[UNK]", "[BOS]", "[EOS]", *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", 2), ("[EOS]", 3)]
    )
    part = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    special = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    text = {**part, **special, "vocab_size": len(numbers), "max_position_embeddings": 12}
    vision = {**part, "image_size": SIDE, "patch_size": 8}
    torch.manual_seed(0)
    if kind == "clip":
        network = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))
    else:
        network = SiglipModel(SiglipConfig(text_config=text, vision_config=vision))
    network.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", bos_token="[BOS]", eos_token="[EOS]"
    ).save_pretrained(folder)
    CLIPImageProcessor(size=SIDE, crop_size=SIDE).save_pretrained(folder)
    return folder
