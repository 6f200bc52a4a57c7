"""The main job, end to end, on real data."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import auditor
from auditor.runs import layout
from tests.conftest import AUDIT, DigitsRun
from tests.e2e.conftest import Cli

FINDING_KEYS = {"id", "index", "given", "suggested", "p_given", "p_suggested", "score", "rank", "code"}


def test_digits_from_clone_to_list(digits_run: DigitsRun) -> None:
    found = digits_run.document
    assert found["schema"] == "auditor.find-errors/1"
    assert found["n_items"] == found["n_audited"] == 1797
    assert found["out_of_sample_accuracy"] >= 0.97
    assert found["seconds"] > 0
    assert found["not_auditable"] == []
    assert 0 < found["n_flagged"] == len(found["findings"]) < 100
    assert set(found["findings"][0]) >= FINDING_KEYS
    assert [f["rank"] for f in found["findings"]] == list(range(1, found["n_flagged"] + 1))
    assert all(f["given"] != f["suggested"] for f in found["findings"])
    assert "Next:" in digits_run.stderr
    assert "\x1b[" not in digits_run.stderr

    run = auditor.open_run(digits_run.path)
    assert run.counts["n_flagged"] == found["n_flagged"]
    assert run.pred_probs.shape == (1797, 10)
    np.testing.assert_allclose(run.pred_probs.sum(axis=1), 1, atol=1e-5)
    assert (run.items["status"] == "audited").all()
    for name in (layout.ITEMS, layout.SCORES, layout.FINDINGS, layout.FOLDS, layout.REPORT, layout.MANIFEST):
        assert (digits_run.path / name).is_file()


def test_repeating_the_command_reuses_everything(cli: Cli, digits_run: DigitsRun) -> None:
    before = (digits_run.path / layout.FINDINGS).read_bytes()
    cli(*AUDIT, "--out", "run", "--json")
    assert all(s["reused"] for s in auditor.open_run(digits_run.path).manifest["stages"])
    assert (digits_run.path / layout.FINDINGS).read_bytes() == before


def test_the_report_is_self_contained_and_shows_pictures(digits_run: DigitsRun) -> None:
    html = (digits_run.path / layout.REPORT).read_text()
    flagged = auditor.open_run(digits_run.path).manifest["counts"]["n_flagged"]
    assert html.count("data:image/png;base64,") >= flagged > 4
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", html)
    assert "<script" not in html


def test_another_rule_reuses_the_training(cli: Cli, digits_run: DigitsRun) -> None:
    cli(*AUDIT, "--out", "run", "--quiet", "--rule", "prune_by_noise_rate")
    stages = {s["name"]: s["reused"] for s in auditor.open_run(digits_run.path).manifest["stages"]}
    assert stages["train"]
    assert not stages["findings"]


def _digit_folder(root: Path, per_class: int = 12) -> Path:
    """Real digits as PNG files in class folders."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    for k in range(3):
        folder = root / f"digit {k}"
        folder.mkdir(parents=True)
        for j, position in enumerate(np.flatnonzero(digits.target == k)[:per_class]):
            pixels = (digits.images[position] * 15.9).astype(np.uint8)
            Image.fromarray(pixels).resize((16, 16)).save(folder / f"{j:02d}.png")
    return root


def test_findings_do_not_depend_on_workers(cli: Cli, tmp_path: Path) -> None:
    root = _digit_folder(tmp_path / "pets")
    (root / "digit 0" / "00.png").rename(root / "digit 1" / "wrong.png")
    for workers in ("1", "2"):
        options = ("--model", "pixels", "--folds", "3", "--workers", workers)
        cli("find-errors", root, "--out", workers, "--quiet", *options)
    assert "digit 1/wrong.png" in set(auditor.open_run(tmp_path / "1").findings["id"])
    for name in (layout.FINDINGS, layout.SCORES, layout.PRED_PROBS):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_a_folder_with_two_corrupt_files(cli: Cli, tmp_path: Path) -> None:
    root = _digit_folder(tmp_path / "pets")
    (root / "digit 1" / "00.png").write_bytes(b"not a picture")
    whole = (root / "digit 2" / "03.png").read_bytes()
    (root / "digit 2" / "03.png").write_bytes(whole[: len(whole) // 2])
    found = cli("find-errors", root, "--out", "run", "--json", "--folds", "3").document
    broken = [f for f in found["findings"] if f["code"] == "DQ001"]
    assert {f["id"] for f in broken} == {"digit 1/00.png", "digit 2/03.png"}
    assert found["n_undecodable"] == 2
    assert found["n_audited"] == 34
    assert all(f["suggested"] is None for f in broken)


def test_a_class_too_small_is_listed_and_never_passed(cli: Cli, tmp_path: Path) -> None:
    root = _digit_folder(tmp_path / "pets")
    rare = root / "rare"
    rare.mkdir()
    (root / "digit 0" / "11.png").rename(rare / "only.png")
    done = cli("find-errors", root, "--out", "run", "--json", "--folds", "3")
    found = done.document
    assert [(c["name"], c["n_items"]) for c in found["not_auditable"]] == [("rare", 1)]
    assert "rare" in done.stderr
    assert "rare" in (tmp_path / "run" / layout.REPORT).read_text()
    items = auditor.open_run(tmp_path / "run").items
    assert items.set_index("id").loc["rare/only.png", "status"] == "not auditable"
    assert "rare/only.png" not in {f["id"] for f in found["findings"]}


def test_a_table_of_numbers_with_planted_errors(cli: Cli, tmp_path: Path) -> None:
    from sklearn.datasets import load_wine

    wine = load_wine(as_frame=True)
    frame = wine.data.assign(cultivar=wine.target.map({0: "barolo", 1: "grignolino", 2: "barbera"}))
    wrong = [3, 70, 150]
    frame.loc[wrong, "cultivar"] = ["barbera", "barolo", "grignolino"]
    frame.to_csv(tmp_path / "wine.csv", index=False)
    found = cli("find-errors", "wine.csv?label=cultivar", "--out", "run", "--json", "--folds", "3").document
    assert found["n_items"] == 178
    ranked = auditor.open_run(tmp_path / "run").scores
    assert set(wrong) <= set(ranked["index"].head(10))
    # 150 looks like neither of two classes and is no more than suspected.
    assert {3, 70} <= {f["index"] for f in found["findings"]}


@pytest.mark.parametrize("model", ["tfidf", pytest.param("auto", marks=pytest.mark.slow)])
def test_texts(cli: Cli, data_dir: Path, tmp_path: Path, model: str) -> None:
    table = pd.read_csv(data_dir / "text" / "noisy_agnews_10k.csv").head(240)
    text = next(c for c in table.columns if table[c].astype(str).str.len().mean() > 50)
    table[[text, "label"]].to_csv(tmp_path / "news.csv", index=False)
    data = f"news.csv?text={text}&label=label"
    options = ("--folds", "3", "--refits", "0")
    found = cli("find-errors", data, "--model", model, "--out", "run", "--json", *options).document
    assert found["n_items"] == 240
    assert found["out_of_sample_accuracy"] > 0.7


def test_supplied_probabilities_of_imdb_are_clipped_with_a_note(cli: Cli, data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "label_errors" / "imdb"
    found = cli(
        "find-errors",
        "--pred-probs",
        folder / "pyx.npy",
        "--labels",
        folder / "original_labels.npy",
        "--class-names",
        "Negative,Positive",
        "--rule",
        "paper",
        "--out",
        "run",
        "--json",
    ).document
    assert found["n_items"] == 25000
    assert found["n_flagged"] == 1310  # the published count
    assert any("2,744" in note or "2744" in note for note in found["notes"])


def test_show_item_and_save_it(cli: Cli, tmp_path: Path, digits_run: DigitsRun) -> None:
    first = digits_run.document["findings"][0]
    shown = cli("show", "run", "--item", first["id"], "--save", "it.png", "--json").document
    assert shown["given"] == first["given"]
    assert shown["flagged"] is True
    assert Image.open(tmp_path / "it.png").size == (8, 8)
    assert "Did you mean" in cli("show", "run", "--item", first["id"] + "x", check=2).stderr


@pytest.mark.parametrize("command", ["datasets", "models", "doctor", "config"])
def test_lists(cli: Cli, command: str) -> None:
    assert "Next:" in cli(command).stderr
    assert cli(command, "--json").document["schema"] == f"auditor.{command}/1"
