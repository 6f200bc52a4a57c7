"""Counting rules against the published counts; every rule against cases worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from auditor.core.errors import ConfigError, ProbabilityError
from auditor.review.consensus import (
    INCOMPLETE,
    NO_AGREEMENT,
    ItemConsensus,
    count_errors,
    crowdlab_consensus,
    dawid_skene_consensus,
    k_of_n,
    majority,
)
from auditor.review.vocabulary import canonical, outcome
from auditor.review.votes import VoteTable, votes_from

CLASSES = ("cat", "dog", "ship", "frog")


def table(*items: list[str], streams: dict[tuple[int, int], str] | None = None) -> VoteTable:
    """Votes per item; reviewer names by position. Given cat, suggested dog."""
    rows = [(i, f"r{a}", v) for i, votes in enumerate(items) for a, v in enumerate(votes)]
    return votes_from(
        (i, a, v, (streams or {}).get((i, int(a[1:])), "ranked"), None, 0.0, f"id{i}", "cat", "dog") for i, a, v in rows
    )


def _published(data_dir: Path) -> VoteTable:
    verdicts = json.loads((data_dir / "label_errors" / "cifar10" / "mturk.json").read_text())
    word = {"given": "given", "guessed": "suggested", "neither": "neither", "both": "both"}
    rows = []
    for item in verdicts:
        votes = [word[key] for key, n in item["mturk"].items() for _ in range(n)]
        for a, vote in enumerate(votes):
            rows.append(
                (
                    item["id"],
                    f"crowd-{a}",
                    vote,
                    str(item["id"]),
                    item["given_original_label_name"],
                    item["our_guessed_label_name"],
                )
            )
    return votes_from((p, who, vote, "import", None, 0.0, *about) for p, who, vote, *about in rows)


@pytest.mark.parametrize(
    ("k", "right", "no_agreement", "suggested", "both", "neither"),
    [(3, 221, 32, 18, 0, 4), (4, 167, 98, 7, 0, 3), (5, 82, 190, 3, 0, 0)],
)
def test_published_cifar10_counts(
    data_dir: Path, k: int, right: int, no_agreement: int, suggested: int, both: int, neither: int
) -> None:
    found = k_of_n(_published(data_dir), k)
    counts = count_errors(found)
    kinds = [c.verdict for c in found]
    assert (counts.checked, counts.right, counts.strict) == (275, right, 275 - right)
    assert [kinds.count(v) for v in (NO_AGREEMENT, "suggested", "both", "neither")] == [
        no_agreement,
        suggested,
        both,
        neither,
    ]
    assert counts.lenient == suggested + neither
    assert counts.ambiguous == no_agreement + both
    assert (counts.bad_item, counts.incomplete) == (0, 0)
    assert all(c.n == 5 == sum(c.votes.values()) for c in found)


def test_k_of_n_by_hand() -> None:
    votes = table(
        ["given"] * 3 + ["suggested"] * 2,
        ["suggested"] * 3 + ["given"] * 2,
        ["other:frog"] * 3,
        ["both"] * 3 + ["given"],
        ["given", "given", "suggested", "suggested", "neither"],
        ["given", "suggested"],
        ["bad_item"] * 4,
        ["unsure"] * 3 + ["given"] * 2,
        ["given"] * 5 + ["suggested"] * 5,  # doubled votes: given first
        ["other:frog", "other:ship", "other:frog", "other:ship", "other:frog"],
    )
    found = k_of_n(votes, 3, 5)
    assert [c.verdict for c in found] == [
        "given",
        "suggested",
        "other:frog",
        "both",
        NO_AGREEMENT,
        INCOMPLETE,
        "bad_item",
        "unsure",
        "given",
        "other:frog",
    ]
    assert [c.label for c in found] == ["cat", "dog", "frog", "dog", None, None, None, None, "cat", "frog"]
    assert found[0] == ItemConsensus("id0", "given", "cat", {"given": 3, "suggested": 2}, 5, found[0].posterior)
    counts = count_errors(found)
    assert (counts.right, counts.wrong, counts.ambiguous, counts.bad_item, counts.incomplete) == (2, 3, 3, 1, 1)
    assert (counts.strict, counts.lenient) == (6, 3)


@pytest.mark.parametrize(("k", "n"), [(0, 5), (6, 5), (-1, 1)])
def test_impossible_rules(k: int, n: int) -> None:
    with pytest.raises(ConfigError):
        k_of_n(table(["given"]), k, n)


def test_majority_and_ties() -> None:
    found = majority(table(["given"], ["given", "suggested"], ["suggested", "suggested", "given"]))
    assert [c.verdict for c in found] == ["given", NO_AGREEMENT, "suggested"]
    assert all(c.posterior is None for c in found)  # too few votes to say how sure


def test_posteriors_come_with_enough_votes() -> None:
    found = majority(table(*[["given"] * 4 + ["suggested"]] * 8, *[["suggested"] * 5] * 8))
    assert all(c.posterior is not None and 0.5 < c.posterior <= 1 for c in found)


def test_dawid_skene_trusts_the_reliable() -> None:
    # r0 and r1 always agree; r2 says "given" whatever comes.
    rows = [["given", "given", "given"]] * 20 + [["suggested", "suggested", "given"]] * 20 + [["neither"] * 2] * 3
    found = dawid_skene_consensus(table(*rows))
    assert [c.verdict for c in found] == ["given"] * 20 + ["suggested"] * 20 + ["neither"] * 3
    assert all(c.posterior is not None and c.posterior > 0.9 for c in found)


def test_dawid_skene_tells_other_classes_apart() -> None:
    rows = [["other:frog", "other:frog", "other:ship"]] * 4 + [["other:frog", "other:ship"]] + [["given"] * 3] * 4
    found = dawid_skene_consensus(table(*rows))
    assert [c.verdict for c in found] == ["other:frog"] * 4 + [NO_AGREEMENT] + ["given"] * 4
    assert found[0].label == "frog"
    assert found[0].posterior == pytest.approx(2 / 3, abs=0.02)
    assert found[4].posterior is None


def test_crowdlab_listens_to_the_model_where_people_are_few() -> None:
    agree = [["given", "given"]] * 10 + [["suggested", "suggested"]] * 10
    p = np.array([[0.9, 0.05, 0.03, 0.02]] * 10 + [[0.05, 0.9, 0.03, 0.02]] * 10 + [[0.01, 0.97, 0.01, 0.01]] * 2)
    found = crowdlab_consensus(table(*agree, ["given"], ["suggested"]), p, CLASSES)
    assert [c.verdict for c in found[:20]] == ["given"] * 10 + ["suggested"] * 10
    assert found[21].verdict == "suggested"
    assert found[20].posterior is not None
    assert found[21].posterior is not None
    assert found[20].posterior < found[21].posterior


def test_crowdlab_keeps_verdicts_that_name_no_class() -> None:
    rows = [["neither", "neither", "given"], ["both", "given"], ["bad_item"], ["given", "given"], ["other:frog"] * 2]
    p = np.full((5, 4), 0.25)
    found = crowdlab_consensus(table(*rows), p, CLASSES)
    assert [c.verdict for c in found] == ["neither", "given", "bad_item", "given", "other:frog"]
    assert [c.label for c in found] == [None, "cat", None, "cat", "frog"]
    assert found[0].posterior is None
    with pytest.raises(ProbabilityError):
        crowdlab_consensus(table(*rows), p[:3], CLASSES)


@pytest.mark.parametrize("rule", ["k_of_n", "majority", "dawid_skene", "crowdlab"])
def test_an_adjudicator_has_the_last_word(rule: str) -> None:
    votes = table(["given", "given", "suggested"], ["given"], streams={(0, 2): "adjudication"})
    rules = {
        "k_of_n": lambda t: k_of_n(t, 1, 1),
        "majority": majority,
        "dawid_skene": dawid_skene_consensus,
        "crowdlab": lambda t: crowdlab_consensus(t, np.full((2, 4), 0.25), CLASSES),
    }
    found = rules[rule](votes)
    assert (found[0].verdict, found[0].label, found[0].posterior) == ("suggested", "dog", None)
    assert found[0].votes == {"given": 2, "suggested": 1}
    assert found[1].verdict == "given"


@pytest.mark.parametrize("rule", [k_of_n, majority, dawid_skene_consensus])
def test_no_votes_no_consensus(rule: object) -> None:
    assert rule(table()) == []  # type: ignore[operator]
    assert crowdlab_consensus(table(), np.empty((0, 4)), CLASSES) == []


def test_vocabulary() -> None:
    assert canonical("other:cat", "cat", "dog", CLASSES) == "given"
    assert canonical("other:dog", "cat", "dog", CLASSES) == "suggested"
    assert canonical("other:frog", "cat", "dog", CLASSES) == "other:frog"
    for wrong in ("other:fish", "other:", "", "GIVEN", "no_agreement"):
        with pytest.raises(ValueError):
            canonical(wrong, "cat", "dog", CLASSES)
    outcomes = [outcome(v) for v in ("given", "suggested", "other:x", "neither", "both", "unsure", "bad_item")]
    assert outcomes == ["right", "wrong", "wrong", "wrong", "ambiguous", "ambiguous", "bad_item"]
