"""The way of one picture and its text through a system, as the shapes of what every part hands to the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from anyvlm.anatomy.parameters import Branch
from anyvlm.dual import DualSystem, SignalTower, TextTower, Tower
from anyvlm.ground import GroundSystem
from anyvlm.inputs.masked import Masked
from anyvlm.inputs.policy import Policy
from anyvlm.inputs.signal import Given, Rows
from anyvlm.match import AnySystem, MatchSystem
from anyvlm.parts.features import Encoder, Grid
from anyvlm.parts.language import LanguageModel
from anyvlm.parts.vision.signal import SignalViT
from anyvlm.spec import Spec
from anyvlm.system import System, VisionSystem

Side: TypeAlias = int | str
"""Of a shape: a number, or a letter that `Step.note` explains."""


@dataclass(frozen=True)
class Step:
    """What comes out of `part`, a path below the system or a word for what is no module: its `name`, shape, and a remark."""

    part: str
    name: str
    shape: tuple[Side, ...]
    note: str = ""


def path(system: AnySystem, tree: Branch, image: tuple[int, int]) -> tuple[Step, ...]:
    """For a picture of (width, height); `tree` are the system's parameters. Raises InputError for one that it refuses."""
    match system:
        case VisionSystem():
            return (_picture(image), *_seen(system.policy, system.encoder, "", tree, image))
        case MatchSystem():
            return tuple(_match(system, tree, image))
        case DualSystem():
            return tuple(_dual(system, tree, image))
        case GroundSystem():
            return tuple(_ground(system, tree, image))
        case System():
            return tuple(_system(system, tree, image))


def _picture(image: tuple[int, int]) -> Step:
    width, height = image
    return Step("picture", "picture", (3, height, width))


def _seen(policy: Policy, eye: Encoder, at: str, tree: Branch, image: tuple[int, int]) -> Iterator[Step]:
    """From a picture to the rows of the encoder at a path."""
    cut = policy.cut(*image)
    channels = 4 if isinstance(policy, Masked) else 3
    yield from _arrays(policy, [(channels, *size) for size in cut.sizes])
    grids = tuple(eye.grid(h, w) for h, w in cut.sizes)
    yield from _rows(eye, at, tree, grids, channels * eye.frames * eye.patch**2)


def _arrays(policy: Spec, shapes: Sequence[tuple[int, ...]]) -> Iterator[Step]:
    for shape, times in Counter(shapes).items():
        yield Step("policy", type(policy).__name__, (times, *shape) if times > 1 else shape)


def _rows(eye: Encoder, at: str, tree: Branch, grids: tuple[Grid, ...], values: int) -> Iterator[Step]:
    patches = sum(map(prod, grids))
    yield Step("patches", "patches", (patches, values), f"a grid of {_by(grids[0][1:])}" + " each" * (len(grids) > 1))
    rows = sum(prod(eye.rows(grid)) for grid in grids)
    token = tree.find(f"{at}.cls" if at else "cls")
    if token is not None and rows == patches:  # else it is among the rows, or there is none
        yield Step(at or "encoder", type(eye).__name__, (rows + len(grids), token.shape[-1]), "with a class token")
        yield Step("rows", "rows", (rows, eye.out), "without it")
    else:
        yield Step(at or "encoder", type(eye).__name__, (rows, eye.out))


def _by(sides: Sequence[int]) -> str:
    return " × ".join(map(str, sides))


# Systems with a language model ----------------------------------------------------------------------------------------


def _system(system: System, tree: Branch, image: tuple[int, int]) -> Iterator[Step]:
    lm, length = system.lm, "text"
    for n, (name, stream) in enumerate(system.streams.items()):
        cut = stream.policy.cut(*image)
        if not n:
            yield _picture(image)
        yield from _seen(stream.policy, stream.encoder, f"encoders.{name}", tree, image)
        grids = tuple(stream.connector.count(stream.encoder.rows(grid)) for grid in stream.patches(cut))
        width = stream.connector.width(stream.encoder.out, lm.width)
        yield Step(f"connectors.{name}", type(stream.connector).__name__, (sum(map(prod, grids)), width))
        rows = sum(map(prod, stream.rows(cut)))
        if stream.join:
            yield Step(f"joins.{name}", type(stream.join).__name__, (rows, width))
        if stream.reach:
            layers = sum(len(insert.layers) for insert in lm.inserts if insert.memory == name)
            yield Step("memory", "memory", (rows, width), f"read by {layers} layers" if layers else "read by every layer")
            length = "text" if stream.reach == "all" else "1 place for the picture + text"
        else:
            among = sum(isinstance(cell, str) for cell in stream.cells(cut))
            length = f"{rows} rows + {f'{among} of markup + ' if among else ''}text"
    if system.embedding is not None and system.embedding.soft:
        yield Step("soft", "learned", (system.embedding.soft, lm.width), "in front, where a point is made")
    yield from _language(lm, length)
    if system.embedding is not None:
        yield Step("point", "point", (1, lm.width), "where one is made: the state of the last token, of length 1")


def _language(lm: LanguageModel, length: str) -> Iterator[Step]:
    yield Step("sequence", "sequence", ("T", lm.width), f"T = {length}")
    if lm.start is None:
        yield Step("lm", type(lm).__name__, ("T", lm.width))
        yield Step("logits", "logits", ("T", lm.vocab))
    else:
        yield Step("lm", type(lm).__name__, ("K", lm.width), "its encoder reads T, its decoder writes K")
        yield Step("logits", "logits", ("K", lm.vocab))


# Systems of towers ----------------------------------------------------------------------------------------------------


def _dual(system: DualSystem, tree: Branch, image: tuple[int, int]) -> Iterator[Step]:
    for name, tower in system.towers.items():
        at = f"towers.{name}"
        match tower:
            case Tower():
                yield _picture(image)
                yield from _seen(tower.policy, tower.encoder, f"{at}.encoder", tree, image)
            case TextTower():
                most = f"T = {tower.policy.context}" if tower.policy.fill else f"T ≤ {tower.policy.context}"
                yield Step("text", "text", ("T",), most)
                yield Step(f"{at}.encoder", type(tower.encoder).__name__, ("T", tower.out))
            case SignalTower():
                yield from _signal(tower, f"{at}.encoder", tree)
        yield Step(f"{at}.pool", type(tower.pool).__name__, (1, tower.pool.out(tower.out)))
        if tower.project is not None:
            yield Step(f"{at}.project", type(tower.project).__name__, (1, system.shared))
        yield Step("point", "point", (1, system.shared), "of length 1" if system.unit else "as it is")
    first = system.contrasts[0]
    yield Step("contrasts.0", type(first).__name__, ("A", "K"), f"A of {first.a} against K of {first.b}")


def _signal(tower: SignalTower, at: str, tree: Branch) -> Iterator[Step]:
    eye = tower.encoder
    if not isinstance(eye, SignalViT):  # rows as they come, how many depends on the signal
        wide = tower.policy.width if isinstance(tower.policy, Rows) else "..."
        yield Step("policy", type(tower.policy).__name__, ("S", wide))
        yield Step(at, type(eye).__name__, ("S", eye.out))
        return
    if isinstance(tower.policy, Given):
        yield Step("signal", "signal", (tower.policy.channels, *tower.policy.size))
    yield Step("policy", type(tower.policy).__name__, (eye.channels, *eye.size), "each")
    yield from _rows(eye, at, tree, (eye.grid(*eye.size),), eye.values)


def _match(system: MatchSystem, tree: Branch, image: tuple[int, int]) -> Iterator[Step]:
    yield _picture(image)
    yield from _seen(system.policy, system.encoder, "encoder", tree, image)
    yield Step("to_shared", "point", (1, system.shared), "of the picture: its class token")
    yield Step("text", type(system.text).__name__, ("T", system.text.width), f"T ≤ {system.text.context}; alone")
    yield Step("to_shared", "point", (1, system.shared), "of the text: its first token")
    yield Step("text", type(system.text).__name__, ("T", system.text.width), "beside the picture's rows")
    yield Step("judge", "judge", (1, 2), "no match, match")
    if system.captioner is not None:
        yield from _language(system.captioner, "text, which reads the picture's rows")


def _ground(system: GroundSystem, tree: Branch, image: tuple[int, int]) -> Iterator[Step]:
    width, depth = system.pyramid.width, f"after {system.depth} layers of reading each other"
    yield _picture(image)
    yield from _seen(system.policy, system.encoder, "encoder", tree, image)
    sizes = system.maps(system.policy.cut(*image).sizes[0])
    places = sum(map(prod, sizes))
    yield Step("pyramid", type(system.pyramid).__name__, (places, width), f"places of maps of {', '.join(map(_by, sizes))}")
    most = f"T = {system.words.context}" if system.words.fill else f"T ≤ {system.words.context}"
    yield Step("text", type(system.text).__name__, ("T", system.text.width), most)
    yield Step("layers", "places", (places, width), depth)
    yield Step("layers", "tokens", ("T", system.text.width), depth)
    yield Step("align", "scores", (places, "T"), "of every place for every token")
