"""Would a flip still be declared if the votes had fallen differently? The rule, repeated over drawn labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.benchmark.draws import drawn_states, judged_right
from auditor.benchmark.models import ComparedModels
from auditor.benchmark.pairs import LEVEL, flip_p
from auditor.benchmark.sets import Sets
from auditor.benchmark.verdicts.judged import Judged
from auditor.stats.paired import mcnemar_greater

#: Draws of the labels of all judged rows.
DRAWS = 200


def drawn_claims(
    compared: ComparedModels, sets: Sets, judged: Judged, pairs: Sequence[int], seed: int
) -> dict[int, float]:
    """Share of label draws in which a pair's flip is declared by the rule.

    The adjustment is Bonferroni's over all pairs, which is stricter than Holm's. Models with several seeds and verdicts
    without a posterior get none.

    Parameters
    ----------
    pairs : sequence of int
        Positions among all pairs a < b.
    """
    if judged.posterior is None or not len(pairs):
        return {}
    a, b = np.triu_indices(len(compared.models), 1)
    outside = np.ones(compared.given.shape[1], bool)
    outside[judged.rows] = False
    given, corrected = (right.astype(int) for right in judged_right(compared, sets, judged))
    benign, guessed = drawn_states(judged.posterior, "claims", range(DRAWS), seed)
    shares = {}
    for pair in pairs:
        (i, *more), (j, *others) = (compared.models[model[pair]].networks for model in (a, b))
        if more or others:
            continue
        x, y = compared.given[i], compared.given[j]
        wins, losses = int((x & ~y)[outside].sum()), int((y & ~x)[outside].sum())
        gap, moved = (right[:, i] - right[:, j] for right in (given, corrected))
        declared = 0
        for k in range(DRAWS):
            stays, changed = benign[k] | guessed[k], guessed[k]
            first = _tally(wins, losses, gap[stays])
            second = _tally(wins, losses, np.where(changed, moved, gap)[stays])
            declared += _declared(first, second, (moved - gap)[changed], len(a))
        shares[int(pair)] = declared / DRAWS
    return shares


def _tally(wins: int, losses: int, gaps: np.ndarray) -> tuple[int, int]:
    return wins + int((gaps > 0).sum()), losses + int((gaps < 0).sum())


def _declared(first: tuple[int, int], second: tuple[int, int], changes: np.ndarray, n_pairs: int) -> bool:
    if (first[0] - first[1]) * (second[0] - second[1]) >= 0:
        return False
    lead, follow = (first, second[::-1]) if first[0] > first[1] else (first[::-1], second)
    sides = float(mcnemar_greater(*np.array([lead, follow]).T).max()) * n_pairs < LEVEL
    return sides or flip_p(changes) * n_pairs < LEVEL
