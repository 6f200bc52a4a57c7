"""Slices: planted weak ones by property, cluster and part, and sets in which nothing is weaker than elsewhere."""

from __future__ import annotations

import numpy as np
import pandas as pd

from auditor.quality import slices
from auditor.quality.base import Outcome
from auditor.quality.open_subject import neighbours_of
from auditor.quality.registry import run_checks
from auditor.quality.slices import candidates
from auditor.quality.subject import Subject
from tests.contract.planted_quality import predicted, rows, texts

N = 600
LABELS = np.random.default_rng(0).integers(0, 2, N)


def frame(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    site = pd.Categorical(rng.choice(["north", "south", "east", "west"], N))
    return pd.DataFrame({"age": rng.uniform(18, 90, N), "dose": rng.choice([1.0, 2.0, 4.0], N), "site": site})


def some(rate: np.ndarray | float, seed: int = 1) -> list[int]:
    return np.flatnonzero(np.random.default_rng(seed).random(N) < rate).tolist()


def asked(subject: Subject) -> Outcome:
    (outcome,) = run_checks(subject, ["weak_slices"])
    return outcome


def named(outcome: Outcome) -> list[tuple[str, str]]:
    assert outcome.findings is not None
    return [(row["what"], row["slice"]) for row in outcome.findings.facts["slices"]]


def test_a_site_where_the_model_is_worse() -> None:
    data = frame()
    south = (data["site"] == "south").to_numpy()
    wrong = some(np.where(south, 0.4, 0.05))
    outcome = asked(predicted(rows(data, LABELS), wrong))
    assert named(outcome) == [("model", "site 'south'")]
    assert outcome.findings is not None
    (row,), (group,) = outcome.findings.facts["slices"], outcome.findings.groups
    assert set(group.members.tolist()) == set(np.flatnonzero(south).tolist())
    assert set(outcome.findings.items.tolist()) == set(np.flatnonzero(south).tolist()) & set(wrong)
    assert row["n"] == south.sum()
    assert row["interval"][0] < row["rate"] < row["interval"][1]
    assert abs(row["elsewhere"] - 0.05) < 0.03
    assert outcome.findings.notes is not None
    assert set(outcome.findings.notes) == {"site 'south'"}


def test_old_patients_whose_labels_are_suspected() -> None:
    data = frame()
    old = (data["age"] > 78).to_numpy()
    outcome = asked(predicted(rows(data, LABELS), some(0.05), some(np.where(old, 0.35, 0.03), 2)))
    assert {what for what, _ in named(outcome)} == {"labels"}
    assert named(outcome)[0][1].startswith("age from 7")


def test_what_is_suspected_is_not_held_against_the_model() -> None:
    """The model disagrees with wrong labels, as it should."""
    data = frame()
    suspected = some(np.where(data["site"] == "south", 0.4, 0.02))
    outcome = asked(predicted(rows(data, LABELS), suspected, suspected))
    assert named(outcome) == [("labels", "site 'south'")]


def test_a_cluster_of_embeddings() -> None:
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, N)
    points = rng.normal(size=(N, 5)) * 0.3 + np.eye(5)[kind] * 3
    subject = predicted(rows(frame(), LABELS), some(np.where(kind == 1, 0.4, 0.04)))
    subject.neighbours = neighbours_of("given", points.astype(np.float32), np.arange(N), N)
    ((what, words),) = named(asked(subject))
    assert what == "model"
    assert words.startswith("cluster ")


def test_long_texts() -> None:
    rng = np.random.default_rng(0)
    words = ["river", "mountain", "window", "garden", "letter", "summer"]
    sizes = rng.integers(3, 40, N)
    subject = texts([" ".join(rng.choice(words, size)) for size in sizes], LABELS.tolist())
    outcome = asked(predicted(subject, some(np.where(sizes > 32, 0.5, 0.05))))
    assert named(outcome)[0][1].split(" ")[0] in ("characters", "words")


def test_a_hard_class_is_no_slice() -> None:
    data = frame()
    data["site"] = pd.Categorical(np.where(LABELS == 1, "south", "north"))
    assert named(asked(predicted(rows(data, LABELS), some(np.where(LABELS == 1, 0.4, 0.02))))) == []


def test_shuffled_sets_name_slices_at_the_stated_rate(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(slices, "DRAWS", 99)
    data = frame()
    alarms = sum(
        bool(named(asked(predicted(rows(data, LABELS), some(0.15, seed), some(0.05, 500 + seed)))))
        for seed in range(60)
    )
    assert alarms <= 10  # of 60 at 5 %: more with a chance below 0.1 %


def test_a_slice_is_named_once() -> None:
    data = frame().assign(again=lambda d: pd.Categorical(np.where(d["site"] == "south", "yes", "no")))
    south = (data["site"] == "south").to_numpy()
    assert len(named(asked(predicted(rows(data, LABELS), some(np.where(south, 0.4, 0.05)))))) == 1


def test_candidates_are_neither_tiny_nor_everything() -> None:
    data = frame()
    data["rare"] = pd.Categorical(["a"] * 5 + ["b"] * (N - 5))
    data.loc[:99, "age"] = np.nan
    subject = predicted(rows(data, LABELS), [])
    found = {one.words: len(one.members) for one in candidates(subject, np.arange(N))}
    assert not {"rare 'a'", "rare 'b'", "part all"} & set(found)
    assert found["age missing"] == 100
    assert {"dose 1", "dose 2", "dose 4", "site 'east'"} <= set(found)
    assert all(slices.FEWEST <= size <= N - slices.FEWEST for size in found.values())


def test_nothing_or_everything_wrong_divides_nothing() -> None:
    for wrong in ([], list(range(N))):
        assert asked(predicted(rows(frame(), LABELS), wrong)).status == "passed"
