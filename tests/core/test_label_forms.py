from __future__ import annotations

import numpy as np
import pytest

from auditor.core.errors import DataError
from auditor.core.label_forms import (
    FORMS,
    NO_TAGS,
    LabelForm,
    Levels,
    Numbers,
    TagSets,
    TokenTags,
    form_document,
    form_of,
    refuse_unlike,
)

LEVELS = Levels(("poor", "fair", "good"))
ROWS = TokenTags(("O", "PER", "LOC"))
STARS = Levels(("1", "2", "10"))
TAGS = TagSets(("sea", "sun", "city"))


@pytest.mark.parametrize(
    ("written", "canonical"),
    [("sun;sea", "sea;sun"), (" city ; city;", "city"), (NO_TAGS, NO_TAGS), ("", NO_TAGS), ("sea;sun;city",) * 2],
)
def test_a_set_of_tags_has_one_text(written: str, canonical: str) -> None:
    assert TAGS.canonical(written) == canonical
    assert TAGS.canonical(canonical) == canonical
    assert TAGS.write(TAGS.values([written])[0]) == canonical


@pytest.mark.parametrize(
    ("written", "canonical"),
    [("1.50", "1.5"), ("-0.0", "0"), ("1e3", "1000"), ("0.1", "0.1"), (" 7 ", "7"), ("1e300", "1e+300"), (".3", "0.3")],
)
def test_a_number_has_one_text(written: str, canonical: str) -> None:
    assert Numbers().canonical(written) == canonical
    assert Numbers().values([canonical])[0] == float(written)


def test_every_number_survives() -> None:
    rng = np.random.default_rng(0)
    numbers = np.concatenate([rng.normal(0, 1, 300), 10.0 ** rng.integers(-300, 300, 300), rng.integers(-9, 9, 99)])
    form = Numbers()
    texts = [form.write(number) for number in numbers]
    np.testing.assert_array_equal(form.values(texts), numbers)
    assert [form.canonical(text) for text in texts] == texts
    assert form.order(["10", "9", "-3"]) == ["-3", "9", "10"]


def test_an_ordered_class_has_its_place() -> None:
    assert LEVELS.values(["poor", "good", " fair "]).tolist() == [[False, False], [True, True], [True, False]]
    assert [LEVELS.write(row) for row in LEVELS.values(LEVELS.names)] == list(LEVELS.names)
    assert LEVELS.order(["good", "poor", "fair"]) == ["poor", "fair", "good"]
    assert STARS.canonical("2.0") == "2"
    assert STARS.order(["10", "2", "1"]) == ["1", "2", "10"]
    assert STARS.values([]).shape == (0, 2)


def test_a_row_of_tags_has_one_text_and_one_length() -> None:
    assert ROWS.canonical(" PER  O\tLOC ") == "PER O LOC"
    values = ROWS.values(["PER O", "LOC"])
    assert [row.tolist() for row in values] == [[1, 0], [2]]
    assert [ROWS.write(row) for row in values] == ["PER O", "LOC"]
    assert len(ROWS.values([])) == 0
    assert [row.tolist() for row in ROWS.values(["PER O", "LOC O"])] == [[1, 0], [2, 0]]
    refuse_unlike(ROWS, "PER O", "O O")
    refuse_unlike(TAGS, "sea", "sea;sun")
    with pytest.raises(ValueError, match="1 tags for 2 tokens"):
        refuse_unlike(ROWS, "PER", "O O")


@pytest.mark.parametrize(
    ("form", "text", "said"),
    [
        (TAGS, "sea;moon", "unknown tag 'moon'"),
        (ROWS, "O X", "unknown tag 'X'"),
        (ROWS, " ", "no tags"),
        (LEVELS, "superb", "unknown class 'superb'"),
        (STARS, "3", "unknown class '3'"),
        (Numbers(), "much", "no number"),
        (Numbers(), "nan", "no finite number"),
    ],
)
def test_what_is_no_label_is_refused(form: LabelForm, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        form.canonical(text)


def test_forms_are_made_again_from_what_a_run_says() -> None:
    for form in (TAGS, LEVELS, ROWS, Numbers()):
        assert form_of(form_document(form)) == form
        assert form.kind in FORMS
    assert form_of(None) is None
    for damaged in ({"kind": "colours", "names": []}, {"kind": ["multilabel"]}, {"kind": "multilabel", "names": [3]}):
        with pytest.raises(DataError, match="not known here"):
            form_of(damaged)
