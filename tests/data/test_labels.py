from __future__ import annotations

import numpy as np
import pytest

from auditor.core.errors import EmptyDataError, LabelError
from auditor.data.labels import encode_labels, split_names


def test_strings_sort_into_classes() -> None:
    result = encode_labels(["dog", "cat", "dog"], None, "y")
    assert result.names == ("cat", "dog")
    assert list(result.codes) == [1, 0, 1]


def test_integers_sort_as_numbers_and_keep_their_names() -> None:
    result = encode_labels(np.array([10, 9, 1], dtype=np.uint16), None, "y")
    assert result.names == ("1", "9", "10")
    assert list(result.codes) == [2, 1, 0]


def test_whole_floats_are_integers_and_nan_is_missing() -> None:
    result = encode_labels([1.0, float("nan"), 2.0], None, "y")
    assert result.names == ("1", "2")
    assert list(result.codes) == [0, -1, 1]


def test_missing_labels_are_marked_and_said() -> None:
    result = encode_labels(["a", None, " ", "b"], None, "y")
    assert list(result.codes) == [0, -1, -1, 1]
    assert list(result.present) == [0, 3]
    assert "2 rows without a label" in result.notes[0]
    assert "row 1" in result.notes[0]


def test_mixed_types_name_the_rows() -> None:
    with pytest.raises(LabelError, match=r"mixes types: number \(row 0: 1\), text \(row 2: 'cat'\)"):
        encode_labels([1, None, "cat"], None, "y")


@pytest.mark.parametrize("bad", [[0, 1, 3], [0, -2, 1]])
def test_integers_outside_the_classes(bad: list[int]) -> None:
    with pytest.raises(LabelError, match="outside the 3 classes"):
        encode_labels(bad, ("a", "b", "c"), "y")


@pytest.mark.parametrize(
    ("values", "names", "codes"),
    [
        ([0, -1, 1], ("a", "b"), [0, -1, 1]),
        ([0, -1, 1, 1], None, [0, -1, 1, 1]),
        (["0", "-1", "1"], None, [0, -1, 1]),
        ([0, 1, float("nan"), None], None, [0, 1, -1, -1]),
        (["cat", "nan", "None", "<NA>", " ", None, "dog"], None, [0, -1, -1, -1, -1, -1, 1]),
        (["cat", "nan", "dog"], ("cat", "dog"), [0, -1, 1]),
        (["1", "nan", "0"], ("cat", "dog"), [1, -1, 0]),
    ],
)
def test_missing_labels_by_one_rule_with_a_note(
    values: list[object], names: tuple[str, ...] | None, codes: list[int]
) -> None:
    result = encode_labels(values, names, "y")
    assert list(result.codes) == codes
    first = codes.index(-1)
    assert f"(first: row {first}; written as {values[first]!r}" in result.notes[0]


@pytest.mark.parametrize(
    ("values", "names", "missing", "classes"),
    [
        ([-1, 1, 1], None, None, ("-1", "1")),
        ([-1, 0, 1], None, (), ("-1", "0", "1")),
        (["None", "Mild", "nan"], ("None", "Mild"), None, ("None", "Mild")),
        (["None", "Mild", "?"], None, ("?",), ("Mild", "None")),
        (["none", "NA", "mild"], None, None, ("NA", "mild", "none")),
    ],
)
def test_what_looks_missing_and_is_a_class(
    values: list[object], names: tuple[str, ...] | None, missing: tuple[str, ...] | None, classes: tuple[str, ...]
) -> None:
    assert encode_labels(values, names, "y", missing).names == classes


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["007", "010", "007"], ("007", "010")),
        (["1E5", "2E4"], ("2E4", "1E5")),
        (["10:30", "9:15"], ("10:30", "9:15")),
        (["true", "false"], ("false", "true")),
        (["10", "9", "1"], ("1", "9", "10")),
        (["1.50", "1.5"], ("1.5", "1.50")),
    ],
)
def test_labels_that_are_texts_keep_their_spelling(values: list[str], names: tuple[str, ...]) -> None:
    assert encode_labels(values, None, "y").names == names


def test_strings_outside_the_classes_suggest_the_nearest() -> None:
    with pytest.raises(LabelError, match=r"'dgo' in row 1(.|\n)*Did you mean 'dog'"):
        encode_labels(["cat", "dgo"], ("cat", "dog"), "y")


def test_measurements_are_refused() -> None:
    with pytest.raises(LabelError, match=r"not whole: 1\.5 in row 1"):
        encode_labels([1.0, 1.5], None, "y")
    with pytest.raises(LabelError, match="inf"):
        encode_labels([1.0, float("inf")], None, "y")


def test_ids_are_refused() -> None:
    with pytest.raises(LabelError, match="30 different values in 30 rows"):
        encode_labels([f"x{k}" for k in range(30)], None, "y")


def test_nothing_labelled() -> None:
    with pytest.raises(EmptyDataError):
        encode_labels([None, ""], None, "y")


def test_lists_as_labels_are_refused() -> None:
    with pytest.raises(LabelError, match="neither numbers nor strings"):
        encode_labels([["a"], ["b"]], None, "y")


def test_look_alike_classes_are_said() -> None:
    assert any("'Cat' and 'cat '" in n for n in encode_labels(["Cat", "cat ", "dog"], None, "y").notes)


def test_booleans() -> None:
    assert encode_labels([True, False], None, "y").names == ("False", "True")


def test_split_names() -> None:
    assert split_names("cat, dog") == ("cat", "dog")
    assert split_names(None) is None
    assert split_names(["a", "b"]) == ("a", "b")
