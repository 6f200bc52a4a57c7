"""Children of a search: trained through the one loop, scored on validation items, measured once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import nn

from auditor.core.files import read_json, write_json
from auditor.core.hashing import hash_json
from auditor.core.progress import SilentProgress
from auditor.core.reading import reading
from auditor.core.seeds import derive_seed
from auditor.lab.search.data import SearchData
from auditor.train.base import FitTask
from auditor.train.checkpoint import load_checkpoint, save_checkpoint
from auditor.train.device import choose_device, choose_precision
from auditor.train.final import accuracy
from auditor.train.hooks import Hooks
from auditor.train.image_network import ImageNetwork
from auditor.train.optim import CosineSgd
from auditor.train.recipe import Recipe, Stage
from auditor.train.results import data_hash


@dataclass(frozen=True)
class ChildRecipe:
    """How every child of a search is trained.

    Attributes
    ----------
    epochs, batch : int
    rate, decay : float
        SGD with Nesterov momentum 0.9 for a mean loss; the rate falls to 0 along a cosine.
    clip : float or None
        Largest norm of the gradient.
    scale : float
        Resolution as a share of the images' own.
    smoothing : float
        Of the labels.
    mirrored : bool
        Whether a child is scored by image and mirror image, or by the image alone.
    """

    epochs: int
    batch: int
    rate: float
    decay: float
    clip: float | None = None
    scale: float = 1.0
    smoothing: float = 0.0
    mirrored: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Plain values; the last two only where they differ from what all children did before them."""
        values = asdict(self)
        return {k: v for k, v in values.items() if (k, v) not in (("smoothing", 0.0), ("mirrored", True))}

    def loop(self) -> Recipe:
        """As the training loop wants it; images are shifted by up to four pixels and mirrored."""
        return Recipe(
            stages=(Stage(self.scale, self.epochs),),
            batch=self.batch,
            optimiser="sgd",
            filter_rate=self.rate,
            momentum=0.9,
            weight_decay=self.decay,
            label_smoothing=self.smoothing,
            crop=4,
            heldout_from=1.0,
            seeds=1,
            average_mirrored=self.mirrored,
        )


@dataclass(frozen=True)
class SearchSettings:
    """Settings of a system at one budget; every system adds its own.

    Attributes
    ----------
    train, validation : int
        Images of the train split to train and to score on; None for all that are not validation.
    child : ChildRecipe
        Training of a child.
    group : int
        Networks of each group that is trained in the end (`auditor.lab.search.groups`); 0: there are none.
    """

    train: int | None
    validation: int
    child: ChildRecipe
    group: int = field(default=0, kw_only=True)

    def as_dict(self) -> dict[str, Any]:
        """Plain values; without groups where there are none, as before there were any."""
        recipes = {f.name: r.as_dict() for f in fields(self) if isinstance(r := getattr(self, f.name), ChildRecipe)}
        values = {**asdict(self), **recipes}
        return values if self.group else {k: v for k, v in values.items() if k != "group"}


@dataclass(frozen=True)
class ChildScore:
    """One child.

    Attributes
    ----------
    key : str
        Of its architecture.
    hits, n : int
        Right validation items, and all of them.
    parameters, macs : int
        MACs of one image at the resolution trained at.
    cost : float
        MACs of its training, counting a step as three forward passes.
    seconds : float
    repeated : bool
        Seen before in this search: nothing was trained, nothing paid.
    state : str
        Name of the stored weights, where they are kept.
    """

    key: str
    hits: int
    n: int
    parameters: int
    macs: int
    cost: float
    seconds: float
    repeated: bool = False
    state: str = ""

    @property
    def accuracy(self) -> float:
        """Share of validation items, in [0, 1]."""
        return self.hits / self.n


def child_network(recipe: ChildRecipe, label: str, device: str, threads: int = 1) -> ImageNetwork:
    """Trainer of one child, with nothing left at ``auto``."""
    chosen = choose_device(device)
    return ImageNetwork(recipe.loop(), label, chosen, choose_precision(chosen), threads, keep_weights=False)


class Children:
    """Trains and scores children; every score is stored, so that a search that starts again repeats no training.

    Parameters
    ----------
    split : SearchData
    recipe : ChildRecipe
    folder : Path
        Of the stored scores and states.
    seed : int
        Orders of images; the same for all children.
    device : str
    keep : bool
        Store the trained weights too.
    """

    def __init__(
        self, split: SearchData, recipe: ChildRecipe, folder: Path, seed: int, device: str, keep: bool = False
    ) -> None:
        self.split, self.recipe, self.folder, self.keep = split, recipe, Path(folder), keep
        self.seed = derive_seed(seed, "children")
        self.network = child_network(recipe, "child", device)
        self._base = hash_json([data_hash(split.data), recipe.as_dict(), self.seed, self.network.recipe()])
        self._seen: dict[str, ChildScore] = {}

    def forget(self) -> None:
        """Start a new account: scores stay stored, but the first look at each is paid again."""
        self._seen = {}

    def score(self, key: str, build: Callable[[], nn.Module], parent: str = "") -> ChildScore:
        """Train the network `build` gives, unless it is known.

        Parameters
        ----------
        key : str
            Of the architecture.
        build : callable
            Gives the network to train; called inside a seeded generator state, so that weights depend on the seed and
            the architecture alone.
        parent : str
            Tells apart equal architectures with different inherited weights.
        """
        name = hash_json([self._base, key, parent]).removeprefix("sha256:")[:24]
        if name in self._seen:
            known = self._seen[name]
            return ChildScore(**{**asdict(known), "cost": 0.0, "seconds": 0.0, "repeated": True})
        path = self.folder / f"{name}.json"
        if path.is_file() and (not self.keep or self.state_path(name).is_file()):
            with reading(path, "the score of a child"):
                score = TypeAdapter(ChildScore).validate_python(read_json(path))
        else:
            score = self._train(name, key, build)
            write_json(path, asdict(score))
        self._seen[name] = score
        return score

    def _optimiser(self, model: nn.Module, _: Recipe, batch: int, steps: int, per_epoch: int) -> CosineSgd:
        recipe = self.recipe
        parameters = [p for p in model.parameters() if p.requires_grad]
        return CosineSgd(parameters, recipe.rate, recipe.decay, batch, steps, recipe.clip)

    def _train(self, name: str, key: str, build: Callable[[], nn.Module]) -> ChildScore:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(self.seed, "weights", key))
            model = build()
        task = FitTask(name, self.split.train, self.split.validation, self.seed)
        fitted = self.network.fit_network(
            self.split.data,
            task,
            SilentProgress(),
            None,
            start=model,
            hooks=Hooks(optimiser=self._optimiser),
            method=self.recipe.as_dict(),
        )
        details = fitted.result.details
        n = len(task.predict)
        right = accuracy(fitted.result.probabilities, self.split.data.labels[task.predict])
        if self.keep:
            save_checkpoint(self.state_path(name), name, {"model": fitted.model.state_dict()})
        hits, macs, state = round(right * n), details["macs_per_image"], name if self.keep else ""
        cost = 3.0 * macs * (fitted.loop.steps * fitted.loop.batch)
        return ChildScore(key, hits, n, details["parameters"], macs, cost, fitted.result.seconds, state=state)

    def state_path(self, name: str) -> Path:
        """Where the weights of a child lie."""
        return self.folder / f"{name}.pt"

    def state(self, score: ChildScore) -> dict[str, torch.Tensor]:
        """The trained weights of a child.

        Raises
        ------
        RuntimeError
            If they were not kept.
        """
        state, reason = load_checkpoint(self.state_path(score.state), score.state, "cpu")
        if state is None:
            raise RuntimeError(f"the weights of child {score.key} are gone: {reason or 'no file'}")
        return state["model"]
