"""Logits per epoch: given class, largest other class, log-sum-exp, in float16."""

from __future__ import annotations

import torch


def summarise_logits(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The three numbers detectors need per item.

    Parameters
    ----------
    logits : float32 tensor (b, n_classes)
    labels : int64 tensor (b,)

    Returns
    -------
    float16 tensor (3, b)
        Logit of the given class, largest other logit, log-sum-exp over all classes. Clamped to the finite range
        of float16, so that a diverged logit cannot turn into an infinity that later sums choke on.
    """
    given = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], float("-inf")).amax(1)
    summary = torch.stack([given, others, logits.logsumexp(1)])
    return summary.clamp(-65504, 65504).half()


class DynamicsRecorder:
    """Collects `summarise_logits` of the training forward passes and of the held-out passes.

    Attributes
    ----------
    train, heldout : float16 tensors (3, epochs, items)
        On the CPU; NaN where an item was not seen in an epoch (dropped last batch, held-out pass not made).
    """

    def __init__(self, epochs: int, n_train: int, n_heldout: int, device: str) -> None:
        self.train = torch.full((3, epochs, n_train), float("nan"), dtype=torch.float16)
        self.heldout = torch.full((3, epochs, n_heldout), float("nan"), dtype=torch.float16)
        # One epoch is gathered on the device and copied once: no synchronisation per batch on a GPU.
        self._row = torch.empty((3, n_train), dtype=torch.float16, device=device)

    def begin_epoch(self) -> None:
        """Forget the rows of the previous epoch."""
        self._row.fill_(float("nan"))

    def batch(self, positions: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor) -> None:
        """Record one training batch; `positions` into the training items."""
        self._row[:, positions] = summarise_logits(logits.detach(), labels)

    def end_epoch(self, epoch: int) -> None:
        """Keep the epoch's training rows."""
        self.train[:, epoch] = self._row.cpu()

    def heldout_pass(self, epoch: int, logits: torch.Tensor, labels: torch.Tensor) -> None:
        """Record one pass over the held-out items, in their order."""
        self.heldout[:, epoch] = summarise_logits(logits, labels).cpu()
