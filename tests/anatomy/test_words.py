"""Specs in words: what they say of known systems, and that no difference between two specs is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import get_args, get_type_hints

import pytest

from anyvlm import registry
from anyvlm.anatomy.known import known
from anyvlm.anatomy.phrases import details, has_phrase, numbers, value
from anyvlm.anatomy.words import facts
from anyvlm.dual import DualSystem, Tower
from anyvlm.errors import AnyVLMError
from anyvlm.ground import GroundSystem
from anyvlm.match import AnySystem, MatchSystem
from anyvlm.spec import Spec
from anyvlm.system import System, VisionSystem

SAID = {
    "llava-1.5-7b": {
        "Picture: becomes": "padded to a square and resized, 336 × 336 pixels",
        "Vision encoder: design": "CLIP ViT-L/14",
        "Vision encoder: size": "24 layers, 1,024 wide, 16 heads",
        "Vision encoder: rows from": "the second last layer",
        "Connector: kind": "MLP of 2 layers",
        "Fusion: how": "visual tokens stand in the text",
        "Language model: design": "Llama 2 7B",
        "Training: stage 1": "align: trains connector; on LCS-558K; rate 0.001; batch 256; 1 epoch",
    },
    "flamingo-9b": {
        "Vision encoder: design": "NFNet-F6",
        "Connector: kind": "Perceiver: 64 learned queries read the picture, 6 layers, 1,536 wide",
        "Fusion: how": "text looks at rows of the picture before it through cross-attention",
        "Fusion: inserted layers": "gated cross-attention before every fourth layer, from layer 0",
        "Language model: design": "Chinchilla 7B",
        "Weights: from": "not published",
    },
    "qwen2-vl-7b-instruct": {
        "Picture: becomes": "its own size, sides to multiples of 28, 3,136 to 12,845,056 pixels",
        "Connector: kind": "2 × 2 neighbours side by side, then an MLP of 2 layers",
        "Language model: size": "28 layers, 3,584 wide, 28 heads, 4 for keys and values",
        "Language model: positions": "time, height and width; rotary, base 1,000,000; sections 16, 24, 24",
        "Video: frames": "2 frames a second, 4 to 768",
    },
    "blip2-flan-t5-xl": {
        "Connector: kind": "Q-Former: 32 learned queries, 12 layers 768 wide, one of 2 reads the picture",
        "Fusion: attention": "prompt and picture see each other, the answer looks back",
        "Language model: kind": "encoder-decoder: 24 layers read, 24 write",
    },
    "clip-vit-b-16": {
        "Fusion: how": "none: towers meet in a space of 512 dimensions, likeness is cosine",
        "Fusion: contrast": "image and text: softmax over the batch (InfoNCE)",
        "Text encoder: size": "12 layers, 512 wide, 8 heads",
    },
    "aim-600m": {
        "Vision encoder: rows from": "the mean of layers 15, 16, … 20",
        "Training: stage 1, lesson": "every patch from those before it, by a head of 12 layers 2,048 wide",
        "Training: stage 2, lesson": "1,000 classes, read off a learned query looks at all rows, centred",
    },
    "glip-t": {
        "Picture: becomes": "shorter side to 800 pixels, the longer to at most 1,333, proportions kept",
        "Fusion: how": "in 6 layers places and tokens read each other, and then their own kind",
        "Vision encoder: maps": "a pyramid of five maps 256 wide",
    },
    "videoclip": {
        "Fusion: how": "none: towers meet in a space of 768 dimensions, likeness is the product of vectors of any length",
    },
    "vladva-llava-1.5-7b": {"Output: points": "the state of the last token, of length 1"},
    "evev2-7b": {
        "Vision encoder: kind": "none: a patch's pixels go straight in",
        "Fusion: experts by kind": "weights of their own for tokens of image: norms, qkv, o, ffn",
    },
}


@pytest.mark.parametrize("name", SAID)
def test_what_is_said_of(name: str) -> None:
    told = {f"{fact.group}: {fact.label}": fact.words for fact in facts(registry.system(name))}
    for label, words in SAID[name].items():
        assert told[label] == words


@pytest.mark.parametrize("name", registry.SYSTEMS)
def test_every_part_of_every_system_has_words(name: str) -> None:
    system = registry.system(name)
    for fact in facts(system):
        assert fact.words.strip() and "\n" not in fact.words, fact
    dumb = [type(part).__name__ for part in _parts(system) if not has_phrase(part)]
    assert not dumb, f"give {dumb} a phrase in anyvlm/anatomy/phrases.py"


def _parts(system: AnySystem) -> Iterator[Spec]:
    match system:
        case System():
            yield system.lm
            yield from system.lm.inserts
            for stream in system.streams.values():
                yield from filter(None, (stream.encoder, stream.connector, stream.join, stream.markup))
        case DualSystem():
            for tower in system.towers.values():
                yield from filter(None, (tower.encoder, tower.pool, tower.project))
            yield from system.contrasts
        case GroundSystem():
            yield from (system.encoder, system.pyramid, system.text, system.fusion, system.head)
        case MatchSystem():
            yield from (system.encoder, system.text, system.text.block)
        case VisionSystem():
            yield system.encoder
            yield from system.lessons.values()


MUTATED = (
    "llava-1.5-7b", "flamingo-9b", "qwen2-vl-7b-instruct", "instructblip-flan-t5-xl", "clip-vit-b-16", "blip-itm-base-coco",
    "aria", "janus-1.3b", "idefics3-8b", "dinov2-small", "kosmos-2", "moe-llava-phi2-2.7b-4e", "smolvlm2-500m",
    "llava-next-34b", "glip-t", "videoclip", "vladva-llava-1.5-7b", "cappa-vit-b-16", "aim-600m", "videomae-base",
    "deepmim-vit-b-16", "uniadapter-blip-base-coco", "fc-clip", "mobileclip2-s4", "flip-vit-b-16",
)  # fmt: skip
# What is no property of the architecture: where files are, how their tensors are named, which names a system has.
_ELSEWHERE = ("checkpoints", "tokenizer", "meta.row", "name", "fresh", "reads.tokenizer", "masks.file")


@pytest.mark.parametrize("name", MUTATED)
def test_no_difference_is_lost(name: str) -> None:
    """Change any one number, word or switch anywhere in a spec, and some fact changes."""
    system, lost, tried = registry.system(name), [], 0
    before = facts(system)
    for path, other in _mutants(system):
        tried += 1
        if facts(other) == before:
            lost.append(path)
    assert tried > 20
    assert not lost, lost


def _mutants(system: AnySystem) -> Iterator[tuple[str, AnySystem]]:
    for path, spec in system.walk():
        for field in fields(spec):
            at = ".".join(filter(None, (path, field.name)))
            old = getattr(spec, field.name)
            if at.startswith(_ELSEWHERE) or at.endswith(_ELSEWHERE[-2:]) or "layouts" in at.split("."):
                continue
            choices = list(_literals(get_type_hints(type(spec))[field.name]))
            new: object
            match old:
                case str() if old in choices:
                    new = next(choice for choice in choices if choice != old)
                case bool():
                    new = not old
                case int() | float():
                    new = old * 2 + 4
                case str() if old.isidentifier() or not old:
                    new = f"{old}x"
                case (int(), *_):
                    new = tuple(n + 1 for n in old)
                case _:
                    continue
            try:
                yield at, system.but(**{at.replace(".", "__"): new})
            except (AnyVLMError, ValueError, KeyError, TypeError):
                continue  # a spec that refuses it


def _literals(hint: object) -> Iterator[object]:
    """All that a hint allows by name, in unions too."""
    for each in get_args(hint):
        if isinstance(each, str):
            yield each
        else:
            yield from _literals(each)


def test_names_of_backbones_do_not_depend_on_what_systems_choose() -> None:
    from anyvlm.parts.catalog.clip import CLIP_L_14, CLIP_L_14_336
    from anyvlm.parts.catalog.llama import LLAMA_2_7B, LLAMA_7B

    assert known(CLIP_L_14_336.but(layers=(-2,))) == known(CLIP_L_14) == "CLIP ViT-L/14"
    assert known(LLAMA_2_7B.but(vocab=32003)) == "Llama 2 7B" != known(LLAMA_7B)
    assert known(CLIP_L_14.but(depth=23)) is None


@pytest.mark.parametrize(
    ("one", "words"),
    [((0, 4, 8, 12), "0, 4, … 12"), ((0, 1), "0, 1"), ((1, 2, 4, 8), "1, 2, 4, 8")],
)
def test_layers_in_words(one: tuple[int, ...], words: str) -> None:
    assert numbers(one) == words


def test_values_in_words() -> None:
    assert [value(x) for x in (11008, 1e-5, 10_000.0, True, None, "quick_gelu", " ", "a\nb")] == [
        "11,008", "1e-05", "10,000", "yes", "none", "quick GELU", '" "', "a⏎b",
    ]  # fmt: skip


def test_details_are_what_the_phrase_leaves_out() -> None:
    from anyvlm.parts.ffn import MLP

    assert details(MLP(hidden=10, bias=False)) == "no bias"
    assert details(MLP(hidden=10)) == ""


def test_towers_are_told_by_the_picture_tower() -> None:
    system = registry.system("siglip-vit-b-16-256")
    assert isinstance(system, DualSystem) and isinstance(system.towers["image"], Tower)
    told = {f"{fact.group}: {fact.label}": fact.words for fact in facts(system)}
    assert told["Vision encoder: to a point"].startswith("a learned query looks at all rows (MAP)")
