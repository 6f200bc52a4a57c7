"""Networks that can predict, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.core.errors import UsageError, require
from auditor.core.hashing import hash_file
from auditor.core.reading import parsing, regular_file
from auditor.core.registry import Registry
from auditor.models.genotype import parse_genotype
from auditor.models.registry import build_model, kept_name
from auditor.models.weights import LARGEST_SIDE, names_weights
from auditor.train.results import WEIGHTS

if TYPE_CHECKING:
    from torch import nn

    from auditor.train.kept import KeptNetwork

#: Networks around others, by name: ``(network, **options) -> network``. All come by entry point, those of
#: `auditor.lab.prune` too. A network names its own by a method ``wrapping() -> (name, options)``.
WRAPPERS: Registry[Callable[..., nn.Module]] = Registry("wrapper", {}, "auditor.network_wrappers")


def open_network(name: str) -> KeptNetwork:
    """A network that can predict: one kept by a run, an experiment or a benchmark, a pruned, gated or searched one too,
    or one with published weights.

    Parameters
    ----------
    name : str
        ``NETWORK@FILE`` (`auditor.models.weights.open_weights`), a ``.safetensors`` file of
        `auditor.train.network_files`, or the ``.weights.npz`` file of a fit in ``tasks/results`` of a run.

    Returns
    -------
    KeptNetwork
        ``probabilities(images)``: float32 (n, n_classes) of uint8 images (n, H, W, 3), one look at each; ``model``, the
        module for torch; ``size``, ``n_classes``, ``facts``.

    Raises
    ------
    UsageError
        For another form of name.
    RunError, UnreadableError, UnsafeFileError, UnknownNameError, MissingExtraError
        As `published_network`, `open_file` and `load_kept`.

    Examples
    --------
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from auditor import open_network
    >>> from auditor.models.registry import build_model
    >>> from auditor.train.network_files import save_network
    >>> facts = {"rebuild": {"network": "resnet20:a", "options": {"width": 4}, "image_size": 32}, "n_classes": 3}
    >>> facts |= {"input_size": [32, 32], "input_mean": [120.0] * 3, "input_std": [60.0] * 3}
    >>> save_network(Path("net.safetensors"), build_model("resnet20", 3, 32, 0, width=4), facts)
    >>> open_network("net.safetensors").probabilities(np.zeros((2, 32, 32, 3), np.uint8)).shape
    (2, 3)
    """
    require("torch", "torch", "opening a network")
    from auditor.train.kept import load_kept, published_network
    from auditor.train.published import open_published

    if names_weights(name):
        return published_network(open_published(name))
    path = Path(name).expanduser()
    if name.endswith(WEIGHTS):
        regular_file(path)
        return load_kept(path.absolute().parents[1], path.name.removesuffix(WEIGHTS))
    if path.suffix == ".safetensors":
        return open_file(path)
    raise UsageError(
        f"{name!r} names no network that could predict.",
        "Name NETWORK@FILE, e.g. resnet56@resnet56.safetensors, a network that was kept (fits/shared-networks/**/"
        f"*.safetensors of a result), or one of a run (tasks/results/*{WEIGHTS}).",
    )


def open_file(path: Path) -> KeptNetwork:
    """The network of a file of `auditor.train.network_files`, rebuilt.

    Raises
    ------
    UnreadableError
        If the file is absent, damaged, or says nothing that can be rebuilt.
    UnknownNameError, UsageError
        If a package that it needs is not installed, or it names an option that the network does not have.
    """
    require("torch", "torch", "opening a network")
    import torch

    from auditor.train.kept import KeptNetwork
    from auditor.train.network_files import FORM, load_network

    state, facts = load_network(path)
    with parsing(path, FORM):
        model = _rebuilt(facts)
        model.load_state_dict(state)
        mean, std = (
            torch.tensor(facts[f"input_{key}"], dtype=torch.float32).reshape(1, 3, 1, 1) for key in ("mean", "std")
        )
        height, width = map(int, facts["input_size"])
        if not (0 < height <= LARGEST_SIDE and 0 < width <= LARGEST_SIDE) or not (std > 0).all():
            raise ValueError(f"images of {height} x {width} pixels with deviations {std.flatten().tolist()}")
        n_classes, name = int(facts["n_classes"]), str(facts.get("name", path.stem))
    about = {**facts, "file": str(path.absolute()), "sha256": hash_file(path)}
    return KeptNetwork(name, model.eval(), mean, std, (height, width), n_classes, name, about)


def _rebuilt(facts: Mapping[str, Any]) -> nn.Module:
    """The network of the facts in a file, with other weights."""
    rebuild = facts.get("rebuild") or _older(facts)
    options = dict(rebuild["options"])
    if "genotype" in rebuild:
        options["variant"] = parse_genotype(rebuild["genotype"], "the header of the file")
    model = build_model(kept_name(rebuild["network"]), facts["n_classes"], rebuild["image_size"], 0, **options)
    if "wrapper" not in rebuild:
        return model
    name, wrapping = rebuild["wrapper"]
    return WRAPPERS.load(name)(model, **wrapping)


def _older(facts: Mapping[str, Any]) -> dict[str, Any]:
    """``rebuild`` of a file from before it was written: a pruned network, or one whose filters are switched."""
    rebuild = {"network": facts["dense_network"], "options": {}, "image_size": max(32, min(facts["input_size"]))}
    if str(facts["method"]).startswith("ftwt"):
        mode = "static" if facts["method"] == "ftwt_static" else "predict"
        rebuild["wrapper"] = ["gated", {"r": facts["r"], "ratio": facts["ratio"], "mode": mode}]
    return rebuild
