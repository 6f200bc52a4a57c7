"""Groups of items, from pairs that belong together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True, eq=False)
class Group:
    """Items that belong together: copies, texts of one template.

    Attributes
    ----------
    kind : str
        ``"exact"``: all have the same content. ``"near"``: several contents, alike enough to be copies.
        ``"mirrored"``: mirror images of one another. ``"template"``: texts of one template.
    members : int64 array
        Ascending positions, two or more.
    """

    kind: str
    members: np.ndarray


def equal_pairs(keys: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Each of `rows` with the first of them that has the same key, int64 (m, 2) positions; keys have shape (m,)."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return np.column_stack([rows[first][inverse], rows])


def components(n: int, pairs: np.ndarray) -> np.ndarray:
    """Smallest position of each item's connected component, int64 (n,)."""
    graph = coo_matrix((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    _, first, inverse = np.unique(component, return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64)


def groups_of(first: np.ndarray, kind: str = "exact", distinct: np.ndarray | None = None) -> tuple[Group, ...]:
    """Groups of two or more, by smallest member.

    Parameters
    ----------
    first : int64 array (n,)
        Smallest position of each item's group.
    kind : str
    distinct : int64 array (n,), optional
        Keep groups that hold several of these values only (near copies of different content).
    """
    order = np.argsort(first, kind="stable")
    starts = np.flatnonzero(np.diff(first[order])) + 1
    return tuple(
        Group(kind, members.astype(np.int64))
        for members in np.split(order, starts)
        if len(members) > 1 and (distinct is None or len(np.unique(distinct[members])) > 1)
    )
