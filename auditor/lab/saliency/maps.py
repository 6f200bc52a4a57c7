"""Saliency maps of the predicted class, measured on images drawn by seed, with shuffled maps as the control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from auditor.core.seeds import generator
from auditor.explain.gradcam import coarse_maps, enlarge
from auditor.explain.measures import Curves, centre_mask, centre_share, curves, occlusion, shuffled
from auditor.explain.overlays import overlay
from auditor.train.kept import KeptNetwork

#: Side of the square whose greying is compared with greying everything around it: 484 and 540 of 1,024 pixels.
OCCLUDED_SIDE = 22 / 32
#: Pictures of the contact sheet by group (source x right or wrong).
SHOWN = 8


@dataclass(frozen=True)
class StudiedImages:
    """The images a network is asked about.

    Attributes
    ----------
    pixels : uint8 array (n, H, W, 3)
    labels, objects : int64 arrays (n,)
        What the network is to say, and what is to be seen.
    ids : array of n str
    sources, classes : sequences of str
        Names of the labels and of the objects.
    """

    pixels: np.ndarray
    labels: np.ndarray
    objects: np.ndarray
    ids: np.ndarray
    sources: Sequence[str]
    classes: Sequence[str]


def measure_maps(network: KeptNetwork, images: StudiedImages, seed: int) -> dict[str, Any]:
    """Measure the maps of the predicted class.

    Parameters
    ----------
    network : KeptNetwork
    images : StudiedImages
    seed : int
        Of ties and controls.

    Returns
    -------
    dict
        ``n, groups`` with one entry for all, each source, right and wrong predictions, and each source x object;
        ``curves``: mean curves of all and of each source, by share of pixels; and the maps' ``values`` (n, H, W),
        ``predicted`` and ``right`` for the contact sheet.
    """
    prepared = network.images(images.pixels)
    logits = network.logits(prepared)
    predicted = logits.argmax(1)
    coarse = torch.cat(
        [coarse_maps(network.model, x, k) for x, k in zip(prepared.split(200), predicted.split(200), strict=True)]
    )
    values, control = enlarge(coarse, network.size), enlarge(shuffled(coarse, seed), network.size)
    mask, square = centre_mask(network.size), centre_mask(network.size, OCCLUDED_SIDE)
    of_map, of_control = (curves(network.model, prepared, predicted, m, seed=seed) for m in (values, control))
    own, other = of_map.areas(), of_control.areas()
    start = logits.double().softmax(1).gather(1, predicted[:, None])[:, 0].numpy()
    figures = {
        "centre_share": centre_share(values.numpy(), mask),
        "control_centre_share": centre_share(control.numpy(), mask),
        "deletion_area": own[0],
        "deletion_less_control": own[0] - other[0],
        "insertion_area": own[1],
        "insertion_less_control": own[1] - other[1],
        "drop_centre_greyed": start - occlusion(network.model, prepared, predicted, square),
        "drop_border_greyed": start - occlusion(network.model, prepared, predicted, ~square),
    }
    figures["drop_centre_less_border"] = figures["drop_centre_greyed"] - figures["drop_border_greyed"]
    labels, objects = images.labels, images.objects
    right = predicted.numpy() == labels
    by_source = {source: labels == k for k, source in enumerate(images.sources)}
    groups = {"all": np.ones(len(labels), bool), **by_source, "right": right, "wrong": ~right}
    for source, members in by_source.items():
        groups |= {f"{source} {name}": members & (objects == c) for c, name in enumerate(images.classes)}
    return {
        "n": len(labels),
        "centre_area": float(mask.mean()),
        "occluded_areas": [float(square.mean()), float(1 - square.mean())],
        "empty_maps": int((~coarse.flatten(1).any(1)).sum()),
        "groups": {name: _summary(figures, of) for name, of in groups.items() if of.any()},
        "curves": {
            "share": of_map.share.round(4).tolist(),
            **{
                name: _mean_curves(of_map, of_control, groups[name])
                for name in ("all", *images.sources)
                if groups[name].any()
            },
        },
        "values": values.numpy(),
        "predicted": predicted.numpy(),
        "right": right,
    }


def _mean_curves(own: Curves, control: Curves, of: np.ndarray) -> dict[str, list[float]]:
    """Mean over items of each curve, by ``deletion``, ``insertion`` and the same of the control."""
    figures = {"": own, "control_": control}
    return {
        f"{prefix}{kind}": getattr(measured, kind)[of].mean(axis=0).round(4).tolist()
        for prefix, measured in figures.items()
        for kind in ("deletion", "insertion")
    }


def _summary(figures: dict[str, np.ndarray], of: np.ndarray) -> dict[str, Any]:
    """Mean with 95 % normal interval over items of each figure."""
    summary: dict[str, Any] = {"n": int(of.sum())}
    for name, values in figures.items():
        used = values[of]
        used = used[np.isfinite(used)]
        if not len(used):
            summary[name] = None
            continue
        half = float(1.96 * used.std(ddof=1) / np.sqrt(len(used))) if len(used) > 1 else float("nan")
        mean = float(used.mean())
        summary[name] = [round(mean, 4), *(round(v, 4) if np.isfinite(v) else None for v in (mean - half, mean + half))]
    return summary


def contact_sheet(measured: Mapping[str, Any], images: StudiedImages, seed: int, path: Path) -> list[dict[str, Any]]:
    """Pictures drawn by seed, right and wrong predictions of every source, each beside its overlay; `measured` is of
    `measure_maps`.

    Returns
    -------
    list of dict
        ``group, ids`` of every row of the sheet, top to bottom.
    """
    rows, strips = [], []
    for k, source in enumerate(images.sources):
        for word, members in (("right", measured["right"]), ("wrong", ~measured["right"])):
            among = np.flatnonzero((images.labels == k) & members)
            chosen = generator(seed, "sheet", source, word).permutation(among)[:SHOWN]
            rows.append({"group": f"{source}, {word}", "ids": [str(images.ids[i]) for i in chosen]})
            strips.append([(images.pixels[i], measured["values"][i]) for i in chosen])
    side, gap = 96, 4
    sheet = Image.new("RGB", (SHOWN * (2 * side + 3 * gap), len(strips) * (side + 2 * gap)), "white")
    for r, strip in enumerate(strips):
        for c, (pixels, values) in enumerate(strip):
            picture = Image.fromarray(pixels)
            at = (c * (2 * side + 3 * gap) + gap, r * (side + 2 * gap) + gap)
            sheet.paste(overlay(picture, np.zeros((1, 1)), side), at)
            sheet.paste(overlay(picture, values, side), (at[0] + side + 1, at[1]))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, optimize=True)
    return rows
