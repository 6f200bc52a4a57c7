"""The validation split: equal cells, copies on one side, repeatable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auditor.core.config import Settings
from auditor.core.errors import DataError, UsageError
from auditor.lab.cifake.grid.budgets import BUDGETS, budget_for
from auditor.lab.cifake.grid.data import open_cifake
from auditor.lab.cifake.grid.splits import cut, draw


def case(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    cells = np.repeat(np.arange(4), 50)
    copies = np.arange(200)
    for cell in range(4):  # some pairs and a triple in every cell
        members = random.permutation(50)[:23] + 50 * cell
        copies[members[1:20:2]] = copies[members[0:20:2]]
        copies[members[21]] = copies[members[22]] = copies[members[20]]
    return cells, copies


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [4, 20, 76])
def test_cut_is_exact_and_keeps_copies_together(seed: int, n: int) -> None:
    cells, copies = case(seed)
    chosen = cut(cells, copies, n, seed)
    assert np.bincount(cells[chosen], minlength=4).tolist() == [n // 4] * 4
    assert not np.isin(copies[~chosen], copies[chosen]).any()
    assert np.array_equal(chosen, cut(cells, copies, n, seed))
    assert not np.array_equal(chosen, cut(cells, copies, n, seed + 1))


def test_impossible_cuts_are_refused() -> None:
    cells, copies = case()
    with pytest.raises(DataError, match="equally"):
        cut(cells, copies, 7, 0)
    with pytest.raises(DataError, match="too few"):
        cut(cells, copies, 400, 0)
    copies[[0, 60]] = copies.max() + 1
    with pytest.raises(DataError, match="contradict"):
        cut(cells, copies, 8, 0)
    with pytest.raises(DataError, match="are needed"):
        draw(cells, cells > 0, 8, 0)


def test_budgets() -> None:
    assert list(BUDGETS) == ["smoke", "cpu", "gpu10", "paper"]
    whole = budget_for("cpu").changed(final_train="all", final_epochs=7, seeds=None)
    assert (whole.final_train, whole.final_epochs, whole.seeds) == (None, 7, 3)
    assert all(BUDGETS[name].extractors is None and BUDGETS[name].heads is None for name in ("cpu", "gpu10", "paper"))
    with pytest.raises(UsageError, match="at least 1"):
        budget_for("cpu").changed(final_epochs=0)


def test_cifake_is_shared_out_without_a_leak(data_dir: Path, tmp_path: Path) -> None:
    settings = Settings(data_dirs=(data_dir,), cache_dir=tmp_path, offline=True)
    data = open_cifake(settings, budget_for("paper"), seed=0)
    split = data.dataset.items.splits
    assert (len(data.grid_train), len(data.validation), len(data.final_train)) == (90_000, 10_000, 100_000)
    assert set(split[data.grid_train]) == set(split[data.validation]) == {"train"}
    assert set(split[data.test]) == {"test"}
    assert np.bincount(data.cells[data.validation]).tolist() == [500] * 20
    assert np.bincount(data.cells[data.final_train]).tolist() == [5000] * 20
    assert np.bincount(data.cells[data.test]).tolist() == [1000] * 20
    # By content, not by position: 920 pairs lie inside the train split.
    assert not np.isin(data.copies[data.validation], data.copies[data.grid_train]).any()
    assert int(data.leaked(data.test).sum()) == 378
    assert int((~data.leaked(data.test) & ~data.repeated(data.test)).sum()) == 19_584
    small = open_cifake(settings, budget_for("cpu"), seed=0)
    assert np.bincount(small.cells[small.grid_train]).tolist() == [400] * 20
    assert not np.isin(small.copies[small.validation], small.copies[small.grid_train]).any()
