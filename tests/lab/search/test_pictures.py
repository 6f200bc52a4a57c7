"""Every kind of genotype has a picture that shows all of it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from auditor.core.errors import UsageError
from auditor.lab.search.pictures import architecture_svg
from auditor.models.eas import PAPER_PLAIN, SMALL_DENSE
from auditor.models.genotype import Genotype, MbStage, MobileGenotype
from auditor.models.nasnet import NASNET_A
from auditor.models.proxyless_published import CIFAR

MOBILE = MobileGenotype(stages=(MbStage(width=24, stride=2, blocks=("e3k5", "zero", "e6k7")),))


def _texts(genotype: Genotype) -> list[str]:
    root = ET.fromstring(architecture_svg(genotype, "a < b"))
    texts = [node.text or "" for node in root.iter() if node.tag.endswith("text")]
    assert texts[0].startswith("a < b")
    return texts


def test_all_of_an_architecture_is_drawn() -> None:
    cells = _texts(NASNET_A)
    assert sum(t in ("sep3x3", "sep5x5", "sep7x7") for t in cells) == 5 + 5
    assert cells.count("identity") == 3
    assert cells.count("add") == 10
    tree = _texts(CIFAR)
    assert sum(t in "i357dam" for t in tree if len(t) == 1) >= 54 * 12
    assert [t for t in _texts(MOBILE) if "expands" in t or t == "left out"] == ["expands x3", "left out", "expands x6"]
    plain = _texts(PAPER_PLAIN)
    assert [t for t in plain if t.isdigit()] == ["16", "32", "64", "128", "256"]
    assert [t for t in _texts(SMALL_DENSE) if t.isdigit()] == ["8", "4", "6", "4", "5", "4"]


def test_what_has_no_picture_is_refused() -> None:
    with pytest.raises(UsageError, match="no picture"):
        architecture_svg(Genotype(), "x")
