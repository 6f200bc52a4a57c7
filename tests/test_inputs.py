"""What one can hand over: every cell of the tables of docs/library.md is run, and no cell says more than was run."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
import torch
from PIL import Image
from pyarrow import parquet
from torch.utils.data import Dataset
from torchvision.datasets import ImageFolder

import auditor
from auditor.core.config import load_settings
from auditor.core.errors import OfflineError
from auditor.runs import layout
from tests.conftest import ROOT
from tests.running import call

N, WRONG = 24, 17
RANDOM = np.random.default_rng(0)
Y = np.where(np.arange(N) % 2, "dog", "cat")
X = RANDOM.normal(size=(N, 3))
TEXTS = [f"remark {k} {'barks' if k % 2 else 'purrs'}" for k in range(N)]
PICTURES = [Image.fromarray(pixels) for pixels in RANDOM.integers(0, 256, (N, 5, 6, 3), dtype=np.uint8)]
FRAME = pd.DataFrame({"u": X[:, 0], "v": X[:, 1], "label": Y})
#: By what the model of the test believes, one label is wrong.
P = np.where((np.arange(N) % 2 == 1)[:, None], [0.2, 0.8], [0.8, 0.2])
P[WRONG] = P[WRONG, ::-1]
#: The cheapest.
RULE = "log_odds_margin"
#: Rows of the tables whose audited items are not all there are.
TESTED, DIGITS, OFFLINE = N // 2, 1797, "Hub name; offline, and not in the cache: exit code 4"
AUDITED = {"`datasets.DatasetDict`": TESTED, "folder with `train.csv`, `test.csv`": TESTED, "built-in name": DIGITS}


class Pairs(Dataset[Any]):
    def __len__(self) -> int:
        return N

    def __getitem__(self, k: int) -> tuple[str, str]:
        return TEXTS[k], str(Y[k])


def tables() -> Iterator[tuple[str, list[str]]]:
    """The rows of both tables: their name and the code of each door."""
    page = (ROOT / "docs" / "library.md").read_text()
    section = re.search(r"^## What you can hand over\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert section is not None
    for line in section[1].splitlines():
        name, *doors = (cell.strip() for cell in line.strip("|").split(" | "))
        if line.startswith("|") and "---" not in line and "command line" not in line:
            yield name, doors


ROWS = list(tables())


def _no_report(run: auditor.Run, *_: object) -> None:
    for name in (layout.REPORT, layout.SUSPECTS):
        (run.path / name).parent.mkdir(exist_ok=True)
        (run.path / name).touch()


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the cells call the data, in a folder that holds the files they name."""
    folder = tmp_path_factory.mktemp("inputs")
    hub = datasets.Dataset.from_pandas(FRAME, preserve_index=False)
    splits = datasets.DatasetDict(train=hub.select(range(TESTED)), test=hub.select(range(TESTED, N)))
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDITOR_OFFLINE", "1")
        patch.setattr("auditor.audit.find_errors.write_report", _no_report)
        hub.save_to_disk("kept")
        FRAME.to_csv("kept.csv", index=False)
        FRAME.to_parquet("kept.parquet")
        FRAME.to_json("kept.jsonl", orient="records", lines=True)
        pd.DataFrame(P, columns=["cat", "dog"]).to_csv("kept_p.csv", index=False)
        np.savez("kept_p.npz", pred_probs=P)
        Path("halves").mkdir()
        for split, rows in (("train", FRAME[:TESTED]), ("test", FRAME[TESTED:])):
            rows.to_csv(f"halves/{split}.csv", index=False)
        for k in range(N):
            path = Path("photos", str(Y[k]), f"{k:02}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            PICTURES[k].save(path)
        yield {
            "np": np,
            "pd": pd,
            "torch": torch,
            "parquet": parquet,
            "datasets": datasets,
            "ImageFolder": ImageFolder,
            "frame": FRAME,
            "arrow": pa.Table.from_pandas(FRAME, preserve_index=False),
            "columns": FRAME.to_dict("list"),
            "hub": hub,
            "hub_splits": splits,
            "X": X,
            "y": Y,
            "cube": RANDOM.normal(size=(N, 2, 3, 4)),
            "sparse": scipy.sparse.csr_matrix(X),
            "texts": TEXTS,
            "pictures": PICTURES,
            "named": FRAME[["u", "v"]],
            "torch_set": Pairs(),
            "p": P,
            "p_frame": pd.DataFrame(P[:, ::-1], columns=["dog", "cat"]),
        }


def beliefs(row: str) -> np.ndarray:
    """The probabilities of the test for the items that a row audits."""
    n = AUDITED.get(row, N)
    if n == DIGITS:
        labels = auditor.open_dataset("digits", load_settings()).labels.copy()
        labels[WRONG] = (labels[WRONG] + 1) % 10
        return 0.1 * 0.5 + 0.5 * np.eye(10)[labels]
    p = P[N - n :].copy()
    if "photos" in str(dict(ROWS)[row]):  # by class folder
        p = P[np.argsort(Y, kind="stable")]
    return p


@pytest.mark.parametrize("door", ["find_errors", "Audit", "command line"])
@pytest.mark.parametrize("row", [name for name, _ in ROWS])
def test_a_cell_of_the_table(row: str, door: str, names: dict[str, Any], tmp_path: Path) -> None:
    *before, asked = re.findall(r"`([^`]+)`", dict(ROWS)[row][["find_errors", "Audit", "command line"].index(door)])
    if "polars" in row:
        names |= {"polars_frame": pytest.importorskip("polars").from_pandas(FRAME)}
    for line in before:
        exec(line, dict(names))
    options: dict[str, Any] = {"quality": False, "progress": False, "pred_probs": beliefs(row), "rule": RULE}

    def find_errors(data: Any, **more: Any) -> auditor.Run:
        return auditor.find_errors(data, out=tmp_path / "run", **options | more)

    class Audit(auditor.Audit):
        def run(self, **more: Any) -> auditor.Audit:
            return super().run(folder=tmp_path / "run", **options | more)

    def run() -> auditor.Run:
        if door == "command line":
            words = asked.removeprefix("auditor ").split()
            if "--pred-probs" not in words:
                np.save(tmp_path / "p.npy", options["pred_probs"])
                words += ["--pred-probs", str(tmp_path / "p.npy")]
            done = call(
                *words, "--out", tmp_path / "run", "--no-quality", "--rule", RULE, check=4 if row == OFFLINE else 0
            )
            if row == OFFLINE:
                raise OfflineError(done.stderr)
        else:
            made = eval(asked, {**names, "find_errors": find_errors, "Audit": Audit})
            if door == "Audit" and "pred_probs" not in asked:
                made.run()
        return auditor.open_run(tmp_path / "run")

    if row == OFFLINE:
        with pytest.raises(OfflineError):
            run()
        return
    done = run()
    assert len(done.audited) == AUDITED.get(row, N)
    suspects = [done.row(item) for item in done.findings["id"]]
    if row == "built-in name":
        assert suspects == [WRONG]
    else:
        assert done.class_names == ("cat", "dog")
        assert (done.items["given"].iloc[suspects] == "dog").all()
        assert len(suspects) == 1


def test_every_form_has_its_row() -> None:
    forms = [name for name, _ in ROWS]
    assert len(forms) == len(set(forms)) == 27
    assert all(len(doors) == 3 and "" not in doors for _, doors in ROWS)
