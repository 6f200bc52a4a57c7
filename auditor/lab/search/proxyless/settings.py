"""Settings of a ProxylessNAS search, by budget and space."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from auditor.lab.search.baseline import BaselineKind
from auditor.lab.search.children import ChildRecipe, SearchSettings
from auditor.lab.search.proxyless.latency import LossKind
from auditor.lab.search.proxyless.steps import StepKind
from auditor.lab.search.proxyless.supernet import MB_BLOCKS
from auditor.models.genotype import TREE_EDGES, TREE_OPS, MbStage, MobileGenotype, TreeGenotype


@dataclass(frozen=True)
class TreeSize:
    """A network of tree cells: `blocks` in each of three stages, widths from above `stem` to `end`."""

    blocks: int
    stem: int
    end: int

    def template(self) -> TreeGenotype:
        """A genotype of this size; its choices do not count."""
        return TreeGenotype(cells=(TREE_OPS[0] * TREE_EDGES,) * (3 * self.blocks), stem=self.stem, end=self.end)


@dataclass(frozen=True)
class MobileSize:
    """A network of MBConv blocks; `stages` are (width, positions, stride)."""

    stem: int
    first: int
    stages: tuple[tuple[int, int, int], ...]
    head: int

    def template(self) -> MobileGenotype:
        """A genotype of this size for small images (no stride in the stem); its choices do not count."""
        stages = tuple(MbStage(width=w, stride=s, blocks=(MB_BLOCKS[0],) * n) for w, n, s in self.stages)
        return MobileGenotype(stem=self.stem, first=self.first, head=self.head, stem_stride=1, stages=stages)


@dataclass(frozen=True)
class ProxylessSettings(SearchSettings):
    """One search.

    Attributes
    ----------
    train, validation, child
        See `SearchSettings`. Weights are trained on the former images, the architecture on the latter; children are
        derived and random networks, trained from scratch.
    size : TreeSize or MobileSize
        Decides the space.
    warmup, epochs, quiet : int
        Epochs of weights alone; epochs of the search; of these the first ones without architecture steps.
    batch : int
        Images of a weight step.
    architecture_batch : int
        Images of an architecture step; 0: those of a weight step.
    warmup_rate, rate, decay : float
        SGD with a cosine in both phases.
    clip : float or None
        Largest norm of the gradient.
    kind : "two", "full" or "reinforce"
        See `auditor.lab.search.proxyless.steps`.
    every : int
        Weight steps between two architecture steps.
    architecture_rate : float
        Adam's.
    loss : "add" or "mul#log"
    weight : float
        Of the latency in the loss.
    target : float
        Latency aimed at, as a share of the expected one at the start.
    samples : int
        Networks of one REINFORCE step.
    baseline : "average" or "official"
        Of REINFORCE; the official one has decay 0.99.
    snapshots : int
        Networks derived on the way besides the one of the start; each is trained from scratch.
    controls : int
        Random networks at least; there are more until they have cost as much as the search.
    latency_images, latency_repeats, latency_networks : int
        Images of a timed pass, passes of a median, random networks the table is held against.
    """

    size: TreeSize | MobileSize
    warmup: int
    epochs: int
    batch: int
    warmup_rate: float = 0.05
    rate: float = 0.025
    decay: float = 1e-4
    clip: float | None = 5.0
    quiet: int = 0
    kind: StepKind = "two"
    every: int = 1
    architecture_rate: float = 6e-3
    loss: LossKind = "add"
    weight: float = 0.2
    target: float = 0.9
    samples: int = 10
    baseline: BaselineKind = "average"
    snapshots: int = 2
    controls: int = 3
    latency_images: int = 8
    latency_repeats: int = 50
    latency_networks: int = 20
    architecture_batch: int = 0

    @property
    def space(self) -> Literal["tree", "mbconv"]:
        """Which operations are chosen from."""
        return "tree" if isinstance(self.size, TreeSize) else "mbconv"

    def as_dict(self) -> dict[str, Any]:
        """Plain values; without the batch of the architecture where it is that of the weights."""
        values = {"space": self.space, **super().as_dict()}
        return values if self.architecture_batch else {k: v for k, v in values.items() if k != "architecture_batch"}


#: The CIFAR space. `cpu` looks at 16 px and moves the architecture ten times faster than the paper's rate: it has some
#: 750 steps for it. Its warm-up is long because seven operations share the weight steps: after a short one, those
#: without weights (identity, pooling) are ahead, and the search keeps them. The paper's search on CIFAR-10 was never
#: released: the epochs of `paper` are from memory and unverified; its rates, batch of 256, decay of 4e-5 and smoothing
#: of 0.1 are those of the authors' code for ImageNet.
BUDGETS = {
    "smoke": replace(
        ProxylessSettings(80, 40, ChildRecipe(1, 16, 0.05, 5e-4, 5.0, 0.5), TreeSize(1, 4, 8), 1, 2, 16),
        architecture_rate=0.1,
        latency_images=1,
        group=2,
    ),
    "cpu": replace(
        ProxylessSettings(6000, 2000, ChildRecipe(8, 32, 0.05, 5e-4, 5.0, 0.5), TreeSize(1, 8, 16), 16, 8, 32),
        rate=0.05,
        decay=5e-4,
        every=2,
        architecture_rate=0.06,
        weight=0.02,
        snapshots=4,
        group=5,
    ),
    "gpu10": replace(
        ProxylessSettings(None, 5000, ChildRecipe(6, 512, 0.2, 5e-4, 5.0), TreeSize(3, 16, 48), 2, 6, 512),
        warmup_rate=0.2,
        rate=0.1,
        every=2,
        architecture_rate=0.03,
        latency_images=64,
        group=5,
    ),
    "paper": replace(
        ProxylessSettings(
            None,
            5000,
            ChildRecipe(300, 256, 0.05, 4e-5, smoothing=0.1, mirrored=False),
            TreeSize(18, 16, 100),
            40,
            200,
            256,
        ),
        decay=4e-5,
        clip=None,
        snapshots=1,
        latency_images=64,
    ),
}

#: The MBConv space without the stride of the stem. `cpu` moves the architecture at the paper's rate, by the mean of 256
#: images a step: by those of one small batch a step is mostly noise (see the noise null). `paper` follows the authors'
#: search code for ImageNet in rates, epochs and loss: no architecture step in the first epoch, then one in five.
MOBILE_BUDGETS = {
    "smoke": replace(BUDGETS["smoke"], size=MobileSize(4, 4, ((8, 2, 2), (12, 1, 2)), 16)),
    "cpu": replace(
        BUDGETS["cpu"],
        size=MobileSize(8, 8, ((12, 2, 1), (16, 2, 2), (24, 2, 2)), 64),
        warmup=12,
        epochs=14,
        every=1,
        architecture_rate=6e-3,
        architecture_batch=256,
        weight=0.03,
        snapshots=3,
    ),
    "gpu10": replace(BUDGETS["gpu10"], size=MobileSize(32, 16, ((24, 2, 1), (40, 3, 2), (80, 3, 2), (96, 3, 1)), 512)),
    "paper": replace(
        BUDGETS["paper"],
        size=MobileSize(32, 16, ((24, 4, 1), (40, 4, 2), (80, 4, 2), (96, 4, 1), (192, 4, 2), (320, 1, 1)), 1280),
        epochs=120,
        quiet=1,
        kind="full",
        every=5,
        architecture_rate=1e-3,
        loss="mul#log",
    ),
}
