"""Seeds derived from names, so that adding a part never shifts the random numbers of another."""

from __future__ import annotations

import hashlib

import numpy as np


def derive_seed(root: int, *names: str | int) -> int:
    """A seed in [0, 2**32) that depends on the root seed and on the path of names, and on nothing else."""
    text = "/".join([str(int(root)), *(str(n) for n in names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little")


def generator(root: int, *names: str | int) -> np.random.Generator:
    """NumPy generator seeded by `derive_seed`."""
    return np.random.default_rng(derive_seed(root, *names))
