"""The log of a search, and the arms that write it."""

from __future__ import annotations

import json
from pathlib import Path

from auditor.core.progress import SilentProgress
from auditor.lab.search.arms import Arm, SearchLog
from auditor.lab.search.children import ChildScore
from auditor.models.genotype import PlainGenotype
from tests.lab.search.tiny import plain


def test_the_log_adds_up_per_arm_and_is_written_as_it_happens(tmp_path: Path) -> None:
    score = ChildScore("a", 30, 100, 10, 20, 500.0, 1.0)
    for _ in range(2):  # a search that starts again writes the same log again
        log = SearchLog(tmp_path / "log.jsonl")
        log.add("search", 0, score, actions=[1])
        log.add("control", 0, score)
        log.add("search", 1, score, extra_cost=250.0)
        log.note("ppo", loss=0.5)
    assert log.spent("search") == 1250
    assert log.spent("control") == 500
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(r["event"], r.get("spent")) for r in rows] == [
        ("child", 500),
        ("child", 500),
        ("child", 1250),
        ("ppo", None),
    ]
    assert [r["step"] for r in log.arm("search")] == [0, 1]


class _Told(SilentProgress):
    def __init__(self) -> None:
        self.rows: list[tuple[str, float]] = []

    def start(self, task: str, total: float, unit: str = "") -> None:
        self.rows.append((f"{task} {unit}", total))

    def advance(self, task: str, done: float, note: str = "") -> None:
        self.rows.append((note, done))


def test_an_arm_keeps_its_best_child_and_counts_what_it_is_told(tmp_path: Path) -> None:
    log, progress = SearchLog(tmp_path / "log.jsonl"), _Told()
    arms: dict[str, Arm[PlainGenotype]] = {
        "search": Arm("search", log, progress, 3),
        "control": Arm("control", log, progress, 1500.0, "MACs"),
    }
    genotypes = [plain(width) for width in (4, 8, 12)]
    for arm in arms.values():
        for genotype, hits in zip(genotypes, (30, 50, 50), strict=True):
            arm.add(genotype, ChildScore(genotype.key(), hits, 100, 10, 20, 500.0, 1.0), 0, actions=[hits])
        assert arm.best[0] == genotypes[1], "the first of equal ones"
        assert arm.finish() == genotypes[1]
    assert progress.rows == [
        ("search child", 3),
        ("control MACs", 1500.0),
        ("accuracy 0.300", 1),
        ("accuracy 0.500", 2),
        ("accuracy 0.500", 3),
        ("accuracy 0.300", 500.0),
        ("accuracy 0.500", 1000.0),
        ("accuracy 0.500", 1500.0),
    ]
    assert [row["actions"] for row in log.arm("control")] == [[30], [50], [50]]


def test_architectures_are_ranked_once_each_the_first_of_equal_ones_first(tmp_path: Path) -> None:
    arm: Arm = Arm("search", SearchLog(tmp_path / "log.jsonl"), SilentProgress(), 5)
    for key, hits in (("a", 5), ("b", 7), ("c", 7), ("b", 7), ("a", 6)):
        arm.add(key, ChildScore(key, hits, 10, 1, 1, 1.0, 1.0), 0)  # type: ignore[arg-type]
    assert [(genotype, score.hits) for genotype, score in arm.ranked(9)] == [("b", 7), ("c", 7), ("a", 6)]
    assert arm.ranked(1)[0] == arm.best
