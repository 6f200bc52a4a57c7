"""Doors for what the auditor keeps itself: runs, stores, results, fits, caches. Disks and people damage them too."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch

from auditor.audit.detector_scores import detector_scores
from auditor.audit.evidence import run_evidence
from auditor.audit.find_errors import find_errors
from auditor.audit.flagging import flag_inputs, inputs_from_run
from auditor.audit.folder import holds_verdicts
from auditor.benchmark.folder import EXAMPLES, FOLDER_SCHEMA, MANIFEST, RESULT, read_result, refuse_strangers
from auditor.benchmark.result import SCHEMA as RESULT_SCHEMA
from auditor.core.errors import UsageError
from auditor.core.files import read_json, write_json
from auditor.core.hashing import hash_file
from auditor.core.progress import SilentProgress
from auditor.estimation.state import read_state
from auditor.models.registry import build_model
from auditor.patch.create import create_patch
from auditor.patch.rules import stored_consensus
from auditor.policy.baseline import SCHEMA as BASELINE
from auditor.policy.baseline import is_baseline
from auditor.policy.output import is_junit
from auditor.quality.document import QUALITY_SCHEMA, refuse_others
from auditor.review.log import log_of
from auditor.review.salvage import judged_in_file
from auditor.review.store import VerdictStore
from auditor.runs.run import Run, open_run
from auditor.runs.verify import verify_files
from auditor.train.base import FitResult
from auditor.train.checkpoint import load_checkpoint, random_state, save_checkpoint
from auditor.train.crossval import _resolve
from auditor.train.embeddings import embed
from auditor.train.encoders import load_weights
from auditor.train.encoders_hub import Clip, ImageTransformer, TextTransformer, _refuse_endless
from auditor.train.kept import load_kept
from auditor.train.network_files import load_network, save_network
from auditor.train.networks import open_network
from auditor.train.results import load_result, save_result
from tests.fuzz.harness import Reader
from tests.fuzz.samples import CLASSES, NAMES, ROWS, labels, problem, settings
from tests.train.joint_models import save_joint_model


def _find(folder: Path) -> Run:
    p, _ = problem()
    return find_errors(pred_probs=p, labels=labels(), class_names=list(NAMES), out=folder, settings=settings())


def _copied_run(folder: Path) -> Run:
    """A run in the folder, computed once for all readers."""
    whole = folder.parent / "whole" / "run"
    if not whole.is_dir():
        detector_scores(_find(whole))
    shutil.copytree(whole, folder / "run")
    return open_run(str(folder / "run"), folder)


def _make_run(folder: Path) -> list[Path]:
    _copied_run(folder)
    return sorted(p for p in (folder / "run").rglob("*") if p.is_file() and p.suffix in _RUN_FILES)


_RUN_FILES = (".json", ".parquet", ".npy", ".npz")


def _read_run(path: Path) -> None:
    folder = next(p for p in path.parents if p.name == "run")
    run = open_run(str(folder), folder.parent)
    flag_inputs(inputs_from_run(run))
    run_evidence(run)
    for part in ("config", "counts", "folds", "quality", "embeddings", "class_embeddings", "positions", "model_probs"):
        getattr(run, part)
    run._repr_html_()
    with VerdictStore.open(folder.parent / "new.sqlite") as store:
        store.load_run(run)
        read_state(run, store)
    detector_scores(run)


def _continue_run(path: Path) -> None:
    """The command that made the run, again: what is damaged is made anew or refused."""
    _find(next(p for p in path.parents if p.name == "run"))


def _verify_run(path: Path) -> None:
    folder = next(p for p in path.parents if p.name == "run")
    verify_files(open_run(str(folder), folder.parent))


def _make_store(folder: Path) -> list[Path]:
    run = _copied_run(folder)
    for reviewer in ("ann", "bob"):
        with VerdictStore.open(folder / "review.sqlite") as store:
            store.load_run(run)
            for number, item in enumerate(store.next_batch(reviewer, 10)):
                shown = {"shown_label": item.given, "shown_suggested": item.suggested, "ms": 900}
                event = {"uuid": f"{reviewer}{number:029d}", "item_id": item.item_id, "verdict": "suggested", **shown}
                assert store.submit(reviewer, [event]).accepted
    return [folder / "review.sqlite"]


def _read_store(path: Path) -> None:
    assert holds_verdicts(path.parent) in (True, False)
    run = open_run(str(path.parent / "run"), path.parent)
    with VerdictStore.open(path, patience=0.0) as store:
        store.load_run(run)
        read_state(run, store)
        store.next_batch("ann", 3)
    create_patch(run, stored_consensus(run, "majority", str(path)), settings())


def _make_result(folder: Path) -> list[Path]:
    for name in (RESULT, EXAMPLES):
        write_json(folder / name, [])
    files = {name: hash_file(folder / name) for name in (RESULT, EXAMPLES)}
    write_json(folder / MANIFEST, {"schema": FOLDER_SCHEMA, "result": RESULT_SCHEMA, "files": files})
    return sorted(folder.glob("*.json"))


def _make_outputs(folder: Path) -> list[Path]:
    """What stands where a command is to write, which asks whether it is its own."""
    (folder / "gate.xml").write_text('<testsuites name="auditor check"><testsuite name="a"/></testsuites>')
    for name, schema in (("baseline.json", BASELINE), ("quality.json", QUALITY_SCHEMA), (RESULT, RESULT_SCHEMA)):
        write_json(folder / name, {"schema": schema})
    return sorted(folder.iterdir())


def _look_at_outputs(path: Path) -> None:
    is_junit(path)
    is_baseline(path)
    for refuse in (refuse_strangers, partial(refuse_others, overwrite=False)):
        with suppress(UsageError):
            refuse(path.parent)


def _make_fits(folder: Path) -> list[Path]:
    result = FitResult(problem()[0], None, [{"epoch": 1}], 0.5, {"a": 1})
    save_result(folder, "fold-0", "sha256:00", result)
    return sorted(folder.iterdir())


def _make_networks(folder: Path) -> list[Path]:
    """A network as a run keeps it; ``old`` from before the hash of the weights was recorded."""
    spec = {"network": "cifake_cnn:f16-c1-d32-n1", "options": {}, "n_classes": CLASSES, "image_size": 12}
    weights = {f"model.{k}": v.numpy() for k, v in build_model(spec["network"], CLASSES, 12, 0).state_dict().items()}
    weights |= {f"input.{k}": np.ones((1, 3, 1, 1), np.float32) for k in ("mean", "std")}
    result = FitResult(problem()[0], None, [], 0.5, {"rebuild": {**spec, "size": [12, 12]}}, weights)
    for task in ("new", "old"):
        save_result(folder / "results", task, "sha256:00", result)
    described = read_json(folder / "results" / "old.json")
    write_json(folder / "results" / "old.json", {k: v for k, v in described.items() if k not in ("weights", "digest")})
    return [folder / "results" / f"{task}{suffix}" for task in ("new", "old") for suffix in (".json", ".weights.npz")]


def _read_network(path: Path) -> None:
    network = load_kept(path.parents[1], path.name.partition(".")[0])
    network.logits(network.images(np.zeros((2, 12, 12, 3), np.uint8)))


@dataclass(frozen=True)
class _Chooser:
    """A trainer with a choice that is made once in a run."""

    device: str = "auto"

    def recipe(self) -> dict[str, str]:
        return asdict(self)

    def resolved(self, data: object) -> _Chooser:
        return _Chooser("cpu")


def _choose(path: Path) -> None:
    _resolve(cast(Any, _Chooser()), cast(Any, None), "sha256:00", path.parent, None)


def _make_choices(folder: Path) -> list[Path]:
    _choose(folder / "choices.json")
    return [folder / "choices.json"]


@dataclass(frozen=True)
class _Lengths:
    """An encoder of texts."""

    kind: ClassVar[str] = "text"

    def recipe(self) -> dict[str, str]:
        return {"encoder": "lengths"}

    def open(self, device: str) -> Callable[[list[str]], np.ndarray]:
        return lambda texts: np.array([[len(text), 1.0] for text in texts], np.float32)


def _embed(folder: Path) -> np.ndarray:
    texts = ["x" * (k % 9) for k in range(ROWS)]
    return embed(_Lengths(), texts, folder, "cpu", 1, SilentProgress(), "embed")


def _make_embeddings(folder: Path) -> list[Path]:
    _embed(folder)
    return sorted(folder.rglob("*.npy"))


def _read_embeddings(path: Path) -> None:
    rows = _embed(path.parents[2])
    assert rows.shape == (ROWS, 2)
    assert rows.dtype == np.float16


def _make_pruned(folder: Path) -> list[Path]:
    network = "cifake_cnn:f16-c1-d32-n1"
    model = build_model(network, CLASSES, 12, 0)
    facts = {"n_classes": CLASSES, "input_size": [12, 12], "input_mean": [120, 110, 100], "input_std": [60, 61, 62]}
    facts |= {"rebuild": {"network": network, "options": {}, "image_size": 12}}
    save_network(folder / "net.safetensors", model, facts)
    torch.save(model.state_dict(), folder / "net.pth")
    return sorted(folder.iterdir())


def _read_weights(path: Path) -> None:
    network = "cifake_cnn:f16-c1-d32-n1"
    if path.suffix == ".safetensors":
        load_network(path)
        open_network(str(path))
        open_network(f"{network}@{path}")
    else:
        load_weights(build_model(network, CLASSES, 12, 0), path)
        open_network(f"{network}@{path}?mean=imagenet&std=imagenet&size=12")


def _make_checkpoints(folder: Path) -> list[Path]:
    save_checkpoint(folder / "state.pt", "key", {"weights": {"a": torch.arange(9.0)}, "epoch": 3, **random_state()})
    return [folder / "state.pt"]


def _make_transformers(folder: Path) -> list[Path]:
    """Models of transformers as small as they get, with their weights in either form."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, ViTConfig, ViTImageProcessor, ViTModel

    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    words = {"[PAD]": 0, "[UNK]": 1, "a": 2}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    BertModel(BertConfig(vocab_size=3, **small)).save_pretrained(folder / "texts")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(
        folder / "texts"
    )
    network = ViTModel(ViTConfig(image_size=8, patch_size=4, **small))
    network.save_pretrained(folder / "images")
    ViTImageProcessor(size={"height": 8, "width": 8}).save_pretrained(folder / "images")
    save_joint_model(folder / "joint")
    shutil.copytree(folder / "images", folder / "pickled")
    torch.save(network.state_dict(), folder / "pickled" / "pytorch_model.bin")
    (folder / "pickled" / "model.safetensors").unlink()
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _read_transformers(path: Path) -> None:
    folder = path.parent
    if folder.name == "texts":
        TextTransformer(str(folder)).open("cpu")(["a a", "b"])
    elif folder.name == "joint":
        joint = Clip(str(folder))
        joint.recipe()
        joint.open("cpu")(np.zeros((2, 8, 8, 3), np.uint8))
        joint.open_texts("cpu")(["a a", "b"])
    else:
        _InFolder(str(folder), size=8).open("cpu")(np.zeros((2, 8, 8, 3), np.uint8))


class _InFolder(ImageTransformer):
    """A folder as the Hub's cache holds it, where the weights may be pickled."""

    def _folder(self) -> Path:
        _refuse_endless(read_json(Path(self.model) / "config.json"), Path(self.model))
        return Path(self.model)


def _make_salvaged(folder: Path) -> list[Path]:
    (store,) = _make_store(folder)
    shutil.copy2(store, folder / "cut.sqlite")
    # A log as a process leaves that is killed.
    with VerdictStore.open(store) as opened:
        opened.database.write(lambda c: c.exec_driver_sql("UPDATE queue SET open = open"))
        shutil.copy2(log_of(store), f"{folder / 'cut.sqlite'}-wal")
    return [store, folder / "cut.sqlite", log_of(folder / "cut.sqlite")]


def _salvage(path: Path) -> None:
    store = path.with_name(path.name.removesuffix("-wal"))
    judged_in_file(str(store), open_run(str(path.parent / "run"), path.parent))


KEPT: dict[str, Reader] = {
    "run": Reader(_make_run, _read_run, True),
    "run-again": Reader(_make_run, _continue_run, True),
    "run-verified": Reader(_make_run, _verify_run, True),
    "store": Reader(_make_store, _read_store),
    "store-salvaged": Reader(_make_salvaged, _salvage),
    "benchmark": Reader(_make_result, lambda path: read_result(path.parent)),
    "outputs": Reader(_make_outputs, _look_at_outputs),
    "fits": Reader(_make_fits, lambda path: load_result(path.parent, "fold-0", "sha256:00")),
    "networks": Reader(_make_networks, _read_network),
    "weights": Reader(_make_pruned, _read_weights),
    "choices": Reader(_make_choices, _choose),
    "embeddings": Reader(_make_embeddings, _read_embeddings),
    "transformers": Reader(_make_transformers, _read_transformers, True),
    "checkpoints": Reader(_make_checkpoints, lambda path: load_checkpoint(path, "key", "cpu")),
}
