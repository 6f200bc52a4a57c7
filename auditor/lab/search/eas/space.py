"""What EAS's controller reads and may do: tokens, widths, and where layers can be put."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.core.errors import UsageError
from auditor.models.genotype import EAS_KERNELS, DenseGenotype, PlainGenotype, PlainLayer

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
#: What fills a shorter sequence up; it changes nothing, so sequences are read at their own length.
PAD = "PAD"
#: Blocks, and layers or miniblocks in each, the deeper actor can name.
PLAIN_SHAPE, DENSE_SHAPE = (5, 10), (3, 20)

EasGenotype = PlainGenotype | DenseGenotype


def vocabulary() -> list[str]:
    """Every token, PAD first."""
    known = [PAD, "pool", "t"]
    convs = sorted({w for sizes in WIDTHS.values() for w in sizes["conv"]})
    units = sorted({w for sizes in WIDTHS.values() for w in sizes["fc"]})
    known += [f"conv-{w}-{k}" for w in convs for k in EAS_KERNELS]
    known += [f"fc-{w}" for w in units]
    return known + [f"g{g}" for g in GROWTHS]


def tokens(genotype: EasGenotype) -> list[str]:
    """One token a layer or miniblock."""
    if isinstance(genotype, PlainGenotype):
        return [layer.token() for layer in genotype.layers]
    names: list[str] = []
    for number, block in enumerate(genotype.blocks):
        names += ["t"] if number else []
        names += [f"g{growth}" for growth in block]
    return names


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
    """Which tokens can be widened: no pooling, no transition, nothing at its largest width. The classifier is no
    token."""
    return [next_width(genotype, k, sizes) is not None for k in range(len(tokens(genotype)))]


def joints(genotype: DenseGenotype) -> DenseGenotype:
    """After growths grew: the stem at twice their mean, every transition at half its input, where that is wider."""
    every = [g for block in genotype.blocks for g in block]
    stem = max(genotype.stem, 2 * sum(every) // len(every))
    inputs, transitions = stem, []
    for now, block in zip(genotype.transitions, genotype.blocks, strict=False):
        inputs = max(now, (inputs + sum(block)) // 2)
        transitions.append(inputs)
    return genotype.model_copy(update={"stem": stem, "transitions": tuple(transitions)})


def new_widths(genotype: EasGenotype, bits: tuple[int, ...], sizes: str) -> dict[int, int]:
    """Next width of every token whose bit is set.

    Raises
    ------
    UsageError
        If a bit asks for a layer that cannot grow.
    """
    widths: dict[int, int] = {}
    for position, bit in enumerate(bits):
        width = next_width(genotype, position, sizes)
        if bit and width is None:
            raise UsageError(f"{tokens(genotype)[position]} has no next width in the list {sizes!r}.")
        if bit and width is not None:
            widths[position] = width
    return widths


def widened(genotype: EasGenotype, bits: tuple[int, ...], sizes: str) -> EasGenotype:
    """The architecture after one decision of the wider actor, one bit a token; errors as in `new_widths`."""
    grown = new_widths(genotype, bits, sizes)
    if isinstance(genotype, PlainGenotype):
        layers = list(genotype.layers)
        for position, width in grown.items():
            layers[position] = layers[position].model_copy(update={"width": width})
        return genotype.model_copy(update={"layers": tuple(layers)})
    if not grown:
        return genotype
    where = places(genotype).positions
    blocks = tuple(
        tuple(grown.get(p, g) for p, g in zip(own, block, strict=True))
        for own, block in zip(where, genotype.blocks, strict=True)
    )
    return joints(genotype.model_copy(update={"blocks": blocks}))


def deepened(genotype: EasGenotype, choice: tuple[int, ...]) -> EasGenotype:
    """The architecture after one decision of the deeper actor: block, layer and, in plain networks, kernel."""
    block, layer = choice[:2]
    if isinstance(genotype, DenseGenotype):
        blocks = list(genotype.blocks)
        blocks[block] = (*blocks[block][: layer + 1], blocks[block][layer], *blocks[block][layer + 1 :])
        return genotype.model_copy(update={"blocks": tuple(blocks)})
    position = places(genotype).positions[block][layer]
    before = genotype.layers[position]
    kernel = EAS_KERNELS[choice[2]] if before.kind == "conv" else 0
    new = PlainLayer(kind=before.kind, width=before.width, kernel=kernel)
    layers = (*genotype.layers[: position + 1], new, *genotype.layers[position + 1 :])
    return genotype.model_copy(update={"layers": layers})


@dataclass(frozen=True)
class Places:
    """Where a layer can be put.

    Attributes
    ----------
    positions : lists of token positions, by block
        A new layer goes behind the chosen one; empty for blocks without layers.
    open : bool of each block the actor can name
        Whether it exists, holds layers and is not full.
    flat : int or None
        The block of fully connected layers, where no kernel is chosen.
    shape : (blocks, layers)
        Of the actor's decisions.
    """

    positions: tuple[tuple[int, ...], ...]
    open: list[bool]
    flat: int | None
    shape: tuple[int, int]

    @property
    def room(self) -> bool:
        """Whether any layer can be added."""
        return any(self.open)

    def layer_mask(self, block: int) -> list[bool]:
        """Layers of a block that exist."""
        return [k < len(self.positions[block]) for k in range(self.shape[1])]


def places(genotype: EasGenotype) -> Places:
    """Blocks of a plain network end with its pooling layers, those of a DenseNet with its transitions."""
    names = tokens(genotype)
    blocks: list[list[int]] = [[]]
    for position, token in enumerate(names):
        if token in ("pool", "t"):
            blocks.append([])
        else:
            blocks[-1].append(position)
    shape = PLAIN_SHAPE if isinstance(genotype, PlainGenotype) else DENSE_SHAPE
    blocks = blocks[: shape[0]]
    flat = next((b for b, own in enumerate(blocks) if own and names[own[0]].startswith("fc")), None)
    free = [0 < len(own) < shape[1] and len(names) < MAX_STEPS for own in blocks]
    return Places(tuple(map(tuple, blocks)), free + [False] * (shape[0] - len(free)), flat, shape)
