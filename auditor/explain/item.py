"""What the networks of a run looked at in one item."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from auditor.core.errors import DataError, RunError
from auditor.core.files import atomic_path
from auditor.data.base import Dataset
from auditor.explain.gradcam import coarse_maps, enlarge
from auditor.explain.measures import centre_mask, centre_share, curves, shuffled
from auditor.explain.overlays import overlay
from auditor.report.pictures import THUMBNAIL, thumbnail_uri
from auditor.runs import layout
from auditor.runs.run import Run
from auditor.train.kept import KeptNetwork, kept_tasks, load_kept

SCHEMA = "auditor.evidence/1"


@dataclass(frozen=True)
class ClassMap:
    """One item and one class.

    Attributes
    ----------
    label : int
    values : float32 array (H, W)
        Grad-CAM in [0, 1].
    probability : float
        The network's own, without averaging over views or networks.
    """

    label: int
    values: np.ndarray
    probability: float


class RunNetworks:
    """The kept networks of a run. Rebuilt when first asked; keeps them in memory.

    Parameters
    ----------
    run : Run
    after_activation : bool
        Maps of the last activation function, in place of the last convolution (`auditor.explain.gradcam.coarse_maps`).

    Raises
    ------
    RunError
        If the run kept no network.
    """

    def __init__(self, run: Run, after_activation: bool = False) -> None:
        self.run, self.after_activation = run, after_activation
        self.folder = run.path / layout.TASKS
        self.tasks = kept_tasks(self.folder)
        if not self.tasks:
            raise RunError(
                f"the run {str(run.path)!r} holds no network to explain.",
                "Image networks (--model fastnet, cifake_cnn, resnet18, ..) are kept; repeat find-errors with one, "
                "and in another folder (--out) if the run is older than this.",
            )
        self._loaded: dict[str, KeptNetwork] = {}

    def task_for(self, row: int) -> str:
        """The fit that predicted this row of `Run.items` without having seen it: its fold's, or the first seed's.

        Raises
        ------
        DataError
            If the item was not audited, or its network is not there.
        """
        facts = self.run.items.iloc[row]
        if facts["status"] != "audited":
            raise DataError(f"item {facts['id']!r} was not audited: no network predicted it.")
        task = f"fold-{facts['fold']}" if facts["fold"] >= 0 else "seed-0"
        for name in (task, layout.SECOND + task):
            if name in self.tasks:
                return name
        raise DataError(f"the network {task!r}, which predicted item {facts['id']!r}, was not kept.")

    def covers(self, row: int) -> bool:
        """Whether `task_for` has an answer."""
        try:
            self.task_for(row)
        except DataError:
            return False
        return True

    def network(self, task: str) -> KeptNetwork:
        """One network. Errors as `auditor.train.kept.load_kept`."""
        if task not in self._loaded:
            self._loaded[task] = load_kept(self.folder, task)
        return self._loaded[task]

    def of(self, row: int, image: Image.Image, labels: list[int]) -> list[ClassMap]:
        """Maps of one item for some classes. Errors as `task_for`."""
        network = self.network(self.task_for(row))
        prepared = network.images(np.asarray(image.convert("RGB"))[None])
        chosen = torch.tensor(labels)
        probabilities = network.logits(prepared).double().softmax(1)[0]
        repeated = prepared.expand(len(labels), -1, -1, -1)
        coarse = coarse_maps(network.model, repeated, chosen, after_activation=self.after_activation)
        maps = enlarge(coarse, network.size)
        return [ClassMap(k, maps[i].numpy(), float(probabilities[k])) for i, k in enumerate(labels)]

    def measured(self, row: int, image: Image.Image, label: int, controls: int = 5) -> dict[str, Any]:
        """Centre share and curve areas of one item's map for one class, and of `controls` shuffled maps."""
        network = self.network(self.task_for(row))
        prepared = network.images(np.asarray(image.convert("RGB"))[None])
        coarse = coarse_maps(network.model, prepared, torch.tensor([label]), after_activation=self.after_activation)
        maps = torch.cat([coarse, *(shuffled(coarse, k) for k in range(controls))])
        large = enlarge(maps, network.size)
        classes = torch.full((len(maps),), label)
        deletion, insertion = curves(network.model, prepared.expand(len(maps), -1, -1, -1), classes, large).areas()
        mask = centre_mask(network.size)
        share = float(centre_share(large[:1].numpy(), mask)[0])
        areas = {"centre_area": mask.mean(), "deletion_area": deletion[0], "insertion_area": insertion[0]}
        areas |= {"control_deletion_area": deletion[1:].mean(), "control_insertion_area": insertion[1:].mean()}
        return {
            "empty": not bool(coarse.any()),
            "centre_share": None if np.isnan(share) else round(share, 4),
            **{name: round(float(area), 4) for name, area in areas.items()},
            "controls": controls,
        }


def suspect_pictures(run: Run, dataset: Dataset, most: int) -> dict[str, str]:
    """Overlays for the suggested class of the first `most` label findings, as data URIs by item id.

    Items whose fit kept no network are left out.
    """
    suspects = run.suspects.head(most)
    networks = RunNetworks(run)
    pictures = {}
    for item, suggested in zip(suspects["id"], suspects["suggested"], strict=True):
        row = run.row(item)
        if not networks.covers(row):
            continue
        image = dataset.item(row)
        values = networks.of(row, image, [run.class_names.index(suggested)])[0].values
        pictures[str(item)] = thumbnail_uri(overlay(image, values, THUMBNAIL))
    return pictures


def evidence_document(
    run: Run, item_id: str, image: Image.Image, folder: Path, after_activation: bool = False
) -> dict[str, Any]:
    """Explain one item: overlays for the given and the suggested class in `folder`, and their measures.

    Returns
    -------
    dict
        Schema ``auditor.evidence/1``: ``run, id, network, target, given, classes[{name, role, probability, overlay,
        empty, centre_share, centre_area, deletion_area, insertion_area, control_*}]``.

    Raises
    ------
    UnknownNameError, DataError, RunError
        If the run has no such item, it was not audited, or no network was kept.
    """
    run.require_classes("an explanation")
    networks, row = RunNetworks(run, after_activation), run.row(item_id)
    task = networks.task_for(row)
    given = int(run.items["label"].iloc[row])
    best = np.argsort(-np.asarray(run.pred_probs[run.positions[row]]), kind="stable")
    other = int(best[0] if best[0] != given else best[1])
    classes = []
    for class_map, role in zip(networks.of(row, image, [given, other]), ("given", "alternative"), strict=True):
        name = run.class_names[class_map.label]
        stem = "".join(c if c.isalnum() else "-" for c in f"{item_id}-{name}").strip("-")
        path = folder / f"{stem}{'-after-activation' if after_activation else ''}.png"
        with atomic_path(path) as temporary:
            overlay(image, class_map.values, 320).save(temporary, "PNG")
        facts = {"name": name, "role": role, "probability": round(class_map.probability, 6), "overlay": str(path)}
        classes.append(facts | networks.measured(row, image, class_map.label))
    return {
        "schema": SCHEMA,
        "run": run.id,
        "id": item_id,
        "network": task,
        "target": "last activation" if after_activation else "last convolution",
        "given": run.class_names[given],
        "classes": classes,
    }
