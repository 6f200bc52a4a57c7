"""What a notebook shows of data-quality checks: findings with their items, as text that stays text."""

from __future__ import annotations

import re

import numpy as np
import pytest

from auditor.quality.run import check_quality
from auditor.report.views import CHECKS, EACH

EVIL = "<script>alert(1)</script>\x1b[2J"


def test_pictures_of_what_was_found() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (30, 20, 20, 3), dtype=np.uint8)
    pixels[10:14] = pixels[0]
    labels = np.array([EVIL, "b"])[np.arange(30) % 2]
    found = check_quality((pixels, labels), progress=False)
    html = found._repr_html_()
    assert "exact_duplicates" in html
    assert EACH <= html.count("data:image/png;base64,") <= EACH * CHECKS
    assert "<script" not in html
    assert not re.search(r'(src|href)="(?!data:image/png;)', html)
    lines = repr(found).split("\n")
    assert lines[0].startswith("Quality of ndarray: 30 items examined, ")
    assert 2 <= len(lines) <= 6


@pytest.mark.parametrize("against", [False, True])
def test_texts_of_what_was_found(against: bool) -> None:
    texts = [f"{EVIL} text number {k} " + "word " * 100 for k in range(20)]
    texts[5] = texts[4]
    data = (texts, np.arange(20) % 2)
    found = check_quality(data, against=(texts[:7], np.arange(7) % 2) if against else None, progress=False)
    html = found._repr_html_()
    assert "<script" not in html
    assert "\x1b" not in html + repr(found)
    assert 'title="&lt;script&gt;alert(1)&lt;/script&gt;\\x1b[2J text number 4' in html
    assert len(html) < 60_000
