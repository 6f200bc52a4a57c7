"""Trainers by name, and which one `auto` takes for which data and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from auditor.core.errors import UnknownNameError, UsageError, require
from auditor.core.registry import Registry
from auditor.models.registry import LIBRARIES, MODELS, VARIANTS
from auditor.models.weights import names_weights
from auditor.train import encoders
from auditor.train.base import Trainer

if TYPE_CHECKING:
    from auditor.train.quick_look import QuickLook

Budget = Literal["smoke", "quick", "standard"]

#: Trainers by name. The class is called without arguments, or its ``from_budget(budget)`` where it has one.
#: Networks of `auditor.models.registry.MODELS` are trainers too, by the network's name; ``NETWORK@FILE`` is one with
#: published weights, which predicts and is not trained (`auditor.train.published`).
TRAINERS: Registry[Callable[..., Trainer]] = Registry(
    "model",
    {
        "frozen": "auditor.train.frozen:FrozenTrainer",
        "sentence": "auditor.train.frozen:FrozenTrainer",
        "pixels": "auditor.train.pixels:PixelTrainer",
        "tfidf": "auditor.train.text:TfidfTrainer",
        "boosting": "auditor.train.table:TableTrainer",
        "kernel": "auditor.train.kernel:KernelTrainer",
    },
    "auditor.trainers",
)

#: Kind of data and description; networks and third parties' trainers are not in it.
_ABOUT = {
    "frozen": ("image", "pretrained encoder, embeddings once, linear head per fold; frozen:ENCODER names another"),
    "sentence": ("text", "sentence encoder, embeddings once, linear head per fold"),
    "pixels": ("image", "kernel classifier on pixels, for tiny images; needs no torch"),
    "tfidf": ("text", "words and character n-grams with logistic regression"),
    "boosting": ("table", "histogram gradient boosting for numeric and categorical columns"),
    "kernel": ("table", "logistic regression on columns and RBF features; the second model of tables"),
}
_NETWORKS = {
    "cifake_cnn": "network of the CIFAKE paper; cifake_cnn:f32-c2-d64-n1 names a topology",
    "fastnet": "small convolutional network for images around 32 px; the fastest from scratch",
}
_ENCODER = {"frozen": "efficientnet-lite0", "sentence": "minilm"}
#: Images up to this height and width go to `pixels`; a network gains nothing on so few of them.
TINY_SIDE = 16
#: A kernel classifier's time grows with the square of the number of items.
MOST_FOR_PIXELS = 10_000
#: Below this, a network trained from scratch is worse than a linear head on pretrained features (on 6,000 CIFAR-10
#: images the head reaches .849 at 96 px and .79 at 64 px).
FEWEST_FOR_NETWORK = 10_000
#: Above this height or width, training from scratch takes hours on a CPU.
LARGE_SIDE = 64
#: Side of the images that the encoder sees as a second model. In the quick budget the pool ranks much better with it
#: than with the 64 px of the encoder alone, for three times the encoding (`auditor benchmark-detection
#: cifar10n-random1-two --budget quick`); in the standard one a network takes longer than larger pictures do.
SECOND_SIZE = {"quick": 112, "standard": 144}
#: The same, and the training items of its head, where the quick budget predicts one split from another: what is encoded
#: in less than half the time of the network. Of 10,000 test images predicted from 50,000, the pool has .868 right with
#: 3,000 more at 80 px, .865 with 5,000 more at 64 px, .844 without the encoder.
QUICK_SIZE, QUICK_ENOUGH = 80, 3000
#: The sentence encoder embeds about 20 texts of 240 characters a second on one slow core: some ten minutes for so
#: many. With 800 training texts it was right about 85 % of 400 AG-News texts, TF-IDF about 77 % (against the truth).
MOST_SENTENCES_ON_CPU = 10_000


def choose_trainer(
    name: str,
    budget: str,
    kind: str,
    n_items: int,
    image_shape: tuple[int, int] | None = None,
    device: str = "auto",
    cache_dir: Path | None = None,
    compare: Callable[[dict[str, Trainer]], QuickLook | None] | None = None,
) -> tuple[Trainer, str]:
    """The trainer called `name`, or the one that suits the data, and one sentence saying why.

    Parameters
    ----------
    name : str
        A name of `list_models`, or ``"auto"``.
    budget : str
        ``"smoke"``, ``"quick"`` or ``"standard"``.
    kind : str
        Of the data, as in `TrainingData`.
    n_items : int
        Items a model will be trained on; it decides what counts as a small set.
    image_shape : (height, width), optional
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    cache_dir : Path, optional
        Where trainers may keep what does not depend on labels (embeddings). Never changes a result.
    compare : callable, optional
        Looks at the data with the trainers among which ``"auto"`` has to choose, cheapest first; None: it cannot tell.

    Raises
    ------
    UnknownNameError
        With the nearest names.
    UsageError
        If the trainer cannot read this kind of data, or for an unknown device.
    MissingExtraError, OfflineError
        If the trainer's library or weights are not here.
    UnsafeFileError
        If packaged weights, which ``"auto"`` would take, are not the published ones.
    """
    reason = "named by the caller"
    if name == "auto":
        name, reason = _pick(kind, n_items, image_shape, device, budget)
        if compare is not None and name == "sentence":
            rivals = {rival: make_trainer(rival, budget, device, cache_dir) for rival in ("tfidf", name)}
            if (look := compare(rivals)) is not None:
                return rivals[look.winner], f"{kind} data, {n_items:,} to train on: {look}"
    else:
        _refuse_other_kind(name, kind)
    return make_trainer(name, budget, device, cache_dir), reason


def choose_second(
    name: str,
    first: Trainer,
    automatic: bool,
    budget: str,
    kind: str,
    device: str = "auto",
    cache_dir: Path | None = None,
    split: bool = False,
) -> tuple[Trainer | None, str]:
    """The model whose probabilities are pooled with the first one's, or none, and one sentence saying why.

    A model of another kind errs elsewhere: it tells more about a label than a second seed of the first one.

    Parameters
    ----------
    name : str
        ``"auto"``, ``"none"`` or a name of `list_models`.
    first : Trainer
    automatic : bool
        Whether `first` was picked here; beside a model of the caller's choice ``"auto"`` adds none.
    budget, kind, device, cache_dir
        As in `choose_trainer`; so are the errors.
    split : bool
        Whether one split is predicted from another: a network is then trained once, and in the quick budget the encoder
        sees smaller pictures of fewer items.
    """
    if name == "none":
        return None, "not wanted"
    if name == "auto":
        if not automatic:
            return None, "the caller named one model; --second-model auto goes with --model auto"
        picked, reason = _pick_second(first, kind)
        if picked is None:
            return None, reason
    else:
        picked, reason = name, "named by the caller"
        _refuse_other_kind(name, kind)
    second = make_trainer(picked, budget, device, cache_dir)
    if getattr(first, "fixed", False) and not getattr(second, "fixed", False):
        raise UsageError(
            f"{first.name} is not trained, so there are no folds in which {second.name} could be.",
            f"Swap them: the network with published weights as the second model, --model {picked} --second-model ..",
        )
    if second.name == f"frozen:{_ENCODER['frozen']}" and budget != "smoke":
        short = split and budget == "quick"
        seen = {"size": QUICK_SIZE, "enough": QUICK_ENOUGH} if short else {"size": SECOND_SIZE[budget]}
        second = cast(Trainer, replace(cast(Any, second), **seen))
    if second.recipe() == first.recipe():
        raise UsageError(f"the second model is the first one again: {first.name}.", "Name one of another kind.")
    return second, reason


def _pick_second(first: Trainer, kind: str) -> tuple[str | None, str]:
    """Name of the model that tells most beside `first`, or None, and the reason."""
    if kind == "image" and first.name.startswith("image:"):
        if (obstacle := encoders.lacking(_ENCODER["frozen"])) is not None:
            return None, obstacle
        return "frozen", "pretrained features err elsewhere than a network from scratch"
    if kind == "table" and first.name == "boosting":
        return "kernel", "a smooth model errs elsewhere than trees"
    if kind == "text":
        return None, "words beside sentences ranked news no better than the sentence encoder alone (docs/models.md)"
    return None, f"no model of another kind is known to help beside {first.name}"


def _refuse_other_kind(name: str, kind: str) -> None:
    if (reads := _kind_of(name)) is not None and reads != kind:
        known = [row["name"] for row in list_models()[1:] if row["for"] in (kind, "own")]
        raise UsageError(
            f"model {name!r} reads {reads} data; this data set holds {kind} data.",
            f"For {kind} data: auto, {', '.join(known)}.",
        )


def make_trainer(name: str, budget: str = "standard", device: str = "auto", cache_dir: Path | None = None) -> Trainer:
    """Build the trainer called `name`. Errors as `choose_trainer`."""
    if budget not in get_args(Budget):
        raise UnknownNameError("budget", budget, get_args(Budget))
    base, _, argument = name.partition(":")
    if _published(name):
        from auditor.train.published import PublishedNetwork, open_published

        return PublishedNetwork(open_published(name), device)
    if base in LIBRARIES:
        raise UsageError(
            f"{name!r} is not trained from scratch here.",
            f"Give a file of its weights, {name}@FILE, or take it as an encoder: frozen:{name}.",
        )
    if base in ("image", "network") and argument.partition(":")[0] in MODELS:
        base, _, argument = argument.partition(":")
    if base in VARIANTS:
        return _network(f"{base}:{argument}" if argument else base, budget, device)
    if base in ("frozen", "sentence"):
        from auditor.train.frozen import FrozenTrainer

        encoder = argument or _ENCODER[base]
        if base == "sentence" and argument and argument != "minilm":
            encoder = f"transformers-text:{argument}"
        frozen = FrozenTrainer.from_budget(budget, encoder, device=device, cache_dir=cache_dir)
        frozen.recipe()  # a missing library or weight file is reported now, not after the data was decoded
        return frozen
    base = f"{base}:{argument}" if argument else base
    target = _known().target(base)  # unknown names end here, with the nearest ones
    if base in MODELS:
        return _network(base, budget, device)
    factory = TRAINERS.load(base)
    made = factory.from_budget(budget) if hasattr(factory, "from_budget") else factory()
    if not isinstance(made, Trainer):
        raise UsageError(
            f"{target} is registered as trainer {base!r} but lacks `name`, `recipe` or `fit`.",
            "See auditor.train.base.Trainer.",
        )
    return made


def list_models() -> list[dict[str, Any]]:
    """Every name `choose_trainer` takes: rows ``name, for, description, state``. Imports nothing heavy."""
    rows = [("auto", "all", "picks by kind of data, number of items, image size and hardware, and says why", "ready")]
    for name in _known():
        if name in MODELS:
            kind, description = "image", _NETWORKS.get(name, "network trained from scratch")
        elif name in _ABOUT:
            kind, description = _ABOUT[name]
        else:
            text = (TRAINERS.load(name).__doc__ or "").strip()
            kind, description = "own", text.splitlines()[0] if text else f"registered as {TRAINERS.target(name)}"
        state = None
        if name in MODELS or name in _ENCODER:
            if find_spec("torch") is None:
                state = "not installed: pip install 'auditor[torch]'"
            elif name in _ENCODER:
                state = encoders.missing(_ENCODER[name])
        rows.append((name, kind, description, state or "ready"))
    return [dict(zip(("name", "for", "description", "state"), row, strict=True)) for row in rows]


def _known() -> Registry[Any]:
    """Trainers and networks in one table, for look-ups and suggestions."""
    merged: Registry[Any] = Registry("model", {name: MODELS.target(name) for name in MODELS})
    for name in TRAINERS:
        merged.register(name, TRAINERS.target(name))
    return merged


def _kind_of(name: str) -> str | None:
    """Kind of data a named trainer reads; None where only the trainer knows."""
    base, _, argument = name.partition(":")
    if base == "frozen" and argument:
        return encoders.encoder_kind(argument)
    return (
        "image" if _published(name) or base in MODELS or base in ("image", "network") else _ABOUT.get(base, (None,))[0]
    )


def _published(name: str) -> bool:
    """Whether a name is that of a network with the weights of a file; of an encoder, ``@`` names its own file."""
    return names_weights(name) and name.partition(":")[0] not in _ENCODER


def _network(name: str, budget: str, device: str) -> Trainer:
    require("torch", "torch", f"the network {name!r}")
    from auditor.train.device import choose_device
    from auditor.train.image_network import ImageNetwork

    # On an accelerator the full recipe takes less time than the quick one on a CPU.
    full = budget == "standard" and choose_device(device) == "cuda"
    return ImageNetwork.from_budget("gpu" if full else budget, name, device)


def _pick(kind: str, n_items: int, image_shape: tuple[int, int] | None, device: str, budget: str) -> tuple[str, str]:
    """Name and reason of the trainer for this much data of a kind."""
    if kind == "table":
        return "boosting", "table data: gradient boosting takes numbers, categories and missing values as they are"
    if kind == "text":
        size = f"text data, {n_items:,} to train on"
        if budget == "standard" and encoders.lacking(_ENCODER["sentence"]) is None:
            from auditor.train.device import choose_device

            if n_items <= MOST_SENTENCES_ON_CPU or choose_device(device) == "cuda":
                return "sentence", f"{size}: the sentence encoder is installed, and it understands more than words"
        return "tfidf", f"{size}: TF-IDF with logistic regression needs no pretrained weights and takes seconds"
    if kind != "image" or image_shape is None:
        raise UsageError(f"there is no trainer for {kind} data.", "Supply probabilities: --pred-probs.")
    side = max(image_shape)
    size = f"{n_items:,} images of {side} px to train on"
    if side <= TINY_SIDE and n_items <= MOST_FOR_PIXELS:
        return "pixels", f"{size}: at this size a kernel classifier on pixels is as good as a network, in seconds"
    if find_spec("torch") is None:
        return "pixels", f"{size}: torch is not installed, so no network (pip install 'auditor[torch]')"
    from auditor.train.device import choose_device

    device = choose_device(device)
    few, encoder_here = n_items < FEWEST_FOR_NETWORK, encoders.lacking(_ENCODER["frozen"]) is None
    if few and encoder_here:
        return "frozen", f"{size}: too few for a network from scratch; pretrained features with a linear head"
    if side > LARGE_SIDE and encoder_here:
        return "frozen", f"{size}: a network from scratch would take hours; pretrained features once, on {device}"
    lacking = "; with auditor[encoders] this would do better" if few else ""
    return "fastnet", f"{size}: the small network trains from scratch in minutes on {device}{lacking}"
