"""The same probabilities get the same answer at every door: `find-errors`, `flag`, `LabelErrorDetector`, `show`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin

from auditor.api import LabelErrorDetector
from auditor.audit.detector_scores import score_table
from auditor.audit.findings import make_findings
from auditor.audit.flagging import Inputs, flag_inputs
from auditor.core.errors import AuditorError
from auditor.data.intake import open_probabilities
from auditor.detect.base import Evidence
from auditor.detect.findings import find
from auditor.detect.registry import DETECTORS
from auditor.engine.rules import RULES
from auditor.engine.sources import ArraySource

#: Rules that need probabilities alone. `verdict` needs more than the doors give here.
RULES_OF_PROBABILITIES = (
    "default",
    *RULES,
    *(name for name in DETECTORS if DETECTORS.load(name).needs == ("probabilities",)),
)


@dataclass(frozen=True)
class Answer:
    """What one door says, by row."""

    score: np.ndarray
    flagged: np.ndarray
    order: np.ndarray
    suggested: np.ndarray


class Echo(ClassifierMixin, BaseEstimator):
    """Predicts its features: they are the probabilities."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> Echo:
        self.classes_ = np.arange(X.shape[1])
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return X.argmax(axis=1)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return X


def by_find_errors(p: np.ndarray, labels: np.ndarray, rule: str) -> Answer:
    dataset = open_probabilities(p, labels)
    evidence = Evidence(dataset.ids, dataset.labels, p.shape[1], dataset.class_names, (p,))
    table = make_findings(dataset, np.arange(len(p)), evidence, rule)
    rows = table.scores["row"].to_numpy()
    column = lambda name: table.scores.set_index("row")[name].reindex(range(len(p))).to_numpy()  # noqa: E731
    assert table.findings["id"].tolist() == [str(r) for r, f in zip(rows, table.scores["flagged"], strict=True) if f]
    return Answer(column("score"), column("flagged"), rows, column("suggested").astype(np.int64))


def by_flag(p: np.ndarray, labels: np.ndarray, rule: str, rows: int | None = None) -> Answer:
    made = flag_inputs(Inputs((ArraySource(p),), labels), rule=rule, chunk_rows=rows)
    found = made.findings
    np.testing.assert_array_equal(made.flagged, found.flagged_in_order)
    np.testing.assert_array_equal(made.suggested, found.suggested()[made.flagged])
    return Answer(found.score, found.flagged, found.order, found.suggested())


def by_class(p: np.ndarray, labels: np.ndarray, rule: str) -> Answer:
    found = LabelErrorDetector(Echo(), method=rule, cv=2).fit(p, labels)
    return Answer(found.scores_, found.flagged_, found.ranked(), found.suggested_)


def assert_same(one: Answer, other: Answer) -> None:
    for name in vars(one):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Few classes or many, ties, certain rows, classes without items, single and double precision."""
    n_classes = draw(st.sampled_from([2, 3, 5]))
    n = draw(st.integers(12, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    grain = draw(st.sampled_from([2, 4, 1000]))  # coarse grains make ties
    weights = rng.integers(0, grain + 1, size=(n, n_classes)).astype(np.float64)
    weights[weights.sum(axis=1) == 0] = 1
    p = (weights / weights.sum(axis=1, keepdims=True)).astype(draw(st.sampled_from([np.float32, np.float64])))
    used = n_classes - 1 if n_classes > 2 and draw(st.booleans()) else n_classes
    labels = np.where(rng.random(n) < 0.7, np.minimum(p.argmax(axis=1), used - 1), rng.integers(used, size=n))
    labels[:2] = [0, 1]
    return p, labels.astype(np.int64)


@pytest.mark.parametrize("rule", RULES_OF_PROBABILITIES)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problem=problems())
def test_every_door_gives_one_answer(rule: str, problem: tuple[np.ndarray, np.ndarray]) -> None:
    p, labels = problem
    answer = by_find_errors(p, labels, rule)
    assert (answer.suggested != labels).all()
    assert (np.diff(answer.score[answer.order]) <= 0).all()
    assert_same(answer, by_flag(p, labels, rule))
    assert_same(answer, by_flag(p, labels, rule, rows=5))
    if np.bincount(labels, minlength=p.shape[1]).min() > 1:  # the class knows of no class without items
        assert_same(answer, by_class(p, labels, rule))


@settings(max_examples=8, deadline=None)
@given(problem=problems())
def test_the_table_of_all_detectors_gives_the_same_answers(problem: tuple[np.ndarray, np.ndarray]) -> None:
    p, labels = problem
    evidence = Evidence(np.arange(len(p)), labels, p.shape[1], probabilities=(p,))
    table, info = score_table(evidence)
    assert set(DETECTORS) == set(info["not_applicable"]) | {c[6:] for c in table if c.startswith("score_")}
    for name in set(DETECTORS) - set(info["not_applicable"]):
        found = find(evidence, name)
        np.testing.assert_array_equal(table[f"score_{name}"], found.score)
        np.testing.assert_array_equal(np.argsort(table[f"rank_{name}"]), found.order)
        np.testing.assert_array_equal(table[f"suggested_{name}"], found.suggested())
        if found.flag_rule is not None:
            np.testing.assert_array_equal(table[f"flagged_{name}"], found.flagged)


@settings(max_examples=12, deadline=None)
@given(problem=problems(), rows=st.integers(1, 50))
def test_large_data_get_one_answer_too(problem: tuple[np.ndarray, np.ndarray], rows: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("auditor.detect.findings.IN_MEMORY_VALUES", 0)
        p, labels = problem
        answer = by_find_errors(p, labels, "default")
        assert_same(answer, by_flag(p, labels, "default", rows))
        if np.bincount(labels, minlength=p.shape[1]).min() > 1:
            assert_same(answer, by_class(p, labels, "default"))


@settings(max_examples=12, deadline=None)
@given(problem=problems(), other=problems(), rule=st.sampled_from(["default", *RULES]))
def test_several_files_in_pieces_are_the_evidence_of_several_networks(
    problem: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray], rule: str
) -> None:
    (p, labels), second = problem, other[0]
    second = np.resize(second, p.shape).astype(np.float64) + 0.1
    second = second / second.sum(axis=1, keepdims=True)
    try:
        whole = find(Evidence(np.arange(len(p)), labels, p.shape[1], probabilities=(p, second)), rule)
    except AuditorError as error:  # the mixture is refused by both or by none
        with pytest.raises(type(error)):
            flag_inputs(Inputs((ArraySource(p), ArraySource(second)), labels), rule=rule)
        return
    made = flag_inputs(Inputs((ArraySource(p), ArraySource(second)), labels), rule=rule, chunk_rows=3)
    np.testing.assert_array_equal(made.findings.score, whole.score)
    np.testing.assert_array_equal(made.flagged, whole.flagged_in_order)
    np.testing.assert_array_equal(made.suggested, whole.suggested(made.flagged))
