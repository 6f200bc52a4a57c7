"""What every detector must do, run over the registry: a new one is tested by being registered."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import auditor.detect
from auditor.core.errors import UnknownNameError
from auditor.detect.base import Detection, Detector, Evidence, NotApplicable, Verdicts
from auditor.detect.item_dynamics import ItemDynamics
from auditor.detect.registry import DETECTORS, INPUTS, run_detector

ROOM = Path(auditor.detect.__file__).parent
N = 240


def evidence(n_classes: int = 4, seed: int = 0, n: int = N, empty_class: bool = False) -> tuple[Evidence, np.ndarray]:
    """Separable classes, a tenth of the labels wrong, every input present. Returns (evidence, wrong)."""
    rng = np.random.default_rng(seed)
    used = n_classes - 1 if empty_class else n_classes
    truth = rng.integers(0, used, n)
    labels = truth.copy()
    wrong = rng.random(n) < 0.1
    labels[wrong] = (truth[wrong] + rng.integers(1, used, wrong.sum())) % used if used > 1 else 0
    centres = np.eye(n_classes, 8) * 3
    points = centres[truth] + rng.normal(size=(n, 8))
    logits = points[:, :n_classes] * 1.2
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rows = np.arange(n)
    epochs = 6
    growing = np.linspace(0.3, 1.0, epochs)[None, :, None] + rng.normal(scale=0.05, size=(2, epochs, n))
    masked = logits.copy()
    masked[rows, labels] = -np.inf
    lse = np.log(np.exp(logits).sum(axis=1))
    given, other = logits[rows, labels] * growing, masked.max(axis=1) * growing
    # In sample the wrong labels are learned late: their margin rises towards the end.
    learned = given + np.linspace(0.0, 2.5, epochs)[None, :, None]
    dynamics = ItemDynamics(
        learned.astype(np.float16),
        other.astype(np.float16),
        (lse * growing + 1).astype(np.float16),
        given[:1].astype(np.float16),
        other[:1].astype(np.float16),
        (lse * growing)[:1].astype(np.float16),
    )
    reviewed = rng.choice(n, 60, replace=False)
    return (
        Evidence(
            ids=np.array([f"item-{i:05d}" for i in range(n)]),
            labels=labels,
            n_classes=n_classes,
            probabilities=[p.astype(np.float16), np.sqrt(p) / np.sqrt(p).sum(axis=1, keepdims=True)],
            dynamics=dynamics,
            embeddings=points.astype(np.float32),
            class_embeddings=centres.astype(np.float32),
            verdicts=Verdicts(reviewed, wrong[reviewed]),
        ),
        wrong,
    )


def detect(name: str, given: Evidence) -> Detection:
    found = run_detector(name, given)
    assert isinstance(found, Detection), found
    return found


def assert_same(one: Detection, two: Detection) -> None:
    assert np.array_equal(one.score, two.score)
    assert np.array_equal(one.suggested, two.suggested)
    assert (one.flagged is None) == (two.flagged is None)
    if one.flagged is not None:
        assert np.array_equal(one.flagged, two.flagged)


@pytest.fixture(scope="module", params=DETECTORS.names())
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_declares_its_inputs(name: str) -> None:
    cls = DETECTORS.load(name)
    assert isinstance(cls(), Detector)
    assert cls.needs
    assert set(cls.needs) <= set(INPUTS)


def test_shape_type_and_suggestion(name: str) -> None:
    given, _ = evidence()
    found = detect(name, given)
    assert found.score.shape == (N,)
    assert found.score.dtype == np.float64
    assert np.isfinite(found.score).all()
    assert found.suggested.dtype == np.int64
    assert ((found.suggested >= 0) & (found.suggested < 4)).all()
    if found.flagged is not None:
        assert (found.suggested[found.flagged] != given.labels[found.flagged]).all()


def test_deterministic(name: str) -> None:
    given, _ = evidence()
    assert_same(detect(name, given), detect(name, replace(given)))


def test_permuting_the_rows_permutes_the_result(name: str) -> None:
    given, _ = evidence()
    shuffled = np.random.default_rng(5).permutation(N)
    assert_same(detect(name, given).take(shuffled), detect(name, given.take(shuffled)))


def test_order_breaks_ties_by_id(name: str) -> None:
    given, _ = evidence()
    shuffled = np.random.default_rng(6).permutation(N)
    flat = lambda found: replace(found, score=np.round(found.score, 0))  # noqa: E731 - many ties
    moved = given.take(shuffled)
    first = given.ids[flat(detect(name, given)).order(given.ids)]
    second = moved.ids[flat(detect(name, moved)).order(moved.ids)]
    assert list(first) == list(second)


def test_higher_is_more_suspicious(name: str) -> None:
    from sklearn.metrics import roc_auc_score

    areas = []
    for seed in range(3):
        given, suspicious = evidence(seed=seed)
        if name == "entropy":  # does not look at the given label: what the networks are unsure of
            confidence = np.mean(given.probabilities, axis=0).max(axis=1)  # type: ignore[arg-type]
            suspicious = confidence < np.median(confidence)
        areas.append(roc_auc_score(suspicious, detect(name, given).score))
    assert np.mean(areas) > 0.85, areas


def test_two_classes(name: str) -> None:
    found = detect(name, evidence(n_classes=2)[0])
    assert np.isfinite(found.score).all()


def test_class_without_items(name: str) -> None:
    given, _ = evidence(empty_class=True)
    assert 3 not in given.labels
    assert np.isfinite(detect(name, given).score).all()


def test_constant_columns_and_certain_rows(name: str) -> None:
    given, _ = evidence()
    p = np.full((N, 4), 0.25)
    p[: N // 2] = np.eye(4)[given.labels[: N // 2]]
    ones = {"embeddings": np.ones((N, 3), np.float32), "class_embeddings": np.ones((4, 3), np.float32)}
    constant = replace(given, probabilities=p, networks=(), **ones)
    assert np.isfinite(detect(name, constant).score).all()


def test_not_applicable_without_its_input(name: str) -> None:
    given, _ = evidence()
    for need in DETECTORS.load(name).needs:
        without = replace(given, **{need: None}, **({"networks": ()} if need == "probabilities" else {}))
        found = run_detector(name, without)
        assert isinstance(found, NotApplicable)
        assert found.detector == name
        assert found.reason


def test_does_not_change_its_input(name: str) -> None:
    given, _ = evidence()
    before = [np.array(p) for p in given.probabilities or ()]
    logits, points = given.dynamics.train_given.copy(), given.embeddings.copy()  # type: ignore[union-attr]
    detect(name, given)
    assert all(np.array_equal(a, b) for a, b in zip(before, given.probabilities or (), strict=True))
    assert np.array_equal(logits, given.dynamics.train_given, equal_nan=True)  # type: ignore[union-attr]
    assert np.array_equal(points, given.embeddings)


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="log_odds_margin"):
        run_detector("log_odd_margin", evidence()[0])


READERS = {
    "open",
    "read_bytes",
    "read_text",
    "load",
    "loadtxt",
    "genfromtxt",
    "fromfile",
    "memmap",
    "read_csv",
    "read_parquet",
    "read_json",
    "read_table",
    "urlopen",
    "getenv",
    "environ",
}
READING_MODULES = {"os", "io", "pathlib", "pandas", "pyarrow", "urllib", "requests", "pickle", "json", "sqlite3"}


def test_no_module_of_the_room_reads_files() -> None:
    """A detector cannot look at a truth it is not given: it can open nothing."""
    modules = sorted(ROOM.rglob("*.py"))
    assert len(modules) > 10
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                assert not {n.split(".")[0] for n in names} & READING_MODULES, f"{path.name}: imports {names}"
            if isinstance(node, ast.Call):
                called = node.func
                word = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                registry_look_up = path.name == "registry.py" and word == "load"
                assert word not in READERS or registry_look_up, f"{path.name}:{node.lineno} calls {word}"
