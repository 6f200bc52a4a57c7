"""Networks of equal cost by rejection, and groups beside the search."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.core.seeds import generator
from auditor.lab.search.groups import TOLERANCE, TRIES, compare_groups, draw_equal, sentence
from auditor.models.genotype import PlainGenotype, PlainLayer


def plain(width: int) -> PlainGenotype:
    layers = (PlainLayer(kind="conv", width=width, kernel=3), PlainLayer(kind="pool"), PlainLayer(kind="mean"))
    return PlainGenotype(layers=layers)


def width(genotype: PlainGenotype) -> float:
    return float(genotype.layers[0].width or 0)


def test_networks_of_a_cost_are_different_and_all_others_are_rejected() -> None:
    random = generator(0, "draws")
    drawn = draw_equal(lambda: plain(int(random.integers(2, 400))), width, 100.0, 4)
    assert len({g.key() for g in drawn.networks}) == 4
    assert all(abs(cost / 100 - 1) <= TOLERANCE for cost in drawn.costs)
    assert list(drawn.costs) == [width(g) for g in drawn.networks]
    assert drawn.draws > 4
    # Where hardly any has the cost there are fewer, and it ends.
    few = draw_equal(lambda: plain(int(random.integers(2, 5))), width, 3.0, 4)
    assert [width(g) for g in few.networks] == [3.0]
    assert few.draws == 4 * TRIES


def test_several_networks_decide_and_not_one() -> None:
    lucky = {"search": [[0.9, 0.9], [0.5, 0.5], [0.5, 0.5]], "control": [[0.6, 0.6], [0.6, 0.6], [0.62, 0.62]]}
    less = compare_groups([lucky])["control"]
    assert less["difference"] == pytest.approx(np.mean([0.9, 0.5, 0.5]) - np.mean([0.6, 0.6, 0.62]))
    assert less["interval"][0] < 0 < less["interval"][1]
    assert "not distinguishable from the best random networks (3)" in sentence("control", less)
    sure = {"search": [[0.80], [0.81], [0.79]], "control": [[0.70], [0.71], [0.69]]}
    less = compare_groups([sure, sure])["control"]
    assert less["networks"] == [6, 6]
    assert less["by_search"] == pytest.approx([0.1, 0.1])
    assert less["interval"][0] > 0
    assert "better than" in sentence("control", less)
    worse = {name: sure[other] for name, other in (("search", "control"), ("control", "search"))}
    assert "worse than" in sentence("control", compare_groups([worse])["control"])


def test_a_network_that_stands_alone_varies_with_its_seeds() -> None:
    alone = {"search": [[0.80, 0.82, 0.78]], "equal": [[0.7, 0.7], [0.72, 0.72]], "published": [[0.75, 0.76]]}
    found = compare_groups([alone])
    assert list(found) == ["equal", "published"]
    assert found["equal"]["difference"] == pytest.approx(0.09)
    low, high = found["equal"]["interval"]
    assert low < 0.09 < high
    # The published network is one, beside however many searches.
    twice = compare_groups([alone, alone])["published"]
    assert twice["networks"] == [2, 1]
    # A search that found no random network of its cost says nothing of that group.
    assert list(compare_groups([{**alone, "equal": []}])) == ["published"]
