"""Tags of tokens in tables: told by looking, read as lists, places and texts, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.core.errors import DataError, LabelError, UnreadableError, UsageError
from auditor.core.label_forms import TokenTags
from auditor.data.open import open_dataset
from auditor.data.token_labels import MOST_TOKENS, encode_token_tags, joined_tokens

TOKENS = [["Ann", "sings"], ["in", "New", "York"], ["Oslo"], ["no", "one"]]
TAGS = [["PER", "O"], ["O", "LOC", "LOC"], ["LOC"], ["O", "O"]]
PLACES = [[["O", "LOC", "PER"].index(tag) for tag in row] for row in TAGS]
GIVEN = ["PER O", "O LOC LOC", "LOC", "O O"]


@pytest.mark.parametrize("suffix", ["", ".parquet", ".jsonl"])
def test_lists_of_tokens_and_tags_are_told_by_looking_and_opened_again(suffix: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"tokens": TOKENS, "tags": TAGS})
    path = tmp_path / f"t{suffix}"
    if suffix == ".parquet":
        frame.to_parquet(path)
    elif suffix:
        frame.to_json(path, orient="records", lines=True)
    dataset = open_dataset(path if suffix else frame, any_kind=True, label="tags")
    assert dataset.form == TokenTags(("O", "LOC", "PER"))
    assert dataset.given.tolist() == GIVEN
    assert [dataset.item(k) for k in range(4)] == [" ".join(row) for row in TOKENS]
    assert [row.tolist() for row in dataset.label_values] == PLACES
    assert any("label kind: tokens" in note for note in dataset.notes)
    if suffix:
        assert "kind=tokens" in dataset.reference
        assert open_dataset(dataset.reference).fingerprint == dataset.fingerprint


@pytest.mark.parametrize(
    ("columns", "options"),
    [
        ({"tokens": TOKENS, "tags": PLACES}, {"classes": "O,LOC,PER"}),
        ({"said": TOKENS, "tags": TAGS}, {"text": "said"}),
        ({"said": [" ".join(row) for row in TOKENS], "tags": GIVEN}, {"text": "said"}),
    ],
)
def test_places_other_columns_and_texts_are_read_where_the_kind_is_said(
    columns: dict[str, Any], options: dict[str, str]
) -> None:
    dataset = open_dataset(pd.DataFrame(columns), label="tags", kind="tokens", **options)
    assert dataset.given.tolist() == GIVEN
    assert dataset.item(1) == "in New York"


CONLL = """\
-DOCSTART- -X- O O

# one more comment
Ann NNP B-PER
sings VBZ O

New NNP B-LOC
York NNP I-LOC
# O O
"""


def test_a_token_a_line_is_read_with_its_last_field(tmp_path: Path) -> None:
    path = tmp_path / "t.conll"
    path.write_text(CONLL)
    dataset = open_dataset(path, any_kind=True)
    assert [dataset.item(k) for k in range(2)] == ["Ann sings", "New York #"]
    assert dataset.given.tolist() == ["B-PER O", "B-LOC I-LOC O"]
    assert open_dataset(dataset.reference).fingerprint == dataset.fingerprint
    assert open_dataset(path, label="1").given.tolist() == ["NNP VBZ", "NNP NNP O"]
    for damaged, said in (("Ann O\nsings", "line 2: 1 fields, 2"), ("Ann\n", "line 1: 1 fields"), ("a\t\tO", "line 1")):
        path.write_text(damaged)
        with pytest.raises(UnreadableError, match=said):
            open_dataset(path)
    path.write_bytes(b"\xff\xfe O")
    with pytest.raises(UnreadableError, match="encoding"):
        open_dataset(path)
    path.write_text("\n\n")
    with pytest.raises(DataError, match="no rows"):
        open_dataset(path)


def test_lists_of_other_lengths_are_sets_of_tags() -> None:
    frame = pd.DataFrame({"a": range(4), "tokens": TOKENS, "tags": [["x"], ["x", "y"], ["y"], []]})
    assert open_dataset(frame, any_kind=True, label="tags").form != TokenTags(("x", "y"))
    with pytest.raises(LabelError, match="item 0 has 2 tokens and 1 tags"):
        open_dataset(frame, kind="tokens", label="tags")
    with pytest.raises(UsageError, match="no column of tokens"):
        open_dataset(frame.drop(columns="tokens"), kind="tokens", label="tags")
    with pytest.raises(UsageError, match="does not hold texts"):
        open_dataset(frame.assign(label=list("abab")), text="tokens", label="label")


@pytest.mark.parametrize(
    ("values", "names", "said"),
    [
        ([["O"], 3], None, "3 in row 1 is no row of tags"),
        ([["O", 2.5]], None, "2.5 in row 0 is no tag"),
        ([[0, 3]], ("O", "A"), "3 in row 0 is no tag"),
        ([["O", "B"]], ("O", "A"), "tag 'B' in row 0 is none of O, A"),
        ([["O"], ["O"]], None, "no tags of tokens: O"),
        ([["O", "a b"]], None, "no tags of tokens"),
        ([["O"] * (MOST_TOKENS + 1)], None, "more than 2,000"),
        ([[], None, ""], None, "no labels"),
    ],
)
def test_what_is_no_row_of_tags_is_refused_with_its_row(values: list[Any], names: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        encode_token_tags(values, names, "y")


def test_rows_without_tags_are_skipped_and_numbers_are_names() -> None:
    encoded = encode_token_tags([[1, 0], None, np.array([0]), []], None, "y")
    assert encoded.codes.tolist() == [1, -1, 0, -1]
    assert encoded.names == ("0", "1 0")
    assert "2 rows without a label" in encoded.notes[0]


@pytest.mark.parametrize("token", ["", "a b", " a", 3, None])
def test_what_is_no_token_is_refused_with_its_item(token: Any) -> None:
    with pytest.raises(LabelError, match="of item 1 is no token"):
        joined_tokens([["a"], [token]], ["O", "O"], "tokens")
