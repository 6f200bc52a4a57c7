"""NASNet's controller: a one-layer LSTM that makes 50 decisions, each knowing the one before; and its PPO update."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from auditor.lab.search.nasnet.space import DECISIONS

HIDDEN = 100
#: Most choices of each kind of decision.
SIZES = {kind: max(n for k, n in DECISIONS if k == kind) for kind in ("state", "op", "combine")}


class NasnetController(nn.Module):
    """LSTM of 100 units; the input of a decision is the embedding of the previous one. All weights start uniform in
    (-0.1, 0.1)."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.zeros(HIDDEN))
        self.embeddings = nn.ModuleDict({kind: nn.Embedding(n, HIDDEN) for kind, n in SIZES.items()})
        self.cell = nn.LSTMCell(HIDDEN, HIDDEN)
        self.heads = nn.ModuleDict({kind: nn.Linear(HIDDEN, n) for kind, n in SIZES.items()})
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1)

    def _run(
        self, actions: torch.Tensor | None, n: int, random: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Sample, or replay `actions`: decisions, log probabilities and entropies, each (n, 50)."""
        h = c = torch.zeros(n, HIDDEN)
        given = self.start.expand(n, -1)
        taken, logs, entropies = [], [], []
        for number, (kind, choices) in enumerate(DECISIONS):
            h, c = self.cell(given, (h, c))
            log = F.log_softmax(self.heads[kind](h)[:, :choices], 1)
            if actions is None:
                action = torch.multinomial(log.detach().exp(), 1, generator=random)[:, 0]
            else:
                action = actions[:, number]
            taken.append(action)
            logs.append(log.gather(1, action[:, None])[:, 0])
            entropies.append(-(log.exp() * log).sum(1))
            given = self.embeddings[kind](action)
        return torch.stack(taken, 1), torch.stack(logs, 1), torch.stack(entropies, 1)

    def sample(self, n: int, random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Decisions int64 (n, 50) and their log probabilities (n, 50), without gradients."""
        with torch.no_grad():
            actions, logs, _ = self._run(None, n, random)
        return actions, logs

    def replay(self, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Log probabilities and entropies (n, 50) of given decisions, with gradients."""
        _, logs, entropies = self._run(actions, len(actions), None)
        return logs, entropies


def ppo_loss(new: torch.Tensor, old: torch.Tensor, advantages: torch.Tensor, clip: float) -> torch.Tensor:
    """Clipped surrogate, to be made small.

    Parameters
    ----------
    new, old : float tensors (n, decisions)
        Log probabilities now, and when the decisions were made.
    advantages : float tensor (n,)
    clip : float
        Beyond a ratio of 1 +- clip, in the direction the advantage asks for, nothing is gained.
    """
    ratio = (new - old).exp()
    gain = advantages[:, None]
    return -torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain).mean()
