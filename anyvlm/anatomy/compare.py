"""Systems side by side: what differs, in words, and what the same picture costs each of them. No weights, no network.

Every number comes from the planner (`tokens`), the tree of parameters or the bill; what cannot be said of a system is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from typing import Literal, TypeAlias

from anyvlm.anatomy.bill import Bill, bill
from anyvlm.anatomy.cuts import Window, windows
from anyvlm.anatomy.kinds import Kind, kinds
from anyvlm.anatomy.parameters import Branch, parameters
from anyvlm.anatomy.tuning import Tuning, tuning
from anyvlm.anatomy.words import DETAILS, GROUPS, Fact, facts
from anyvlm.errors import InputError
from anyvlm.inputs.plan import Size
from anyvlm.inputs.policy import Policy
from anyvlm.inputs.video import Footage
from anyvlm.match import AnySystem
from anyvlm.parts.features import Encoder
from anyvlm.system import System

Unit: TypeAlias = Literal["tokens", "FLOPs", "bytes", "parameters", "seconds", "tokens/s"]
SIDES = (224, 280, 336, 392, 448, 504, 560, 672, 784, 896, 1008, 1120, 1232, 1344, 1456, 1568, 1680, 1792, 1904, 2000)
"""Pixels along the side of the squares whose cost makes the curves."""
_RATE = 30  # frames a second of the video that is asked about


@dataclass(frozen=True)
class Case:
    """What every system is asked: so many pictures of `size` (width, height), a video, `text` tokens, on one device.

    seconds: of a video whose frames have that size, 0 is none; fps: how many of its frames are looked at a second, None: as
    each system does by itself. context: tokens at which decoding and its cache are told.
    """

    size: tuple[int, int] = (1024, 768)
    images: int = 1
    seconds: float = 0
    fps: float | None = None
    text: int = 64
    context: int = 4096
    device: str = "h200"
    dtype: str = "bf16"

    @property
    def sizes(self) -> list[Size]:
        """As the planner takes them."""
        out: list[Size] = [self.size] * self.images
        if self.seconds:
            ticks = tuple(range(max(1, round(self.seconds * _RATE))))
            out.append(Footage(*self.size, ticks, ticks, Fraction(1, _RATE), _RATE))
        return out


@dataclass(frozen=True)
class Row:
    """What a label says of each system; None where it makes no sense."""

    label: str
    values: tuple[str | None, ...]

    @property
    def differs(self) -> bool:
        """Whether two systems differ in it."""
        return len(set(self.values)) > 1

    @property
    def fine(self) -> bool:
        """Whether it is fine print: what the other rows of its group leave out."""
        return self.label.endswith(DETAILS)


@dataclass(frozen=True)
class Group:
    """Rows about one thing."""

    title: str
    rows: tuple[Row, ...]

    @property
    def shown(self) -> tuple[Row, ...]:
        """The rows that differ, fine print only where nothing else does."""
        unlike = tuple(row for row in self.rows if row.differs)
        return tuple(row for row in unlike if not row.fine) or unlike


@dataclass(frozen=True)
class Cost:
    """A number for each system; None where it makes no sense. `least`: whether less is better."""

    group: str
    label: str
    unit: Unit
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Cutting:
    """One picture as it is cut, and the rows that all its arrays give."""

    windows: tuple[Window, ...] = ()
    rows: int = 0


@dataclass(frozen=True)
class Budget:
    """Where a context goes. visual: to pictures, markup included; beside: rows in a memory; holds: the longest context."""

    visual: int
    text: int
    free: int
    beside: int
    holds: int


@dataclass(frozen=True)
class Curve:
    """What squares of `SIDES` pixels cost; None where a system does not take one."""

    visual: tuple[int | None, ...]
    flops: tuple[int | None, ...]


@dataclass(frozen=True)
class Card:
    """Who a system is."""

    name: str
    year: int
    family: str
    licence: str
    paper: str
    summary: str
    total: int
    active: int


@dataclass(frozen=True)
class Comparison:
    """Everything that is said and drawn; tuples have a place for each system. `notes`: why a number is missing."""

    case: Case
    cards: tuple[Card, ...]
    differences: tuple[Group, ...]
    costs: tuple[Cost, ...]
    cuts: tuple[Cutting, ...]
    budgets: tuple[Budget | None, ...]
    kinds: tuple[tuple[Kind, ...], ...]
    curves: tuple[Curve, ...]
    notes: tuple[str, ...] = ()
    sides: tuple[int, ...] = field(default=SIDES)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the systems."""
        return tuple(card.name for card in self.cards)


@dataclass(frozen=True)
class _Told:
    """One system with its tree, its bill for the case, None where it does not take it, and the bill of text alone."""

    system: AnySystem
    tree: Branch
    bill: Bill | None
    alone: Bill
    note: str


def compare(systems: Sequence[AnySystem], case: Case) -> Comparison:
    """Systems side by side. Raises InputError for fewer than two, or for a device or dtype that is not known."""
    if len(systems) < 2:
        raise InputError("One system alone cannot be compared; name two or more, or use `anyvlm show`.")
    from anyvlm.anatomy.devices import device

    device(case.device)
    told = [_told(system, case) for system in systems]
    return Comparison(
        case=case,
        cards=tuple(_card(each) for each in told),
        differences=differences([facts(system) for system in systems]),
        costs=(*_costs(told, case), *_training(told)),
        cuts=tuple(_cut(each, case) for each in told),
        budgets=tuple(_budget(each, case) for each in told),
        kinds=tuple(kinds(each.tree) for each in told),
        curves=tuple(_curve(each, case) for each in told),
        notes=tuple(each.note for each in told if each.note),
    )


def differences(sides: Sequence[Sequence[Fact]]) -> tuple[Group, ...]:
    """Facts of systems side by side, by group; labels in the order in which they are first told."""
    out = []
    for title in GROUPS:
        labels = {fact.label: None for side in sides for fact in side if fact.group == title}
        by_label = [{fact.label: fact.words for fact in side if fact.group == title} for side in sides]
        rows = tuple(Row(label, tuple(side.get(label) for side in by_label)) for label in sorted(labels, key=_last(labels)))
        if rows:
            out.append(Group(title, rows))
    return tuple(out)


def _last(labels: dict[str, None]) -> Callable[[str], tuple[bool, int]]:
    """Fine print behind the rest, else as they came."""
    order = {label: n for n, label in enumerate(labels)}
    return lambda label: (label == DETAILS, order[label])


def _told(system: AnySystem, case: Case) -> _Told:
    tree = parameters(system)
    alone = bill(system, [], text=case.text, context=case.context, tree=tree)
    streams = system.streams.values() if isinstance(system, System) else ()
    most = min((stream.most for stream in streams if stream.most is not None), default=case.images)
    try:
        if case.images > most:
            raise InputError(f"'{system.name}' takes {'one picture' if most == 1 else f'at most {most} pictures'} at a time.")
        found = bill(system, case.sizes, text=case.text, context=case.context, fps=case.fps, tree=tree)
    except InputError as error:
        return _Told(system, tree, None, alone, str(error))
    return _Told(system, tree, found, alone, "")


def _card(told: _Told) -> Card:
    meta = told.system.meta
    return Card(
        told.system.name, meta.year, meta.family, meta.license, meta.paper, meta.summary, told.tree.count, told.alone.active
    )


def _costs(told: Sequence[_Told], case: Case) -> tuple[Cost, ...]:
    from anyvlm.anatomy.devices import device
    from anyvlm.anatomy.roofline import first_token_seconds, tokens_per_second

    machine = device(case.device)

    def row(group: str, label: str, unit: Unit, of: Callable[[Bill], float], *, fixed: bool = False) -> Cost:
        """`fixed`: also of systems that do not take the case, since it has nothing to do with pictures."""
        bills = [each.bill or each.alone if fixed else each.bill for each in told]
        return Cost(group, label, unit, tuple(None if found is None else of(found) or None for found in bills))

    def writes(of: Callable[[Bill], float]) -> Callable[[Bill], float]:
        """Only of systems that write an answer."""
        return lambda found: of(found) if found.decode else 0

    weights = [
        row("Weights", f"in {name}", "bytes", lambda found, name=name: found.weights[name], fixed=True)  # type: ignore[misc]
        for name in ("bf16", "int8", "int4")
    ]
    caches = [
        row("Keys and values", f"in {name}", "bytes", lambda found, name=name: found.cache[name], fixed=True)  # type: ignore[misc]
        for name in ("bf16", "int8")
    ]
    return (
        row("Tokens", "visual tokens", "tokens", lambda found: found.visual),
        row("Tokens", "prompt", "tokens", lambda found: found.prompt),
        row("Tokens", "context told at", "tokens", lambda found: found.context, fixed=True),
        row("Work", "encoder", "FLOPs", lambda found: found.encoder),
        row("Work", "connector", "FLOPs", lambda found: found.connector),
        row("Work", "prefill", "FLOPs", lambda found: found.prefill),
        row("Work", "one token more", "FLOPs", lambda found: found.decode, fixed=True),
        row("Weights", "parameters", "parameters", lambda found: found.total, fixed=True),
        row("Weights", "active", "parameters", lambda found: found.active, fixed=True),
        *weights,
        *caches,
        row("Speed", "first token", "seconds", writes(lambda found: first_token_seconds(found, machine, case.dtype))),
        row("Speed", "then", "tokens/s", writes(lambda found: tokens_per_second(found, machine, case.dtype)), fixed=True),
    )


def _training(told: Sequence[_Told]) -> Iterator[Cost]:
    """What each stage holds, whole and with low-rank updates."""
    recipes = [tuning(each.system) for each in told]
    for n in range(max(map(len, recipes))):
        stages: list[Tuning | None] = [recipe[n] if n < len(recipe) else None for recipe in recipes]
        full = tuple(None if stage is None else stage.full for stage in stages)
        low = tuple(None if stage is None else stage.lora for stage in stages)
        yield Cost("Memory to train", f"stage {n + 1}", "bytes", full)
        if any(low):
            yield Cost("Memory to train", f"stage {n + 1} by LoRA", "bytes", low)


def _cut(told: _Told, case: Case) -> Cutting:
    """One picture; nothing for a system that takes none, or none of that size."""
    try:
        return _arrays(told, case)
    except InputError:
        return Cutting()


def _arrays(told: _Told, case: Case) -> Cutting:
    from anyvlm.dual import DualSystem, Tower
    from anyvlm.ground import GroundSystem

    match told.system:
        case System(streams=streams):
            for stream in list(streams.values())[:1]:
                policy = stream.policy_among(max(case.images, 1))
                cut = policy.cut(*case.size)
                return Cutting(windows(policy, stream.encoder, stream.connector, cut), sum(map(prod, stream.rows(cut))))
            return Cutting()
        case DualSystem(towers=towers):
            eyes = [tower for tower in towers.values() if isinstance(tower, Tower)]
            return _seen(eyes[0].policy, eyes[0].encoder, case) if eyes else Cutting()
        case GroundSystem(policy=policy, encoder=encoder) as system:
            places = sum(map(prod, system.maps(policy.cut(*case.size).sizes[0])))
            return Cutting(_seen(policy, encoder, case).windows, places)
    return _seen(told.system.policy, told.system.encoder, case)


def _seen(policy: Policy, encoder: Encoder, case: Case) -> Cutting:
    found = windows(policy, encoder, None, policy.cut(*case.size))
    return Cutting(found, sum(prod(window.rows) for window in found))


def _budget(told: _Told, case: Case) -> Budget | None:
    """Only of systems with a context."""
    if not isinstance(told.system, System) or told.bill is None:
        return None
    beside = any(stream.reach for stream in told.system.streams.values())
    prompt, holds = told.bill.prompt, told.system.lm.context
    free = max(0, min(case.context, holds) - prompt)
    return Budget(prompt - case.text, case.text, free, told.bill.visual if beside else 0, holds)


def _curve(told: _Told, case: Case) -> Curve:
    found = [_square(told, case, side) for side in SIDES]
    return Curve(tuple(each and each[0] for each in found), tuple(each and each[1] for each in found))


def _square(told: _Told, case: Case, side: int) -> tuple[int, int] | None:
    """Visual tokens and everything before the first token; None where it takes no pictures."""
    try:
        found = bill(told.system, [(side, side)], text=case.text, context=case.context, tree=told.tree)
    except InputError:
        return None
    return (found.visual, found.encoder + found.connector + found.prefill) if found.visual else None
