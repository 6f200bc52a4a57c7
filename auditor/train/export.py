"""Networks as ONNX files, compared with the network itself before they stand under their name."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from auditor.core.errors import DataError, require
from auditor.core.files import atomic_path
from auditor.core.hashing import hash_file
from auditor.core.machine import package_versions
from auditor.train.kept import KeptNetwork

#: Version of the operators; runtimes of the last years know it.
OPSET = 17
#: Images a file is compared on, in batches of these sizes, and how far a logit may lie off, as a share of the largest.
BATCHES, TOLERANCE = (1, 3, 12), 1e-3


class _FromPixels(nn.Module):
    """A network with its normalisation in front."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: KeptNetwork) -> None:
        super().__init__()
        self.network = network.model
        self.register_buffer("mean", network.mean)
        self.register_buffer("std", network.std)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network((images - self.mean) / self.std)


def export_onnx(network: KeptNetwork, path: Path) -> dict[str, Any]:
    """Write `network` as an ONNX file, after onnxruntime gave the network's own logits with it.

    Input ``images``: float32 (n, 3, H, W), red, green and blue from 0 to 255, resized by the caller to the network's
    size; the normalisation is part of the graph. Output ``logits``: float32 (n, K). Any n.

    Parameters
    ----------
    network : KeptNetwork
    path : Path

    Returns
    -------
    dict
        Schema ``auditor.export/1``: ``network, facts, file, sha256, opset, input, output, compared`` (images, largest
        difference of a logit, as such and as a share of the largest logit), ``versions``.

    Raises
    ------
    MissingExtraError
        If onnx or onnxruntime is not installed.
    DataError
        If the network cannot be written as ONNX, or the file computes something else.
    """
    for package in ("onnx", "onnxruntime"):
        require(package, "onnx", "writing an ONNX file")
    import onnx

    module = _FromPixels(network).eval()
    example = torch.zeros(2, 3, *network.size)
    axes = {"images": {0: "n"}, "logits": {0: "n"}}
    with atomic_path(path) as temporary:
        with warnings.catch_warnings(), torch.no_grad():
            # The exporter that traces is deprecated, and the only one that follows hooks (gated networks); the other
            # takes 15 times as long.
            warnings.simplefilter("ignore")
            try:
                torch.onnx.export(
                    module,
                    (example,),
                    str(temporary),
                    input_names=["images"],
                    output_names=["logits"],
                    dynamic_axes=axes,
                    opset_version=OPSET,
                    dynamo=False,
                )
            except (RuntimeError, TypeError, ValueError) as error:
                reason = str(error).strip().splitlines()[0]
                raise DataError(f"{network.task} cannot be written as ONNX: {reason}") from error
        model = onnx.load(str(temporary))
        told = {"network": network.task, "n_classes": network.n_classes, "facts": dict(network.facts)}
        model.metadata_props.add(key="auditor", value=json.dumps(told))
        onnx.save(model, str(temporary))
        onnx.checker.check_model(str(temporary))
        compared = _compared(module, temporary, network.size)
    side = list(network.size)
    return {
        "schema": "auditor.export/1",
        "network": network.task,
        "facts": dict(network.facts),
        "file": str(path),
        "sha256": hash_file(path),
        "opset": OPSET,
        "input": {"name": "images", "shape": ["n", 3, *side], "values": "float32 RGB from 0 to 255"},
        "output": {"name": "logits", "shape": ["n", network.n_classes]},
        "compared": compared,
        "versions": package_versions(),
    }


def _compared(module: nn.Module, path: Path, size: tuple[int, int]) -> dict[str, Any]:
    """Logits of onnxruntime beside those of torch, for images of noise and of plain colours in several batch sizes.

    Raises
    ------
    DataError
        If they differ.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    random, difference, largest = np.random.default_rng(0), 0.0, 0.0
    for n in BATCHES:
        images = random.integers(0, 256, (n, 3, *size)).astype(np.float32)
        images[::2] = random.integers(0, 256, (len(images[::2]), 3, 1, 1))
        with torch.no_grad():
            wanted = module(torch.from_numpy(images)).numpy()
        (given,) = session.run(["logits"], {"images": images})
        difference = max(difference, float(np.abs(given - wanted).max()))
        largest = max(largest, float(np.abs(wanted).max()))
    if not difference <= TOLERANCE * max(largest, 1.0):
        raise DataError(
            f"the ONNX file computes something else than the network: logits up to {largest:.3g} differ by "
            f"{difference:.3g}.",
            "Please report it, with the name of the network.",
        )
    return {"images": sum(BATCHES), "largest_difference": difference, "largest_logit": largest}
