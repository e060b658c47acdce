"""A system drawn for a terminal: facts, the tree of its parts, its prompt, its recipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, replace
from fractions import Fraction
from math import prod

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from anyvlm.anatomy.parameters import Branch, parameters
from anyvlm.anatomy.path import Step
from anyvlm.anatomy.shares import Share, parts
from anyvlm.catalogue import entry
from anyvlm.cli._measures import sizes, way
from anyvlm.cli._words import by, link, place, short, volume
from anyvlm.dual import DualSystem
from anyvlm.ground import GroundSystem
from anyvlm.inputs.messages import ask
from anyvlm.inputs.video import Footage
from anyvlm.match import AnySystem, MatchSystem
from anyvlm.spec import Spec
from anyvlm.system import Stage, Stream, System, VisionSystem

_NUMBERS = 10  # cells of the column of counts
_WIDEST = 110  # cells of a tree: further apart the eye loses the line
_GUIDE = "grey50"
_STYLES = {"special": "cyan", "image": "magenta", "video": "magenta", "user": "bold", "template": "", "answer": ""}


@dataclass(frozen=True)
class Facts:
    """What is told of a system: its tree of parameters, its parts, the way of a picture of `image` pixels, its tests."""

    tree: Branch
    shares: tuple[Share, ...]
    steps: tuple[Step, ...]
    image: tuple[int, int]
    rings: str


def portrait(console: Console, system: AnySystem, facts: Facts) -> None:
    """Print everything there is to know about a system."""
    tree = facts.tree
    console.print(Text(system.name, "bold"))
    if system.meta.summary not in ("", system.name):
        console.print(Text(system.meta.summary))
    console.print()
    console.print(_facts(system, facts))
    _heading(console, "Sizes")
    console.print(sizes(facts.shares))
    seen = facts.steps[0].part == "picture"
    _heading(console, f"A picture of {by(facts.image)} on its way" if seen else "The way through it")
    console.print(way(facts.steps))
    _heading(console, "Parts")
    console.print(_parts(system, tree), width=min(console.width, _WIDEST))
    if isinstance(system, System):
        _heading(console, "Prompt")
        console.print(_prompt(system))
    for stage in system.stages:
        _heading(console, f"Stage {stage.name}")
        console.print(_stage(stage, _lesson(system, stage) if isinstance(system, VisionSystem) else ""))


def code_of(system: AnySystem) -> str:
    """Where its authors keep their code, by its row of the catalogue; "" where none is known."""
    found = entry(system.meta.row)
    return f"https://github.com/{found.repo}" if found and found.repo else ""


def _heading(console: Console, title: str) -> None:
    console.print()
    console.print(Text(title, "bold"))


def _facts(system: AnySystem, facts: Facts) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style=_GUIDE, no_wrap=True)
    table.add_column(overflow="fold")
    meta = system.meta
    rows = [("parameters", _parameters(facts)), ("family", meta.family), ("licence", meta.license)]
    if meta.paper:
        rows.append(("paper", f"{link(meta.paper)} ({meta.year})"))
    if code := code_of(system):
        rows.append(("authors' code", code))
    for checkpoint in system.checkpoints:
        rows.append(("weights", place(checkpoint.source) + " (for what the others lack)" * checkpoint.fallback))
    if system.fresh:
        rows.append(("fresh", f"{', '.join(system.fresh)} (no checkpoint fills these)"))
    if isinstance(system, System):
        rows.append(("context", f"{system.lm.context} tokens"))
        rows += [("picture", _costs(system, name, facts.image)) for name in system.streams]
        if system.painting and system.code and system.code.draws:
            rows.append(("paints", f"{by(system.painting.size[::-1])} pixels, guided by {system.painting.guidance:g}"))
        rows += [("video", _watches(stream, facts.image)) for stream in system.streams.values() if stream.film]
    rows.append(("tests", facts.rings))
    for name, value in rows:
        table.add_row(name, value)
    return table


def _parameters(facts: Facts) -> str:
    lm = next((share for share in facts.shares if share.path == "lm"), None)
    part = f"; a token of text goes through {short(lm.active)}" if lm is not None and lm.active < lm.count else ""
    return f"{short(facts.tree.count)}, {volume(2 * facts.tree.count)} at bf16{part}"


def _costs(system: System, name: str, image: tuple[int, int]) -> str:
    stream = system.streams[name]
    cut = stream.policy.cut(*image)
    h, w = cut.sizes[0]
    several = f"{len(cut.sizes)} times " if len(cut.sizes) > 1 else ""
    patches = sum(map(prod, stream.patches(cut)))
    tokens = sum(1 if isinstance(cell, str) else prod(cell) for cell in stream.cells(cut))
    return f"{by(image)} becomes {several}{by((w, h))} pixels, {patches} patches, {tokens} tokens"


def _watches(stream: Stream, image: tuple[int, int]) -> str:
    assert stream.film is not None
    ticks = tuple(range(LENGTH * RATE))
    cut = stream.film.cut(Footage(*image, ticks, ticks, Fraction(1, RATE), RATE))
    tokens = sum(map(prod, stream.rows(cut)))
    return f"{LENGTH} s of {by(image)} become {len(cut.frames)} frames of {by(cut.sizes[0][::-1])} pixels, {tokens} tokens"


LENGTH, RATE = 30, 25
"""Seconds of the video whose cost is told, and its frames a second."""


# Parts ----------------------------------------------------------------------------------------------------------------


def _parts(system: AnySystem, tree: Branch) -> Tree:
    root = Tree(_row(system.name, "", short(tree.count), "bold"), guide_style=_GUIDE)
    named = dict(parts(system))
    if isinstance(system, VisionSystem):
        root.add(_titled("policy", "", system.policy))
        _grow(root.add(_titled("encoder", short(tree.count), system.encoder)), tree)
        return root
    for path, spec in named.items():
        for title, told in _before(system, path):
            root.add(_titled(title, "", told))
        _part(root, tree, path, spec)
    if isinstance(system, GroundSystem):
        for title, told in (("layers.fusion", system.fusion), ("layers.head", system.head)):
            root.add(_titled(title, "", told))
    tops = {path.partition(".")[0] for path in named}
    _grow(root, replace(tree, branches=tuple(branch for branch in tree.branches if branch.name not in tops)))
    return root


def _before(system: AnySystem, path: str) -> Iterator[tuple[str, Spec]]:
    """What is done to a picture, video or text before the part at a path sees it."""
    kind, _, name = path.partition(".")
    if isinstance(system, System) and kind == "encoders":
        stream = system.streams[name]
        yield f"streams.{name}.policy", stream.policy
        if stream.film:
            yield f"streams.{name}.film", stream.film.sampler
    elif isinstance(system, DualSystem) and path.endswith(".encoder"):
        tower = path.removesuffix(".encoder")
        yield f"{tower}.policy", system.towers[tower.removeprefix("towers.")].policy
    elif isinstance(system, MatchSystem | GroundSystem) and path == "encoder":
        yield "policy", system.policy
    elif isinstance(system, GroundSystem) and path == "text":
        yield "words", system.words


def _part(root: Tree, tree: Branch, path: str, spec: Spec) -> None:
    branch = tree.find(path) or Branch(path, 0)  # a part may have no parameters
    _grow(root.add(_titled(path, short(branch.count), spec)), branch)


def _grow(node: Tree, branch: Branch) -> None:
    for each in branch.branches:
        name = f"{each.name} × {each.times}" if each.times > 1 else each.name
        shape = by(each.shape) + (" + bias" if each.bias else "")
        if each.times > 1 and not shape:
            shape = f"{short(each.count // each.times)} each"
        _grow(node.add(_row(name, shape, "tied" if each.tied else short(each.count))), each)


def _row(name: str, shape: str, count: str, style: str = "") -> Table:
    """One line over the whole width: name on the left, shape and count on the right."""
    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(ratio=1, no_wrap=True, style=style)
    row.add_column(justify="right", no_wrap=True, style="cyan")
    row.add_column(justify="right", no_wrap=True, width=_NUMBERS)
    row.add_row(name, shape, count)
    return row


def _titled(title: str, count: str, spec: Spec) -> Group:
    """A part's line with the fields of its spec below; all of them where none was set."""
    words = list(said(spec)) or [_field(field.name, getattr(spec, field.name)) for field in fields(spec)]
    row = _row(f"{title}  {type(spec).__name__}", "", count, "bold")
    return Group(row, Text(", ".join(words), _GUIDE)) if words else Group(row)


def said(spec: Spec) -> Iterator[str]:
    """The fields of a spec in words, those left at their default unsaid: width 384, no bias, ffn GLU(hidden 1536)."""
    for field in fields(spec):
        value = getattr(spec, field.name)
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        if value != default:
            yield _field(field.name, value)


def _field(name: str, value: object) -> str:
    if value is True:
        return name
    if value is False or value is None:
        return f"no {name}"
    return f"{name} {_value(value)}"


def _value(value: object) -> str:
    if isinstance(value, Spec):
        inner = ", ".join(said(value))
        return f"{type(value).__name__}({inner})" if inner else type(value).__name__
    if isinstance(value, tuple):
        return f"({', '.join(map(_value, value))})"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


# Prompt and recipe ----------------------------------------------------------------------------------------------------


def _prompt(system: System) -> Text:
    """The prompt of one question, as the tokenizer gets it."""
    asked = ask(["a picture"], "What is in the picture?") if system.streams else ask([], "What is the capital of France?")
    pieces = system.template.render(asked)
    text = Text.assemble(*((piece.text, _STYLES[piece.kind]) for piece in pieces))
    text.rstrip()
    return text


def _lesson(system: VisionSystem, stage: Stage) -> str:
    """What it learns by, and what that weighs."""
    beside = parameters(system.student(stage.name)).find("lesson")
    count = f"; {short(beside.count)} parameters beside the encoder" if beside is not None else ""
    return f"{_value(system.lessons[stage.name].but(layouts=()))}{count}"


def _stage(stage: Stage, lesson: str) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style=_GUIDE, no_wrap=True, min_width=10)
    table.add_column(overflow="fold")
    lora = stage.lora and f"rank {stage.lora.rank}, alpha {stage.lora.alpha:g}, on {', '.join(stage.lora.on)}"
    numbers = {"lr": stage.lr, "batch": stage.batch, "epochs": stage.epochs, "steps": stage.steps, "context": stage.context}
    known = [f"{name} {value:g}" for name, value in numbers.items() if value is not None]
    known += [f"{stage.parallel:.0%} guessed at once"] if stage.parallel else []
    known += [f"{share:.0%} of the patches of {name} read" for name, share in stage.keep.items()]
    rows = {
        "trains": ", ".join(stage.train),
        "lesson": lesson,
        "lora": lora,
        "data": ", ".join(stage.data),
        "losses": ", ".join(f"{weight:g} {name}" for name, weight in stage.losses.items()),
        "with": ", ".join([*known, f"{stage.schedule} schedule", f"warm-up {stage.warmup:g}"]),
        "note": stage.note,
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, value)
    return table
