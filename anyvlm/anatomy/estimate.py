"""Does it fit, and what to change if not: `anatomy.memory` against what a device holds.

The training loop has no gradient checkpointing and no sharding, so that neither is proposed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from anyvlm.anatomy.devices import device, devices
from anyvlm.anatomy.memory import BYTES, Load, Memory, answering, rows_of, training, updating
from anyvlm.errors import InputError
from anyvlm.ground import GroundSystem
from anyvlm.match import AnySystem, MatchSystem
from anyvlm.system import Lora, Stage, System, VisionSystem

SPARE = 0.03
"""The share of a device that stays unused, because what is free lies in pieces."""
ANSWERING = "inference"
_STEP, _TRIES = 64, 6


@dataclass(frozen=True)
class Change:
    """Something to do differently: in words, the options that say so, and the bytes that it takes then."""

    what: str
    options: str
    total: int


@dataclass(frozen=True)
class Verdict:
    """`memory` against the `capacity` of a device in bytes; `changes`: what would fit, or the most that still fits."""

    stage: str
    load: Load
    memory: Memory
    capacity: int
    changes: tuple[Change, ...]

    @property
    def fits(self) -> bool:
        """With a little room to spare."""
        return _fits(self.memory, self.capacity)


def estimate(
    system: AnySystem, capacity: int, load: Load, *, stage: str = ANSWERING, lora: int | None = None, room: int = 256
) -> Verdict:
    """One step of a stage of the recipe by its name, or ("inference") a prompt of `load.length` tokens of which the last `room`
    are the answer. `lora`: low-rank updates of that rank in place of the language model's weights.

    Raises InputError for a stage that does not exist, or a load that cannot be.
    """
    if stage == ANSWERING:
        if lora is not None:
            raise InputError("--lora is for training; name a stage with --stage.")
        return _answer(system, capacity, load, room)
    found = _stage(system, stage)
    if load.dtype not in ("bf16", "fp16", "fp32"):
        raise InputError(f"Nothing trains in {load.dtype}; take bf16, and --lora for less memory.")
    found = found if lora is None else low_rank(found, lora)
    memory = training(system, found, load)
    changes: list[Change] = []
    if _fits(updating(system, found, load), capacity):
        changes += _smaller(system, found, load, capacity)
    if not _fits(memory, capacity):
        if load.dtype == "fp32":
            half = replace(load, dtype="bf16")
            if _fits(now := training(system, found, half), capacity):
                changes.append(Change("weights in bf16; their master copy stays in fp32", "--dtype bf16", now.total))
        speaks = isinstance(system, System) and any(glob == "*" or glob.startswith("lm.") for glob in found.train)
        small = low_rank(found, 16)
        if found.lora is None and speaks and _fits(updating(system, small, load), capacity):
            if _fits(now := training(system, small, load), capacity):
                changes.append(Change("low-rank updates of rank 16", "--lora 16", now.total))
            else:
                changes += _smaller(system, small, load, capacity, "--lora 16 ", "low-rank updates of rank 16, ")
    return Verdict(stage, load, memory, capacity, tuple(changes))


def _smaller(
    system: AnySystem, stage: Stage, load: Load, capacity: int, options: str = "", words: str = ""
) -> list[Change]:
    """The largest batch that fits; where none does, the longest sample."""
    most = _most(load.batch, 1, capacity, lambda n: training(system, stage, replace(load, batch=n)))
    if most:
        n, memory = most
        return [Change(f"{words}batches of {n}, the most that fit", f"{options}--batch {n}", memory.total)] * (n != load.batch)
    if not isinstance(system, System):
        return []
    single, least = replace(load, batch=1), rows_of(system, load) + 1
    longest = _most(load.length, _STEP, capacity, lambda n: training(system, stage, replace(single, length=n)), least)
    if not longest or longest[0] >= load.length:
        return []
    n, memory = longest
    return [Change(f"{words}{n} tokens, one sample at a time", f"{options}--batch 1 --length {n}", memory.total)]


def low_rank(stage: Stage, rank: int) -> Stage:
    """The stage with low-rank updates in place of all of the language model's weights."""
    if rank < 1:
        raise InputError(f"--lora {rank} is no rank; 8 to 128 are usual.")
    rest = tuple(glob for glob in stage.train if glob != "*" and glob.split(".")[0] != "lm")
    return stage.but(train=rest, lora=Lora(rank=rank, alpha=rank), rates={})


def _answer(system: AnySystem, capacity: int, load: Load, room: int) -> Verdict:
    room = min(room, load.length // 2)

    def told(load: Load) -> Memory:
        return answering(system, replace(load, length=load.length - room) if isinstance(system, System) else load, room)

    memory, changes = told(load), list[Change]()
    if isinstance(system, System):
        least = rows_of(system, load) + room + 1
        longest = _most(load.length, _STEP, capacity, lambda n: told(replace(load, length=n)), least, system.lm.context)
        if longest and longest[0] != load.length:
            what = f"{longest[0]} tokens" + (", all that it was made for" if longest[0] == system.lm.context else "")
            changes.append(Change(what, f"--context {longest[0]}", longest[1].total))
    if not _fits(memory, capacity):
        smaller = [name for name in ("bf16", "int8", "int4") if BYTES[name] < BYTES[load.dtype]]
        for dtype in smaller:
            if _fits(now := told(replace(load, dtype=dtype)), capacity):
                changes.append(Change(f"weights in {dtype}", f"--dtype {dtype}", now.total))
    return Verdict(ANSWERING, load, memory, capacity, tuple(changes))


def _stage(system: AnySystem, name: str) -> Stage:
    counted = not isinstance(system, (VisionSystem, MatchSystem, GroundSystem))
    stages = {stage.name: stage for stage in system.stages} if counted else {}
    if name not in stages:
        known = ", ".join([*stages, ANSWERING])
        raise InputError(f"'{system.name}' has no stage '{name}'; there are: {known}.")
    return stages[name]


def _fits(memory: Memory, capacity: int) -> bool:
    return memory.total <= (1 - SPARE) * capacity


def _most(
    asked: int, step: int, capacity: int, told: Callable[[int], Memory], least: int = 1, limit: int = 1 << 20
) -> tuple[int, Memory] | None:
    """The largest multiple of `step` that fits, of `least` or more, by straight lines through what was tried; None for none."""
    low, high, least = 0, 0, -(-least // step) * step
    found: Memory | None = None
    a = max(least, asked // 2 // step * step)
    b = max(a + step, min(asked, limit) // step * step)
    seen = {n: told(n) for n in dict.fromkeys((a, b))}
    for _ in range(_TRIES):
        (x, mx), (y, my) = sorted(seen.items())[-2:]
        slope = max(1.0, (my.total - mx.total) / (y - x))
        guess = int(x + ((1 - SPARE) * capacity - mx.total) / slope) // step * step
        guess = min(guess, limit, high - step if high else limit)
        guess = max(guess, low + step if low else least)
        if guess not in seen:
            seen[guess] = told(guess)
        fitting = [n for n, memory in seen.items() if _fits(memory, capacity)]
        failing = [n for n, memory in seen.items() if not _fits(memory, capacity)]
        low, high = max(fitting, default=0), min(failing, default=0)
        found = seen[low] if low else None
        if low >= limit or (high and high - low <= step) or (not low and high == least):
            break
    return None if found is None else (low, found)


def capacity_of(text: str) -> int:
    """Bytes of "24GB" or "24GiB", or of a device by name. Raises InputError for what is neither."""
    size = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(GB|GiB|G)", text.strip(), re.IGNORECASE)
    if size is None:
        return int(device(text).memory)
    if not float(size[1]):
        raise InputError(f"--gpu {text}: a device without memory holds nothing; say 24GB.")
    return int(float(size[1]) * (2**30 if size[2].lower() == "gib" else 10**9))


def smallest(memory: Memory) -> str | None:
    """The name of the device with the least memory that still holds it; None where none does."""
    holding = [each for each in devices().values() if _fits(memory, int(each.memory)) and each.name != "cpu"]
    return min(holding, key=lambda each: each.memory).name if holding else None
