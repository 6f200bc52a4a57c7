"""Label columns that are no classes: which kind they are, how they are read, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.core.errors import DataError, LabelError, UsageError
from auditor.core.label_forms import NO_TAGS, Levels
from auditor.data.label_kinds import encode_levels, encode_numbers, encode_tags
from auditor.data.open import open_dataset

N = 60
_RNG = np.random.default_rng(0)
_TAGS = _RNG.random((N, 3)) < [0.5, 0.3, 0.2]
_NAMES = np.array(["sea", "sun", "city"])
_X = {"a": _RNG.normal(size=N), "b": _RNG.normal(size=N)}
_COLUMNS = {f"label:{name}": _TAGS[:, k].astype(int) for k, name in enumerate(_NAMES)}
_SETS = [_NAMES[row].tolist() for row in _TAGS]

#: The same sets of tags, or numbers, in every form that a table may hold them in.
FORMS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "0/1 columns": (_COLUMNS, {}, "multilabel"),
    "true/false columns": ({name: values == 1 for name, values in _COLUMNS.items()}, {}, "multilabel"),
    "columns of another name": (
        {name.replace("label:", "is_"): values for name, values in _COLUMNS.items()},
        {"label": "is_*", "kind": "multilabel"},
        "multilabel",
    ),
    "lists": ({"tags": _SETS}, {"label": "tags"}, "multilabel"),
    "joined": ({"tags": [" ; ".join(tags) or NO_TAGS for tags in _SETS]}, {"label": "tags"}, "multilabel"),
    "floats": ({"y": np.linspace(-1, 1, N)}, {"label": "y"}, "regression"),
    "whole numbers": ({"y": _RNG.integers(0, 10**6, N)}, {"label": "y"}, "regression"),
    "few whole numbers": ({"y": np.arange(N) % 7}, {"label": "y", "kind": "regression"}, "regression"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", ["frame", "csv", "parquet"])
def test_kinds_are_told_by_looking_and_opened_again(form: str, where: str, tmp_path: Path) -> None:
    columns, options, kind = FORMS[form]
    frame: Any = pd.DataFrame({**_X, **columns})
    if where == "csv" and form == "lists":
        frame["tags"] = [";".join(tags) or NO_TAGS for tags in _SETS]
    data: Any = frame
    if where != "frame":
        data = tmp_path / f"t.{where}"
        frame.to_csv(data, index=False) if where == "csv" else frame.to_parquet(data)
    dataset = open_dataset(data, any_kind=True, **options)
    assert dataset.form is not None
    assert dataset.form.kind == kind
    assert f"kind={kind}" in dataset.reference
    if kind == "multilabel":
        assert sorted(dataset.form.names) == sorted(_NAMES)
        order = [list(_NAMES).index(name) for name in dataset.form.names]
        np.testing.assert_array_equal(dataset.label_values, _TAGS[:, order])
        assert list(dataset.frame.columns) == ["a", "b"]  # type: ignore[attr-defined]
    else:
        np.testing.assert_allclose(dataset.label_values, frame["y"])
    assert ("kind" in options) or any(note.startswith(f"label kind: {kind}") for note in dataset.notes)
    if where != "frame":
        again = open_dataset(dataset.reference)
        assert again.fingerprint == dataset.fingerprint
        assert (again.given == dataset.given).all()


CLASSES = {
    "words": (["cat", "dog", "cow"] * 20, {}),
    "words with a semicolon in one": (["cat; tame", "dog", "cow"] * 20, {}),
    "codes": (list(np.arange(N) % 3), {}),
    "numbers, named classes": (list(np.arange(N) % 30 * 1.0), {"kind": "classes"}),
}


@pytest.mark.parametrize("case", CLASSES)
def test_classes_stay_classes(case: str) -> None:
    values, options = CLASSES[case]
    plain = open_dataset(pd.DataFrame({**_X, "label": values}), **options)
    looked = open_dataset(pd.DataFrame({**_X, "label": values}), any_kind=True, **options)
    assert looked.form is None
    assert (looked.class_names, looked.fingerprint, looked.notes) == (plain.class_names, plain.fingerprint, plain.notes)


@pytest.mark.parametrize("values", [list(range(N)), [f"2024-01-{1 + k % 28:02d}" for k in range(N)]])
def test_row_numbers_and_dates_are_no_numbers_to_predict(values: list[Any]) -> None:
    with pytest.raises(LabelError):
        open_dataset(pd.DataFrame({**_X, "label": values}), any_kind=True)


def test_rows_without_a_label_are_skipped_and_said() -> None:
    for values in ([1.5, None, 2.25], ["a;b", None, "b;c"]):
        encode = encode_numbers if isinstance(values[0], float) else encode_tags
        encoded = encode(values, None, "y")
        assert encoded.codes.tolist() == [0, -1, 1]
        assert "1 rows without a label" in " ".join(encoded.notes)


@pytest.mark.parametrize(
    ("encode", "values", "names", "said"),
    [
        (encode_numbers, [1.0, float("inf")], None, "inf' in row 1 is no finite number"),
        (encode_numbers, [1.0, "much"], None, "'much' in row 1"),
        (encode_numbers, [1.0, 2.0], ("a", "b"), "no class names"),
        (encode_numbers, [None, float("nan")], None, "no labels"),
        (encode_tags, ["a;b", 3], None, "3 in row 1 is no set of tags"),
        (encode_tags, [["a"], ["c"]], ("a", "b"), "tag 'c' in row 1"),
        (encode_tags, [["a"], ["a"]], None, "1 tag"),
        (encode_tags, [["a;b"], ["c"]], None, "'a;b' is no name of a tag"),
    ],
)
def test_what_is_no_label_is_refused_with_its_row(encode: Any, values: list[Any], names: Any, said: str) -> None:
    with pytest.raises((DataError, UsageError), match=said):
        encode(values, names, "y")


@pytest.mark.parametrize("data", [(np.array(list(_X.values())).T, _SETS), pd.DataFrame(_X)])
def test_lists_beside_the_data_are_sets_of_tags(data: Any) -> None:
    options = {} if isinstance(data, tuple) else {"label": _SETS}
    dataset = open_dataset(data, any_kind=True, **options)
    assert [text.split(";") if text != NO_TAGS else [] for text in dataset.given] == [sorted(tags) for tags in _SETS]
    with pytest.raises(LabelError, match=r"kind=multilabel|holds no class"):
        open_dataset(data, **options)


@pytest.mark.parametrize(
    ("values", "names", "order", "given"),
    [
        ([10, 2, 1, 2], None, ("1", "2", "10"), ["10", "2", "1", "2"]),
        ([4.5, 5.0, 3.0, 5.0], None, ("3", "4.5", "5"), ["4.5", "5", "3", "5"]),
        (["3.0", " 4", "4", "-1"], None, ("-1", "3", "4"), ["3", "4", "4", "-1"]),
        (["good", "poor", "good"], ("poor", "fair", "good"), ("poor", "fair", "good"), ["good", "poor", "good"]),
        ([2, 0, 1], ("poor", "fair", "good"), ("poor", "fair", "good"), ["good", "poor", "fair"]),
        ([3, 1, 3], ("1", "2", "3"), ("1", "2", "3"), ["3", "1", "3"]),
    ],
)
def test_ordered_classes_have_their_order(values: list[Any], names: Any, order: tuple[str, ...], given: Any) -> None:
    encoded = encode_levels([*values, None], names, "y")
    assert encoded.form == Levels(order)
    assert [encoded.names[code] for code in encoded.codes[:-1]] == given
    assert encoded.codes[-1] == -1
    with pytest.raises(LabelError, match="order of its classes is not known: 'poor' in row 1"):
        encode_levels(["3", "poor"], None, "y")
    with pytest.raises(LabelError, match="51 ordered classes, more than 50"):
        encode_levels(list(range(51)), None, "y")
    with pytest.raises(LabelError, match="'bad' in row 0"):
        encode_levels(["bad"], ("poor", "fair"), "y")


def test_numbers_may_be_as_large_as_any() -> None:
    frame = pd.DataFrame({**_X, "y": [1e300, *np.linspace(0, 1, N - 1)]})
    assert open_dataset(frame, any_kind=True, label="y").label_values[0] == 1e300
    assert encode_numbers([10**300, 1.5], None, "y").names == ("1.5", "1e+300")
    with pytest.raises(LabelError, match="no finite number"):
        encode_numbers([10**400, 1.5], None, "y")


def test_a_tag_column_of_other_values_is_refused_with_its_place() -> None:
    frame = pd.DataFrame({**_X, **_COLUMNS})
    frame.loc[4, "label:sun"] = 3
    with pytest.raises(LabelError, match=r"'label:sun'.*3 in row 4"):
        open_dataset(frame, label="label:*", kind="multilabel")
