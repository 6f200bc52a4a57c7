"""NASNet's search space: two cells of five blocks, five decisions each, 13 operations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.core.errors import UsageError
from auditor.models.genotype import NASNET_OPS, NasnetBlock, NasnetGenotype

BLOCKS = 5
COMBINES = ("add", "concat")
#: ``(kind, number of choices)`` of the 50 decisions, in the order they are made: normal cell, then reduction cell.
DECISIONS: tuple[tuple[str, int], ...] = tuple(
    decision
    for _cell in range(2)
    for block in range(BLOCKS)
    for decision in (
        ("state", 2 + block),
        ("state", 2 + block),
        ("op", len(NASNET_OPS)),
        ("op", len(NASNET_OPS)),
        ("combine", len(COMBINES)),
    )
)


def _concat(blocks: Sequence[NasnetBlock]) -> tuple[int, ...]:
    """States of blocks that no block reads."""
    used = {state for b in blocks for _, state in (b.left, b.right)}
    return tuple(s for s in range(2, 2 + len(blocks)) if s not in used)


def decode(actions: Sequence[int], cells: int, filters: int) -> NasnetGenotype:
    """The genotype of 50 decisions.

    Raises
    ------
    UsageError
        If one lies outside its choices.
    """
    if len(actions) != len(DECISIONS) or any(not 0 <= a < n for a, (_, n) in zip(actions, DECISIONS, strict=True)):
        raise UsageError(f"{list(actions)} are not {len(DECISIONS)} decisions of NASNet's space.")
    both: list[tuple[NasnetBlock, ...]] = []
    for start in (0, 5 * BLOCKS):
        blocks = []
        for k in range(BLOCKS):
            a = [int(v) for v in actions[start + 5 * k : start + 5 * k + 5]]
            combine = "concat" if a[4] else "add"
            blocks.append(
                NasnetBlock(left=(NASNET_OPS[a[2]], a[0]), right=(NASNET_OPS[a[3]], a[1]), combine=combine)  # type: ignore[arg-type]
            )
        both.append(tuple(blocks))
    return NasnetGenotype(
        normal=both[0],
        reduction=both[1],
        normal_concat=_concat(both[0]),
        reduction_concat=_concat(both[1]),
        cells=cells,
        filters=filters,
    )


def random_actions(random: np.random.Generator) -> list[int]:
    """Uniform decisions."""
    return [int(random.integers(n)) for _, n in DECISIONS]
