"""A system drawn for a terminal: facts, the tree of its parts, its prompt, its recipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields, replace
from fractions import Fraction
from math import prod

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from anyvlm.anatomy.parameters import Branch
from anyvlm.cli._words import by, link, place, short
from anyvlm.dual import DualSystem
from anyvlm.ground import GroundSystem
from anyvlm.inputs.messages import ask
from anyvlm.inputs.video import Footage
from anyvlm.match import AnySystem, MatchSystem
from anyvlm.spec import Spec
from anyvlm.system import Stage, Stream, System, VisionSystem

_NUMBERS = 10  # cells of the column of counts
_GUIDE = "grey50"
_STYLES = {"special": "cyan", "image": "magenta", "video": "magenta", "user": "bold", "template": "", "answer": ""}


def portrait(console: Console, system: AnySystem, tree: Branch, rings: str) -> None:
    """Print everything there is to know about a system. `rings`: what the ledger says of it."""
    console.print(Text(system.name, "bold"))
    if system.meta.summary:
        console.print(Text(system.meta.summary))
    console.print()
    console.print(_facts(system, tree, rings))
    _heading(console, "Parts")
    console.print(_parts(system, tree))
    if isinstance(system, System):
        _heading(console, "Prompt")
        console.print(_prompt(system))
    if not isinstance(system, VisionSystem):
        for stage in system.stages:
            _heading(console, f"Stage {stage.name}")
            console.print(_stage(stage))


def _heading(console: Console, title: str) -> None:
    console.print()
    console.print(Text(title, "bold"))


def _facts(system: AnySystem, tree: Branch, rings: str) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style=_GUIDE, no_wrap=True)
    table.add_column(overflow="fold")
    meta = system.meta
    rows = [("parameters", short(tree.count)), ("family", meta.family), ("licence", meta.license)]
    if meta.paper:
        rows.append(("paper", f"{link(meta.paper)} ({meta.year})"))
    for checkpoint in system.checkpoints:
        rows.append(("weights", place(checkpoint.source) + " (for what the others lack)" * checkpoint.fallback))
    if system.fresh:
        rows.append(("fresh", f"{', '.join(system.fresh)} (no checkpoint fills these)"))
    if isinstance(system, System):
        rows.append(("context", f"{system.lm.context} tokens"))
        rows += [("picture", _costs(system, name)) for name in system.streams]
        if system.painting and system.code and system.code.draws:
            rows.append(("paints", f"{by(system.painting.size[::-1])} pixels, guided by {system.painting.guidance:g}"))
        rows += [("video", _watches(stream)) for stream in system.streams.values() if stream.film]
    rows.append(("tests", rings))
    for name, value in rows:
        table.add_row(name, value)
    return table


def _costs(system: System, name: str) -> str:
    stream = system.streams[name]
    cut = stream.policy.cut(*EXAMPLE)
    h, w = cut.sizes[0]
    several = f"{len(cut.sizes)} times " if len(cut.sizes) > 1 else ""
    patches = sum(map(prod, stream.patches(cut)))
    tokens = sum(1 if isinstance(cell, str) else prod(cell) for cell in stream.cells(cut))
    return f"{by(EXAMPLE)} becomes {several}{by((w, h))} pixels, {patches} patches, {tokens} tokens"


def _watches(stream: Stream) -> str:
    assert stream.film is not None
    ticks = tuple(range(LENGTH * RATE))
    cut = stream.film.cut(Footage(*EXAMPLE, ticks, ticks, Fraction(1, RATE), RATE))
    tokens = sum(map(prod, stream.rows(cut)))
    return f"{LENGTH} s of {by(EXAMPLE)} become {len(cut.frames)} frames of {by(cut.sizes[0][::-1])} pixels, {tokens} tokens"


EXAMPLE = (1024, 768)
"""(width, height) in pixels of the picture whose cost is told."""
LENGTH, RATE = 30, 25
"""Seconds of the video whose cost is told, and its frames a second."""


# Parts ----------------------------------------------------------------------------------------------------------------


def _parts(system: AnySystem, tree: Branch) -> Tree:
    root = Tree(_row(system.name, "", short(tree.count), "bold"), guide_style=_GUIDE)
    if isinstance(system, VisionSystem):
        root.add(_titled("policy", "", system.policy))
        _grow(root.add(_titled("encoder", short(tree.count), system.encoder)), tree)
        return root
    if isinstance(system, MatchSystem):
        root.add(_titled("policy", "", system.policy))
        parts: dict[str, Spec | None] = {"encoder": system.encoder, "text": system.text, "lm": system.captioner}
        for path, spec in parts.items():
            if spec is not None:
                _part(root, tree, path, spec)
        _grow(root, replace(tree, branches=tuple(branch for branch in tree.branches if branch.name not in parts)))
        return root
    if isinstance(system, GroundSystem):
        root.add(_titled("policy", "", system.policy))
        own: dict[str, Spec] = {"encoder": system.encoder, "pyramid": system.pyramid, "text": system.text}
        for path, each in own.items():
            _part(root, tree, path, each)
        _grow(root, replace(tree, branches=tuple(branch for branch in tree.branches if branch.name not in own)))
        return root
    if isinstance(system, DualSystem):
        for name, tower in system.towers.items():
            root.add(_titled(f"towers.{name}.policy", "", tower.policy))
            of_tower = {"encoder": tower.encoder, "pool": tower.pool, "project": tower.project}
            for part, one in of_tower.items():
                if one is not None:
                    _part(root, tree, f"towers.{name}.{part}", one)
        for n, contrast in enumerate(system.contrasts):
            _part(root, tree, f"contrasts.{n}", contrast)
        return root
    for name, stream in system.streams.items():
        root.add(_titled(f"streams.{name}.policy", "", stream.policy))
        if stream.film:
            root.add(_titled(f"streams.{name}.film", "", stream.film.sampler))
        for part, spec in (("encoders", stream.encoder), ("connectors", stream.connector)):
            _part(root, tree, f"{part}.{name}", spec)
    _part(root, tree, "lm", system.lm)
    if system.embedding:
        _part(root, tree, "soft", system.embedding)
    if system.painting:
        _part(root, tree, "painter", system.painting.tables)
    return root


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
    return Group(_row(f"{title}  {type(spec).__name__}", "", count, "bold"), Text(", ".join(words), _GUIDE))


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


def _stage(stage: Stage) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style=_GUIDE, no_wrap=True, min_width=10)
    table.add_column(overflow="fold")
    lora = stage.lora and f"rank {stage.lora.rank}, alpha {stage.lora.alpha:g}, on {', '.join(stage.lora.on)}"
    numbers = {"lr": stage.lr, "batch": stage.batch, "epochs": stage.epochs, "steps": stage.steps, "context": stage.context}
    known = [f"{name} {value:g}" for name, value in numbers.items() if value is not None]
    rows = {
        "trains": ", ".join(stage.train),
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
