"""FLIP (2212.00794): CLIP trained on half of each picture's patches, then shortly on all of them.

Numbers: facebookresearch/flip 9bf6bf8 `configs/*.py`, `models_flip.py`, `input_pipeline_laion.py`, README. Its weights are JAX
checkpoints on the authors' own server, which is no source here. Its eyes resize without smoothing; ours smooth (Pillow).
"""

from __future__ import annotations

from math import log

from anyvlm.dual import DualSystem, Softmax, TextTower, Tower
from anyvlm.inputs.policy import IMAGENET_MEAN, IMAGENET_STD, ImagePolicy
from anyvlm.inputs.text import TextPolicy
from anyvlm.parts.ffn import MLP
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.pool import Linear, Pick
from anyvlm.parts.text import TextTransformer
from anyvlm.parts.vision.vit import ViT
from anyvlm.system import Meta, Stage
from anyvlm.weights.sources import Hub

META = Meta(paper="2212.00794", year=2022, license="CC-BY-NC-4.0", family="flip", row="flip")
BERT = Hub(repo="google-bert/bert-base-uncased")
_NORM, BATCH, EPOCH = LayerNorm(eps=1e-6), 65536, 1_281_167  # the authors count in epochs of ImageNet
B_16 = ViT(
    width=768, depth=12, heads=12, patch=16, size=224, ffn=MLP(hidden=3072, act="gelu_tanh"), norm=_NORM, stem_bias=True,
    keep_cls=True, sincos=True,
)  # fmt: skip
L_16 = B_16.but(width=1024, depth=24, heads=16, ffn__hidden=4096)
H_14 = B_16.but(width=1280, depth=32, heads=16, patch=14, ffn__hidden=5120)


def _text(width: int, heads: int, depth: int = 12) -> TextTransformer:
    """Nothing is hidden, padding neither; the vocabulary has one place more than the words."""
    return TextTransformer(
        vocab=30523, width=width, depth=depth, heads=heads, context=32, ffn=MLP(hidden=4 * width, act="gelu_tanh"), norm=_NORM,
        causal=False, padded=True,
    )  # fmt: skip


TRAINED = tuple(f"towers.image.encoder.{part}" for part in ("stem.*", "cls", "blocks.*", "norm.*"))


def _stages(data: str, lr: float, epochs: int, warmup: int) -> tuple[Stage, ...]:
    """Rates are given for 256 samples."""
    masked = Stage(
        name="masked", train=(*TRAINED, "towers.image.project.*", "towers.text.*", "contrasts.*"), losses={"image-text": 1.0},
        keep={"image": 0.5}, bounds={"contrasts.0.scale": (0.0, log(100))}, data=(data,), lr=lr * BATCH / 256, batch=BATCH,
        steps=epochs * EPOCH // BATCH, warmup=warmup / epochs, weight_decay=0.2,
        note="beta2 0.95; no decay of biases, norms, class token and places; crops of half a picture and more, mirrored",
    )  # fmt: skip
    tune = masked.but(name="unmasked", keep={}, lr=4e-8 * BATCH / 256, steps=100 * EPOCH // BATCH, warmup=0.2)
    return masked, tune


def _flip(
    name: str, eye: ViT, text: TextTransformer, shared: int, data: str, lr: float, epochs: int, warmup: int = 40
) -> DualSystem:
    policy = ImagePolicy(size=(224, 224), fit="crop", mean=IMAGENET_MEAN, std=IMAGENET_STD)
    words = TextPolicy(context=32, pad="[PAD]", fill=True)
    return DualSystem(
        name=name,
        towers={
            "image": Tower(policy=policy, encoder=eye, pool=Pick(row="mean"), project=Linear()),
            "text": TextTower(policy=words, encoder=text, pool=Pick(row="first"), project=Linear()),
        },
        shared=shared, contrasts=(Softmax(),), tokenizer=BERT, stages=_stages(data, lr, epochs, warmup),
        meta=META.but(summary=f"FLIP {name.removeprefix('flip-')}, half of the patches, {data}."),
    )  # fmt: skip


_TEXT_B, _TEXT_L, _TEXT_H = _text(512, 8), _text(768, 12), _text(1024, 16, 24)
FLIP_B_16 = _flip("flip-vit-b-16", B_16, _TEXT_B, 512, "LAION-400M", 4e-6, 10_000)
FLIP_L_16 = _flip("flip-vit-l-16", L_16, _TEXT_L, 768, "LAION-400M", 4e-6, 10_000)
FLIP_H_14 = _flip("flip-vit-h-14", H_14, _TEXT_H, 1024, "LAION-400M", 4e-6, 10_000, 200)
FLIP_L_16_2B = _flip("flip-vit-l-16-laion2b", L_16, _TEXT_L, 768, "LAION-2B", 2e-6, 20_000)
FLIP_H_14_2B = _flip("flip-vit-h-14-laion2b", H_14, _TEXT_H, 1024, "LAION-2B", 2e-6, 20_000, 200)
