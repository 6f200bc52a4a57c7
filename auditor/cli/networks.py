"""``auditor predict`` and ``auditor export``: what a network says of images, and the network as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from auditor.cli.options import NO_ROLES, DataDir, Device, Json, Overwrite, Quiet, Roles, takes_roles

NetworkName = Annotated[
    str, Argument(metavar="NETWORK", help="NETWORK@FILE, a kept .safetensors network, or .weights.npz of a run's fit.")
]


@takes_roles
def predict(
    network: NetworkName,
    dataset: Annotated[str, Argument(metavar="DATASET", help="Data set of images.")],
    out: Annotated[Path, Option(help="File for the probabilities, ids and labels: .npz.")],
    roles: Roles = NO_ROLES,
    split: Annotated[str | None, Option(help="Split to predict; by default test, or the only one.")] = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Predict the images of a data set with a network that was kept, or has published weights."""
    from auditor.cli.console import answer
    from auditor.cli.values import check_suffix, data_named, settings_for
    from auditor.core.display import shown
    from auditor.core.errors import require
    from auditor.core.escaping import quoted
    from auditor.core.files import refuse_existing
    from auditor.data.open import open_split

    check_suffix("--out", out, (".npz",))
    refuse_existing(out, overwrite)
    require("torch", "torch", "predicting with a network")
    import numpy as np

    from auditor.runs.tables import write_arrays
    from auditor.train.networks import open_network
    from auditor.train.predict import predict as predicted

    opened = open_network(network)
    reference = data_named(dataset, roles)
    data = open_split(reference, split, settings_for(data_dir))
    with shown(not quiet) as progress:
        probabilities, document = predicted(opened, data, progress, device)
    names = {"ids": np.asarray(data.ids, np.str_), "class_names": np.asarray(data.class_names, np.str_)}
    write_arrays(out, {"pred_probs": probabilities, "labels": data.labels, **names})
    low, high = document["interval"]
    lines = [
        f"{document['network']}: {100 * document['accuracy']:.2f} % of {document['items']:,} given labels "
        f"(95 %: {100 * low:.2f} to {100 * high:.2f})",
        *([f"Note: {document['caution']}."] if document["caution"] else []),
        f"Probabilities: {out}",
        f"Next: auditor find-errors {quoted(data.reference)} --pred-probs {quoted(out)}",
    ]
    answer(lines, document | {"out": str(out)} if json else None, quiet)


def export(
    network: NetworkName,
    out: Annotated[Path, Option(help="ONNX file to write.")],
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a network as an ONNX file, after onnxruntime gave the network's own logits with it."""
    from auditor.cli.console import answer
    from auditor.cli.values import check_suffix
    from auditor.core.errors import require
    from auditor.core.files import refuse_existing

    check_suffix("--out", out, (".onnx",))
    refuse_existing(out, overwrite)
    require("torch", "torch", "writing a network")
    from auditor.train.export import export_onnx
    from auditor.train.networks import open_network

    document = export_onnx(open_network(network), out)
    compared, height = document["compared"], document["input"]["shape"][2:]
    lines = [
        f"{document['network']}: {out}, images (n, 3, {height[0]}, {height[1]}) of RGB from 0 to 255 to logits "
        f"(n, {document['output']['shape'][1]})",
        f"onnxruntime gives the network's logits for {compared['images']} images: they differ by at most "
        f"{compared['largest_difference']:.2g}, the largest is {compared['largest_logit']:.2g}",
    ]
    answer(lines, document if json else None, quiet)
