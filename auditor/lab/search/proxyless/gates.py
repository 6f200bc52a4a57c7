"""Edges with several candidate operations, of which one path is in memory, and the gradients of their parameters.

Notation of the paper: alpha are an edge's architecture parameters, p their softmax, g the binary gates drawn from p.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn

from auditor.core.errors import UsageError

GateMode = Literal["two", "full"]


class Zero(nn.Module):
    """The operation that leaves a block out."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 0


def gate_to_alpha(gate_gradient: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """dL/dalpha_i = sum_j dL/dg_j p_j (delta_ij - p_i), for gates treated as if they were p."""
    return p * (gate_gradient - (gate_gradient * p).sum())


def keep_mass(new: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    """`new` shifted so that the sum of its exponentials is that of `old`: other operations keep their probabilities."""
    return new - (new.logsumexp(0) - old.logsumexp(0))


class _FullGate(torch.autograd.Function):
    """Runs the active operation; its backward pass runs every other one without keeping anything.

    The gradient of gate k is the scalar product of the output's gradient with operation k's output.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, gates: torch.Tensor, ops: nn.ModuleList, active: int) -> torch.Tensor:
        inner = x.detach().requires_grad_()
        with torch.enable_grad():
            y = ops[active](inner)
        ctx.ops, ctx.active, ctx.inner, ctx.outer = ops, active, inner, y
        return y.detach().clone()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        gradient = gradients[0]
        (to_input,) = torch.autograd.grad(ctx.outer, ctx.inner, gradient)
        products = []
        with torch.no_grad():
            for number, op in enumerate(ctx.ops):
                out = ctx.outer if number == ctx.active else op(ctx.inner)
                products.append((out * gradient).sum())
        return to_input, torch.stack(products), None, None


class MixedEdge(nn.Module):
    """One searched place.

    In evaluation mode the most probable operation runs. In training mode it is the drawn one; between `open_gates` and
    `close_gates` the gates take part in the graph and receive gradients.

    Parameters
    ----------
    ops : modules of equal shapes
    names : str of each
    """

    def __init__(self, ops: Sequence[nn.Module], names: Sequence[str]) -> None:
        super().__init__()
        if len(ops) != len(names) or len(ops) < 2:
            raise UsageError("a searched place needs at least two operations, each with a name.")
        self.ops, self.names = nn.ModuleList(ops), tuple(names)
        self.alpha = nn.Parameter(torch.zeros(len(ops)), requires_grad=False)
        self.active = 0
        self.pair: tuple[int, int] | None = None
        self.mode: GateMode | None = None
        self.gates: torch.Tensor | None = None

    @property
    def p(self) -> torch.Tensor:
        """Probabilities of the operations."""
        return self.alpha.softmax(0)

    @property
    def drawn_p(self) -> torch.Tensor:
        """Probabilities of the operations that take part in a step: all of them, or the two that were drawn,
        renormalised, and 0 for the others. They sum to 1 either way, as in the authors' code."""
        if self.pair is None:
            return self.p
        where = list(self.pair)
        return torch.zeros_like(self.alpha).index_copy(
            0, torch.tensor(where, device=self.alpha.device), self.alpha[where].softmax(0)
        )

    def draw(self) -> None:
        """Draw the path of a weight step."""
        self.active = int(torch.multinomial(self.p, 1))

    def open_gates(self, mode: GateMode) -> None:
        """Draw, and let the next pass give gradients to the gates.

        ``two``: two operations are drawn without replacement by p, one of them is active by the renormalised p; both
        run, the inactive one detached. ``full``: all operations take part, in the backward pass.
        """
        self.mode = mode
        self.gates = torch.zeros_like(self.alpha)
        if mode == "two":
            first, second = torch.multinomial(self.p, 2).tolist()
            self.pair = (first, second)
            q = self.alpha[[first, second]].softmax(0)
            self.active = self.pair[int(torch.multinomial(q, 1))]
        else:
            self.pair = None
            self.draw()
        self.gates[self.active] = 1.0
        self.gates.requires_grad_()

    def close_gates(self) -> None:
        """Back to plain paths."""
        self.mode, self.gates, self.pair = None, None, None

    def alpha_gradient(self, gate_gradient: torch.Tensor, of_latency: torch.Tensor | None = None) -> torch.Tensor:
        """Gradient of alpha from that of the gates, plus that of the latency where it is given for every operation.

        In mode ``two`` only the two drawn operations get one. Their probabilities are renormalised, for the latency
        too (`drawn_p`): it weighs as much whatever p the two have together.

        Parameters
        ----------
        gate_gradient : float tensor (operations,)
        of_latency : float tensor (operations,), optional
            dL/dp of each operation.
        """
        # The two drawn ones have all the probability, so the others' gradients come out as 0.
        total = gate_gradient if of_latency is None else gate_gradient + of_latency
        return gate_to_alpha(total, self.drawn_p.detach())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Output of the one operation that counts."""
        if not self.training:
            return self.ops[int(self.alpha.argmax())](x)
        if self.mode is None or self.gates is None:
            return self.ops[self.active](x)
        if self.mode == "full":
            return _FullGate.apply(x, self.gates, self.ops, self.active)
        assert self.pair is not None
        y = self.gates[self.active] * self.ops[self.active](x)
        for other in self.pair:
            if other != self.active:
                with torch.no_grad():
                    idle = self.ops[other](x)
                y = y + self.gates[other] * idle
        return y
