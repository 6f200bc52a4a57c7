"""What EAS's controller reads and may do: tokens, widths, and where layers can be put."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.models.genotype import EAS_KERNELS, DenseGenotype, PlainGenotype

__all__ = [
    "GROWTHS",
    "MAX_STEPS",
    "PAD",
    "WIDTHS",
    "Places",
    "next_width",
    "places",
    "tokens",
    "vocabulary",
    "wide_mask",
]

#: Filters and units a layer can have, by list.
WIDTHS = {
    "large": {
        "conv": (16, 32, 64, 96, 128, 192, 256, 320, 384, 448, 512),
        "fc": (64, 128, 256, 384, 512, 640, 768, 896, 1024),
    },
    "small": {"conv": tuple(range(4, 41, 4)), "fc": tuple(range(8, 81, 8))},
}
GROWTHS = tuple(range(4, 49, 2))
#: Most layers the controller reads.
MAX_STEPS = 50
PAD = "PAD"
PLAIN_SHAPE, DENSE_SHAPE = (5, 10), (3, 20)

EasGenotype = PlainGenotype | DenseGenotype


def vocabulary() -> list[str]:
    """Every token, PAD first."""
    found = [PAD, "pool", "t"]
    convs = sorted({w for sizes in WIDTHS.values() for w in sizes["conv"]})
    units = sorted({w for sizes in WIDTHS.values() for w in sizes["fc"]})
    found += [f"conv-{w}-{k}" for w in convs for k in EAS_KERNELS]
    found += [f"fc-{w}" for w in units]
    return found + [f"g{g}" for g in GROWTHS]


def tokens(genotype: EasGenotype) -> list[str]:
    """One token a layer or miniblock."""
    if isinstance(genotype, PlainGenotype):
        return [layer.token() for layer in genotype.layers]
    found: list[str] = []
    for number, block in enumerate(genotype.blocks):
        found += ["t"] if number else []
        found += [f"g{growth}" for growth in block]
    return found


def next_width(genotype: EasGenotype, position: int, sizes: str) -> int | None:
    """The next width of the layer at a token's position, or None where it has none."""
    if isinstance(genotype, DenseGenotype):
        token = tokens(genotype)[position]
        choices = GROWTHS if token != "t" else ()
        now = int(token[1:]) if choices else 0
    else:
        layer = genotype.layers[position]
        choices = WIDTHS[sizes].get(layer.kind, ())
        now = layer.width
    return next((w for w in choices if w > now), None)


def wide_mask(genotype: EasGenotype, sizes: str) -> list[bool]:
    """Which tokens can be widened."""
    return [next_width(genotype, k, sizes) is not None for k in range(len(tokens(genotype)))]


@dataclass(frozen=True)
class Places:
    """Where a layer can be put.

    Attributes
    ----------
    positions : lists of token positions, by block
        A new layer goes behind the chosen one; empty for blocks without layers.
    full : blocks that can take no more
    flat : int or None
        The block of fully connected layers, where no kernel is chosen.
    shape : (blocks, layers)
        Of the actor's decisions.
    """

    positions: tuple[tuple[int, ...], ...]
    full: tuple[bool, ...]
    flat: int | None
    shape: tuple[int, int]

    def block_mask(self) -> list[bool]:
        """Blocks that exist, hold layers and are not full."""
        blocks = self.shape[0]
        known = [bool(p) and not f for p, f in zip(self.positions, self.full, strict=True)]
        return known + [False] * (blocks - len(known))

    def layer_mask(self, block: int) -> list[bool]:
        """Layers of a block that exist."""
        n = len(self.positions[block])
        return [k < n for k in range(self.shape[1])]


def places(genotype: EasGenotype) -> Places:
    """Blocks of a plain network end with its pooling layers, those of a DenseNet with its transitions."""
    names = tokens(genotype)
    found: list[list[int]] = [[]]
    for position, token in enumerate(names):
        if token in ("pool", "t"):
            found.append([])
        else:
            found[-1].append(position)
    plain = isinstance(genotype, PlainGenotype)
    shape = PLAIN_SHAPE if plain else DENSE_SHAPE
    found = found[: shape[0]]
    flat = next((b for b, own in enumerate(found) if own and names[own[0]].startswith("fc")), None)
    room = len(names) < MAX_STEPS
    return Places(
        tuple(map(tuple, found)), tuple(len(own) >= shape[1] or not room for own in found), flat, shape
    )  # fmt: skip
