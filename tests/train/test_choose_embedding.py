"""Embeddings in the run folder: which ones, shared with the model, and used by detectors of a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import auditor
from auditor.audit.evidence import run_evidence
from auditor.audit.flagging import flag_inputs, inputs_from_run
from auditor.core.config import Settings
from auditor.core.errors import DataError, UnknownNameError, UsageError
from auditor.detect.registry import run_detector
from auditor.runs import layout
from auditor.train.choose import make_trainer
from auditor.train.choose_embedding import LOG_PROBABILITIES, choose_embedding, own_embedding, standardised
from auditor.train.encoders import make_encoder, missing
from auditor.train.frozen import FrozenTrainer
from tests.audit.softmax_trainer import SoftmaxTrainer


def needs(encoder: str) -> None:
    if (lacking := missing(encoder)) is not None:
        pytest.skip(lacking)


def picture_folder(root: Path, per_class: int = 12) -> Path:
    """Real digits as PNG files in class folders."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for k in range(3):
        (root / f"digit {k}").mkdir(parents=True)
        for j, position in enumerate(np.flatnonzero(digits.target == k)[:per_class]):
            picture = Image.fromarray((digits.images[position] * 15.9).astype(np.uint8))
            picture.resize((16, 16)).save(root / f"digit {k}" / f"{j:02d}.png")
    return root


def test_choice() -> None:
    softmax, frozen = SoftmaxTrainer(), FrozenTrainer(size=48)
    pick = lambda asked, kind, trainer, budget: choose_embedding(asked, kind, [trainer] if trainer else [], budget).name  # noqa: E731
    assert pick(None, "image", softmax, "smoke") is None
    assert choose_embedding(None, "image", (softmax, frozen), "smoke").name == "efficientnet-lite0"  # of either model
    assert pick("none", "image", frozen, "smoke") is None
    assert choose_embedding(None, "image", (frozen,), "smoke").size == 48
    assert pick(None, "image", frozen, "smoke") == "efficientnet-lite0"
    assert pick("auto", "table", softmax, "smoke") == LOG_PROBABILITIES
    assert pick("auto", "probabilities", None, "smoke") == LOG_PROBABILITIES
    assert pick("auto", "image", softmax, "smoke") in ("efficientnet-lite0", LOG_PROBABILITIES)
    with pytest.raises(UsageError, match="supplied"):
        pick("minilm", "probabilities", None, "smoke")
    with pytest.raises(UsageError, match="reads text data"):
        pick("minilm", "image", softmax, "smoke")
    with pytest.raises(UnknownNameError, match="efficientnet-lite0"):
        pick("efficientnet-lite", "image", softmax, "smoke")


def test_standardised_columns() -> None:
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(5000, 3)) * [1, 50, 0] + [3, 7, 2]).astype(np.float16)
    made = standardised(rows)
    assert made.dtype == np.float16
    np.testing.assert_allclose(made[:, :2].astype(float).mean(axis=0), 0, atol=2e-3)
    np.testing.assert_allclose(made[:, :2].astype(float).std(axis=0), 1, atol=2e-3)
    assert (made[:, 2] == 0).all()


def test_the_frozen_model_s_own_features_are_kept(tmp_path: Path) -> None:
    needs("efficientnet-lite0")
    root = picture_folder(tmp_path / "digits")
    (root / "digit 1" / "03.png").write_bytes(b"not a picture")
    options = {"out": tmp_path / "run", "model": "frozen", "budget": "smoke", "folds": 2, "workers": 1}
    run = auditor.find_errors(root, **options)
    assert run.embeddings is not None
    assert run.embeddings.shape == (35, 3824)
    assert run.manifest["embeddings"]["name"] == "efficientnet-lite0"
    # One computation served the heads and the run: the same features, standardised.
    (cached,) = (run.path / layout.WORK / "embeddings").glob("*/embeddings.npy")
    np.testing.assert_array_equal(run.embeddings, standardised(np.load(cached)))
    images = np.load(run.path / layout.WORK / "images.npy")[run.audited]
    direct = make_encoder("efficientnet-lite0", 48).open("cpu")(images)
    same = np.corrcoef(run.embeddings[:, -1280:].astype(float).ravel(), standardised(direct[:, -1280:]).ravel())
    assert same[0, 1] > 0.99
    # A finished run answers for every detector that needs them.
    flagged = flag_inputs(inputs_from_run(run), detector="knn_vote")
    expected = run_detector("knn_vote", run_evidence(run))
    np.testing.assert_array_equal(flagged.findings.score, expected.score)
    assert len(flag_inputs(inputs_from_run(run), detector="aum").findings.score) == 35
    # Where runs share a folder, the next one, here with other folds, finds what the first computed.
    shared = Settings(embeddings_dir=tmp_path / "shared")
    written = set[int]()
    for seed in (0, 1):
        options = options | {"out": tmp_path / f"run {seed}", "seed": seed, "settings": shared}
        run = auditor.find_errors(root, **options)
        assert not (run.path / layout.WORK / "embeddings").exists()
        (cached,) = (tmp_path / "shared").glob("*/embeddings.npy")
        written.add(cached.stat().st_mtime_ns)
    assert len(written) == 1
    again = auditor.find_errors(root, **options)
    assert {s["name"]: s["reused"] for s in again.manifest["stages"]}["embeddings"]
    assert auditor.find_errors(root, **options, embeddings="none").embeddings is None


def test_beside_a_classifier_on_pixels_pretrained_features_are_looked_at() -> None:
    needs("efficientnet-lite0")
    pixels, words = make_trainer("pixels"), make_trainer("tfidf")
    for budget in ("quick", "standard"):
        chosen = choose_embedding(None, "image", [pixels], budget)
        assert (chosen.name, chosen.size) == ("efficientnet-lite0", 64)
    assert choose_embedding(None, "image", [pixels], "smoke").name is None
    assert choose_embedding("none", "image", [pixels], "quick").name is None
    assert choose_embedding(None, "text", [words], "quick").name is None


def test_log_probabilities_of_supplied_ones(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4) * 0.3, 200)
    run = auditor.find_errors(pred_probs=p, labels=p.argmax(axis=1), out=tmp_path / "run", embeddings="auto")
    assert run.manifest["embeddings"]["name"] == LOG_PROBABILITIES
    assert "probabilities" in run.manifest["embeddings"]["reason"]
    expected = np.log(run.pred_probs.astype(float) + 1e-4)
    np.testing.assert_allclose(run.embeddings, (expected - expected.mean(0)) / expected.std(0), rtol=1e-5, atol=1e-5)
    assert flag_inputs(inputs_from_run(run), detector="knn_posterior").findings.score.shape == (200,)


@pytest.mark.slow
def test_sentences_of_a_packaged_encoder(data_dir: Path, tmp_path: Path) -> None:
    needs("minilm")
    table = pd.read_csv(data_dir / "text" / "noisy_agnews_10k.csv").head(60)
    text = next(c for c in table.columns if table[c].astype(str).str.len().mean() > 50)
    table[[text, "label"]].to_csv(tmp_path / "news.csv", index=False)
    reference = f"{tmp_path / 'news.csv'}?text={text}&label=label"
    run = auditor.find_errors(reference, model="tfidf", folds=2, out=tmp_path / "run", workers=1, embeddings="auto")
    assert run.embeddings is not None
    assert run.manifest["embeddings"]["name"] == "minilm"
    assert run.embeddings.shape == (len(run.audited), 384)
    np.testing.assert_allclose(np.linalg.norm(run.embeddings.astype(float), axis=1), 1, atol=1e-2)
    direct = make_encoder("minilm").open("cpu")([str(table[text].iloc[i]) for i in run.items["index"][run.audited]])
    assert np.abs(direct - run.embeddings).max() < 5e-3
    # What is near in this space is mostly about the same topic.
    near = flag_inputs(inputs_from_run(run), detector="knn_vote")
    found = near.findings
    assert (found.score[found.flagged] > 0).all()
    assert (found.suggested() != run.labels).all()


WANTED = np.array([True, False, True, True])


@pytest.mark.parametrize(
    ("values", "rows"),
    [
        (np.eye(4), np.eye(4)),
        (np.eye(4, dtype=np.float16), np.eye(4)),
        (np.arange(6).reshape(3, 2), [[0, 1], [0, 0], [2, 3], [4, 5]]),
        (pd.DataFrame(np.eye(4)), np.eye(4)),
    ],
    ids=["of all items", "float16", "of the audited ones", "frame"],
)
def test_own_embeddings_have_a_row_for_each_item(values: Any, rows: Any) -> None:
    chosen = own_embedding(values, WANTED)
    assert chosen.name == "given"
    assert chosen.encoder() is None
    assert np.array_equal(chosen.rows[WANTED], np.asarray(rows)[WANTED])
    assert chosen.rows.dtype == (np.float16 if getattr(values, "dtype", None) == np.float16 else np.float32)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((5, 2)), "5 rows of embeddings for 4 items, 3 of them audited"),
        (np.ones(4), "no rows of numbers"),
        (np.array([["a"]] * 4), "no rows of numbers"),
        (np.ones((4, 0)), "no rows of numbers"),
        (np.where(np.eye(4) > 0, np.nan, 1), "row 0 of the embeddings is not finite"),
    ],
)
def test_what_is_no_embedding_is_refused(values: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        own_embedding(values, WANTED)
