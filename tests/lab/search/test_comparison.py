"""The comparison with the random control."""

from __future__ import annotations

import json
from typing import Any

import pytest

from auditor.lab.search.comparison import compare, pool
from auditor.stats.intervals import wilson


def _rows(
    search: list[int], control: list[int], n: int = 1000, keys: dict[str, list[str]] | None = None
) -> list[dict[str, Any]]:
    """Children by their right answers; every one another architecture, unless `keys` says otherwise."""
    return [
        {
            "arm": arm,
            "key": keys[arm][k] if keys else f"{arm} {k}",
            "accuracy": hits / n,
            "hits": hits,
            "n": n,
            "spent": 10.0 * (k + 1),
            "seconds": 1.0,
            "repeated": False,
        }
        for arm, found in (("search", search), ("control", control))
        for k, hits in enumerate(found)
    ]


BETTER, WORSE = [300, 310, 305, 400, 410, 405], [300, 290, 310, 305, 295, 300]


def test_verdicts_follow_the_interval() -> None:
    better = compare(_rows(BETTER, WORSE), 0)
    assert better["difference"]["value"] == pytest.approx(0.405 - 0.300)
    assert better["difference"]["low"] > 0
    assert better["verdict"].startswith("The search beats its random control")
    assert better["improvement"]["value"] == pytest.approx(0.405 - 0.305)
    assert "beats the earlier half" in better["progress"]
    worse = compare(_rows(WORSE, BETTER[3:]), 0)
    assert worse["verdict"].startswith("The search is worse than its random control")
    equal = compare(_rows(WORSE, WORSE), 0)
    assert equal["difference"]["low"] < 0 < equal["difference"]["high"]
    assert equal["verdict"].startswith("The search does not beat its random control")
    assert compare(_rows(BETTER, WORSE), 0) == better
    json.dumps(better)


def test_one_child_is_not_taken_for_certain() -> None:
    found = compare(_rows([35], [30], n=100), 0)
    assert found["improvement"] is None
    assert "cannot be seen" in found["progress"]
    low, high = found["difference"]["low"], found["difference"]["high"]
    # Two binomial shares of 100: standard deviation 0.066.
    assert high - low == pytest.approx(2 * 1.96 * (0.35 * 0.65 / 100 + 0.3 * 0.7 / 100) ** 0.5, rel=0.1)


def test_repeats_of_an_architecture_are_no_further_witnesses() -> None:
    """Forty children of four architectures say as much as four children, not as much as forty."""
    hits = [300, 340, 380, 420] * 10
    keys = [f"architecture {h}" for h in hits]
    few = pool([_rows(hits, hits, keys={"search": keys, "control": keys})], 0)["difference"]
    many = pool([_rows(hits, hits)], 0)["difference"]
    assert few["high"] - few["low"] > 2 * (many["high"] - many["low"])
    assert few["value"] == many["value"]
    once = {"search": ["a"] * 6, "control": ["b"] * 6}
    found = pool([_rows([400] * 6, [300] * 6, keys=once)], 0)["difference"]
    # One architecture each, however often: the spread is that of two binomial shares.
    wanted = 2 * 1.96 * (0.4 * 0.6 / 1000 + 0.3 * 0.7 / 1000) ** 0.5
    assert found["high"] - found["low"] == pytest.approx(wanted, rel=0.1)
    assert found["value"] == pytest.approx(0.1)


def test_curves_rise_and_carry_their_interval() -> None:
    curve = compare(_rows([300, 280, 350, 340], WORSE), 0)["search"]["curve"]
    assert [p["best"] for p in curve] == [0.3, 0.3, 0.35, 0.35]
    assert [p["accuracy"] for p in curve] == [0.3, 0.28, 0.35, 0.34]
    assert [p["spent"] for p in curve] == [10, 20, 30, 40]
    limits = wilson(350, 1000)
    assert (curve[-1]["low"], curve[-1]["high"]) == (limits.low, limits.high)


def test_seeds_are_pooled_with_equal_weight() -> None:
    searches = [_rows(BETTER, WORSE), _rows(WORSE, WORSE)]
    found = pool(searches, 0)
    single = [pool([rows], 0)["difference"]["value"] for rows in searches]
    assert found["difference"]["value"] == pytest.approx(sum(single) / 2)
    alone = pool(searches[:1], 0)["difference"]
    doubled = pool([searches[0]] * 2, 0)["difference"]
    assert doubled["high"] - doubled["low"] < 0.85 * (alone["high"] - alone["low"])
