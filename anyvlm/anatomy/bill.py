"""What a system costs: tokens, FLOPs, bytes of weights and cache, told from specs and sizes alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from anyvlm.anatomy.parameters import Branch, parameters
from anyvlm.anatomy.tokens import costs
from anyvlm.anatomy.weights import NOTHING, Share, active, read, whole
from anyvlm.anatomy.work import ground, language, towers
from anyvlm.anatomy.work.connectors import connector, join
from anyvlm.anatomy.work.count import Work, linear, repeated
from anyvlm.anatomy.work.encoders import encoder
from anyvlm.anatomy.work.language import Rows, cached, decode, held, prefill
from anyvlm.anatomy.work.layers import block
from anyvlm.dual import DualSystem, TextTower, Tower
from anyvlm.errors import InputError
from anyvlm.ground import GroundSystem
from anyvlm.inputs.plan import Size, filmed
from anyvlm.inputs.policy import Policy
from anyvlm.match import AnySystem, MatchSystem
from anyvlm.parts.features import Encoder, Grid
from anyvlm.system import System, VisionSystem


@dataclass(frozen=True)
class Bill:
    """What one conversation costs: some pictures, some text, an answer.

    visual: rows of pictures, in the prompt or in a memory beside it. prompt: tokens of the sequence: text, rows that lie in
    it, and what the system's markup writes among them. `context`: the length at which `decode` and `cache` are told: as asked
    for, or the longest that the system takes; an encoder-decoder has the prompt beside it and the rest in the decoder.
    FLOPs, two for every multiply-add: `encoder`, `connector`; `prefill`, the language model over the prompt, with logits at its
    last place; `decode`, one token at `context`. `parts` divides the first three by what is computed.

    weights: bytes, everything in bf16; or the matrices of the language model's blocks and inserts in int8 or int4, with a bf16
    scale for every 128 values, and all others (embeddings, head, norms, biases, encoders, connectors) in bf16. read: bytes of
    them that one token more must read. cache: bytes of keys and values at `context` tokens, with those of memories: in bf16, or
    in int8 with a bf16 scale for every vector of a head.
    active: parameters of the language model (of towers: the text tower) that serve one token of text: all of them, but of
    experts those that one token goes through, and of weights by kind those for text. total: all parameters.

    Of towers: `prefill` is one text of `prompt` tokens, up to its point (a system that scores reads it alone, then beside
    the picture), `connector` what leads from rows of pictures to points. Of a system that says where words are, `visual` are
    the places of its maps, `connector` is what makes maps, brings them and the text together and compares them, `prefill` all
    blocks that only the text goes through. What a system does not have is 0.
    """

    visual: int
    prompt: int
    encoder: int
    connector: int
    prefill: int
    decode: int
    weights: dict[str, int]
    cache: dict[str, int]
    active: int
    total: int
    context: int = 0
    read: dict[str, int] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)


def bill(
    system: AnySystem, sizes: Sequence[Size], *, text: int = 64, context: int = 4096, fps: float | None = None,
    frames: int | None = None, tree: Branch | None = None,
) -> Bill:  # fmt: skip
    """What `sizes` (of pictures and videos) and `text` tokens cost. `fps`, `frames`: how videos are looked at. `tree`: what
    `parameters(system)` found, where one has it already.

    Raises InputError for pictures that the system does not take, SpecError for a part that nobody has counted.
    """
    tree = tree or parameters(system)
    match system:
        case System():
            return _system(system, tree, sizes, text, context, fps, frames)
        case DualSystem():
            return _dual(system, tree, sizes, text)
        case MatchSystem():
            return _match(system, tree, sizes, text)
        case GroundSystem():
            return _ground(system, tree, sizes, text)
        case VisionSystem():
            grids = _grids(system.policy, system.encoder, sizes)
            visual = sum(prod(system.encoder.rows(grid)) for grid in grids)
            return _bill(tree, _Flops(encoder={"encoder": encoder(system.encoder, grids)}), visual, 0)


@dataclass(frozen=True)
class _Flops:
    """By part."""

    encoder: Mapping[str, Work] = field(default_factory=dict)
    connector: Mapping[str, int] = field(default_factory=dict)
    prefill: Mapping[str, Work] = field(default_factory=dict)
    decode: int = 0

    def parts(self) -> dict[str, int]:
        """All that comes before the first token of an answer, by part and kind of work."""
        works = {**self.encoder, **self.prefill}
        out = {f"{name}.{kind}": flops for name, work in works.items() for kind, flops in work.items()}
        return {name: flops for name, flops in (out | dict(self.connector)).items() if flops}


def _bill(
    tree: Branch, flops: _Flops, visual: int, prompt: int, *, active: int = 0, read: Share = NOTHING, context: int = 0,
    kept: Iterable[language.Kept] = (),
) -> Bill:  # fmt: skip
    vectors = list(kept)
    return Bill(
        visual=visual,
        prompt=prompt,
        encoder=sum(work.total() for work in flops.encoder.values()),
        connector=sum(flops.connector.values()),
        prefill=sum(work.total() for work in flops.prefill.values()),
        decode=flops.decode,
        weights=whole(tree).bytes(),
        cache={
            "bf16": sum(2 * each.vectors * each.head for each in vectors),
            "int8": sum(each.vectors * (each.head + 2) for each in vectors),
        },
        active=active,
        total=tree.count,
        context=context,
        read=read.bytes(),
        parts=flops.parts(),
    )


# Systems with a language model ----------------------------------------------------------------------------------------


def _system(
    system: System, tree: Branch, sizes: Sequence[Size], text: int, context: int, fps: float | None, frames: int | None
) -> Bill:
    lm = system.lm
    encoders, connectors = dict[str, Work](), dict[str, int]()
    visual = places = 0
    memories = dict[str, Rows]()
    every = costs(system, sizes, fps=fps, frames=frames)
    for name, stream in system.streams.items():
        own = [cost for cost, size in zip(every, sizes, strict=True) if _way(system, size) == name]
        if not own:
            continue
        grids = tuple(grid for cost in own for grid in cost.patches)
        encoders[f"encoders.{name}"] = encoder(stream.encoder, grids)
        rows = tuple(map(stream.encoder.rows, grids))
        words = min(text, stream.reads.limit) if stream.reads else 0
        connectors[f"connectors.{name}"] = connector(stream.connector, rows, stream.encoder.out, lm.width, words)
        if stream.join:
            connectors[f"joins.{name}"] = join(stream.join)
        seen = sum(prod(grid) for cost in own for grid in cost.rows)
        visual += seen
        if stream.reach:
            memories[name] = Rows(seen, stream.connector.width(stream.encoder.out, lm.width))
            places += 0 if stream.reach == "all" else len(own)
        else:
            places += sum(cost.tokens for cost in own)
    prompt = places + text
    memory = held(lm, prompt, memories)
    length = min(context, lm.context) if lm.start is None else max(1, min(context - prompt, lm.context))
    flops = _Flops(encoders, connectors, {"lm": prefill(lm, prompt, memories)}, decode(lm, length, memory).total())
    return _bill(
        tree, flops, visual, prompt, active=active(system, tree).values, read=read(system, tree),
        context=length if lm.start is None else length + prompt, kept=cached(lm, length, memory),
    )  # fmt: skip


def _way(system: System, size: Size) -> str:
    """The stream by which a picture or video goes in."""
    return next(iter(system.streams)) if isinstance(size, tuple) else filmed(system)[0]


# Encoders alone, and systems of towers --------------------------------------------------------------------------------


def _grids(policy: Policy, eye: Encoder, sizes: Sequence[Size]) -> tuple[Grid, ...]:
    """Of the patches of all pictures."""
    return tuple(eye.grid(h, w) for width, height in _pictures(sizes) for h, w in policy.cut(width, height).sizes)


def _pictures(sizes: Sequence[Size]) -> Iterator[tuple[int, int]]:
    for size in sizes:
        if not isinstance(size, tuple):
            raise InputError("What a video costs is told for systems that answer; give pictures.")
        yield size


def _dual(system: DualSystem, tree: Branch, sizes: Sequence[Size], text: int) -> Bill:
    encoders, connectors, texts = dict[str, Work](), dict[str, int](), dict[str, Work]()
    visual = prompt = serving = 0
    for name, tower in system.towers.items():
        at = f"towers.{name}"
        if isinstance(tower, Tower):
            grids = _grids(tower.policy, tower.encoder, sizes)
            rows = [prod(tower.encoder.rows(grid)) for grid in grids]
            visual += sum(rows)
            encoders[f"{at}.encoder"] = encoder(tower.encoder, grids)
            connectors[f"{at}.pool"] = sum(_point(tower, each, system.shared) for each in rows)
            for n, contrast in enumerate(system.contrasts):
                if contrast.a == name:
                    seen = (towers.contrast(contrast, each, 1, tower.out, system.shared) for each in rows)
                    connectors[f"contrasts.{n}"] = sum(seen)
        elif isinstance(tower, TextTower):
            tokens = tower.policy.context if tower.policy.fill else min(text, tower.policy.context)
            prompt += tokens
            texts[at] = towers.text(tower.encoder, tokens) + Work(pool=_point(tower, tokens, system.shared))
            serving += _count(tree, at)
    return _bill(tree, _Flops(encoders, connectors, texts), visual, prompt, active=serving)


def _point(tower: Tower | TextTower, rows: int, shared: int) -> int:
    """From so many rows to a point, and how sure it is."""
    flops = towers.pool(tower.pool, rows, tower.out)
    if tower.project is not None:
        flops += towers.project(tower.project, tower.pool.out(tower.out), shared)
    return flops + (towers.spread(tower.spread, tower.out, shared) if tower.spread is not None else 0)


def _match(system: MatchSystem, tree: Branch, sizes: Sequence[Size], text: int) -> Bill:
    grids = _grids(system.policy, system.encoder, sizes)
    rows = [prod(system.encoder.rows(grid)) for grid in grids]
    spec, tokens, out = system.text, min(text, system.text.context), system.encoder.out
    alone = language.grounded(spec, tokens, tokens, None, True) + Work(head=linear(1, spec.width, system.shared))
    beside = Work(head=len(rows) * linear(1, spec.width, 2))
    for each in rows:
        beside += language.grounded(spec, tokens, tokens, Rows(each, out), True)
    flops = _Flops(
        {"encoder": encoder(system.encoder, grids)},
        {"to_shared.image": len(rows) * linear(1, out, system.shared)},
        {"text.alone": alone, "text.beside": beside},
    )
    return _bill(tree, flops, sum(rows), tokens, active=_count(tree, "text"))


def _ground(system: GroundSystem, tree: Branch, sizes: Sequence[Size], text: int) -> Bill:
    """The text is read alone once, and by every picture's layers again."""
    tokens = system.words.context if system.words.fill else min(text, system.words.context)
    D, E = system.pyramid.width, system.text.width
    arrays = [size for width, height in _pictures(sizes) for size in system.policy.cut(width, height).sizes]
    connectors, visual = dict[str, int](), 0
    for maps in map(system.maps, arrays):
        places = sum(map(prod, maps))
        for name, each in (
            ("pyramid", ground.pyramid(system.pyramid, system.encoder.widths[1:], maps)),
            ("layers.fusion", system.depth * ground.fusion(system.fusion, places, tokens, D, E)),
            ("layers.head", system.depth * ground.head(system.head, maps, D)),
            ("align", ground.fits(places, tokens, D, E)),
        ):
            connectors[name] = connectors.get(name, 0) + each
        visual += places
    layers = repeated(block(system.text.block, tokens, E), system.depth * len(arrays))
    flops = _Flops(
        {"encoder": encoder(system.encoder, tuple(system.encoder.grid(h, w) for h, w in arrays))},
        connectors,
        {"text": towers.text(system.text, tokens), "layers.text": layers},
    )
    serving = _count(tree, "text") + system.depth * _count(tree, "layers.text")
    return _bill(tree, flops, visual, tokens, active=serving)


def _count(tree: Branch, path: str) -> int:
    found = tree.find(path)
    return 0 if found is None else found.count
