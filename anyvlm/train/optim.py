"""AdamW on fp32 master copies of parameters that may be bf16, as plain tensors that a checkpoint can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from anyvlm.system import Stage


def rate(stage: Stage, step: int, steps: int) -> float:
    """Learning-rate factor in [0, 1] of a step: linear warm-up, then cosine to zero, constant, or linear to zero."""
    warm = max(1, round(stage.warmup * steps))
    if step < warm:
        return (step + 1) / warm
    done = (step - warm) / max(1, steps - warm)
    match stage.schedule:
        case "constant":
            return 1.0
        case "linear":
            return 1 - done
    return 0.5 * (1 + math.cos(math.pi * done))


class AdamW:
    """Decoupled weight decay (1711.05101). Matrices decay, vectors do not. One learning rate per parameter name."""

    def __init__(
        self, parameters: Mapping[str, nn.Parameter], stage: Stage, betas: tuple[float, float] = (0.9, 0.98)
    ) -> None:
        self.parameters, self.stage, self.betas = dict(parameters), stage, betas
        self.master = {name: p.detach().float().clone().contiguous() for name, p in self.parameters.items()}
        self.first = {name: torch.zeros_like(m) for name, m in self.master.items()}
        self.second = {name: torch.zeros_like(m) for name, m in self.master.items()}
        self.lr = {name: _base_rate(stage, name) for name in self.parameters}
        self.bounds = {name: _bounds(stage, name) for name in self.parameters}

    def step(self, step: int, steps: int, clip: float = 1.0) -> float:
        """One update at 0-based `step` of `steps`; returns the gradient norm before clipping to `clip`.

        A parameter without a gradient is left alone. Raises FloatingPointError for a gradient that is not finite, and
        then changes nothing.
        """
        names = [name for name, p in self.parameters.items() if p.grad is not None]
        g, m, v, w = ([of[name] for name in names] for of in (self._grads(), self.first, self.second, self.master))
        norm = float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(g))))
        if not math.isfinite(norm):
            raise FloatingPointError(f"the gradient of step {step} is {norm}")
        if norm > clip:
            torch._foreach_mul_(g, clip / (norm + 1e-6))
        factor, done = rate(self.stage, step, steps), torch.tensor(step + 1.0, device=w[0].device)
        alike: dict[tuple[float, float], list[int]] = {}
        for n, name in enumerate(names):
            decay = self.stage.weight_decay if w[n].ndim > 1 else 0.0
            alike.setdefault((self.lr[name] * factor, decay), []).append(n)
        for (lr, decay), places in alike.items():
            some = [[x[n] for n in places] for x in (w, g, m, v)]
            # one pass over memory for all parameters of a rate; a GPU launches one kernel for many
            torch._fused_adamw_(
                some[0], some[1], some[2], some[3], [], [done] * len(places), amsgrad=False, lr=lr, beta1=self.betas[0],
                beta2=self.betas[1], weight_decay=decay, eps=1e-8, maximize=False,
            )  # fmt: skip
        for name, x in zip(names, w, strict=True):
            if (bounds := self.bounds[name]) is not None:
                x.clamp_(*bounds)
        torch._foreach_copy_([self.parameters[name].data for name in names], w)
        for name in names:
            self.parameters[name].grad = None
        return norm

    def _grads(self) -> dict[str, Tensor]:
        """In fp32, one number after another in memory, as the fused update reads them."""
        return {name: p.grad.float().contiguous() for name, p in self.parameters.items() if p.grad is not None}

    def tensors(self) -> dict[str, Tensor]:
        """All state, by name."""
        return {
            f"{kind}.{name}": t for kind in ("master", "first", "second") for name, t in getattr(self, kind).items()
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over saved state, and the parameters with it."""
        for kind in ("master", "first", "second"):
            for name, t in getattr(self, kind).items():
                t.copy_(tensors[f"{kind}.{name}"])
        for name, p in self.parameters.items():
            p.data.copy_(self.master[name])


def _bounds(stage: Stage, name: str) -> tuple[float, float] | None:
    return next((pair for glob, pair in stage.bounds.items() if fnmatchcase(name, glob)), None)


def _base_rate(stage: Stage, name: str) -> float:
    assert stage.lr is not None
    if stage.lora and stage.lora.lr is not None and name.endswith((".a", ".b")):
        return stage.lora.lr
    return next((lr for glob, lr in stage.rates.items() if fnmatchcase(name, glob)), stage.lr)
