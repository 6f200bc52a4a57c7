"""Small supernets of both spaces, in float64, and a table with known latencies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

torch = pytest.importorskip("torch")

from auditor.lab.search.proxyless.latency import LatencyTable  # noqa: E402
from auditor.lab.search.proxyless.settings import MobileSize, TreeSize  # noqa: E402
from auditor.lab.search.proxyless.supernet import Supernet, mobile_supernet, tree_supernet  # noqa: E402
from auditor.train.device import torch_threads  # noqa: E402

TREE = TreeSize(1, 4, 6)
MOBILE = MobileSize(4, 4, ((6, 2, 2), (8, 2, 1)), 12)


def make(space: str, snapshots: int = 0) -> Supernet:
    """A supernet for 3 classes and images of 8 px (16 for MBConv), always with the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if space == "tree":
            return tree_supernet(TREE.template(), 3, 8, snapshots)
        return mobile_supernet(MOBILE.template(), 3, 16, snapshots)


def spread_alphas(supernet: Supernet) -> None:
    """Probabilities that are far from equal."""
    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for edge in supernet.edges:
            edge.alpha.copy_(torch.randn(edge.alpha.shape, generator=random, dtype=torch.float64))


def table_of(supernet: Supernet, base: float = 2.0) -> LatencyTable:
    """A different time for every key."""
    keys = sorted({key for keys in supernet.latency_keys for key in keys})
    return LatencyTable({key: 0.01 * (k + 1) ** 2 for k, key in enumerate(keys)}, base, 1, 50, "cpu")


def batch_for(supernet: Supernet, n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of the supernet's precision and labels."""
    random = torch.Generator().manual_seed(1)
    kind = next(supernet.parameters()).dtype
    side = 8 if supernet.min_size == 8 else 16
    return torch.randn(n, 3, side, side, generator=random, dtype=kind), torch.arange(n) % 3


@pytest.fixture(params=["tree", "mbconv"])
def supernet(request: pytest.FixtureRequest) -> Supernet:
    """Of each space, in float64 and training mode."""
    return make(request.param).double().train()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny tensors: a second thread only waits, on a busy machine for seconds."""
    with torch_threads(1):
        yield
