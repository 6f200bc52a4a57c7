"""Searched architectures as small JSON files: readable, checked when opened, and enough to rebuild the network."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from auditor.core.errors import UnreadableError
from auditor.core.files import read_json, write_json
from auditor.core.hashing import hash_file

SCHEMA = "auditor.genotype/1"

#: The 13 operations of NASNet's space; ``dil`` has dilation 2, ``sep`` is applied twice.
_POOLS, _SEPARABLE = ("avg3x3", "max3x3", "max5x5", "max7x7"), ("sep3x3", "sep5x5", "sep7x7")
NASNET_OPS = ("identity", "conv1x3_3x1", "conv1x7_7x1", "dil3x3", *_POOLS, "conv1x1", "conv3x3", *_SEPARABLE)
#: The 7 operations of ProxylessNAS's CIFAR space by letter: identity, depthwise-separable 3x3, 5x5, 7x7, the 3x3 with
#: dilation 2, average and max pooling 3x3.
TREE_OPS = "i357dam"
EAS_KERNELS = (1, 3, 5)
#: Searched edges of one tree cell.
TREE_EDGES = 12


class Genotype(BaseModel):
    """What all genotypes share: frozen, and unknown keys fail."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def key(self) -> str:
        """Short text that is equal for equal architectures only."""
        return hashlib.blake2b(self.model_dump_json().encode(), digest_size=8).hexdigest()


class NasnetBlock(Genotype):
    """Two operations on two states, joined. States: 0 = current cell input, 1 = previous one, 2 + k = block k.

    Attributes
    ----------
    left, right : (operation, state)
    combine : "add" or "concat"
    """

    left: tuple[str, int]
    right: tuple[str, int]
    combine: Literal["add", "concat"] = "add"


class NasnetGenotype(Genotype):
    """A normal and a reduction cell, and the size of the stack.

    Attributes
    ----------
    normal, reduction : blocks
    normal_concat, reduction_concat : states that form the cell's output, ascending
    cells : int
        N, normal cells in each of the three stacks.
    filters : int
        F0, filters of the first stack.
    """

    system: Literal["nasnet"] = "nasnet"
    normal: tuple[NasnetBlock, ...]
    reduction: tuple[NasnetBlock, ...]
    normal_concat: tuple[int, ...]
    reduction_concat: tuple[int, ...]
    cells: int = 2
    filters: int = 8

    @model_validator(mode="after")
    def _valid(self) -> NasnetGenotype:
        for blocks, concat in ((self.normal, self.normal_concat), (self.reduction, self.reduction_concat)):
            for number, block in enumerate(blocks):
                for op, state in (block.left, block.right):
                    if op not in NASNET_OPS or not 0 <= state < 2 + number:
                        raise ValueError(f"block {number} cannot apply {op!r} to state {state}")
            if not concat or list(concat) != sorted(set(concat)) or not 0 <= concat[0] <= concat[-1] < 2 + len(blocks):
                raise ValueError(f"states {concat} cannot form a cell's output")
        if self.reduction_concat[0] < 2:
            raise ValueError("an input of a reduction cell cannot be part of its output")
        if self.cells < 1 or self.filters < 2:
            raise ValueError("cells must be at least 1 and filters at least 2")
        return self


class TreeGenotype(Genotype):
    """ProxylessNAS's CIFAR network: a PyramidNet of tree cells.

    Attributes
    ----------
    cells : strings of 12 letters of `TREE_OPS`
        One per block, three equal stages. Letters: for each of the two branches of a cell its two edges, then the two
        edges below the first, then the two below the second.
    stem : int
        Channels of the first convolution, and the width the pyramid starts from.
    end : int
        Bottleneck width of the last block; its output has four times as many channels.
    """

    system: Literal["proxyless"] = "proxyless"
    space: Literal["tree"] = "tree"
    cells: tuple[str, ...]
    stem: int = 16
    end: int = 100

    @model_validator(mode="after")
    def _valid(self) -> TreeGenotype:
        if not self.cells or len(self.cells) % 3:
            raise ValueError("the number of cells must be a multiple of 3")
        for cell in self.cells:
            if len(cell) != TREE_EDGES or set(cell) - set(TREE_OPS):
                raise ValueError(f"{cell!r} is not a cell of {TREE_EDGES} letters of {TREE_OPS!r}")
        if not 4 <= self.stem <= self.end:
            raise ValueError("4 <= stem <= end")
        return self


class MbStage(Genotype):
    """Blocks of one width; the first has the stride.

    Attributes
    ----------
    blocks : strings
        ``"e3k5"`` = expansion 3, kernel 5; ``"zero"`` = left out (only where input and output agree).
    """

    width: int
    stride: int
    blocks: tuple[str, ...]


class MobileGenotype(Genotype):
    """ProxylessNAS's MBConv network. `stem_stride` is 2 for ImageNet and 1 for CIFAR."""

    system: Literal["proxyless"] = "proxyless"
    space: Literal["mbconv"] = "mbconv"
    stem: int = 32
    first: int = 16
    head: int = 1280
    stem_stride: int = 2
    stages: tuple[MbStage, ...]

    @model_validator(mode="after")
    def _valid(self) -> MobileGenotype:
        inputs = self.first
        for stage in self.stages:
            for number, block in enumerate(stage.blocks):
                stride = stage.stride if number == 0 else 1
                if block == "zero":
                    if stride != 1 or (number == 0 and inputs != stage.width):
                        raise ValueError("a block that changes the shape cannot be left out")
                elif block not in {f"e{e}k{k}" for e in (1, 3, 6) for k in (3, 5, 7)}:
                    raise ValueError(f"unknown block {block!r}")
            inputs = stage.width
        return self


class PlainLayer(Genotype):
    """One layer: ``conv`` (filters, kernel), ``pool`` (max, 2x2), ``mean`` (over all pixels) or ``fc`` (units)."""

    kind: Literal["conv", "pool", "mean", "fc"]
    width: int = 0
    kernel: int = 0

    def token(self) -> str:
        """The layer as the controller reads it."""
        return {"conv": f"conv-{self.width}-{self.kernel}", "fc": f"fc-{self.width}"}.get(self.kind, "pool")


class PlainGenotype(Genotype):
    """EAS's plain network: every convolution and fully connected layer is followed by BatchNorm and the activation; a
    linear classifier ends it.

    Attributes
    ----------
    layers : PlainLayers
    dropout : float
        After every pooling layer.
    """

    system: Literal["eas"] = "eas"
    family: Literal["plain"] = "plain"
    layers: tuple[PlainLayer, ...]
    activation: Literal["relu", "sigmoid", "gelu"] = "relu"
    dropout: float = 0.0

    @model_validator(mode="after")
    def _valid(self) -> PlainGenotype:
        flat = False
        for layer in self.layers:
            if layer.kind in ("conv", "fc") and layer.width < 1:
                raise ValueError("a layer needs a width")
            if layer.kind == "conv" and layer.kernel not in EAS_KERNELS:
                raise ValueError(f"kernel {layer.kernel} is not of {EAS_KERNELS}")
            if flat and layer.kind != "fc":
                raise ValueError("after the mean or a fully connected layer only fully connected layers can follow")
            flat = flat or layer.kind in ("mean", "fc")
        return self


class DenseGenotype(Genotype):
    """EAS's DenseNet-BC.

    Attributes
    ----------
    stem : int
        Channels of the first convolution.
    blocks : growth of every miniblock, by block
        The bottleneck is four times the growth.
    transitions : int
        Channels behind each transition, one fewer than blocks.
    """

    system: Literal["eas"] = "eas"
    family: Literal["dense"] = "dense"
    stem: int
    blocks: tuple[tuple[int, ...], ...]
    transitions: tuple[int, ...]

    @model_validator(mode="after")
    def _valid(self) -> DenseGenotype:
        if len(self.transitions) != len(self.blocks) - 1 or any(not block for block in self.blocks):
            raise ValueError("one transition between two blocks, and no empty block")
        if min(self.stem, *self.transitions, *(g for block in self.blocks for g in block)) < 1:
            raise ValueError("every width must be at least 1")
        return self


_KINDS: dict[tuple[str, str], type[Genotype]] = {
    ("nasnet", ""): NasnetGenotype,
    ("proxyless", "tree"): TreeGenotype,
    ("proxyless", "mbconv"): MobileGenotype,
    ("eas", "plain"): PlainGenotype,
    ("eas", "dense"): DenseGenotype,
}

G = TypeVar("G", bound=Genotype)


def write_genotype(path: Path, genotype: Genotype, **facts: Any) -> None:
    """Write a genotype, with facts about where it comes from beside it."""
    write_json(path, {"schema": SCHEMA, "genotype": genotype.model_dump(mode="json"), "facts": facts})


def parse_genotype(body: Any, where: str) -> Genotype:
    """The genotype of its plain values (``model_dump``).

    Parameters
    ----------
    body : JSON value
    where : str
        For the message of an error.

    Raises
    ------
    UnreadableError
        If they describe no network.
    """
    values = body if isinstance(body, dict) else {}
    kind = _KINDS.get((str(values.get("system")), str(values.get("space") or values.get("family") or "")))
    if kind is None:
        raise UnreadableError(f"{where} describes no network of nasnet, proxyless or eas.")
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        reason = error.errors()[0]
        raise UnreadableError(f"{where}: {'.'.join(map(str, reason['loc']))} {reason['msg']}.") from error


def read_genotype(path: Path | str | Genotype, system: str) -> Genotype:
    """The genotype of a file of `write_genotype`, or one that was read already.

    Raises
    ------
    UnreadableError
        If the file is absent, of another schema or system, or describes no network of it.
    """
    if isinstance(path, Genotype):
        if getattr(path, "system", None) != system:
            raise UnreadableError(f"a genotype of {getattr(path, 'system', None)!r} is none of {system!r}.")
        return path
    document = read_json(Path(path))
    genotype = document.get("genotype") if isinstance(document, dict) else None
    if not isinstance(genotype, dict) or document.get("schema") != SCHEMA:
        raise UnreadableError(f"{str(path)!r} is not a genotype ({SCHEMA}).", "Make one with auditor search.")
    if genotype.get("system") != system:
        raise UnreadableError(f"{str(path)!r} holds a genotype of {genotype.get('system')!r}, not of {system!r}.")
    return parse_genotype(genotype, repr(str(path)))


def file_hash(path: Path | str) -> str:
    """Hash of a genotype file's bytes.

    Raises
    ------
    UnreadableError
        If it is absent.
    """
    return hash_file(Path(path)).removeprefix("sha256:")
