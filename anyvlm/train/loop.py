"""The training loop of one stage: resumable bit for bit, because everything a step does follows from its number.

A batch is a pure function of (stage, step); the state is the trained parameters and the optimiser. A run directory holds
`<stage>.safetensors` (the newest checkpoint, replaced atomically), `log.jsonl` (one line a step) and, at the end of a
stage, `<stage>.done`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import torch
from rich.console import Console
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from anyvlm.errors import SpecError, WeightsError
from anyvlm.system import Stage
from anyvlm.train.lora import LoraLinear, add_lora
from anyvlm.train.optim import AdamW
from anyvlm.weights.atomic import atomic_file

B = TypeVar("B")


class State(Protocol):
    """What a run remembers from step to step beside parameters and optimiser, as tensors by name."""

    def tensors(self) -> dict[str, Tensor]:
        """All of it."""

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` gave."""


@dataclass(frozen=True)
class Task(Generic[B]):
    """How a stage gets its batches and losses.

    `batch(step)`: the batch of a step, made in a worker process; `losses(model, batch)`: named scalars, each weighted by
    the stage; `steps`: how many updates; `group`: so many neighbouring batches are made by one worker, which may share work;
    `state`: what `losses` changes beside the model, which checkpoints hold too.
    """

    batch: Callable[[int], B]
    losses: Callable[[nn.Module, B], dict[str, Tensor]]
    steps: int
    group: int = 1
    state: State | None = None


def trainable(model: nn.Module, stage: Stage) -> dict[str, nn.Parameter]:
    """Freeze everything but what the stage trains; returns that by name. Raises SpecError for a glob without parameters."""
    if stage.lora:
        add_lora(model, stage.lora)
    updates = {f"{name}.{leaf}" for name, m in model.named_modules() if isinstance(m, LoraLinear) for leaf in "ab"}
    chosen = {}
    used = set()
    for name, parameter in model.named_parameters():
        hits = [glob for glob in stage.train if fnmatchcase(name, glob)]
        used.update(hits)
        parameter.requires_grad_(bool(hits) or (stage.lora is not None and name in updates))
        if parameter.requires_grad:
            chosen[name] = parameter
    idle = set(stage.train) - used
    if idle:
        raise SpecError(f"Stage '{stage.name}' trains {', '.join(sorted(idle))}, but no parameter has such a name.")
    return chosen


class _Steps(Dataset[B]):
    def __init__(self, task: Task[B]) -> None:
        self.task = task

    def __getitem__(self, step: int) -> B:
        return self.task.batch(step)


def _batches(task: Task[B], start: int, workers: int) -> Iterator[B]:
    firsts = range(start - start % task.group, task.steps, task.group)
    groups = [list(range(max(first, start), min(first + task.group, task.steps))) for first in firsts]
    for group in DataLoader(_Steps(task), batch_sampler=groups, collate_fn=list, num_workers=workers):
        yield from group


def run_stage(
    model: nn.Module,
    stage: Stage,
    task: Task[B],
    folder: Path,
    *,
    workers: int = 1,
    save_every: float = 300.0,
    quiet: bool = False,
) -> None:
    """Train one stage, from its newest checkpoint in `folder` if there is one; returns at once if it is done.

    `save_every`: seconds between checkpoints; `workers`: processes that make batches (0: this one).
    Raises WeightsError for a damaged checkpoint and FloatingPointError for a loss or gradient that is not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parameters = trainable(model, stage)
    optimiser = AdamW(parameters, stage)
    state = folder / f"{stage.name}.safetensors"
    start = _restore(state, optimiser, task.state) if state.exists() else 0
    if start >= task.steps:
        return
    console = Console(stderr=True, quiet=quiet)
    count = sum(p.numel() for p in parameters.values())
    whole = sum(p.numel() for p in model.parameters())
    console.print(
        f"stage {stage.name}: {count / 1e6:.1f} M of {whole / 1e6:.1f} M parameters train; steps {start} to {task.steps}"
    )
    model.train()
    began = saved = time.monotonic()
    with (folder / "log.jsonl").open("a") as log:
        for step, batch in enumerate(_batches(task, start, workers), start):
            torch.manual_seed(step)  # dropout too follows from the step's number
            losses = task.losses(model, batch)
            total = sum((stage.losses[name] * value for name, value in losses.items()), torch.zeros(()))
            total.backward()
            norm = optimiser.step(step, task.steps)
            now = time.monotonic()
            pace = (now - began) / (step + 1 - start)
            line = {"stage": stage.name, "step": step, "grad": round(norm, 4), "seconds": round(pace, 3)}
            print(
                json.dumps(line | {name: round(float(v.detach()), 4) for name, v in losses.items()}),
                file=log,
                flush=True,
            )
            if step % 20 == 0:
                shown = " ".join(f"{name} {float(v.detach()):.3f}" for name, v in losses.items())
                left = pace * (task.steps - step - 1) / 60
                console.print(f"{stage.name} {step}/{task.steps} {shown} | {pace:.2f} s a step, {left:.0f} min left")
            if now - saved > save_every or step + 1 == task.steps:
                _save(state, optimiser, task.state, step + 1)
                saved = now
    model.eval()


def _tensors(optimiser: AdamW, state: State | None) -> dict[str, Tensor]:
    return optimiser.tensors() | {f"state.{name}": t for name, t in (state.tensors() if state else {}).items()}


def _save(path: Path, optimiser: AdamW, state: State | None, step: int) -> None:
    with atomic_file(path) as temporary:
        save_file(_tensors(optimiser, state), temporary, metadata={"step": str(step)})


def _restore(path: Path, optimiser: AdamW, state: State | None) -> int:
    try:
        with safe_open(path, "pt") as file:
            names = set(file.keys())
            if names != _tensors(optimiser, state).keys():
                raise WeightsError(
                    f"{path} was written by a stage that trains other parameters; use another run folder."
                )
            tensors = {name: file.get_tensor(name) for name in names}
            optimiser.restore(tensors)
            if state is not None:
                state.restore({name.removeprefix("state."): tensor for name, tensor in tensors.items()})
            return int(file.metadata()["step"])
    except (OSError, ValueError, SafetensorError) as error:
        raise WeightsError(
            f"The checkpoint {path} is damaged ({str(error).splitlines()[0]}); delete it to start the stage again."
        ) from None
