"""Out-of-sample probabilities of the tokens of CoNLL-2003, which both sides of the tokens benchmark are given.

    python benchmarks/token_predictions.py FOLDER [--models words minilm] [--seeds 3]

Writes ``FOLDER/MODEL-SPLIT-SEED.npz`` (`pred_probs` float32 (N, 5), `labels`, `corrected` where it is known, `offsets`
and `tokens`); what is there already is kept. `test` is predicted from two thirds of the training sentences, another two
thirds for every seed; `train` by two folds, on which rules can be developed without the corrected labels. Linear
models: `words` of hashed words, affixes, shapes and neighbours, `minilm` of the packaged sentence encoder's outputs
for each token.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from auditor.core.config import load_settings
from auditor.core.errors import OfflineError
from auditor.core.files import atomic_write
from auditor.core.seeds import generator
from auditor.lab.detectors.sets import find_data
from auditor.train.token_tags import token_features

CLASSES = ("O", "PER", "LOC", "ORG", "MISC")
#: Sentences encoded at once.
BATCH = 64


@dataclass(frozen=True)
class Sentences:
    """Tokens one after another; sentence i is ``offsets[i]:offsets[i + 1]``. `corrected` equals `labels` if unknown."""

    tokens: np.ndarray
    labels: np.ndarray
    corrected: np.ndarray
    offsets: np.ndarray

    def take(self, sentences: np.ndarray) -> np.ndarray:
        """Positions of the tokens of these sentences."""
        return np.concatenate([np.arange(self.offsets[i], self.offsets[i + 1]) for i in sentences])


def read(split: str) -> Sentences:
    """The sentences of ``train`` or ``test``.

    Raises
    ------
    OfflineError
        If the file is not below the data folders.
    """
    name = "tokens/conll2003_train.parquet" if split == "train" else "tokens/conll2003_test_a.parquet"
    path = find_data(load_settings(), name)
    if path is None:
        raise OfflineError(f"{name} is not below the data folders.")
    frame = pd.read_parquet(path)
    number = {tag: k for k, tag in enumerate(CLASSES)}
    numbers = lambda column: np.array([number[t] for row in frame[column] for t in row], np.int64)  # noqa: E731
    tokens = np.array([str(t) for row in frame.tokens for t in row])
    labels = numbers("given")
    corrected = numbers("corrected") if "corrected" in frame else labels
    return Sentences(tokens, labels, corrected, np.cumsum([0, *map(len, frame.tokens)]))


def word_features(data: Sentences) -> csr_matrix:
    """Those of `auditor.train.token_tags`."""
    ends = zip(data.offsets[:-1], data.offsets[1:], strict=True)
    return token_features([" ".join(data.tokens[start:stop]) for start, stop in ends])


def minilm_features(data: Sentences) -> np.ndarray:
    """Outputs of the packaged sentence encoder, mean over the pieces of a token, float32 (N, 384)."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from auditor.train.encoders_hub import MiniLM

    MiniLM().open("cpu")  # unpacks the weights
    folder = next(load_settings().cache_dir.glob("minilm-*"))
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    network = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    features = np.zeros((len(data.tokens), network.config.hidden_size), np.float32)
    order = np.argsort(np.diff(data.offsets), kind="stable")
    for first in range(0, len(order), BATCH):
        chosen = order[first : first + BATCH]
        words = [data.tokens[data.offsets[i] : data.offsets[i + 1]].tolist() for i in chosen]
        coded = tokenizer(words, is_split_into_words=True, padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            hidden = network(**coded).last_hidden_state.numpy()
        for row, sentence in enumerate(chosen):
            pieces = np.array([-1 if w is None else w for w in coded.word_ids(row)])
            at = np.flatnonzero(pieces >= 0)
            positions = data.offsets[sentence] + pieces[at]
            np.add.at(features, positions, hidden[row, at])
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9) * 8


#: What describes a token to the linear model.
Features = csr_matrix | np.ndarray
FEATURES: dict[str, Callable[[Sentences], Features]] = {"words": word_features, "minilm": minilm_features}


def _fit_predict(x: Features, labels: np.ndarray, wanted: Features) -> np.ndarray:
    head = LogisticRegression(C=3.0, max_iter=60).fit(x, labels)
    return head.predict_proba(wanted).astype(np.float32)


def build(folder: Path, model: str, seeds: int) -> None:
    """Write what is missing of one model."""
    targets = [folder / f"{model}-train-0.npz", *(folder / f"{model}-test-{seed}.npz" for seed in range(seeds))]
    if all(path.is_file() for path in targets):
        return
    train, test = read("train"), read("test")
    n = len(train.offsets) - 1
    x = FEATURES[model](train)
    if not targets[0].is_file():
        fold = generator(0, "token-predictions", "fold").permutation(n) % 2
        p = np.empty((len(train.tokens), len(CLASSES)), np.float32)
        for held in (0, 1):
            rows, others = train.take(np.flatnonzero(fold == held)), train.take(np.flatnonzero(fold != held))
            p[rows] = _fit_predict(x[others], train.labels[others], x[rows])
        save(targets[0], p, train)
    x_test = FEATURES[model](test)
    for seed, path in enumerate(targets[1:]):
        if not path.is_file():
            chosen = generator(seed, "token-predictions", "training").permutation(n)[: 2 * n // 3]
            rows = train.take(np.sort(chosen))
            save(path, _fit_predict(x[rows], train.labels[rows], x_test), test)


def save(path: Path, p: np.ndarray, data: Sentences) -> None:
    with atomic_write(path) as out:
        np.savez_compressed(
            out, pred_probs=p, labels=data.labels, corrected=data.corrected, offsets=data.offsets, tokens=data.tokens
        )
    print(path.name, f"{(p.argmax(1) == data.labels).mean():.4f} of the given labels predicted", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="+", choices=FEATURES, default=list(FEATURES))
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for model in arguments.models:
        build(arguments.folder, model, arguments.seeds)


if __name__ == "__main__":
    main()
