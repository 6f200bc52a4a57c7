"""Published verdicts: the counts of the specification on the real files, and the traps on made-up items."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor.core.errors import DataError, LabelError
from auditor.review.published import (
    category,
    check_rows,
    consensus_counts,
    parse_published,
    published_rows,
    published_votes,
    read_published,
)

#: checked, k -> non-error, errors, non-agreement, correctable, multi-label, neither (specification, 3.2).
TABLE_2 = {
    "cifar10": (275, {3: (221, 54, 32, 18, 0, 4), 4: (167, 108, 98, 7, 0, 3), 5: (82, 193, 190, 3, 0, 0)}),
    "cifar100": (
        2235,
        {3: (1650, 585, 210, 318, 20, 37), 4: (1297, 938, 768, 158, 6, 6), 5: (724, 1511, 1463, 48, 0, 0)},
    ),
    "caltech256": (
        2360,
        {3: (1902, 458, 99, 221, 115, 23), 4: (1666, 694, 526, 118, 46, 4), 5: (1186, 1174, 1119, 41, 12, 2)},
    ),
    "imdb": (1310, {3: (585, 725, 552, 173, 0, 0), 4: (265, 1045, 982, 63, 0, 0), 5: (62, 1248, 1236, 12, 0, 0)}),
    "amazon": (1000, {3: (268, 732, 430, 302, 0, 0), 4: (82, 918, 841, 77, 0, 0), 5: (5, 995, 990, 5, 0, 0)}),
    "audioset": (307, {3: (32, 275, 0, 0, 0, 0), 4: (40, 267, 0, 0, 0, 0), 5: (18, 289, 0, 0, 0, 0)}),
}


@pytest.mark.parametrize("name", TABLE_2)
def test_the_published_counts(name: str, data_dir: Path) -> None:
    items = read_published(data_dir / "label_errors" / name / "mturk.json")
    checked, rows = TABLE_2[name]
    for k, wanted in rows.items():
        counts = consensus_counts(items, k)
        keys = ("non-error", "errors", "non-agreement", "correctable", "multi-label", "neither")
        assert (counts["checked"], *(counts[c] for c in keys)) == (checked, *wanted)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "caltech256", "imdb"])
def test_every_item_carries_its_label_at_its_row(name: str, data_dir: Path) -> None:
    folder = data_dir / "label_errors" / name
    items = read_published(folder / "mturk.json")
    index = json.loads((folder / "index.json").read_text()) if name == "imdb" else None
    rows = published_rows(items, index)
    labels = np.load(folder / "original_labels.npy")
    if name == "imdb":
        names = ["Negative" if y == 0 else "Positive" for y in labels]
    else:
        known = {i.given_index: i.given[0] for i in items} | {i.guessed_index: i.guessed[0] for i in items}
        names = [known.get(int(y), "") for y in labels]
    check_rows(items, rows, names)
    with pytest.raises(LabelError):
        # IMDB's labels stand in two halves.
        check_rows(items, (rows + 12_500) % 25_000 if name == "imdb" else rows + 1, names)


def _item(**change: Any) -> dict[str, Any]:
    base = {
        "id": 7,
        "url": "u",
        "given_original_label": 1,
        "given_original_label_name": "one",
        "our_guessed_label": 2,
        "our_guessed_label_name": "two",
        "mturk": {"given": 1, "guessed": 4, "neither": 0},
    }
    return {**base, **change}


def _one(**change: Any) -> Any:
    return parse_published([_item(**change)])[0]


def test_doubled_votes_of_mnist_are_five() -> None:
    same = {"our_guessed_label": 1, "our_guessed_label_name": "one"}
    full = _one(**same, mturk={"given": 5, "guessed": 5, "neither": 0})
    four = _one(**same, mturk={"given": 4, "guessed": 4, "neither": 1})
    assert [category(full, k) for k in (3, 4, 5)] == ["non-error"] * 3
    assert [category(four, k) for k in (3, 4, 5)] == ["non-error", "non-error", "non-agreement"]
    assert (full.n, four.n) == (5, 5)
    assert len(published_votes(full)) == len(published_votes(four)) == 5


def test_both_may_be_absent() -> None:
    assert category(_one()) == "correctable"
    assert _one().votes["both"] == 0


def test_majorities_for_answers_that_are_no_label() -> None:
    imdb = {"given_original_label": "Negative", "our_guessed_label": "Positive", "id": "test/neg/1_2"}
    off = _one(**imdb, mturk={"given": 1, "guessed": 0, "neutral": 0, "off-topic": 4})
    assert (off.schema, category(off)) == ("imdb", "non-agreement")
    assert {v for v, _ in published_votes(off)} == {"given", "unsure"}
    amazon = {"given_original_label": "Positive", "our_guessed_label": "Neutral"}
    third = _one(**amazon, mturk={"positive": 1, "negative": 4, "neutral": 0, "off-topic": 0})
    assert (third.schema, category(third)) == ("amazon", "non-agreement")
    assert published_votes(third).count(("other:Negative", "Negative")) == 4


def test_audioset_is_right_only_if_the_sets_are_equal() -> None:
    def sound(**votes: int) -> Any:
        return parse_published(
            [{"id": 1, "url": "u", "given_original_labels": ["a", "b"], "our_guessed_labels": ["c"], "mturk": votes}]
        )[0]

    assert category(sound(a=3, b=5, c=2)) == "non-error"
    assert category(sound(a=3, b=5, c=3)) == "error"
    assert category(sound(a=3, b=2, c=0)) == "error"
    with pytest.raises(DataError, match="several labels"):
        published_votes(sound(a=3, b=5, c=2))


def test_ids_of_imagenet_are_file_numbers() -> None:
    items = parse_published([_item(url="http://x/ILSVRC2012_val_00000007.JPEG")])
    assert items[0].schema == "imagenet"
    index = [f"val/n{k:03d}/ILSVRC2012_val_{(k * 3) % 10 + 1:08d}.JPEG" for k in range(10)]
    row = int(published_rows(items, index)[0])
    assert "00000007" in index[row]
    assert row != 7
    names = ["two"] * 10
    names[row] = "one"
    check_rows(items, published_rows(items, index), names)
    with pytest.raises(LabelError):
        check_rows(items, np.array([7]), names)
    with pytest.raises(DataError, match="list of its files"):
        published_rows(items)


def test_repeated_names_matter_only_when_asked_for() -> None:
    item = _item(
        id="test/neg/1_2",
        given_original_label="Negative",
        our_guessed_label="Positive",
        mturk={"given": 5, "guessed": 0, "neutral": 0, "off-topic": 0},
    )
    items = parse_published([item])
    assert published_rows(items, ["neg/9_9.txt", "neg/1_2.txt", "neg/9_9.txt"]).tolist() == [1]
    with pytest.raises(DataError, match="2 times"):
        published_rows(items, ["neg/1_2.txt", "neg/1_2.txt"])
    with pytest.raises(DataError, match="0 times"):
        published_rows(items, ["neg/3_3.txt"])


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        [3],
        [{"id": 1}],
        [_item(mturk={"yes": 3})],
        [_item(mturk={"given": True, "guessed": 1, "neither": 0})],
        [_item(id=None)],
        [_item(), _item()],
        [_item(given_original_label_name=3)],
        [
            _item(
                given_original_label="Maybe",
                our_guessed_label="Neutral",
                mturk={"positive": 1, "negative": 4, "neutral": 0, "off-topic": 0},
            )
        ],
        [{"id": 1, "given_original_labels": ["a"], "our_guessed_labels": ["b"], "mturk": {"a": 1}}],
    ],
)
def test_what_fits_no_schema_is_refused(value: Any) -> None:
    with pytest.raises(DataError):
        parse_published(value)


def test_two_of_five_is_no_majority() -> None:
    with pytest.raises(DataError):
        category(_one(), 2)
