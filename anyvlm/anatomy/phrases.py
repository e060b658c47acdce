"""What each kind of part is called, in words a lecturer would use; `{field}` stands for a field of its spec.

A spec without a phrase takes that of the class it extends. `phrase` also says which fields a phrase has told, so that those
it leaves out can be listed beside it (`details`) and no difference is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields
from enum import Enum
from string import Formatter

from anyvlm.spec import Spec

_PHRASES = {
    # encoders
    "ViT": "ViT",
    "AlphaViT": "ViT with a channel for alpha",
    "UncertainViT": "ViT with a token of uncertainty",
    "BucketedViT": "ViT whose learned positions are looked up by share, for any size",
    "NativeViT": "ViT with rotary positions, for any size",
    "AxialViT": "ViT with rotary positions by line and column",
    "AimViT": "ViT without class token (AIM)",
    "NativeAimViT": "ViT without class token (AIM), for any size",
    "EvaViT": "EVA's ViT",
    "SignalViT": "ViT over arrays",
    "TubeViT": "ViT over tubes of a video, {frames} frames a patch",
    "StemmedViT": "ViT behind a stem of convolutions",
    "TiledViT": "ViT over tiles, {top} more layers over all tiles",
    "FastViT": "FastViT: convolutions, then attention",
    "NFNet": "NFNet: convolutions without batch norm",
    "ResNet": "ResNet: convolutions, attention at the end",
    "Patches": "none: a patch's pixels go straight in",
    "VQGAN": "VQ-GAN: a picture as {vocab} kinds of codes, {width} wide",
    "Bridged": "{encoder} beside {connector}",
    "ConvNeXt": "ConvNeXt: convolutions of 7 × 7",
    "GatedViT": "ViT with a gated block before each of its last {gated}",
    "AdaptedViT": "ViT with an adapter beside every block",
    "Swin": "Swin: attention in windows of {window} × {window}, every second block shifted",
    "SecondsBert": "BERT over features of a video's seconds",
    # connectors
    "Projector": "MLP of {depth} layers",
    "GatedProjector": "linear layer, norm, {act}, then {ffn}",
    "Same": "none: rows as they come",
    "Shuffle": "{r} × {r} neighbours folded into one row, then {then}",
    "Merger": "{r} × {r} neighbours side by side, then an MLP of 2 layers",
    "Stem": "a linear layer of {hidden}, {r} × {r} neighbours side by side, another",
    "Perceiver": "Perceiver: {queries} learned queries read the picture, {depth} layers",
    "Resampler": "{inner}, {inside} wide",
    "QFormer": "Q-Former: {queries} learned queries, {depth} layers {inner} wide, one of {every} reads the picture",
    "ReadingQFormer": "Q-Former: {queries} learned queries, {depth} layers {inner} wide, reads the question too",
    "Latent": "{queries} learned queries, one attention",
    "Queried": "learned queries by size ({queries}), one attention, 2 layers",
    "Vocabulary": "none: codes are words of the vocabulary",
    "Newlines": "tiles stitched together, a learned vector at the end of every line",
    "Framed": "a learned vector before and behind the rows",
    "Ruled": "learned vectors at the start and at every line's end",
    "Lines": "{line} after every line, {end} at the end",
    "Places": "every tile named by row and column, {around} around",
    # language models
    "Decoder": "decoder",
    "AlibiDecoder": "decoder with ALiBi",
    "RelativeDecoder": "decoder with relative positions",
    "Magneto": "decoder with sub-norms (Magneto)",
    "OPT": "decoder with learned positions (OPT)",
    "T5": "encoder-decoder: {encoder_depth} layers read, {depth} write",
    "GroundedDecoder": "decoder that reads the picture in every layer",
    "GroundedAnswerer": "a reader of question and picture, and a decoder that reads what it made of them",
    "GroundedText": "BERT that can read the picture in every layer",
    "Captioner": "decoder that reads the picture in every layer: no biases in attention",
    "TextTransformer": "transformer",
    "DecoderText": "decoder without its causal mask and its head",
    "TurningText": "BERT with rotary positions",
    "HybridText": "convolutions over {side} tokens, then a transformer",
    "BertText": "BERT",
    "MPNetText": "MPNet: BERT with learned distances between tokens",
    # parts of blocks
    "PreNorm": "norms before attention and feed-forward",
    "PostNorm": "norms behind attention and feed-forward",
    "Keyless": "norms before, keys without a bias",
    "KeylessLast": "norms behind, keys without a bias",
    "ExtraKey": "norms before, one more key and value that are learned",
    "AdaptedPostNorm": "norms behind, adapters beside",
    "UniAdapter": "adapters {hidden} wide, shared by pictures and texts",
    "ConditionedPool": "an attention by which each text looks at the picture",
    "Ntk": "stretched {factor} times (NTK)",
    "MLP": "MLP {hidden} wide, {act}",
    "GLU": "gated MLP {hidden} wide, {act}",
    "NormedGLU": "gated MLP {hidden} wide with a norm inside, {act}",
    "MoE": "{experts} experts, {top} a token: {expert}",
    "GShard": "{experts} experts, {top} a token (GShard): {expert}",
    "Swap": "{ffn} in {layers}",
    "LayerNorm": "LayerNorm",
    "RMSNorm": "RMSNorm",
    "HeadNorm": "a LayerNorm for each head",
    "Rope": "rotary, base {theta}",
    "rope.Linear": "divided by {factor}",
    "Llama3": "long wavelengths stretched {factor} times (Llama 3)",
    "LongRope": "a factor for each frequency (LongRope)",
    "Yarn": "stretched {factor} times (YaRN)",
    "ByKind": "weights of their own for tokens of {kinds}: {of}",
    "GatedCross": "gated cross-attention before {layers}",
    # pools, maps, contrasts
    "Pick": "the {row} row",
    "Rest": "the mean of all rows but the first",
    "MeanBehind": "the mean of the rows behind the first {skip}",
    "NormedMean": "the mean of all rows, normed",
    "LatentPool": "rows look at {latents} learned vectors, then the mean",
    "CentredLook": "a learned query looks at all rows, centred",
    "Tanh": "the first row through a layer and tanh",
    "headed.Projector": "the first row through 3 layers, {hidden} wide inside",
    "TwoLinear": "two linear maps, {ratio} times as wide between",
    "FirstAndMean": "the first row beside the mean of the others",
    "Probe": "a learned query looks at all rows (MAP)",
    "MeanProbe": "the mean looks at all rows",
    "Glance": "{heads} learned weightings of the rows",
    "Look": "a learned query looks at all rows",
    "Linear": "linear map",
    "uncertain.Spread": "variances",
    "RowSpread": "variances from row {row}",
    "MeanSpread": "variances from the point",
    "Star": "two maps multiplied (Star)",
    "Adapter": "{depth} residual blocks",
    # what encoders alone learn by
    "HiddenTubes": "pixels of tubes that are hidden, {share} of all",
    "NextPatch": "every patch from those before it, by a head of {depth} layers {width} wide",
    "Written": "the next patch, then the next word of its text, by a decoder of {depth} layers {width} wide",
    "DeepFeatures": "a teacher's rows where patches are hidden, from layers {after}, {share} of all",
    "Relations": "how rows look at each other in layer {layer} of a teacher",
    "Classify": "{classes} classes, read off {pool}",
    # places and tokens
    "Pyramid": "a pyramid of five maps {width} wide",
    "BiFusion": "both read each other by one matrix of scores, {heads} heads {inner} wide in all",
    "DyHead": "convolutions that choose where they read, in a map and its neighbours (DyHead)",
    "Softmax": "softmax over the batch (InfoNCE)",
    "Sigmoid": "sigmoid for every pair",
    "Dot": "softmax over products of vectors as they are",
    "OneWay": "softmax in one direction",
    "HardNegatives": "softmax in which likely negatives weigh more",
    "Several": "softmax spread over items of one number",
    "Views": "two views of a picture know each other, by a head that only training needs",
    "MeanSigmoid": "sigmoid, mean over pairs",
    "Conditioned": "sigmoid over the picture as each text sees it",
    "Probabilistic": "sigmoid over points with variances",
    # pictures made, places written, videos sampled
    "OwnTables": "{coder}, with an embedding and a head of its own",
    "SharedTables": "as words of the vocabulary",
    "Embedding": "the state of the last token, of length 1",
    "Locations": "tokens of a place in 1/1024 of the picture",
    "Phrases": "tokens of a grid of {side} × {side}",
    "Corners": "pixels as numbers",
    "Brackets": "three digits in 1/{steps} of the picture",
    "MaskCode": "{side} × {side} tokens of {vocab} codes",
    "Spread": "{most} frames over the whole video",
    "Paced": "{fps} frames a second, {least} to {most}",
    "Skimmed": "{fps} frames a second, at most {most}",
}
_ACTS = {
    "quick_gelu": "quick GELU", "gelu": "GELU", "gelu_tanh": "GELU (tanh)", "silu": "SiLU", "relu": "ReLU", "relu2": "ReLU²",
}  # fmt: skip
_FIELDS = {"kv_heads": "heads for keys and values", "eps": "epsilon", "act": "activation", "ffn": "feed-forward"}


def phrase(spec: Spec) -> tuple[str, set[str]]:
    """The phrase of a spec, and the fields that it tells. Without one the class's own name."""
    for cls in type(spec).__mro__:
        words = _words(cls) or ""
        names = {name for _, name, _, _ in Formatter().parse(words) if name}
        if words and all(hasattr(spec, name) for name in names):
            return words.format_map({name: value(getattr(spec, name)) for name in names}), names
    return type(spec).__name__, set()


def has_phrase(spec: Spec) -> bool:
    """Whether it, or a class it extends, has one."""
    return any(_words(cls) is not None for cls in type(spec).__mro__)


def _words(cls: type) -> str | None:
    """By class, with its file where two files have classes of one name."""
    return _PHRASES.get(f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}", _PHRASES.get(cls.__name__))


def details(spec: Spec, elsewhere: Iterable[str] = ()) -> str:
    """The fields that its phrase does not tell and that are not at their default, nested ones too.

    elsewhere: fields of which all is said elsewhere. A required field has no default and is always told.
    """
    return "; ".join(_details(spec, set(elsewhere), phrase(spec)[1]))


def _details(spec: Spec, elsewhere: set[str], told: set[str]) -> Iterator[str]:
    for field in fields(spec):
        if field.name in elsewhere:
            continue
        one = getattr(spec, field.name)
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        if field.name in told:
            # what the phrase said of a nested spec need not be all
            yield from (rest for inner in _specs(one) if (rest := details(inner)))
        elif one != default:
            yield _field(_FIELDS.get(field.name, field.name.replace("_", " ")), one)


def _field(name: str, one: object) -> str:
    if one is True:
        return name
    if one is False or one is None:
        return f"no {name}"
    return f"{name} {value(one)}" + "".join(f" ({rest})" for inner in _specs(one) if (rest := details(inner)))


def _specs(one: object) -> list[Spec]:
    items = one if isinstance(one, tuple) else one.values() if isinstance(one, dict) else (one,)
    return [item for item in items if isinstance(item, Spec)]


def value(one: object) -> str:
    """A field's value for people."""
    match one:
        case Spec():
            return phrase(one)[0]
        case bool() | None:
            return {True: "yes", False: "no", None: "none"}[one]
        case Enum():
            return one.name.lower()
        case int():
            return f"{one:,}"
        case float():
            return f"{one:,.0f}" if one == int(one) and abs(one) >= 10 else f"{one:.6g}"
        case tuple() if len(one) > 1 and all(isinstance(item, int) for item in one):
            return numbers(one)
        case tuple():
            return ", ".join(map(value, one)) or "none"
        case dict():
            return ", ".join(f"{key} {value(item)}" for key, item in one.items()) or "none"
        case str() if one in _ACTS:
            return _ACTS[one]
        case str():
            shown = one.replace("\n", "⏎")
            return f'"{shown}"' if shown != shown.strip() or not shown else shown
    return str(one)


def numbers(many: tuple[int, ...]) -> str:
    """(0, 4, 8, 12) -> "0, 4, ... 12" where the steps are alike; else all of them."""
    steps = {b - a for a, b in zip(many, many[1:], strict=False)}
    if len(many) > 3 and len(steps) == 1:
        return f"{many[0]}, {many[1]}, … {many[-1]}"
    return ", ".join(map(str, many))
