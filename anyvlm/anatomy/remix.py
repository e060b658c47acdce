"""A new system out of the parts of others: another eye, another connector, another language model in a known recipe.

What is taken over keeps its weights, from its own files; what lies between is new, and the recipe's stages train it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from anyvlm.anatomy.donors import Eye, eye, language, named, reads_by_itself
from anyvlm.anatomy.parameters import Branch, parameters
from anyvlm.anatomy.restage import restaged
from anyvlm.anatomy.transplant import transplanted
from anyvlm.errors import AnyVLMError, InputError, SpecError
from anyvlm.inputs.mosaic import Mosaic
from anyvlm.inputs.policy import ImagePolicy, Policy
from anyvlm.inputs.tiles import AnyRes
from anyvlm.match import AnySystem
from anyvlm.parts.alibi import AlibiDecoder
from anyvlm.parts.catalog.connectors import BESIDE, CONNECTORS
from anyvlm.parts.connect.frame import Framed, Ruled
from anyvlm.parts.connect.shuffle import Shuffle
from anyvlm.parts.features import Connector, Join
from anyvlm.parts.insert.gated import GatedCross
from anyvlm.parts.language import LanguageModel
from anyvlm.parts.lm import Decoder
from anyvlm.parts.relative import RelativeDecoder
from anyvlm.spec import Spec
from anyvlm.system import Checkpoint, Stage, Stream, System
from anyvlm.weights.fresh import trains
from anyvlm.weights.sources import Source

EXAMPLE = (1024, 768)
"""(width, height) of the picture whose tokens are told."""


@dataclass(frozen=True)
class Part:
    """`path`: where it lies; `kind`: its class; `origin`: the system or the word it comes from; `sources`: what fills it, or
    nothing where it is fresh.
    """

    path: str
    kind: str
    origin: str
    count: int
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Change:
    """Numbers of a system: widths of the encoder's rows, of the connector's and of the language model; tokens of a picture of
    EXAMPLE's size; the longest context.
    """

    widths: tuple[int, int, int]
    tokens: int
    context: int


@dataclass(frozen=True)
class Report:
    """What a remix is made of. `before`: None where the base has no eye. `template`: the system whose prompt format it has;
    `first`: the stage that must train what is fresh; `notes`: what the base had and the new one has not, in sentences.
    """

    base: str
    parts: tuple[Part, ...]
    before: Change | None
    after: Change
    template: str
    fresh: tuple[str, ...]
    first: str
    stages: tuple[Stage, ...]
    notes: tuple[str, ...]


def remix(
    base: str | AnySystem, *, encoder: str | AnySystem | None = None, connector: str | None = None,
    lm: str | AnySystem | None = None, name: str | None = None,
) -> tuple[System, Report]:  # fmt: skip
    """A new system like `base`, and what to know about it. `connector`: a word of `catalog.connectors`.

    Raises SpecError for parts that do not exist or do not fit, in one sentence.
    """
    mix = _Mix(_base(base), eye(encoder) if encoder else None, connector, language(lm) if lm else None)
    system = mix.system(name or "+".join([mix.base.name, *_words(encoder, connector, lm)]))
    try:
        after = _change(system)
        tree = parameters(system)
    except (AnyVLMError, ValueError, RuntimeError) as error:
        raise SpecError(f"These parts do not fit together: {str(error).splitlines()[0].rstrip('.')}.") from None
    if after.tokens >= after.context:
        raise SpecError(
            f"A picture of {EXAMPLE[0]} x {EXAMPLE[1]} pixels would take {after.tokens} tokens, and the language model holds "
            f"{after.context}; take a connector with fewer rows, such as perceiver."
        )
    stages, notes = restaged(mix.base.stages, system)
    system = system.but(stages=stages)
    first = next(stage.name for stage in stages if trains(stage, system.fresh))
    before = _change(mix.base) if mix.base.streams else None
    return system, Report(
        mix.base.name, mix.parts(system, tree), before, after, (mix.lm or mix.base).name, system.fresh, first, stages,
        (*mix.notes, *notes),
    )  # fmt: skip


def _base(word: str | AnySystem) -> System:
    found = named(word)
    if not isinstance(found, System):
        raise SpecError(f"'{found.name}' answers no questions; remix a system with a language model, and take its eye.")
    if found.painting:
        raise SpecError(f"'{found.name}' also paints, with tables that fit its own parts alone; remix another system.")
    if found.fresh:
        raise SpecError(f"'{found.name}' is a remix that is not trained yet; remix what it was made of instead.")
    return found


def _words(*given: str | AnySystem | None) -> list[str]:
    if not any(given):
        raise SpecError("Nothing is to be changed; say --encoder, --connector or --lm.")
    return [word.strip("/").split("/")[-1] if isinstance(word, str) else word.name for word in given if word]


class _Mix:
    """The parts of one remix. `notes`: what is left behind on the way."""

    def __init__(self, base: System, eye: Eye | None, word: str | None, lm: System | None) -> None:
        self.base, self.eye, self.word, self.lm = base, eye, word, lm
        self.notes: list[str] = []
        self.key = next(iter(base.streams), "image")
        self.old = base.streams.get(self.key)
        if self.old is None and eye is None:
            raise SpecError(f"'{base.name}' has no eye; give it one with --encoder.")
        if lm is not None and reads_by_itself(base):
            raise SpecError(f"The language model of '{base.name}' reads pictures in all its layers; it stays. Leave out --lm.")

    def system(self, name: str) -> System:
        """All of it but its stages, which need the names of its parameters."""
        stream, lm = self._stream(), self._language()
        words = self.lm or self.base  # whose vocabulary, tokenizer and prompt it has
        inserts = lm.inserts != self.base.lm.inserts or self.lm is not None or self._memory_changed(stream)
        fresh = [f"connectors.{self.key}.*"]
        fresh += [f"joins.{self.key}.*"] if stream.join else []
        fresh += ["lm.inserts.*"] if lm.inserts and inserts else []
        checkpoints, unpublished = self._checkpoints(keep_inserts=not inserts)
        attention = self.base.attention if self.base.lm.start is None else "causal"
        return System(
            name=name,
            lm=lm,
            streams={**self.base.streams, self.key: stream},
            template=words.template,
            tokenizer=words.tokenizer,
            added=words.added,
            placeholder=(words if words.streams else self.base).placeholder,
            attention="prefix" if lm.start is not None else attention,
            boxes=None if self.lm else self.base.boxes,
            masks=None if self.lm else self.base.masks,
            checkpoints=checkpoints,
            fresh=(*fresh, *unpublished),
            meta=self.base.meta.but(
                license=" and ".join(dict.fromkeys(each.meta.license for each in self._donors())), row="",
                summary=f"{self.base.name} with {self._said()}; made by anyvlm remix.",
            ),
        )  # fmt: skip

    def _donors(self) -> list[AnySystem]:
        """The systems whose weights it has, the base first if any of its own are left."""
        others = [self.eye and self.eye.origin, self.lm]
        return [*([] if all(others) else [self.base]), *(each for each in others if each)]

    def _said(self) -> str:
        parts = [
            self.eye and f"the eye of {self.eye.origin.name}", self.word and f"the connector {self.word}",
            self.lm and f"the language model of {self.lm.name}",
        ]  # fmt: skip
        return ", ".join(part for part in parts if part)

    # Streams ----------------------------------------------------------------------------------------------------------

    def _stream(self) -> Stream:
        old = self.old or Stream(policy=_eye(self).policy, encoder=_eye(self).encoder, connector=CONNECTORS["mlp"])
        stream = old.but(connector=self._connector(old), reads=None if self.word else old.reads)
        if self.lm:
            stream = self._retold(stream)
        if self.eye:
            stream = self._seeing(stream, self.eye)
        if isinstance(stream.connector, Shuffle) and stream.connector.side:
            side = max(max(grid) for grid in stream.but(connector__side=0).rows(stream.policy.cut(*EXAMPLE)))
            stream = stream.but(connector__side=side)
        return stream

    def _connector(self, old: Stream) -> Connector:
        if self.word is None:
            return old.connector
        table = {**CONNECTORS, **BESIDE} if old.reach else CONNECTORS
        if self.word not in table:
            raise SpecError(f"There is no connector '{self.word}'; there are {', '.join(table)}.")
        return table[self.word]

    def _retold(self, stream: Stream) -> Stream:
        """Without the control tokens of the old tokenizer."""
        if stream.markup and stream.markup.tokens:
            token = stream.markup.tokens[0]
            self.notes.append(f"Tokens that {self.base.name} writes among the rows ({token} ...) are left out.")
            stream = stream.but(markup=None)
        if stream.film and stream.film.script.tokens:
            self.notes.append(f"It takes no videos: {self.base.name} tells of them with tokens of its own.")
            stream = stream.but(film=None)
        if self.base.boxes:
            self.notes.append("It writes no places: they were words of the old vocabulary.")
        return stream.but(text_end=stream.text_end and getattr(_lm(self), "by_kind", None) is not None)

    def _seeing(self, stream: Stream, eye: Eye) -> Stream:
        """With another eye; large pictures are cut into as many tiles as before where its arrays are of one size."""
        policy, several = (one and _tiled(one, eye.policy) for one in (stream.policy, stream.several))
        assert policy is not None
        tiled = isinstance(policy, (AnyRes, Mosaic))
        join: Join | None = stream.join if tiled or isinstance(stream.join, (Framed, Ruled)) else None
        if stream.join and join is None:
            self.notes.append("What joined the tiles of a picture is left out, as there are none.")
        if stream.film:
            self.notes.append("It takes no videos: their frames were prepared for the old eye.")
        return stream.but(encoder=eye.encoder, policy=policy, several=several, join=join, film=None)

    def _memory_changed(self, stream: Stream) -> bool:
        """Whether inserts get rows of another width, or from another connector."""
        return stream != self.old

    # Language model ---------------------------------------------------------------------------------------------------

    def _language(self) -> LanguageModel:
        old, new = self.base.lm, _lm(self).but(inserts=())
        if not old.inserts:
            return new
        if not isinstance(new, (Decoder, AlibiDecoder, RelativeDecoder)):
            raise SpecError(
                f"'{self.base.name}' reads pictures in layers between blocks, for which {type(new).__name__}, the language "
                "model to come, has no place; take a decoder."
            )
        return new.but(inserts=old.inserts if self.lm is None else tuple(_spaced(insert, old, new) for insert in old.inserts))

    # Weights ----------------------------------------------------------------------------------------------------------

    def _checkpoints(self, *, keep_inserts: bool) -> tuple[tuple[Checkpoint, ...], tuple[str, ...]]:
        """What fills the parts, and globs of those that nothing fills because their weights are not published."""
        without = () if keep_inserts else ("lm.inserts.",)
        sight, tongue = f"encoders.{self.key}.", "lm."
        kept = {part: part for part, new in ((sight, self.eye), (tongue, self.lm)) if new is None}
        out = transplanted(self.base, kept, without) if kept else ()
        fresh = [] if out or not kept else [f"{part}*" for part in kept]
        if self.eye:
            found = transplanted(self.eye.origin, {self.eye.prefix: sight})
            out, fresh = (*out, *found), fresh + ([] if found else [f"{sight}*"])
        if self.lm:
            found = transplanted(self.lm, {tongue: tongue}, ("lm.inserts.",))
            out, fresh = (*out, *found), fresh + ([] if found else [f"{tongue}*"])
        return out, tuple(fresh)

    def parts(self, system: System, tree: Branch) -> tuple[Part, ...]:
        """Every part with parameters or without."""
        stream = system.streams[self.key]
        origin = self.word or self.base.name
        found: list[tuple[str, Spec, str]] = [
            (f"encoders.{self.key}", stream.encoder, self.eye.origin.name if self.eye else self.base.name),
            (f"connectors.{self.key}", stream.connector, origin),
        ]
        if stream.join:
            found.append((f"joins.{self.key}", stream.join, self.base.name))
        found += [("lm.inserts", insert, self.base.name) for insert in system.lm.inserts[:1]]
        found.append(("lm", system.lm, (self.lm or self.base).name))
        inserts = branch.count if (branch := tree.find("lm.inserts")) else 0
        out = []
        for path, spec, whose in found:
            branch = tree.find(path)
            count = (branch.count if branch else 0) - (inserts if path == "lm" else 0)
            sources = () if f"{path}.*" in system.fresh else _filling(system, path)
            out.append(Part(path, type(spec).__name__, whose, count, sources))
        return tuple(out)


def _eye(mix: _Mix) -> Eye:
    assert mix.eye is not None
    return mix.eye


def _lm(mix: _Mix) -> LanguageModel:
    return (mix.lm or mix.base).lm


def _filling(system: System, path: str) -> tuple[Source, ...]:
    """The sources with a table for a part."""
    filled = (
        checkpoint.source
        for checkpoint in system.checkpoints
        if any(f"{path}.".startswith(mount.ours) for layout in checkpoint.layouts for mount in layout.mounts)
    )
    return tuple(dict.fromkeys(filled))


def _tiled(old: Policy, new: Policy) -> Policy:
    """`new` for every tile of what `old` cuts a picture into; alone where that needs arrays of one size."""
    if isinstance(new, ImagePolicy) and new.fit not in ("keep", "corner"):
        h, w = new.size
        if isinstance(old, AnyRes):
            a, b = old.one.size
            return AnyRes(one=new, pinpoints=tuple((y // a * h, x // b * w) for y, x in old.pinpoints))
        if isinstance(old, Mosaic) and h == w:
            return Mosaic(one=new.but(fit="stretch", short=None), longest=min(old.longest // old.one.size[0], 4096 // h) * h)
    return new


def _spaced(insert: Spec, old: LanguageModel, new: LanguageModel) -> GatedCross:
    """The same layers as often between the blocks of another language model, their feed-forward as much wider than it."""
    if not isinstance(insert, GatedCross):
        raise SpecError(f"What {type(insert).__name__} does between blocks is made for its own language model; leave out --lm.")
    first, *rest = insert.layers
    every = rest[0] - first if rest else old.depth
    hidden = getattr(insert.ffn, "hidden", None)
    if not isinstance(hidden, int):
        raise SpecError("Layers with experts between blocks are made for their own language model; leave out --lm.")
    return insert.but(layers=tuple(range(first, new.depth, every)), ffn__hidden=round(hidden * new.width / old.width))


def _change(system: System) -> Change:
    stream = next(iter(system.streams.values()))
    into, out = stream.encoder.out, system.lm.width
    cells = stream.cells(stream.policy.cut(*EXAMPLE))
    tokens = sum(1 if isinstance(cell, str) else prod(cell) for cell in cells)
    if stream.reach is None and stream.connector.width(into, out) != out:
        raise InputError(
            f"rows of {type(stream.connector).__name__} are {stream.connector.width(into, out)} wide and go into the sequence, "
            f"which is {out} wide"
        )
    return Change((into, stream.connector.width(into, out), out), tokens, system.lm.context)
