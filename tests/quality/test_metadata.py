"""What is known of the items beside their content: which row belongs to which item, and what is done with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auditor.core.errors import DataError, UsageError
from auditor.data.open import open_dataset
from auditor.quality.metadata import read_metadata
from auditor.quality.run import check_quality

N = 400
LABELS = np.random.default_rng(0).integers(0, 2, N)
WORDS = ["river", "mountain", "window", "garden", "letter", "summer"]


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "text": [" ".join(rng.choice(WORDS, 9)) + f" {k}" for k in range(N)],
            "label": np.where(LABELS == 1, "yes", "no"),
            "source": rng.choice(["web", "mail"], N),
            "sent": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, N), "D"),
        }
    )


def test_the_table_of_the_items_itself(table: pd.DataFrame, tmp_path: Path) -> None:
    table.loc[7, "label"] = None  # no item: the rows after it move up
    table.to_csv(tmp_path / "t.csv", index=False)
    dataset = open_dataset(f"{tmp_path / 't.csv'}?text=text&label=label")
    frame = read_metadata(tmp_path / "t.csv", dataset)
    assert frame.columns.tolist() == ["text", "source", "sent"]  # the label is none
    assert frame["source"].tolist() == table["source"].drop(7).tolist()


def test_rows_by_id_and_in_order(table: pd.DataFrame) -> None:
    dataset = open_dataset(table[["text", "label"]], text="text", label="label")
    shuffled = pd.DataFrame({"id": dataset.ids, "device": np.arange(N)}).sample(frac=1, random_state=0)
    assert read_metadata(shuffled.iloc[:-5], dataset)["device"].isna().sum() == 5
    assert read_metadata(shuffled, dataset)["device"].tolist() == list(range(N))
    assert read_metadata({"device": list(range(N))}, dataset)["device"].tolist() == list(range(N))
    with pytest.raises(DataError, match="two rows of the metadata have the id"):
        read_metadata(pd.concat([shuffled, shuffled.iloc[:1]]), dataset)
    with pytest.raises(UsageError, match="3 rows for 400 items"):
        read_metadata({"device": [1, 2, 3]}, dataset)


def test_a_source_and_a_date_that_give_the_class_away(table: pd.DataFrame) -> None:
    data, options = table[["text", "label"]], {"text": "text", "label": "label", "checks": ["spurious_cues"]}
    (quiet,) = check_quality(data, metadata=table, progress=False, **options).outcomes
    assert quiet.status == "passed"
    table["source"] = np.where(LABELS == 1, "web", "mail")
    table["sent"] = np.where(LABELS == 1, table["sent"] + pd.Timedelta(days=250), table["sent"])
    (found,) = check_quality(data, metadata=table, progress=False, **options).outcomes
    assert found.findings is not None
    assert {rule["property"] for rule in found.findings.facts["rules"]} == {"source", "sent"}


def test_a_source_in_which_a_model_errs(table: pd.DataFrame) -> None:
    wrong = np.random.default_rng(2).random(N) < np.where(table["source"] == "web", 0.3, 0.03)
    likely = np.where(wrong, 1 - LABELS, LABELS)
    options = {"text": "text", "label": "label", "checks": ["weak_slices"], "metadata": table[["source"]]}
    p = np.where(likely[:, None] == np.arange(2), 0.9, 0.1)
    (found,) = check_quality(table[["text", "label"]], pred_probs=p, progress=False, **options).outcomes
    assert found.findings is not None
    assert [row["slice"] for row in found.findings.facts["slices"]] == ["source 'web'"]
    (silent,) = check_quality(table[["text", "label"]], progress=False, **options).outcomes
    assert silent.status == "not applicable"
