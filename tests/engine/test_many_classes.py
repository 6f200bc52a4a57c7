"""Memory and time follow the items: nothing has a cell for every pair of classes."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from auditor.audit.find_errors import find_errors
from auditor.audit.why import inspect_item
from auditor.core.errors import ClassOrderError, MemoryGuardError
from auditor.data.class_order import check_class_order
from auditor.detect.base import Detection, Evidence, Verdicts
from auditor.detect.findings import find
from auditor.detect.registry import run_detector
from auditor.engine import api, joint, scan
from auditor.report.find_errors import render_markdown

#: An array of a byte for each pair would take 400 MB.
CLASSES, ITEMS = 20_000, 120


def _problem(n: int = ITEMS) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    p = np.full((n, CLASSES), 1e-5, np.float32)
    truth = random.integers(0, CLASSES, n // 4).repeat(4)
    given = np.where(random.random(n) < 0.3, np.roll(truth, 4), truth)
    p[np.arange(n), truth] += np.float32(0.8)
    return p, given


def _peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("rule", ["default", *api.RULES])
def test_class_pairs_follow_the_items(rule: str) -> None:
    p, given = _problem()
    find(Evidence(np.arange(ITEMS), given, CLASSES, probabilities=(p,)), rule)  # compiles
    findings = []
    peak = _peak(lambda: findings.append(find(Evidence(np.arange(ITEMS), given, CLASSES, probabilities=(p,)), rule)))
    assert findings[0].flagged.any()
    assert peak < 100 << 20


@pytest.mark.parametrize("name", ["combined", "confident_joint", "em_posterior", "knn_rank", "knn_vote", "verdict"])
def test_detectors_follow_the_items(name: str) -> None:
    n = 40
    p, given = _problem(n)
    random = np.random.default_rng(1)
    verdicts = Verdicts(np.arange(n), random.random(n) < 0.5)
    evidence = Evidence(
        np.arange(n), given, CLASSES, probabilities=(p,), embeddings=random.random((n, 4)), verdicts=verdicts
    )
    run_detector(name, evidence, **({"neighbours": 10} if name.startswith("knn") else {}))  # compiles
    detections = []
    assert _peak(lambda: detections.append(run_detector(name, evidence))) < 100 << 20
    assert isinstance(detections[0], Detection)
    assert len(json.dumps(detections[0].meta)) < 2 << 20


@pytest.mark.parametrize("explained", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_run_of_many_classes_follows_the_items(tmp_path: Path, explained: bool) -> None:
    """From supplied probabilities to the report and the explanation of an item."""
    p, given = _problem(40)

    def work() -> None:
        run = find_errors(pred_probs=p, labels=given, out=tmp_path / "run")
        assert render_markdown(run)
        if explained:  # by every detector, in half a minute
            item = inspect_item(run, run.findings["id"].iloc[0])
            assert item["explanation"]["class_pair"]["confident_joint"] is not None

    assert _peak(work) < 200 << 20
    assert sum(file.stat().st_size for file in (tmp_path / "run").rglob("*")) < 20 << 20


def test_the_order_of_many_columns_is_judged_by_classes_of_several_items() -> None:
    """A column that fits one item of a class can always be found."""
    random = np.random.default_rng(0)
    names = [str(k) for k in range(CLASSES)]
    p, given = _problem(200)
    check_class_order(p, given, names)
    with pytest.raises(ClassOrderError):
        check_class_order(p[:, random.permutation(CLASSES)], given, names)
    alone = random.permutation(CLASSES)[:200]  # one item of each class, three of ten called something else
    shown = np.where(random.random(200) < 0.3, random.permutation(CLASSES)[:200], alone)
    single = np.full((200, CLASSES), 1e-5, np.float32)
    single[np.arange(200), shown] += np.float32(0.8)
    assert _peak(lambda: check_class_order(single, alone, names)) < 20 << 20


def test_the_memory_that_is_asked_for_follows_the_items() -> None:
    assert api.plan_memory(2_000, 10_000, 4).total < 1 << 30
    assert api.plan_memory(2_000, 1_000_000, 4).pairs < 200 << 20
    p, given = _problem()
    api.analyze(p, given, memory_limit=100 << 20)
    with pytest.raises(MemoryGuardError):
        api.analyze(p, given, memory_limit=1 << 20)


@pytest.mark.parametrize(("n", "k"), [(300, 4), (300, 70), (50, 200)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_confident_entries_that_are_too_many_are_read_again(monkeypatch, dtype: str, n: int, k: int) -> None:
    random = np.random.default_rng(n + k)
    p = random.dirichlet(np.full(k, 0.5), n).round(3)  # ties
    p = (p / p.sum(axis=1, keepdims=True)).astype(dtype)
    given = np.where(random.random(n) < 0.6, p.argmax(axis=1), random.integers(0, max(2, k // 2), n))
    listed = api.analyze(p, given, tau=0.0)
    monkeypatch.setattr(scan, "MOST_LISTED", (0, 10))
    read = api.analyze(p, given, chunk_rows=7)
    assert (listed.reads, read.reads, read.store.many) == (1, 2, [])
    assert (read.joint != listed.joint).nnz == 0
    np.testing.assert_array_equal(read.off_diagonal, listed.off_diagonal)
    for rule in api.RULES:
        np.testing.assert_array_equal(api.flag(read, rule), api.flag(listed, rule), rule)


@pytest.mark.parametrize("seed", range(40))
def test_sparse_sums_are_those_of_the_full_row(seed: int) -> None:
    """To the last bit, for lengths around the blocks of NumPy's sum."""
    random = np.random.default_rng(seed)
    rows, columns = 5, int(random.choice([1, 7, 8, 9, 127, 128, 129, 136, 137, 1000, 4099]))
    full = random.random((rows, columns)) * 10.0 ** random.integers(-9, 9, (rows, columns))
    full *= random.random((rows, columns)) < random.choice([0.02, 0.3, 1.0])
    assert joint.row_sums(csr_array(full)).tolist() == full.sum(axis=1).tolist()
