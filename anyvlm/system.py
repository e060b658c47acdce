"""A system is data: streams feed a language model, stages train it, checkpoints fill it. `VLM` is the module it builds.

Shape letters: B batch, T tokens, D width, N rows of all items, C values per patch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from math import prod
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.errors import SpecError
from anyvlm.inputs.boxes import Boxes
from anyvlm.inputs.embedding import Embedding
from anyvlm.inputs.film import Film
from anyvlm.inputs.markup import Markup
from anyvlm.inputs.painting import Painting
from anyvlm.inputs.policy import ImagePolicy, Policy
from anyvlm.inputs.reach import Reach
from anyvlm.inputs.template import Template
from anyvlm.keys import Layout
from anyvlm.parts.cache import Cache
from anyvlm.parts.code.code import Code, CodeModule
from anyvlm.parts.code.mask import MaskCode
from anyvlm.parts.code.tables import TablesModule
from anyvlm.parts.cut import Cut
from anyvlm.parts.features import Connector, Encoder, Features, Grid, Join
from anyvlm.parts.language import LanguageModel
from anyvlm.parts.lesson import Lesson, Views
from anyvlm.parts.soft import SoftPrompt
from anyvlm.seq import Kind, Memory, Seq, blocks
from anyvlm.spec import Spec
from anyvlm.weights.sources import Source

# Specs ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Reads(Spec):
    """The words of a prompt, for a connector that reads them beside the picture, as ids of a tokenizer of its own.

    The ids are `first`, the text up to the answer without its control tokens, `last`: at most `limit`, the text's beginning
    given up.
    """

    tokenizer: Source
    limit: int
    first: str = "[CLS]"
    last: str = "[SEP]"


@dataclass(frozen=True, kw_only=True)
class Stream(Spec):
    """One modality's way in: policy (picture -> pixel arrays), encoder, connector, and the kind of token its rows become.

    `several`: the policy for pictures that are not alone in their conversation, where it is another one.
    `join`: puts the rows of all arrays of a picture together, where that takes more than one after another. `markup`:
    tokens of text among the rows. `reach`: the rows do not go into the sequence but into a memory of the stream's name,
    which the language model's inserts read; a picture then takes one place, and is seen by the text behind it, up to the
    next picture ("last": Flamingo) or up to the next picture that text stands before ("group": Llama 3.2), or it takes no
    place and all text sees it ("all": BLIP). `film`: how videos go in by the same parts, where they do. `most`: the most
    pictures of a conversation, where there is a limit. `reads`: what the connector reads beside the picture. `shared`: the
    rows of one grid have one position between them. `text_end`: the last row of a picture is read by the language model's
    weights for text, where it has weights by kind (CogVLM).
    """

    policy: Policy
    encoder: Encoder
    connector: Connector
    join: Join | None = None
    markup: Markup | None = None
    reach: Reach | None = None
    several: Policy | None = None
    film: Film | None = None
    most: int | None = None
    reads: Reads | None = None
    shared: bool = False
    text_end: bool = False
    kind: Kind = Kind.IMAGE

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What rows of pictures stand for, then what those of videos do."""
        return (self.kind, Kind.VIDEO) if self.film else (self.kind,)

    def policy_among(self, pictures: int) -> Policy:
        """The policy for each of so many pictures of a conversation."""
        return self.several if self.several and pictures > 1 else self.policy

    def patches(self, cut: Cut) -> tuple[Grid, ...]:
        """Grids of patches the encoder reads: of a picture one for every array, of a video one for all its frames."""
        if cut.frames:
            return (self.encoder.grid(*cut.sizes[0], len(cut.frames)),)
        return tuple(self.encoder.grid(h, w) for h, w in cut.sizes)

    def rows(self, cut: Cut) -> tuple[Grid, ...]:
        """Grids of the rows that a picture or video gives the sequence: the count law, from sizes alone."""
        grids = tuple(self.connector.count(self.encoder.rows(grid)) for grid in self.patches(cut))
        return self.join.count(cut, grids) if self.join else grids

    def cells(self, cut: Cut) -> tuple[str | Grid, ...]:
        """A picture's place in the prompt: control tokens and grids of rows, in order."""
        return self.markup.cells(cut, self.rows(cut)) if self.markup else self.rows(cut)


@dataclass(frozen=True, kw_only=True)
class Lora(Spec):
    """Low-rank updates (2106.09685) of the linear layers whose names match `on`; scale is alpha / rank."""

    rank: int
    alpha: float
    on: tuple[str, ...] = ("lm.blocks.*",)
    dropout: float = 0.0
    lr: float | None = None


@dataclass(frozen=True, kw_only=True)
class Stage(Spec):
    """One training step of a recipe, with the paper's numbers; None where the paper does not say.

    `train`: globs of the parameters that move; `lora`: low-rank updates beside them; `losses`: name -> weight;
    `batch`: samples per update; `epochs` or `steps`: how long; `rates`: learning rates of parts that differ, by glob;
    `bounds`: least and largest values of parameters, by glob; `keep`: the share of its patches that an encoder reads, by the
    name of a stream or tower (FLIP). `parallel`: the share of samples whose text is guessed all at once (CapPa).
    """

    name: str
    train: tuple[str, ...]
    data: tuple[str, ...] = ()
    losses: dict[str, float] = field(default_factory=lambda: {"next_token": 1.0})
    lora: Lora | None = None
    lr: float | None = None
    rates: dict[str, float] = field(default_factory=dict)
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)
    parallel: float = 0.0
    keep: dict[str, float] = field(default_factory=dict)
    batch: int | None = None
    epochs: float | None = None
    steps: int | None = None
    warmup: float = 0.03
    schedule: str = "cosine"
    weight_decay: float = 0.0
    context: int | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Checkpoint(Spec):
    """Where weights come from, and the ways in which such files name them (the first is how we export).

    `fallback`: opened only if the checkpoints before it leave a parameter unfilled (a frozen vision tower, which some
    files repeat and others leave to its own repository).
    """

    source: Source
    layouts: tuple[Layout, ...]
    fallback: bool = False


@dataclass(frozen=True, kw_only=True)
class Meta(Spec):
    """Facts for people: `paper` is an arXiv number or an address, `row` the catalogue row."""

    paper: str
    year: int
    license: str
    family: str
    row: str
    summary: str = ""


@dataclass(frozen=True, kw_only=True)
class System(Spec):
    """A named VLM: everything that reproduces it.

    `placeholder`: the token whose places image rows take in prompt ids. `attention`: "causal", or "prefix" where all tokens
    before the answer see each other, or an encoder of the language model reads them. `boxes`: how its text writes places.
    `masks`: the code in which it writes masks, whose weights are a file of their own. `embedding`: how it makes points of
    pictures and texts, where it was taught to. `painting`: how it makes pictures, if it
    can. `tokenizer`: the source it is read from; `added`: control tokens that its files lack and that come behind its last, in
    this order.
    `fresh`: globs of parameters that no checkpoint fills. A language model alone is a System without streams.
    """

    name: str
    lm: LanguageModel
    streams: dict[str, Stream]
    template: Template
    meta: Meta
    added: tuple[str, ...] = ()
    placeholder: str = "<image>"
    attention: Literal["causal", "prefix"] = "causal"
    boxes: Boxes | None = None
    masks: MaskCode | None = None
    embedding: Embedding | None = None
    painting: Painting | None = None
    tokenizer: Source | None = None
    checkpoints: tuple[Checkpoint, ...] = ()
    fresh: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()

    def __post_init__(self) -> None:
        if self.lm.start is not None and self.attention != "prefix":
            raise SpecError(f"'{self.name}': an encoder of its language model reads the prompt; set attention='prefix'.")
        apart = self.lm.start is not None or any(stream.reach for stream in self.streams.values())
        if self.embedding is not None and (apart or self.attention != "causal"):
            raise SpecError(f"'{self.name}' cannot make points: its last token does not follow from all of a plain sequence.")

    def build(self) -> VLM:
        """The module, with random weights."""
        return VLM(self)

    @property
    def code(self) -> Code | None:
        """What its pictures are made of, if it makes any."""
        eyes = {name: stream.encoder for name, stream in self.streams.items()}
        return self.painting.tables.code_of(eyes) if self.painting else None

    def part(self, prefix: str) -> Spec:
        """The spec whose parameters lie under a prefix: "lm.", "encoders.image.", "painter.coder." ... or "" (this one)."""
        match prefix.rstrip(".").split("."):
            case [""]:
                return self
            case ["lm"]:
                return self.lm
            case ["encoders", name, *inside] if name in self.streams:
                found: object = self.streams[name].encoder
                for step in inside:  # of an encoder in an encoder
                    found = getattr(found, step, None)
                if isinstance(found, Spec):
                    return found
            case ["connectors", name] if name in self.streams:
                return self.streams[name].connector
            case ["joins", name] if name in self.streams and (join := self.streams[name].join):
                return join
            case ["painter", "coder"] if (code := self.code):
                return code
            case ["painter", *_] if self.painting:
                return self.painting.tables
        raise SpecError(f"The system '{self.name}' has no part at '{prefix}'.")


@dataclass(frozen=True, kw_only=True)
class VisionSystem(Spec):
    """A vision encoder alone, with its preprocessing and weights. `lessons`: what it learns by in its stages, by name."""

    name: str
    encoder: Encoder
    policy: ImagePolicy
    meta: Meta
    checkpoints: tuple[Checkpoint, ...] = ()
    fresh: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    lessons: dict[str, Lesson] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if {stage.name for stage in self.stages} != self.lessons.keys():
            raise SpecError(f"'{self.name}': every stage of an encoder has a lesson of its name, and every lesson a stage.")

    def build(self) -> nn.Module:
        """The encoder."""
        return self.encoder.build()

    def part(self, prefix: str) -> Spec:
        """The encoder, whose parameters have no prefix."""
        if prefix:
            raise SpecError(f"The encoder '{self.name}' has no part at '{prefix}'.")
        return self.encoder

    def student(self, stage: str) -> Student:
        """The encoder beside what it learns by in a stage. Raises SpecError for a stage it does not have."""
        if (lesson := self.lessons.get(stage)) is None:
            raise SpecError(f"'{self.name}' has no stage '{stage}'; it has {', '.join(self.lessons) or 'none'}.")
        files = tuple(file.but(layouts=lesson.layouts) for file in self.checkpoints if lesson.layouts)
        return Student(name=self.name, encoder=self.encoder, lesson=lesson, meta=self.meta, checkpoints=files)


@dataclass(frozen=True, kw_only=True)
class Student(Spec):
    """An encoder and the lesson of one of its stages: what is trained, and what published files of both fill."""

    name: str
    encoder: Encoder
    lesson: Lesson
    meta: Meta
    checkpoints: tuple[Checkpoint, ...] = ()
    fresh: tuple[str, ...] = ()

    def build(self) -> StudentModule:
        """The module, with random weights."""
        return StudentModule(self)

    def part(self, prefix: str) -> Spec:
        """The spec whose parameters lie under "encoder." or "lesson."."""
        parts: dict[str, Spec] = {"": self, "encoder.": self.encoder, "lesson.": self.lesson}
        if prefix not in parts:
            raise SpecError(f"The student '{self.name}' has no part at '{prefix}'.")
        return parts[prefix]


# Modules --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pixels:
    """Flattened patches (N, C) of all arrays of one stream, their grids of patches, and how every picture and video was cut.

    reaches: of a stream that goes into a memory, per picture the row of the batch and the tokens [start, stop) that see it.
    texts: of a stream whose connector reads, for every array the ids of the words beside it.
    places: of every patch its place in its array, where some were left out (`train.drop`); grids then count what is left.
    """

    x_NC: Tensor
    grids: tuple[Grid, ...]
    cuts: tuple[Cut, ...] = ()
    reaches: tuple[tuple[int, int, int], ...] = ()
    texts: tuple[tuple[int, ...], ...] = ()
    places: Tensor | None = None

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Pixels:
        """The same on a device, in `dtype` if given."""
        return replace(self, x_NC=self.x_NC.to(device, dtype))


@dataclass(frozen=True)
class Batch:
    """What a VLM reads. kind_BT marks the places that rows of a stream take; seg_BT is -1 on padding.

    prefix_BT: tokens that see each other, those at the start of every sample; None where all is causal. With a language model
    that reads them with an encoder, labels_BT has a place for its start and one for every token of the answer.
    """

    ids_BT: Tensor
    kind_BT: Tensor
    pos_PBT: Tensor
    seg_BT: Tensor
    media: Mapping[str, Pixels]
    labels_BT: Tensor | None = None  # the id to predict *at* each place, -100 where nothing is learned
    prefix_BT: Tensor | None = None  # bool

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Batch:
        """The same on a device; patches in `dtype` if given."""

        def maybe(x: Tensor | None) -> Tensor | None:
            return None if x is None else x.to(device)

        return Batch(
            ids_BT=self.ids_BT.to(device), kind_BT=self.kind_BT.to(device), pos_PBT=self.pos_PBT.to(device),
            seg_BT=self.seg_BT.to(device), media={name: pixels.to(device, dtype) for name, pixels in self.media.items()},
            labels_BT=maybe(self.labels_BT), prefix_BT=maybe(self.prefix_BT),
        )  # fmt: skip


class VLM(nn.Module):
    """Parameters lie under `lm.`, `encoders.<stream>.`, `connectors.<stream>.`, `joins.<stream>.`, `painter.` and `soft.`."""

    def __init__(self, spec: System) -> None:
        super().__init__()
        self.spec = spec
        self.lm = spec.lm.build(
            {name: s.connector.width(s.encoder.out, spec.lm.width) for name, s in spec.streams.items() if s.reach}
        )
        self.encoders = nn.ModuleDict({name: stream.encoder.build() for name, stream in spec.streams.items()})
        self.connectors = nn.ModuleDict(
            {name: s.connector.build(s.encoder.out, spec.lm.width) for name, s in spec.streams.items()}
        )
        self.joins = nn.ModuleDict({name: s.join.build(spec.lm.width) for name, s in spec.streams.items() if s.join})
        eyes, bridges = ({n: getattr(s, part) for n, s in spec.streams.items()} for part in ("encoder", "connector"))
        self.painter: TablesModule | None = None
        if spec.painting:
            self.painter = spec.painting.tables.build(spec.lm.width, eyes, bridges)
        learned = spec.embedding.soft if spec.embedding else 0
        self.soft = SoftPrompt(learned, spec.lm.width) if learned else None

    def features(self, media: Mapping[str, Pixels]) -> dict[str, Features]:
        """Rows of every array of every stream, in the language model's width."""
        dtype = self.lm.embed.weight.dtype  # an encoder without parameters cannot know it
        seen = {name: self.encoders[name](pixels.x_NC.to(dtype), pixels.grids) for name, pixels in media.items()}
        return {name: self.connectors[name](replace(rows, texts=media[name].texts)) for name, rows in seen.items()}

    def rows(self, media: Mapping[str, Pixels], features: Mapping[str, Features] | None = None) -> dict[str, Features]:
        """What every stream lays into the sequence: its features, put together by its join if it has one."""
        out = dict(self.features(media) if features is None else features)
        return out | {name: join(out[name], media[name].cuts) for name, join in self.joins.items() if name in out}

    @property
    def code(self) -> CodeModule:
        """What makes its pictures from codes. Raises SpecError for a system that makes none."""
        if self.painter is None:
            raise SpecError(f"'{self.spec.name}' makes no pictures.")
        return self.painter.code(self.encoders)

    def assemble(self, batch: Batch, features: Mapping[str, Features] | None = None) -> Seq:
        """Embed the text and lay the rows of each stream over the places the plan kept for them.

        `features`: of `batch.media`, if computed before. Raises ValueError where plan and rows disagree.
        """
        x_BTD, kind_BT = self.lm.embed(batch.ids_BT), batch.kind_BT
        memory = dict[str, Memory]()
        for name, rows in self.rows(batch.media, features).items():
            stream = self.spec.streams[name]
            if stream.reach:
                memory[name] = _memory(rows, batch.media[name], batch.ids_BT.shape)
                continue
            at_BT = torch.isin(batch.kind_BT, torch.tensor(stream.kinds, device=batch.kind_BT.device))
            if int(at_BT.sum()) != len(rows.x_ND):
                raise ValueError(f"stream '{name}': {int(at_BT.sum())} places in the plan for {len(rows.x_ND)} rows")
            # rows of whole numbers are words
            x_ND = rows.x_ND if rows.x_ND.is_floating_point() else self.lm.embed(rows.x_ND[:, 0])
            x_BTD = x_BTD.masked_scatter(at_BT[..., None], x_ND.to(x_BTD.dtype))
            if stream.text_end:
                kind_BT = _text_end(kind_BT, at_BT, [sum(map(prod, stream.rows(cut))) for cut in batch.media[name].cuts])
        block_BT = blocks(batch.kind_BT, prefix_BT=batch.prefix_BT)
        return Seq(x_BTD, kind_BT, batch.pos_PBT, block_BT, batch.seg_BT, memory)

    def forward(self, batch: Batch, cache: Cache | None = None) -> Tensor:
        """Logits (B, T, vocab), at the places of `labels_BT`."""
        return self.lm.logits(self.lm.hidden(self.lm.begin(self.assemble(batch)), cache))

    def points(self, batch: Batch) -> Tensor:
        """Points (B, D) of length 1, in fp32: the state of the last token of every question, behind what was learned."""
        seq = self.assemble(batch)
        seq = seq if self.soft is None else self.soft(seq)
        last_B = (seq.seg_BT >= 0).sum(1) - 1
        hidden_BTD = self.lm.hidden(seq)
        return F.normalize(hidden_BTD[torch.arange(len(last_B), device=last_B.device), last_B].float(), dim=-1)

    def painted(self, batch: Batch, codes_Bn: Tensor) -> Tensor:
        """Logits (B, n, codes) of the codes of a picture behind every prompt, each from those before it.

        `batch`: prompts that end where the picture begins. Their cross-entropy is the loss of learning to paint.
        """
        assert self.painter is not None
        seq = self.assemble(batch)
        x_BnD = self.painter.embed(self.lm, codes_Bn[:, :-1])
        ahead, last_B = torch.arange(x_BnD.shape[1], device=x_BnD.device), (seq.seg_BT >= 0).sum(1) - 1
        *pos, block = (x_BT.gather(1, last_B[:, None]) + 1 + ahead for x_BT in (*seq.pos_PBT, seq.block_BT))
        whole = Seq(
            torch.cat([seq.x_BTD, x_BnD.to(seq.x_BTD.dtype)], 1),
            torch.cat([seq.kind_BT, torch.zeros_like(block)], 1),
            torch.cat([seq.pos_PBT, torch.stack(pos)], 2),
            torch.cat([seq.block_BT, block], 1),
            torch.cat([seq.seg_BT, seq.seg_BT[:, :1].expand_as(block)], 1),
        )
        hidden_BTD = self.lm.hidden(whole)
        places = torch.cat([last_B[:, None], seq.seg_BT.shape[1] + ahead.expand(len(last_B), -1)], 1)
        at_BnD = places[..., None].expand(-1, -1, hidden_BTD.shape[-1])
        return self.painter.logits(self.lm, hidden_BTD.gather(1, at_BnD))


class StudentModule(nn.Module):
    """Parameters lie under `encoder.` and `lesson.`."""

    def __init__(self, spec: Student) -> None:
        super().__init__()
        self.spec, self.encoder, self.lesson = spec, spec.encoder.build(), spec.lesson.build(spec.encoder)

    def losses(self, views: Views, draw: torch.Generator | None = None) -> dict[str, Tensor]:
        """Those of the lesson, by name. `draw`: chooses what is hidden."""
        return self.lesson.losses(self.encoder, views, draw)


def _text_end(kind_BT: Tensor, at_BT: Tensor, lengths: list[int]) -> Tensor:
    """The kinds, where the last of the rows at the places `at_BT` of every picture, which has so many, is text."""
    ends = torch.tensor(lengths, device=at_BT.device).cumsum(0) - 1
    return kind_BT.flatten().index_fill(0, at_BT.flatten().nonzero()[ends, 0], Kind.TEXT).view_as(kind_BT)


def _memory(rows: Features, media: Pixels, shape: tuple[int, ...]) -> Memory:
    """The rows of all pictures of every sample side by side, and the tokens that see them."""
    B, T = shape
    each, grids = iter(rows.items()), iter(rows.grids)
    pictures = [torch.cat(list(islice(each, sum(1 for _ in islice(grids, cut.items))))) for cut in media.cuts]
    filled = [sum(len(x) for x, (row, _, _) in zip(pictures, media.reaches, strict=True) if row == b) for b in range(B)]
    x_BSD = rows.x_ND.new_zeros(B, max(filled), rows.x_ND.shape[1])
    seen_BTS = torch.zeros(B, T, max(filled), dtype=torch.bool, device=x_BSD.device)
    ends = [0] * B
    for x, (row, start, stop) in zip(pictures, media.reaches, strict=True):
        begin, ends[row] = ends[row], ends[row] + len(x)
        x_BSD[row, begin : ends[row]] = x
        seen_BTS[row, start:stop, begin : ends[row]] = True
    return Memory(x_BSD, seen_BTS)
