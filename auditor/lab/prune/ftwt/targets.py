"""Which filters of an input are worth computing: targets from the mass of the activations."""

from __future__ import annotations

import torch

#: Added to r, as in the official code.
SLACK = 1e-5


def mass_targets(activation: torch.Tensor, r: float) -> torch.Tensor:
    """Filters that carry the first share `r` of an input's activation mass.

    The mass of a filter is its largest absolute activation over the positions. Filters are taken by falling mass as
    long as the cumulative share is at most r (+ 1e-5). At ``r = 1`` all filters with a share above 1e-5 are kept: only
    dead ones go. At least one filter is always kept; the plain rule selects none where the first alone exceeds r.

    Parameters
    ----------
    activation : float tensor (b, c, h, w)
        Not masked.
    r : float
        In (0, 1].

    Returns
    -------
    bool tensor (b, c)
    """
    mass = activation.detach().abs().amax((2, 3)).double()
    share = mass / mass.sum(1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    ordered, order = share.sort(dim=1, descending=True, stable=True)
    keep = ordered > SLACK if r >= 1 else (ordered.cumsum(1) <= r + SLACK) & (ordered > 0)
    keep[:, 0] = True
    return torch.zeros_like(keep).scatter(1, order, keep)


def top_share(activation: torch.Tensor, ratio: float) -> torch.Tensor:
    """The same number of filters for every input: the ``max(1, round(ratio x c))`` of largest mass, bool (b, c)."""
    mass = activation.detach().abs().amax((2, 3))
    k = max(1, round(ratio * mass.shape[1]))
    order = mass.argsort(dim=1, descending=True, stable=True)[:, :k]
    return torch.zeros_like(mass, dtype=torch.bool).scatter(1, order, True)
