"""Approximate nearest neighbours by cosine for large sets: inverted lists, a low-dimensional search, exact cosines.

Inverted lists after Jegou et al. 2011 (Product quantization for nearest neighbor search), without the
quantisation: the lists are searched with matrix products of whole blocks, and what is returned is compared in full.
"""

from __future__ import annotations

import numba
import numpy as np

#: Lists searched per item. Recall rises with it and so does the time; see benchmarks/results/neighbours.md.
PROBES = 32
#: Dimensions of the search; wider embeddings are projected, and `OVERFETCH` times as many candidates compared in full.
SEARCH_WIDTH, OVERFETCH = 256, 4
#: k-means on the sphere: training items per list, and iterations.
PER_LIST, ROUNDS = 64, 8
#: Items at once that are compared with the items of one list.
ASKERS = 2048
#: Rows at once where full-width rows are gathered.
ROWS = 256
SEED = 0


def approximate_neighbours(
    unit: np.ndarray, codes: np.ndarray, k: int, probes: int = PROBES
) -> tuple[np.ndarray, np.ndarray]:
    """Nearly the k nearest other rows of every row.

    About sqrt(n) lists; each item looks through the `probes` lists whose centres are nearest to it. The random
    numbers are fixed, so the result is a function of the rows in their order; whoever gives them in the order of
    the item ids gets a result that does not depend on the order of the file.

    Parameters
    ----------
    unit : float32 array (n, d)
        Rows of length 1 (or 0).
    codes : int64 array (n,)
        Rows of equal code are never each other's neighbours.
    k : int
    probes : int

    Returns
    -------
    positions : int64 array (n, k)
        Nearest first, the lower position first among equals; -1 where there are fewer than k.
    cosines : float32 array (n, k)
        Exact cosines of those; 0 where there is no neighbour.
    """
    n, width = unit.shape
    narrow = _projected(unit) if width > SEARCH_WIDTH else unit
    centres = _centres(narrow, max(1, round(n**0.5)))
    lists = _nearest_centres(narrow, centres, min(probes, len(centres)))
    wanted = min(n, k if narrow is unit else OVERFETCH * k)
    candidates = np.full((n, wanted), -1, dtype=np.int64)
    values = np.full((n, wanted), -np.inf, dtype=np.float32)
    members, starts = _inverted(lists[:, 0], len(centres))
    askers, asked = _inverted(lists.ravel(), len(centres))
    askers //= lists.shape[1]
    buffer = np.empty(ASKERS * max(1, int(np.diff(starts).max())), dtype=np.float32)
    for cell in range(len(centres)):
        here = members[starts[cell] : starts[cell + 1]]
        if not len(here):
            continue
        there = np.ascontiguousarray(narrow[here].T)
        for start in range(asked[cell], asked[cell + 1], ASKERS):
            rows = askers[start : min(start + ASKERS, asked[cell + 1])]
            # Small blocks in one place: the similarities are read while they are in the cache.
            similar = buffer[: len(rows) * len(here)].reshape(len(rows), len(here))
            np.matmul(narrow[rows], there, out=similar)
            _merge(similar, rows, here, codes, candidates, values)
    return _reranked(unit, candidates, k)


def _projected(unit: np.ndarray) -> np.ndarray:
    """Rows in the space of their leading singular vectors, scaled to length 1, float32 (n, SEARCH_WIDTH)."""
    return _unit(unit @ leading_axes(unit[sampled_rows(len(unit))], SEARCH_WIDTH))


def sampled_rows(n: int, wanted: int = 8192) -> np.ndarray:
    """Some of n rows, ascending."""
    return np.sort(np.random.default_rng(SEED).choice(n, min(n, wanted), replace=False))


def leading_axes(rows: np.ndarray, width: int) -> np.ndarray:
    """Leading right singular vectors of `rows`, float32 (d, width)."""
    from sklearn.utils.extmath import randomized_svd

    axes: np.ndarray = randomized_svd(rows, width, random_state=SEED)[2].T
    return axes.astype(np.float32)


def _unit(rows: np.ndarray) -> np.ndarray:
    norms = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    return np.ascontiguousarray(rows / np.where(norms > 0, norms, 1.0), dtype=np.float32)


def _centres(rows: np.ndarray, wanted: int) -> np.ndarray:
    """Centres of spherical k-means on a sample, float32 (wanted, d). A list that runs empty keeps its centre."""
    rng = np.random.default_rng(SEED)
    sample = rows[np.sort(rng.choice(len(rows), min(len(rows), PER_LIST * wanted), replace=False))]
    centres = sample[rng.choice(len(sample), wanted, replace=False)]
    for _ in range(ROUNDS):
        nearest = _nearest_centres(sample, centres, 1)[:, 0]
        order = np.argsort(nearest, kind="stable")
        filled, first = np.unique(nearest[order], return_index=True)
        centres = centres.copy()
        centres[filled] = _unit(np.add.reduceat(sample[order], first, axis=0))
    return centres


def _nearest_centres(rows: np.ndarray, centres: np.ndarray, count: int) -> np.ndarray:
    """Numbers of the `count` nearest centres of each row, nearest first, the lower first among equals; (n, count)."""
    turned, codes = np.ascontiguousarray(centres.T), np.arange(len(centres))
    blocks = (rows[start : start + ASKERS] for start in range(0, len(rows), ASKERS))
    best = [largest_entries(block @ turned, np.full(len(block), -1), codes, count)[0] for block in blocks]
    return np.concatenate(best)


@numba.njit(cache=True, parallel=True, nogil=True)
def largest_entries(
    similar: np.ndarray, row_codes: np.ndarray, codes: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:  # pragma: no cover - compiled
    """Per row the k largest entries whose code differs from the row's, by insertion into a sorted list.

    One pass with a running threshold: most entries cost one comparison. Strict comparison in ascending order
    of position keeps the lower position first among equals.
    """
    rows, columns = similar.shape
    best = np.full((rows, k), -1, dtype=np.int64)
    values = np.full((rows, k), -np.inf, dtype=np.float32)
    for i in numba.prange(rows):
        lowest = values[i, k - 1]
        for j in range(columns):
            value = similar[i, j]
            if value > lowest and codes[j] != row_codes[i]:
                place = k - 1
                while place > 0 and values[i, place - 1] < value:
                    values[i, place] = values[i, place - 1]
                    best[i, place] = best[i, place - 1]
                    place -= 1
                values[i, place] = value
                best[i, place] = j
                lowest = values[i, k - 1]
    return best, values


def _inverted(cells: np.ndarray, n_cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions by cell, ascending within one, and where each cell begins (n_cells + 1)."""
    starts = np.r_[0, np.bincount(cells, minlength=n_cells).cumsum()]
    return _counted(cells, starts[:-1].copy()), starts


@numba.njit(cache=True, nogil=True)
def _counted(cells: np.ndarray, at: np.ndarray) -> np.ndarray:  # pragma: no cover - compiled
    """Counting sort: positions in the order of their cells; `at`, where each begins, is used up."""
    order = np.empty(len(cells), dtype=np.int64)
    for position in range(len(cells)):
        cell = cells[position]
        order[at[cell]] = position
        at[cell] += 1
    return order


@numba.njit(cache=True, parallel=True, nogil=True)
def _merge(
    similar: np.ndarray, rows: np.ndarray, here: np.ndarray, codes: np.ndarray, best: np.ndarray, values: np.ndarray
) -> None:  # pragma: no cover - compiled
    """Insert the similarities of `rows` to the items `here` into the sorted candidate lists of `rows`."""
    k = best.shape[1]
    for i in numba.prange(len(rows)):
        row = rows[i]
        for j in range(len(here)):
            value = similar[i, j]
            if value > values[row, k - 1] and codes[here[j]] != codes[row]:
                place = k - 1
                while place > 0 and values[row, place - 1] < value:
                    values[row, place] = values[row, place - 1]
                    best[row, place] = best[row, place - 1]
                    place -= 1
                values[row, place] = value
                best[row, place] = here[j]


def _reranked(unit: np.ndarray, candidates: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k candidates of largest full cosine, ties by position."""
    n, wanted = candidates.shape
    positions = np.full((n, k), -1, dtype=np.int64)
    cosines = np.zeros((n, k), dtype=np.float32)
    n_given = min(k, wanted)
    for start in range(0, n, ROWS):
        block = candidates[start : start + ROWS]
        exact = np.einsum("rcd,rd->rc", unit[block], unit[start : start + ROWS], optimize=True)
        exact = np.where(block >= 0, exact, -np.inf)
        order = np.lexsort((block, -exact), axis=1)[:, :n_given]
        chosen, values = np.take_along_axis(block, order, axis=1), np.take_along_axis(exact, order, axis=1)
        positions[start : start + ROWS, :n_given] = chosen
        cosines[start : start + ROWS, :n_given] = np.where(chosen >= 0, values, 0.0)
    return positions, cosines
