"""What a diagram of a system says: cards in lanes from inputs to outputs, with what every stage does to each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from math import prod
from typing import TYPE_CHECKING, Literal

from anyvlm.anatomy.phrases import details, phrase
from anyvlm.anatomy.words import facts

if TYPE_CHECKING:
    from anyvlm.dual import DualSystem
    from anyvlm.ground import GroundSystem
    from anyvlm.inputs.policy import Policy
    from anyvlm.match import AnySystem, MatchSystem
    from anyvlm.parts.features import Encoder
    from anyvlm.parts.language import LanguageModel
    from anyvlm.spec import Spec
    from anyvlm.system import Stage, Stream, System, VisionSystem

State = Literal["trained", "partly", "lora", "frozen"]
"""What a stage does to a part; "partly": to some of its parameters; "lora": low-rank updates."""
Count = Callable[[str], str]
"""The number of parameters below a path in words: "encoders.image" -> "303.5 M"; "" where there are none."""
EXAMPLE = (1024, 768)
"""(width, height) in pixels of the picture whose way is told."""


@dataclass(frozen=True)
class Card:
    """A box: a small label, a title, lines. `kind`: a colour's name. `states`: what each stage does to its weights."""

    label: str
    title: str
    lines: tuple[str, ...]
    kind: str
    states: tuple[State, ...] = ()


@dataclass(frozen=True)
class Marks:
    """Layers in which something else happens, numbered from 0. `before`: it stands in front of these layers."""

    name: str
    layers: tuple[int, ...]
    kind: str
    before: bool = False
    states: tuple[State, ...] = ()


@dataclass(frozen=True)
class Body:
    """The card in which everything meets, with its stack of `depth` layers. `rows`: places pictures take in its sequence, 0
    where they do not stand there; `reads`: their rows are a memory that the marked layers read.
    """

    card: Card
    depths: tuple[int, ...] = ()
    marks: tuple[Marks, ...] = ()
    rows: int = 0
    reads: bool = False


@dataclass(frozen=True)
class Scheme:
    """A system: `lanes` of cards that lead into `body`, `text` that goes in beside them (`told`: and into a connector too)."""

    title: str
    about: str
    lanes: tuple[tuple[Card, ...], ...]
    body: Body
    outputs: tuple[Card, ...]
    stages: tuple[Stage, ...]
    beside: tuple[Card, ...] = ()
    text: Card | None = None
    told: bool = False


def scheme(system: AnySystem, count: Count) -> Scheme:
    """The diagram's content."""
    from anyvlm.dual import DualSystem
    from anyvlm.ground import GroundSystem
    from anyvlm.match import MatchSystem
    from anyvlm.system import System

    match system:
        case System():
            return _system(system, count)
        case DualSystem():
            return _dual(system, count)
        case MatchSystem():
            return _match(system, count)
        case GroundSystem():
            return _ground(system, count)
        case _:
            return _vision(system, count)


def states(stages: Sequence[Stage], prefix: str, apart: str = "\0") -> tuple[State, ...]:
    """What each stage does to the parameters below a prefix ("lm."), those below `apart` not counted."""
    return tuple(_state(stage, prefix, apart) for stage in stages)


def _state(stage: Stage, prefix: str, apart: str) -> State:
    globs = [glob for glob in stage.train if not glob.startswith(apart)]
    if any(fnmatchcase(f"{prefix}\0", glob) for glob in globs):
        return "trained"
    if any(_within(glob, prefix) for glob in globs):
        return "partly"
    return "lora" if stage.lora and any(_within(glob, prefix) for glob in stage.lora.on) else "frozen"


def _within(glob: str, prefix: str) -> bool:
    """Whether a glob may match something below a prefix: what stands before its first wildcard decides."""
    head = glob.partition("*")[0].partition("?")[0].partition("[")[0]
    return head.startswith(prefix) or prefix.startswith(head)


class _Said:
    """The facts of a system by group and label, "" for what is not said."""

    def __init__(self, system: AnySystem) -> None:
        self._facts = {(fact.group, fact.label): fact.words for fact in facts(system)}

    def __call__(self, group: str, label: str, stream: str = "") -> str:
        """`stream`: where systems of several say it of each."""
        return self._facts.get((group, f"{stream}: {label}"), "") or self._facts.get((group, label), "")


def _full(*lines: str) -> tuple[str, ...]:
    return tuple(line for line in lines if line)


def _weigh(count: str) -> str:
    return count and f"{count} parameters"


def _about(system: AnySystem, count: Count) -> str:
    meta = system.meta
    paper = f"arXiv {meta.paper}" if meta.paper[:4].isdecimal() else ""
    return "  ·  ".join(_full(str(meta.year or ""), paper, f"{count('')} parameters", f"licence: {meta.license}"))


# Ways in --------------------------------------------------------------------------------------------------------------


def _picture(said: _Said, policy: Policy, stream: str = "") -> Card:
    cut = policy.cut(*EXAMPLE)
    (h, w), several = cut.sizes[0], len(cut.sizes)
    title = f"{several} × {w} × {h} pixels" if several > 1 else f"{w} × {h} pixels"
    return Card("picture", title, _full(said("Picture", "becomes", stream), f"for one of {EXAMPLE[0]} × {EXAMPLE[1]}"), "other")


def _eye(said: _Said, encoder: Encoder, count: str, gives: str, done: tuple[State, ...], stream: str = "") -> Card:
    design, kind, rows, size = (said("Vision encoder", label, stream) for label in ("design", "kind", "rows from", "size"))
    title, rest = _split(kind)
    more = kind if design and kind != "ViT" else rest if not design else ""
    lines = _full(_weigh(count), more, size, rows and f"read: {rows}", gives)
    return Card("encoder", design or title, lines, "vision", done if count else ())


def _split(words: str) -> tuple[str, str]:
    """"Perceiver: 64 learned queries" -> its name, and the rest; "none: pixels go in" -> what there is instead."""
    head, mark, rest = words.partition(": ")
    if not mark:
        head, mark, rest = words.partition(", then ")
        rest = rest and f"then {rest}"
    return (head, rest) if head != "none" else (rest, "")


def _lane(system: System, said: _Said, name: str, stream: Stream, count: Count) -> tuple[Card, ...]:
    cut = stream.policy.cut(*EXAMPLE)
    read = sum(prod(stream.encoder.rows(grid)) for grid in stream.patches(cut))
    rows = sum(map(prod, stream.rows(cut)))
    width = stream.connector.width(stream.encoder.out, system.lm.width)
    eye = _eye(
        said, stream.encoder, count(f"encoders.{name}"), f"gives {read:,} rows of {stream.encoder.out:,}",
        states(system.stages, f"encoders.{name}."), name,
    )  # fmt: skip
    title, rest = _split(said("Connector", "kind", name))
    own = count(f"connectors.{name}")
    where = "beside the sequence" if stream.reach else "in the sequence"
    joined, among, reads = (said("Connector", label, name) for label in ("stitching", "among the rows", "reads"))
    reads = reads and f"reads {reads.partition(';')[0]}"
    lines = _full(_weigh(own), rest, joined, among, reads, f"gives {rows:,} rows of {width:,} {where}")
    done = states(system.stages, f"connectors.{name}.") if own else ()
    return (_picture(said, stream.policy, name), eye, Card("connector", title, lines, "connector", done))


def _film(said: _Said) -> Card:
    title, _, rest = said("Video", "frames").partition(", ")
    return Card("video", title, _full(rest, f"each {said('Video', 'a frame becomes')}"), "other")


# Kinds of systems -----------------------------------------------------------------------------------------------------


def _language(said: _Said, lm: LanguageModel, count: str, done: tuple[State, ...], rest: str = "") -> Card:
    design, kind, size, feed, positions, context = (
        said("Language model", label) for label in ("design", "kind", "size", "feed-forward", "positions", "context")
    )
    kinds = said("Fusion", "experts by kind")
    words = f"{lm.vocab:,} tokens to choose from, context of {context}"
    title, more = (design, kind) if design else _split(kind)
    lines = _full(_weigh(count), more, size, feed, kinds, positions, words, rest)
    return Card("language model", title, lines, "language", done)


def _marks(lm: LanguageModel, stages: Sequence[Stage]) -> Iterator[Marks]:
    for n, insert in enumerate(lm.inserts):
        done = states(stages, "lm.inserts.")
        yield Marks(phrase(insert)[0].partition(" before ")[0] + f" {n + 1}" * (n > 0), insert.layers, "fusion", True, done)
    for swap in getattr(lm, "swaps", ()):
        yield Marks(phrase(swap.ffn)[0].partition(":")[0], swap.layers, "words")
    if (near := getattr(lm, "windowed", None)) is not None:
        yield Marks(f"looks back {lm.window:,}", near, "painter")


def _system(system: System, count: Count) -> Scheme:
    said = _Said(system)
    stages = system.stages
    lanes = tuple(_lane(system, said, name, stream, count) for name, stream in system.streams.items())
    streams = system.streams.values()
    rows = sum(sum(map(prod, s.rows(s.policy.cut(*EXAMPLE)))) for s in streams if not s.reach)
    seen = "prompt and picture see each other" if system.attention == "prefix" and lanes else ""
    marks = tuple(_marks(system.lm, stages))
    reads = any(stream.reach for stream in streams)
    depth = getattr(system.lm, "encoder_depth", 0)
    if reads and not any(mark.before for mark in marks):
        marks += (Marks("reads the picture", tuple(range(system.lm.depth)), "fusion", True),)
    card = _language(said, system.lm, count("lm"), states(stages, "lm.", "lm.inserts."), seen)
    outputs = [Card("out", "text", (), "words")]
    for what in ("boxes", "masks"):
        if words := said("Output", what).rstrip("; "):
            outputs.append(Card("out", what, (words,), "words"))
    if system.painting:
        done = states(stages, "painter.") if count("painter") else ()
        size = said("Output", "pictures").partition(",")[0]
        outputs.append(Card("out", "pictures", _full(_weigh(count("painter")), size), "painter", done))
    if system.embedding:
        made = f"behind {system.embedding.soft} learned vectors" if system.embedding.soft else ""
        done = states(stages, "soft.") if count("soft") else ()
        outputs.append(Card("out", "points", _full("of pictures and texts", made), "fusion", done))
    films = tuple(_film(said) for stream in streams if stream.film)
    prompt = Card("text", "prompt", (f"{system.lm.vocab:,} tokens",), "words")
    return Scheme(
        title=system.name, about=_about(system, count), lanes=lanes, stages=stages, outputs=tuple(outputs), beside=films,
        body=Body(card, (depth, system.lm.depth) if depth else (system.lm.depth,), marks, rows, reads), text=prompt,
        told=any(stream.reads for stream in streams),
    )  # fmt: skip


def _vision(system: VisionSystem, count: Count) -> Scheme:
    said = _Said(system)
    grid = system.encoder.rows(system.encoder.grid(*system.policy.cut(*EXAMPLE).sizes[0], system.encoder.frames))
    stages = system.stages
    eye = _eye(said, system.encoder, count(""), "", states(stages, "encoder."))
    frames = system.encoder.frames
    each = f"for {frames} frames" if frames > 1 else ""
    outputs = [Card("out", "rows", _full(f"{prod(grid):,} of {system.encoder.out:,}", each), "vision")]
    for n, stage in enumerate(stages, 1):
        title, _, rest = said("Training", f"stage {n}, lesson").partition(", ")
        done = tuple[State, ...]("trained" if each is stage else "frozen" for each in stages)
        outputs.append(Card(f"lesson {n}", title, _full(rest), "fusion", done))
    way = _picture(said, system.policy)
    depth = getattr(system.encoder, "depth", 0)
    body = Body(eye, (depth,) if isinstance(depth, int) and depth else ())
    lanes = ((replace(way, label="video") if frames > 1 else way,),)
    return Scheme(
        title=system.name, about=_about(system, count), lanes=lanes, body=body, outputs=tuple(outputs), stages=stages
    )  # fmt: skip


def _ground(system: GroundSystem, count: Count) -> Scheme:
    said, stages = _Said(system), system.stages
    places = sum(map(prod, system.maps(system.policy.cut(*EXAMPLE).sizes[0])))
    gives = f"gives maps of {', '.join(f'{width:,}' for width in system.encoder.widths[1:])}"
    eye = _eye(said, system.encoder, count("encoder"), gives, states(stages, "encoder."))
    maps = Card(
        "connector", "pyramid", _full(_weigh(count("pyramid")), said("Vision encoder", "maps"), f"gives {places:,} places"),
        "connector", states(stages, "pyramid."),
    )  # fmt: skip
    size = f"{system.text.depth} layers, {system.text.width} wide"
    words = Card("text", said("Text encoder", "kind"), (size,), "words", states(stages, "text."))
    reads = "places and tokens read each other, then tokens read tokens and places their neighbours"
    body = Card("fusion", "both read each other", _full(_weigh(count("layers")), reads), "fusion", states(stages, "layers."))
    out = Card("out", "scores", ("of every place for every token",), "words", states(stages, "align."))
    return Scheme(
        title=system.name, about=_about(system, count), lanes=((_picture(said, system.policy), eye, maps),), stages=stages,
        body=Body(body, (system.depth,)), outputs=(out,), text=words,
    )  # fmt: skip


def _match(system: MatchSystem, count: Count) -> Scheme:
    said, stages = _Said(system), system.stages
    gives = f"gives {prod(system.encoder.rows(system.encoder.grid(*system.policy.size))):,} rows of {system.encoder.out:,}"
    eye = _eye(said, system.encoder, count("encoder"), gives, states(stages, "encoder."))
    lines = _full(_weigh(count("text")), said("Text encoder", "size"), "a match: text looks at the picture in every layer")
    text = Card("text and picture", said("Text encoder", "kind"), lines, "language", states(stages, "text."))
    depth = system.text.depth
    outputs = [
        Card("out", "likeness", (f"of points in {system.shared} dimensions",), "words", states(stages, "to_shared.")),
        Card("out", "match", ("of picture and text, yes or no",), "words", states(stages, "judge.")),
    ]
    if system.captioner is not None:
        outputs.append(Card("out", "caption", ("written by the same layers",), "words", states(stages, "lm.")))
    return Scheme(
        title=system.name, about=_about(system, count), lanes=((_picture(said, system.policy), eye),), stages=stages,
        body=Body(text, (depth,), (Marks("reads the picture", tuple(range(depth)), "fusion", True),), reads=True),
        outputs=tuple(outputs), text=Card("text", "a sentence", (), "words"),
    )  # fmt: skip


def _dual(system: DualSystem, count: Count) -> Scheme:
    from anyvlm.dual import TextTower, Tower
    from anyvlm.inputs.signal import Mel, Rows

    said, stages = _Said(system), system.stages
    lanes = []
    for name, tower in system.towers.items():
        done, total = states(stages, f"towers.{name}.encoder."), count(f"towers.{name}.encoder")
        match tower:
            case TextTower():
                size = said("Text encoder", "size")
                way = Card(name, f"{tower.policy.context} tokens", (), "other")
                eye = Card("encoder", said("Text encoder", "kind"), _full(_weigh(total), size), "language", done)
            case Tower() if name == "image":
                way, eye = _picture(said, tower.policy), _eye(said, tower.encoder, total, "", done)
            case _:
                kind, _, size = said("Other senses", name).partition(", ")
                named = {Mel: "mel spectrogram", Rows: "rows of features"}
                title = named.get(type(tower.policy), "numbers as they come")
                way = Card(name, title, _full(details(tower.policy)), "other")
                eye = Card("encoder", kind, _full(_weigh(total), size), "vision", done)
        pool = Card(
            "to a point", phrase(tower.pool)[0], _full(_mapped(tower.project), _mapped(getattr(tower, "spread", None))),
            "connector", _pooled(stages, name, count),
        )  # fmt: skip
        lanes.append((way, eye, pool))
    contrasts = tuple(f"{each.a} and {each.b}: {phrase(each)[0]}" for each in system.contrasts)
    scales = states(stages, "contrasts.") if count("contrasts") else ()
    likeness = "likeness is cosine" if system.unit else "likeness is a product of vectors"
    body = Body(Card("shared space", f"{system.shared:,} dimensions", (likeness, *contrasts), "fusion", scales))
    return Scheme(title=system.name, about=_about(system, count), lanes=tuple(lanes), body=body, outputs=(), stages=stages)


def _pooled(stages: Sequence[Stage], tower: str, count: Count) -> tuple[State, ...]:
    """What stages do to what follows a tower's encoder: the pool, or the map where the pool has no weights."""
    part = next((part for part in ("pool", "project") if count(f"towers.{tower}.{part}")), None)
    return states(stages, f"towers.{tower}.{part}.") if part else ()


def _mapped(part: Spec | None) -> str:
    return f"then {phrase(part)[0]}" if part is not None else ""
