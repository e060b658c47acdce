"""Checkpoint names <-> our names, as data that runs both ways.

A `Keys` table is written once per backbone. Its rules say which tensors of a checkpoint make which of ours; every op has an
inverse, so loading and exporting cannot drift. Numbers an op needs (how many heads, which patch size) are *names of fields*
of the spec of the part the table is mounted on, so one table serves every size.

Names: ``{}`` stands for a number, a trailing ``.`` for any last step (``weight``, ``bias``).
Everything works on meta tensors too: `audit` needs names and shapes alone, never a byte of weights.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, reduce
from operator import mul
from typing import TYPE_CHECKING

from anyvlm.errors import WeightsError
from anyvlm.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor

Size = int | str  # a number, or the name of a field of the part's spec


def _number(size: Size, part: Spec) -> int:
    value = getattr(part, size) if isinstance(size, str) else size
    assert isinstance(value, int)
    return value


# Ops ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Op(Spec):
    """A change of tensors with an exact inverse. `load`: checkpoint -> ours, `export`: ours -> checkpoint."""

    def load(self, tensors: Sequence[Tensor], part: Spec) -> tuple[Tensor, ...]:
        """Tensors as we hold them."""
        raise NotImplementedError

    def export(self, tensors: Sequence[Tensor], part: Spec) -> tuple[Tensor, ...]:
        """Tensors as the checkpoint holds them."""
        raise NotImplementedError


def _cat(tensors: Sequence[Tensor], dim: int) -> Tensor:
    """torch.cat; by hand for meta tensors, with which torch's own imports its compiler (1.5 s and 120 MB)."""
    import torch

    if not tensors[0].is_meta:
        return torch.cat(list(tensors), dim)
    sizes = [list(tensor.shape) for tensor in tensors]
    along = sum(size.pop(dim) for size in sizes)
    if any(size != sizes[0] for size in sizes):
        raise WeightsError(f"they differ in more than dimension {dim}")
    whole = list(tensors[0].shape)
    whole[dim] = along
    return tensors[0].new_empty(whole)


@dataclass(frozen=True, kw_only=True)
class Fuse(Op):
    """Several checkpoint tensors side by side in one of ours (q, k, v -> qkv).

    `shares`: their sizes relative to each other along `dim`; for grouped heads ("heads", "kv_heads", "kv_heads").
    """

    shares: tuple[Size, ...]
    dim: int = 0

    def load(self, tensors: Sequence[Tensor], part: Spec) -> tuple[Tensor, ...]:
        return (_cat(tensors, self.dim),)

    def export(self, tensors: Sequence[Tensor], part: Spec) -> tuple[Tensor, ...]:
        shares = [_number(share, part) for share in self.shares]
        unit = tensors[0].shape[self.dim] // sum(shares)
        return tuple(piece.contiguous() for piece in tensors[0].split([unit * share for share in shares], self.dim))


@dataclass(frozen=True, kw_only=True)
class Split(Op):
    """One checkpoint tensor cut into several of ours: the inverse of Fuse."""

    shares: tuple[Size, ...]
    dim: int = 0

    def load(self, tensors: Sequence[Tensor], part: Spec) -> tuple[Tensor, ...]:
        return Fuse(shares=self.shares, dim=self.dim).export(tensors, part)

    def export(self, tensors: Sequence[Tensor], part: Spec) -> tuple[Tensor, ...]:
        return Fuse(shares=self.shares, dim=self.dim).load(tensors, part)


@dataclass(frozen=True, kw_only=True)
class Interleaved(Op):
    """Rows of rotary pairs stored as (0, 1), (2, 3) ...; ours are (0, h/2), (1, h/2 + 1) ... within every head.

    llama.cpp permutes q and k of the Llama family so, and Cohere's rotary embedding is defined so.
    """

    heads: Size

    def load(self, tensors: Sequence[Tensor], part: Spec) -> tuple[Tensor, ...]:
        heads = _number(self.heads, part)
        return tuple(t.unflatten(0, (heads, -1, 2)).transpose(1, 2).reshape(t.shape) for t in tensors)

    def export(self, tensors: Sequence[Tensor], part: Spec) -> tuple[Tensor, ...]:
        heads = _number(self.heads, part)
        return tuple(t.unflatten(0, (heads, 2, -1)).transpose(1, 2).reshape(t.shape) for t in tensors)


@dataclass(frozen=True, kw_only=True)
class Partial(Op):
    """Heads of which only the first `part` of the rows turns; ours have half of these rows at the front of both halves.

    So pairs are half a head apart, as they are where all rows turn (`Rope.part`).
    """

    heads: Size
    part: float | str  # or the name of a field

    def load(self, tensors: Sequence[Tensor], part: Spec) -> tuple[Tensor, ...]:
        return tuple(self._swapped(t, part, inverse=False) for t in tensors)

    def export(self, tensors: Sequence[Tensor], part: Spec) -> tuple[Tensor, ...]:
        return tuple(self._swapped(t, part, inverse=True) for t in tensors)

    def _swapped(self, tensor: Tensor, part: Spec, inverse: bool) -> Tensor:
        each = tensor.unflatten(0, (_number(self.heads, part), -1))
        half = each.shape[1] // 2
        turning = int(half * (getattr(part, self.part) if isinstance(self.part, str) else self.part))
        a, b = (turning, half - turning) if inverse else (turning, turning)
        first, second, third, last = each.split([a, b, half - b, half - a], 1)
        return _cat([first, third, second, last], 1).reshape(tensor.shape)


@dataclass(frozen=True, kw_only=True)
class ByHead(Op):
    """One tensor that holds q, k and v of a head, then those of the next (Persimmon, GPT-NeoX); ours has all q, all k, all v.

    `of`: how many there are.
    """

    heads: Size
    of: int = 3

    def load(self, tensors: Sequence[Tensor], part: Spec) -> tuple[Tensor, ...]:
        heads = _number(self.heads, part)
        return tuple(t.unflatten(0, (heads, self.of, -1)).transpose(0, 1).reshape(t.shape) for t in tensors)

    def export(self, tensors: Sequence[Tensor], part: Spec) -> tuple[Tensor, ...]:
        heads = _number(self.heads, part)
        return tuple(t.unflatten(0, (self.of, heads, -1)).transpose(0, 1).reshape(t.shape) for t in tensors)


@dataclass(frozen=True, kw_only=True)
class Transpose(Op):
    """Dimensions `a` and `b` exchanged."""

    a: int = 0
    b: int = 1

    def load(self, tensors: Sequence[Tensor], part: Spec) -> tuple[Tensor, ...]:
        return tuple(t.transpose(self.a, self.b).contiguous() for t in tensors)

    export = load


@dataclass(frozen=True, kw_only=True)
class Reshape(Op):
    """The same numbers in another shape: `theirs` in the checkpoint, `ours` here (a convolution that is a matrix)."""

    theirs: tuple[Size, ...]
    ours: tuple[Size, ...]

    def load(self, tensors: Sequence[Tensor], part: Spec) -> tuple[Tensor, ...]:
        return _reshape(tensors, self.theirs, self.ours, part)

    def export(self, tensors: Sequence[Tensor], part: Spec) -> tuple[Tensor, ...]:
        return _reshape(tensors, self.ours, self.theirs, part)


def _reshape(tensors: Sequence[Tensor], old: tuple[Size, ...], new: tuple[Size, ...], part: Spec) -> tuple[Tensor, ...]:
    was, to = (tuple(_number(size, part) for size in sizes) for sizes in (old, new))
    for t in tensors:
        fits = len(t.shape) == len(was) and all(b in (a, -1) for a, b in zip(t.shape, was, strict=True))
        if not fits or (-1 not in to and t.numel() != reduce(mul, to, 1)):
            raise WeightsError(f"a tensor of shape {tuple(t.shape)} where {was} was expected")
    return tuple(t.reshape(to) for t in tensors)


@dataclass(frozen=True, kw_only=True)
class Stack(Op):
    """Several tensors of one shape stacked along a new dimension (experts)."""

    dim: int = 0

    def load(self, tensors: Sequence[Tensor], part: Spec) -> tuple[Tensor, ...]:
        return (_cat([tensor.unsqueeze(self.dim) for tensor in tensors], self.dim),)

    def export(self, tensors: Sequence[Tensor], part: Spec) -> tuple[Tensor, ...]:
        return tuple(t.contiguous() for t in tensors[0].unbind(self.dim))


@dataclass(frozen=True, kw_only=True)
class Each(Op):
    """One op (or None) for each tensor of a rule, before they are fused."""

    ops: tuple[Op | None, ...]

    def load(self, tensors: Sequence[Tensor], part: Spec) -> tuple[Tensor, ...]:
        return tuple(op.load((t,), part)[0] if op else t for op, t in zip(self.ops, tensors, strict=True))

    def export(self, tensors: Sequence[Tensor], part: Spec) -> tuple[Tensor, ...]:
        return tuple(op.export((t,), part)[0] if op else t for op, t in zip(self.ops, tensors, strict=True))


# Tables ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Rule(Spec):
    """Tensors `theirs` of a checkpoint become `ours`, through `ops` in order."""

    theirs: tuple[str, ...]
    ours: tuple[str, ...]
    ops: tuple[Op, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Tie(Spec):
    """`theirs` repeats `of` in some files; it must be equal, is not loaded, and is not exported."""

    theirs: str
    of: str


@dataclass(frozen=True, kw_only=True)
class Keys(Spec):
    """The table of one backbone. `ignore`: checkpoint tensors that hold nothing we use (glob patterns)."""

    rules: tuple[Rule, ...]
    ties: tuple[Tie, ...] = ()
    ignore: tuple[str, ...] = ()


def rename(table: Mapping[str, str]) -> tuple[Rule, ...]:
    """Rules that only change names: {theirs: ours}."""
    return tuple(Rule(theirs=(theirs,), ours=(ours,)) for theirs, ours in table.items())


def moved(keys: Keys, old: str, new: str) -> Keys:
    """The table of files in which the names that begin with `old` begin with `new` instead."""

    def name(theirs: str) -> str:
        return new + theirs.removeprefix(old) if theirs.startswith(old) else theirs

    return Keys(
        rules=tuple(rule.but(theirs=tuple(map(name, rule.theirs))) for rule in keys.rules),
        ties=tuple(Tie(theirs=name(tie.theirs), of=name(tie.of)) for tie in keys.ties),
        ignore=tuple(map(name, keys.ignore)),
    )


@dataclass(frozen=True, kw_only=True)
class Mount(Spec):
    """A table at a prefix: checkpoint names under `theirs` are the part at `ours` ("lm.", "encoders.image.")."""

    theirs: str
    ours: str
    keys: Keys


@dataclass(frozen=True, kw_only=True)
class Layout(Spec):
    """One way in which published files name their tensors: all mounts of a checkpoint. Without mounts the names are ours."""

    name: str
    mounts: tuple[Mount, ...]
    ignore: tuple[str, ...] = ()


OURS = Layout(name="anyvlm", mounts=())
"""The layout of what `weights.save` writes."""


# Matching -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """A rule applied to concrete full names."""

    theirs: tuple[str, ...]
    ours: tuple[str, ...]
    ops: tuple[Op, ...]
    part: Spec

    def load(self, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Checkpoint tensors in the order of `theirs` -> ours. Raises WeightsError naming the tensors."""
        return self._run(tensors, [op.load for op in self.ops])

    def export(self, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Our tensors in the order of `ours` -> the checkpoint's."""
        return self._run(tensors, [op.export for op in reversed(self.ops)])

    def _run(
        self, tensors: Sequence[Tensor], ops: list[Callable[[Sequence[Tensor], Spec], tuple[Tensor, ...]]]
    ) -> tuple[Tensor, ...]:
        out = tuple(tensors)
        try:
            for op in ops:
                out = op(out, self.part)
        except (WeightsError, RuntimeError) as error:
            shapes = ", ".join(f"{name} {tuple(t.shape)}" for name, t in zip(self.theirs, tensors, strict=False))
            raise WeightsError(
                f"Cannot map {shapes} to {', '.join(self.ours)}: {str(error).splitlines()[0]}."
            ) from None
        return out


@dataclass(frozen=True)
class Match:
    """What a layout makes of a checkpoint's names."""

    layout: Layout
    steps: tuple[Step, ...]
    ties: tuple[tuple[str, str], ...]  # (repeated name, name it must equal)
    ignored: tuple[str, ...]
    unclaimed: tuple[str, ...]
    incomplete: tuple[str, ...]  # sentences about fused tensors of which only some are there


@cache
def _pattern(name: str) -> re.Pattern[str]:
    tail = "([^.]+)$" if name.endswith(".") else "()$"
    return re.compile(re.escape(name).replace(r"\{\}", r"(\d+)") + tail)


def _read(pattern: str, name: str) -> tuple[str, ...] | None:
    found = _pattern(pattern).match(name)
    return found.groups() if found else None


def _write(pattern: str, parts: tuple[str, ...]) -> str:
    return pattern.format(*parts[:-1]) + parts[-1]


def _assign(
    names: Iterable[str], mounts: tuple[Mount, ...], side: str
) -> Iterator[tuple[Mount, Rule, dict[tuple[str, ...], dict[int, str]], list[str]]]:
    """For every rule: which of `names` it claims, grouped by their numbers and last step."""
    left = sorted(names)
    for mount in sorted(mounts, key=lambda mount: -len(getattr(mount, side))):
        prefix = getattr(mount, side)
        for rule in mount.keys.rules:
            groups: dict[tuple[str, ...], dict[int, str]] = {}
            for index, pattern in enumerate(getattr(rule, side)):
                for name in left:
                    if name.startswith(prefix) and (parts := _read(pattern, name[len(prefix) :])) is not None:
                        groups.setdefault(parts, {})[index] = name
            claimed = {name for group in groups.values() for name in group.values()}
            left = [name for name in left if name not in claimed]
            yield mount, rule, groups, left


def match(names: Iterable[str], layout: Layout, part: Callable[[str], Spec]) -> Match:
    """Plan how a checkpoint with these tensor names fills a system; `part` gives the spec mounted at a prefix of ours."""
    left = set(names)
    if not layout.mounts:
        return Match(layout, tuple(Step((name,), (name,), (), part("")) for name in sorted(left)), (), (), (), ())
    ignored = {name for name in left for glob in layout.ignore if fnmatchcase(name, glob)}
    ties = []
    for mount in layout.mounts:
        ignored |= {name for name in left for glob in mount.keys.ignore if fnmatchcase(name, mount.theirs + glob)}
        for tie in mount.keys.ties:
            repeat, of = mount.theirs + tie.theirs, mount.theirs + tie.of
            if repeat in left and of in left and _tied(part(mount.ours)):
                ties.append((repeat, of))
    left -= ignored | {repeat for repeat, _ in ties}
    steps, incomplete = [], []
    for mount, rule, groups, rest in _assign(left, layout.mounts, "theirs"):
        left = set(rest)
        for parts, group in groups.items():
            if len(group) < len(rule.theirs):
                missing = [mount.theirs + _write(p, parts) for n, p in enumerate(rule.theirs) if n not in group]
                incomplete.append(f"{', '.join(group.values())} needs {', '.join(missing)} beside it")
                continue
            theirs = tuple(group[n] for n in range(len(rule.theirs)))
            ours = tuple(mount.ours + _write(p, parts) for p in rule.ours)
            steps.append(Step(theirs, ours, rule.ops, part(mount.ours)))
    return Match(layout, tuple(steps), tuple(ties), tuple(sorted(ignored)), tuple(sorted(left)), tuple(incomplete))


def _tied(part: Spec) -> bool:
    return bool(getattr(part, "tied", False))


def choose(names: Iterable[str], layouts: tuple[Layout, ...], part: Callable[[str], Spec]) -> Match:
    """The match of the layout that leaves the fewest names of the checkpoint unclaimed."""
    names = tuple(names)
    return min(
        (match(names, layout, part) for layout in layouts),
        key=lambda m: (len(m.unclaimed) + len(m.incomplete), -len(m.steps)),
    )


def export_steps(names: Iterable[str], layout: Layout, part: Callable[[str], Spec]) -> tuple[Step, ...]:
    """Plan how our tensors are written in a layout. Raises WeightsError for one the layout has no name for."""
    if not layout.mounts:
        return tuple(Step((name,), (name,), (), part("")) for name in names)
    steps = []
    left: list[str] = []
    for mount, rule, groups, rest in _assign(names, layout.mounts, "ours"):
        left = rest
        for parts, group in groups.items():
            theirs = tuple(mount.theirs + _write(p, parts) for p in rule.theirs)
            steps.append(Step(theirs, tuple(group[n] for n in range(len(rule.ours))), rule.ops, part(mount.ours)))
    if left:
        raise WeightsError(f"The layout '{layout.name}' has no name for {_some(left)}; export in another layout.")
    return tuple(steps)


# Running --------------------------------------------------------------------------------------------------------------


def convert(theirs: Mapping[str, Tensor], plan: Match) -> Iterator[tuple[str, Tensor]]:
    """Our (name, tensor) pairs, one rule at a time, so that a checkpoint is never held twice."""
    for step in plan.steps:
        yield from zip(step.ours, step.load([theirs[name] for name in step.theirs]), strict=True)


def revert(ours: Mapping[str, Tensor], layout: Layout, part: Callable[[str], Spec]) -> Iterator[tuple[str, Tensor]]:
    """The checkpoint's (name, tensor) pairs: the exact inverse of `convert`."""
    for step in export_steps(ours, layout, part):
        yield from zip(step.theirs, step.export([ours[name] for name in step.ours]), strict=True)


def audit(
    files: Sequence[tuple[Mapping[str, tuple[int, ...]], Match]],
    params: Mapping[str, tuple[int, ...]],
    fresh: tuple[str, ...] = (),
) -> None:
    """Account for every parameter and every checkpoint tensor, by names and shapes; raise WeightsError in sentences.

    `files`: for each checkpoint its tensors' shapes and what is made of them; `params`: ours; `fresh`: globs of parameters
    that no checkpoint fills.
    """
    faults: list[str] = []
    found: dict[str, tuple[int, ...]] = {}
    for shapes, plan in files:
        faults += [f"The checkpoint is incomplete: {sentence}." for sentence in plan.incomplete]
        filled = _filled(shapes, params, plan, faults)
        if twice := sorted(found.keys() & filled.keys()):
            faults.append(f"Two checkpoints fill {_some(twice)}.")
        found |= filled
        if plan.unclaimed:
            faults.append(f"Nothing claims the checkpoint's {_some(plan.unclaimed)}.")
    if missing := [p for p in params if p not in found and not any(fnmatchcase(p, glob) for glob in fresh)]:
        faults.append(f"The checkpoint lacks {_some(missing)}.")
    if extra := [p for p in found if p not in params]:
        faults.append(f"The system has no {_some(extra)}, which the checkpoint would fill.")
    faults += [
        f"{name} has shape {shape} in the checkpoint and {params[name]} in the system."
        for name, shape in found.items()
        if name in params and params[name] != shape
    ]
    if faults:
        more = f" (and {len(faults) - 8} more)" if len(faults) > 8 else ""
        raise WeightsError("The checkpoint does not fit the system. " + " ".join(faults[:8]) + more)


def _filled(
    shapes: Mapping[str, tuple[int, ...]], params: Mapping[str, tuple[int, ...]], plan: Match, faults: list[str]
) -> dict[str, tuple[int, ...]]:
    """Our names and shapes after every step, run on meta tensors; a step that fails adds its sentence to `faults`."""
    import torch

    meta = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    filled: dict[str, tuple[int, ...]] = {}
    for step in plan.steps:
        try:
            for name, tensor in zip(step.ours, step.load([meta[name] for name in step.theirs]), strict=True):
                filled[name] = tuple(tensor.shape)
        except WeightsError as error:
            faults.append(str(error))
            filled.update({name: params.get(name, ()) for name in step.ours})
    return filled


def _some(names: Sequence[str], limit: int = 6) -> str:
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
