"""EAS's meta-controller: a bidirectional LSTM reads the architecture; one actor widens, one deepens. REINFORCE."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from auditor.core.errors import UsageError
from auditor.lab.search.eas.space import (
    DENSE_SHAPE,
    MAX_STEPS,
    PLAIN_SHAPE,
    EasGenotype,
    Places,
    places,
    tokens,
    vocabulary,
    wide_mask,
)
from auditor.models.genotype import EAS_KERNELS

EMBEDDING, HIDDEN = 16, 50


@dataclass(frozen=True)
class EasDecision:
    """One decision of an actor with everything needed to replay it.

    Attributes
    ----------
    kind : "wider" or "deeper"
    genotype : the architecture it was made on
    choice : ints
        wider: 0 or 1 per token. deeper: block, layer within the block, number of the kernel (plain networks).
    log_p : float
        Of the parts that are not masked.
    """

    kind: Literal["wider", "deeper"]
    genotype: EasGenotype
    choice: tuple[int, ...]
    log_p: float = field(default=0.0, compare=False)


def reward(accuracy: float) -> float:
    """tan(accuracy pi / 2): the last points count most."""
    return math.tan(accuracy * math.pi / 2)


class EasController(nn.Module):
    """Encoder (embedding 16, bi-LSTM of 50 units a direction) and both actors.

    Parameters
    ----------
    sizes : str
        List of widths, see `auditor.lab.search.eas.space.WIDTHS`.
    dense : bool
        Whether DenseNets are grown: three blocks of twenty positions, no kernel.
    """

    def __init__(self, sizes: str, dense: bool) -> None:
        super().__init__()
        self.sizes, self.dense = sizes, dense
        self.shape = DENSE_SHAPE if dense else PLAIN_SHAPE
        self.index = {token: k for k, token in enumerate(vocabulary())}
        self.embedding = nn.Embedding(len(self.index), EMBEDDING, padding_idx=0)
        self.encoder = nn.LSTM(EMBEDDING, HIDDEN, batch_first=True, bidirectional=True)
        self.wide = nn.Linear(2 * HIDDEN, 1)
        self.start = nn.Parameter(torch.zeros(EMBEDDING))
        self.decoder = nn.LSTMCell(EMBEDDING, 2 * HIDDEN)
        self.block_head, self.layer_head = nn.Linear(2 * HIDDEN, self.shape[0]), nn.Linear(2 * HIDDEN, self.shape[1])
        self.kernel_head = nn.Linear(2 * HIDDEN, len(EAS_KERNELS))
        self.block_embedding = nn.Embedding(self.shape[0], EMBEDDING)
        self.layer_embedding = nn.Embedding(self.shape[1], EMBEDDING)

    def encode(self, genotype: EasGenotype) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Outputs (tokens, 100) and the final state (h, c) of both directions, each (1, 100).

        Raises
        ------
        UsageError
            If the network is too long, or a layer has a width of no list.
        """
        names = tokens(genotype)
        unknown = [t for t in names if t not in self.index]
        if unknown or len(names) > MAX_STEPS:
            reason = f"no token for {unknown[0]}" if unknown else f"{len(names)} layers, at most {MAX_STEPS} are read"
            raise UsageError(f"the controller cannot read this network: {reason}.")
        ids = torch.tensor([[self.index[t] for t in names]])
        out, (h, c) = self.encoder(self.embedding(ids))
        return out[0], (h.transpose(0, 1).reshape(1, -1), c.transpose(0, 1).reshape(1, -1))

    def wider(
        self, genotype: EasGenotype, random: torch.Generator | None, choice: tuple[int, ...] | None = None
    ) -> tuple[tuple[int, ...], torch.Tensor, torch.Tensor]:
        """Draw, or replay, one bit a token: bits, log probability and mean entropy of a token; masked tokens are 0 and
        not counted."""
        out, _ = self.encode(genotype)
        logits = self.wide(out)[:, 0]
        mask = torch.tensor(wide_mask(genotype, self.sizes))
        p = logits.sigmoid()
        if choice is None:
            bits = (torch.rand(len(p), generator=random) < p.detach()) & mask
        else:
            bits = torch.tensor(choice, dtype=torch.bool)
        log = torch.where(bits, F.logsigmoid(logits), F.logsigmoid(-logits))
        entropy = -(p * F.logsigmoid(logits) + (1 - p) * F.logsigmoid(-logits))
        return tuple(int(b) for b in bits), log[mask].sum(), entropy[mask].mean()

    def deeper(
        self, genotype: EasGenotype, random: torch.Generator | None, choice: tuple[int, ...] | None = None
    ) -> tuple[tuple[int, ...], torch.Tensor, torch.Tensor]:
        """Draw, or replay, block, layer and kernel, each knowing the one before: choices, log probability and mean
        entropy of a choice.

        Raises
        ------
        UsageError
            If no block can take a layer.
        """
        where = _open_places(genotype)
        _, state = self.encode(genotype)
        h, c = self.decoder(self.start[None], state)
        drawn: list[int] = []
        logs, entropies = [], []

        def pick(logits: torch.Tensor, mask: list[bool] | None, counted: bool = True) -> int:
            # Masked choices have probability 0 and receive no gradient.
            allowed = logits[0] if mask is None else logits[0].masked_fill(~torch.tensor(mask), -torch.inf)
            log = F.log_softmax(allowed, 0)
            number = len(drawn)
            if choice is not None:
                action = choice[number]
            else:
                action = int(torch.multinomial(log.detach().exp(), 1, generator=random))
            drawn.append(action)
            if counted:
                logs.append(log[action])
                entropies.append(-(log.exp() * log.clamp_min(-1e9)).sum())
            return action

        block = pick(self.block_head(h), where.open)
        h, c = self.decoder(self.block_embedding(torch.tensor([block])), (h, c))
        layer = pick(self.layer_head(h), where.layer_mask(block))
        if not self.dense:
            h, c = self.decoder(self.layer_embedding(torch.tensor([layer])), (h, c))
            pick(self.kernel_head(h), None, counted=block != where.flat)
        return tuple(drawn), torch.stack(logs).sum(), torch.stack(entropies).mean()

    def decide(self, kind: Literal["wider", "deeper"], genotype: EasGenotype, random: torch.Generator) -> EasDecision:
        """Draw one decision, without gradients."""
        with torch.no_grad():
            actor = self.wider if kind == "wider" else self.deeper
            choice, log_p, _ = actor(genotype, random)
        return EasDecision(kind, genotype, choice, float(log_p))

    def replay(self, decision: EasDecision) -> tuple[torch.Tensor, torch.Tensor]:
        """Log probability and entropy of a stored decision, with gradients."""
        actor = self.wider if decision.kind == "wider" else self.deeper
        _, log_p, entropy = actor(decision.genotype, None, decision.choice)
        return log_p, entropy


def reinforce_loss(
    controller: EasController, trajectories: list[list[EasDecision]], advantages: list[float], entropy: float
) -> torch.Tensor:
    """- sum over networks and steps of (advantage / networks) log p - entropy x mean entropy of the decisions, as in
    the authors' code."""
    total, spreads = torch.zeros(()), []
    for decisions, advantage in zip(trajectories, advantages, strict=True):
        for decision in decisions:
            log_p, spread = controller.replay(decision)
            total = total - advantage / len(trajectories) * log_p
            spreads.append(spread)
    return total - entropy * torch.stack(spreads).mean() if spreads else total


def random_decision(
    kind: Literal["wider", "deeper"], genotype: EasGenotype, sizes: str, random: torch.Generator
) -> EasDecision:
    """The random policy: a fair coin a layer; block, layer and kernel uniform over what exists."""
    if kind == "wider":
        mask = wide_mask(genotype, sizes)
        bits = [int(torch.rand((), generator=random) < 0.5) if m else 0 for m in mask]
        return EasDecision(kind, genotype, tuple(bits))
    where = _open_places(genotype)
    block = _uniform(where.open, random)
    layer = _uniform(where.layer_mask(block), random)
    kernel = int(torch.randint(len(EAS_KERNELS), (1,), generator=random))
    choice = (block, layer, kernel) if where.shape == PLAIN_SHAPE else (block, layer)
    return EasDecision(kind, genotype, choice)


def _open_places(genotype: EasGenotype) -> Places:
    where = places(genotype)
    if not where.room:
        raise UsageError("every block of this network is full: it cannot be deepened.")
    return where


def _uniform(mask: list[bool], random: torch.Generator) -> int:
    allowed = [k for k, m in enumerate(mask) if m]
    return allowed[int(torch.randint(len(allowed), (1,), generator=random))]
