"""Whether points fall into two, with few of them between."""

from __future__ import annotations

import numpy as np

#: Places at which a density is evaluated, and rounds of two means.
GRID, ROUNDS = 256, 50
#: Directions in which two means are sought, and the weight of an equal spread in all of them.
WIDTH, SHRINKAGE = 32, 0.2


def valley_depth(points: np.ndarray, share: float, seed: int) -> float:
    """How low the valley between two clusters is beside the lower of their peaks, out of sample.

    Two means are sought among a random half of the points; the other half is projected on the direction that tells
    them apart best, and its density estimated (Gaussian kernel, Silverman's width). The same with the halves exchanged;
    the higher valley counts.

    Parameters
    ----------
    points : float array (n, d)
        At least 8.
    share : float
        Least share of the points on either side of the valley.
    seed : int

    Returns
    -------
    float
        In [0, 1]; 1 where there is one peak, or a side with too few points.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(points))
    centred = np.asarray(points, np.float64) - points.mean(axis=0)
    if centred.shape[1] > WIDTH:
        from sklearn.utils.extmath import randomized_svd

        centred = centred @ randomized_svd(centred, WIDTH, random_state=seed)[2].T
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    depths = [_depth(centred[other] @ _axis(centred[half], rng), share) for half, other in (halves, halves[::-1])]
    return max(depths)


def _axis(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Direction in which two means lie farthest apart beside the spread around them (Fisher), of five starts."""
    best, axis = np.inf, np.zeros(points.shape[1])
    for _ in range(5):
        means = points[rng.choice(len(points), 2, replace=False)]
        for _ in range(ROUNDS):
            side = ((points[:, None] - means[None]) ** 2).sum(axis=2).argmin(axis=1)
            if not 0 < side.sum() < len(points):
                break
            moved = np.stack([points[side == s].mean(axis=0) for s in (0, 1)])
            if np.allclose(moved, means):
                break
            means = moved
        square = ((points[:, None] - means[None]) ** 2).sum(axis=2)
        if (cost := float(square.min(axis=1).sum())) < best:
            around = points - means[square.argmin(axis=1)]
            spread = around.T @ around / len(points)
            # With few points in many directions the spread is shrunk to one that is equal in all.
            spread += SHRINKAGE * np.trace(spread) / len(spread) * np.eye(len(spread)) + 1e-12 * np.eye(len(spread))
            best, axis = cost, np.linalg.solve(spread, means[1] - means[0])
    return axis


def _depth(values: np.ndarray, share: float) -> float:
    spread = values.std()
    if spread == 0:
        return 1.0
    low, high = np.quantile(values, [0.25, 0.75])
    width = 0.9 * min(spread, (high - low) / 1.34 or spread) * len(values) ** -0.2
    grid = np.linspace(values.min(), values.max(), GRID)
    density = np.exp(-0.5 * ((grid[:, None] - values[None]) / width) ** 2).sum(axis=1)
    # At each place the valley beside the lower of the highest peaks to its left and right.
    left, right = np.maximum.accumulate(density), np.maximum.accumulate(density[::-1])[::-1]
    part = np.searchsorted(np.sort(values), grid) / len(values)
    depth = density / np.minimum(left, right)
    inside = (part >= share) & (part <= 1 - share)
    return float(depth[inside].min()) if inside.any() else 1.0
