"""The simulations of benchmarks/statistics_coverage.py and interval_coverage.py as tests: slow, on request."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
CASES = ("aggre, resnet18", "aggre, swin", "synthetic, class-conditional")


def benchmark(name: str) -> ModuleType:
    """A script beside its helpers."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def coverage() -> ModuleType:
    return benchmark("statistics_coverage")


@pytest.fixture(scope="module")
def cases(coverage: ModuleType, data_dir: Path) -> dict[str, object]:
    return {case.name: case for case in coverage.stored_cases(data_dir)}


def test_the_simulations_run(coverage: ModuleType, cases: dict[str, object]) -> None:
    """Two replays of every part: what they say means nothing, but that they can be made."""
    assert tuple(cases) == CASES
    result = {key: measure(cases["aggre, swin"], 2) for key, _, measure in coverage.PARTS}
    result["stopping"] = coverage.stopping([(500, 3)], 2, 100)
    assert len(coverage.verdicts_on(result)) == 5
    assert all(coverage.table(rows).count("\n") == len(rows) + 1 for rows in result.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_totals_cover(coverage: ModuleType, cases: dict[str, object], name: str) -> None:
    rows = coverage.totals(cases[name], 1000)
    assert [row["B"] for row in rows] == [200, 500, 1000]
    for row in rows:
        # 93 to 97 %, and two Monte-Carlo errors at 1,000 replays.
        assert 0.93 - 0.012 <= row["coverage"] <= 0.97 + 0.012, row
        assert abs(row["bias"]) < 0.02, row
    if "swin" in name:
        assert rows[1]["width_ratio"] >= 3


@pytest.mark.slow
@pytest.mark.parametrize("draws", [200, 500, 1000])
@pytest.mark.parametrize(
    ("name", "share", "strength"),
    [
        ("memorised", 0.12, "weak"),
        ("blind", 0.05, "strong"),
        ("aggre", 0.4, "strong"),
        ("annotators", 0.05, "weak"),
        ("texts", 0.12, "weak"),
        ("digits", 0.4, "strong"),
    ],
)
def test_totals_cover_on_the_grid(name: str, share: float, strength: str, draws: int, data_dir: Path) -> None:
    """Cells of the grid; `cell` compares replays with the library itself."""
    grid = benchmark("interval_coverage")
    row = grid.cell(grid.population(name, 3000, share, strength), draws, 1500, seed=draws)
    # 94 %, and two Monte-Carlo errors.
    assert row["coverage"] >= 0.94 - 0.011, row
    assert row["coverage"] <= 0.965 + 0.011 or row["effective_draws"] < grid.ENOUGH, row


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_lists_keep_their_promises(coverage: ModuleType, cases: dict[str, object], name: str) -> None:
    for row in coverage.fdr(cases[name], 1000):
        assert row["fdr"] <= row["q"] + 2 * row["monte_carlo_error"], row
    for row in coverage.precision(cases[name], 1000):
        assert row["violated"] <= 0.05, row


@pytest.mark.slow
def test_the_stop_rule_holds_at_every_look(coverage: ModuleType) -> None:
    for row in coverage.stopping([(45_000, 0), (45_000, 5), (45_000, 236), (45_000, 5000), (500, 3)], 1000, 3000):
        # At most 5 %, and two Monte-Carlo errors.
        assert row["violated"] <= 0.05 + 0.014, row
