"""Tables of Markdown, and the numbers in them."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from auditor.core.escaping import markdown_text
from auditor.report.markdown import interval, number, percent, table
from auditor.report.rendering import _FILTERS


def test_columns_of_numbers_stand_to_the_right() -> None:
    rows = [("a", "1,000 [0.1, 0.2]", "-", "+0.5", 3, "x1"), ("2b", "**7**", None, "", 4.5, "-")]
    assert table(list("abcdef"), rows) == [
        "| a | b | c | d | e | f |",
        "|---|---:|---|---:|---:|---|",
        "| a | 1,000 [0.1, 0.2] | - | +0.5 | 3 | x1 |",
        "| 2b | **7** | - |  | 4.5 | - |",
    ]


@pytest.mark.parametrize("name", ["a|b", "a\\|b", "two\nlines", "`code | here`", "|||"])
def test_a_cell_cannot_end_itself(name: str) -> None:
    html = MarkdownIt("commonmark").enable("table").render("\n".join(table(["name", "n"], [(name, 1)])))
    assert html.count("<td") == 2
    assert html.count("<tr>") == 2


@pytest.mark.parametrize("name", ["a|b", "a\\|b", "two\nlines", "a\rb", "a\u2028b", "`code | here`", "|||"])
def test_a_table_of_a_template_is_the_same(name: str) -> None:
    text = f"name | n | \n{markdown_text(name)} | 1 |\n"
    assert _FILTERS["table"](text) == "\n".join(table(["name", "n", ""], [(markdown_text(name), 1, "")])) + "\n"


def test_a_table_without_rows_and_one_with_a_cell_too_many() -> None:
    assert table(["a", "b"], []) == ["| a | b |", "|---|---|"]
    for rows in ([(1,)], [(1, 2, 3)], [(1, 2), (1,)]):
        with pytest.raises(ValueError):
            table(["a", "b"], rows)


def test_numbers_and_intervals() -> None:
    assert number(1234.4) == "1,234"
    assert number(None) == number(float("nan")) == percent(None) == interval(None, (0, 1)) == "-"
    assert percent(0.12345) == "12.35"
    assert percent(-0.01, "+.1f") == "-1.0"
    assert interval(0.5, (0.25, 0.75)) == "50.00 [25.00, 75.00]"
    assert interval(0.5, (None, None)) == interval(0.5, None) == "50.00"
    assert interval(0.5, (0.25, 0.75), ".3f", 1) == "0.500 [0.250, 0.750]"
