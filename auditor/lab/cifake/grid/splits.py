"""A validation split cut from the train split: equal parts of every cell, copies on one side."""

from __future__ import annotations

import numpy as np

from auditor.core.errors import DataError
from auditor.core.seeds import generator


def cut(cells: np.ndarray, copies: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Choose `n` items, equally many of each cell, so that no copy of a chosen item is left behind.

    Parameters
    ----------
    cells : int array (m,)
        Cell of each item (source x class); every cell holds items.
    copies : int array (m,)
        Items with equal numbers have equal content; copies share a cell.
    n : int
        A multiple of the number of cells.
    seed : int

    Returns
    -------
    bool array (m,)
        Exactly ``n / cells`` items of each cell are chosen.

    Raises
    ------
    DataError
        If `n` is no multiple, a cell is too small, or copies lie in different cells.
    """
    names = np.unique(cells)
    each, rest = divmod(n, len(names))
    if rest or each < 1:
        raise DataError(f"{n} items cannot be shared out equally over {len(names)} cells.")
    first = np.full(int(copies.max()) + 1, -1, np.int64)
    first[copies] = cells
    if not np.array_equal(first[copies], cells):
        raise DataError("items of equal content lie in different cells: their labels contradict each other.")
    chosen = np.zeros(len(cells), bool)
    for cell in names:
        members = np.flatnonzero(cells == cell)
        groups, size = np.unique(copies[members], return_counts=True)
        order = generator(seed, "cut", int(cell)).permutation(len(groups))
        # Groups in random order, as long as they fit; the last places go to single items.
        fits = np.cumsum(size[order]) <= each
        taken = order[fits]
        missing = each - int(size[taken].sum())
        singles = [g for g in order[~fits] if size[g] == 1][:missing]
        taken = np.concatenate([taken, np.array(singles, np.int64)])
        if size[taken].sum() != each:
            raise DataError(f"cell {int(cell)} holds too few items to choose {each} of {len(members)}.")
        chosen[members[np.isin(copies[members], groups[taken])]] = True
    return chosen


def draw(cells: np.ndarray, among: np.ndarray, n: int | None, seed: int) -> np.ndarray:
    """Positions of `n` items of `among` (bool), equally many of each cell, ascending; all of them for None."""
    if n is None:
        return np.flatnonzero(among)
    names = np.unique(cells)
    each, rest = divmod(n, len(names))
    if rest or each < 1:
        raise DataError(f"{n} items cannot be shared out equally over {len(names)} cells.")
    parts = []
    for cell in names:
        members = np.flatnonzero(among & (cells == cell))
        if len(members) < each:
            raise DataError(f"cell {int(cell)} holds {len(members)} items; {each} are needed.")
        parts.append(generator(seed, "draw", int(cell)).permutation(members)[:each])
    return np.sort(np.concatenate(parts))
