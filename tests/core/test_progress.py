"""Bars of other libraries stay out of our output, and are back afterwards."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import pytest

from auditor.core.progress import no_foreign_bars


def _bar(**options: object) -> str:
    from tqdm.auto import tqdm

    stream = io.StringIO()
    for _ in tqdm(range(3), file=stream, **options):
        pass
    return stream.getvalue()


@pytest.mark.parametrize("options", [{}, {"disable": False}, {"desc": "Loading weights"}], ids=str)
def test_bars_are_silent_inside_only(options: dict[str, object]) -> None:
    assert _bar(**options)
    with no_foreign_bars():
        assert _bar(**options) == ""
        with no_foreign_bars():
            assert _bar(**options) == ""
        assert _bar(**options) == ""
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(lambda _: _bar(**options), range(4))) == [""] * 4
    assert _bar(**options)


def test_bars_are_back_after_an_error() -> None:
    with pytest.raises(ValueError, match="x"), no_foreign_bars():
        raise ValueError("x")
    assert _bar()


@pytest.mark.parametrize("library", ["datasets.utils.tqdm", "huggingface_hub.utils.tqdm", "transformers.utils.logging"])
def test_the_bars_of_the_libraries_are_of_this_kind(library: str) -> None:
    make = pytest.importorskip(library).tqdm
    stream = io.StringIO()
    with no_foreign_bars():
        for _ in make(range(3), file=stream):
            pass
    assert stream.getvalue() == ""
