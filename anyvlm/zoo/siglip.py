"""SigLIP (2303.15343): pairs scored one by one with a sigmoid; and its vision towers alone, rows after the final norm.

Numbers: google/siglip-* config.json and preprocessor_config.json; google-research/big_vision `configs/proj/image_text/`.
The paper does not give the recipe of each released size.
"""

from __future__ import annotations

import string

from anyvlm.dual import DualSystem, Sigmoid, TextTower, Tower
from anyvlm.inputs.policy import HALF, ImagePolicy
from anyvlm.inputs.text import TextPolicy
from anyvlm.parts.catalog.clip import SIGLIP_B_16_256, SIGLIP_HF, SIGLIP_L_16_384, SIGLIP_SO400M_14_384
from anyvlm.parts.catalog.layouts import vision_hf
from anyvlm.parts.catalog.towers import SIGLIP_LAYOUTS, siglip_text
from anyvlm.parts.pool import Linear, Pick, Probe
from anyvlm.parts.text import TextTransformer
from anyvlm.parts.vision.vit import ViT
from anyvlm.system import Checkpoint, Meta, Stage, VisionSystem
from anyvlm.weights.sources import Hub

META = Meta(paper="2303.15343", year=2023, license="Apache-2.0", family="siglip", row="siglip")
PROMPT = "This is a photo of {}."
WORDS = TextPolicy(context=64, last="</s>", pad="</s>", fill=True, lower=True, drop=string.punctuation, prompt=PROMPT)
PRETRAIN = Stage(
    name="contrast", train=("*",), data=("WebLI",), losses={"image-text": 1.0}, lr=1e-3, batch=32768, weight_decay=1e-4,
    note="begins with a scale of 10 and a bias of -10; beta2 is 0.95",
)  # fmt: skip
TEXT_B, TEXT_L, TEXT_SO = siglip_text(768, 12, 12, 3072), siglip_text(1024, 24, 16, 4096), siglip_text(1152, 27, 16, 4304)


def siglip(name: str, eye: ViT, text: TextTransformer, repo: str, summary: str, words: TextPolicy = WORDS) -> DualSystem:
    """The pool's vector is the picture's point."""
    source = Hub(repo=f"google/{repo}")
    image = Tower(
        policy=ImagePolicy(size=(eye.size, eye.size), fit="stretch", mean=HALF, std=HALF), encoder=eye,
        pool=Probe(heads=eye.heads, ffn=eye.ffn, norm=eye.norm),
    )  # fmt: skip
    beside = TextTower(
        policy=words.but(context=text.context), encoder=text, pool=Pick(row="last"), project=Linear(bias=True)
    )
    return DualSystem(
        name=name, towers={"image": image, "text": beside}, shared=eye.width, contrasts=(Sigmoid(),), tokenizer=source,
        checkpoints=(Checkpoint(source=source, layouts=SIGLIP_LAYOUTS),), stages=(PRETRAIN,), meta=META.but(summary=summary),
    )  # fmt: skip


def _b(size: int) -> DualSystem:
    eye, repo = SIGLIP_B_16_256.but(size=size), f"siglip-base-patch16-{size}"
    return siglip(f"siglip-vit-b-16-{size}", eye, TEXT_B, repo, f"SigLIP ViT-B/16 at {size} pixels.")


def _l(size: int) -> DualSystem:
    eye, repo = SIGLIP_L_16_384.but(size=size), f"siglip-large-patch16-{size}"
    return siglip(f"siglip-vit-l-16-{size}", eye, TEXT_L, repo, f"SigLIP ViT-L/16 at {size} pixels.")


SIGLIP_B_16_224_PAIR, SIGLIP_B_16_256_PAIR, SIGLIP_B_16_384_PAIR, SIGLIP_B_16_512_PAIR = (_b(n) for n in (224, 256, 384, 512))
SIGLIP_L_16_256_PAIR, SIGLIP_L_16_384_PAIR = _l(256), _l(384)
SIGLIP_SO_14_224_PAIR = siglip(
    "siglip-vit-so400m-14-224", SIGLIP_SO400M_14_384.but(size=224), TEXT_SO.but(context=16), "siglip-so400m-patch14-224",
    "SigLIP shape-optimised 400M at 224 pixels, texts of 16 tokens.",
)  # fmt: skip
SIGLIP_SO_14_384_PAIR = siglip(
    "siglip-vit-so400m-14-384", SIGLIP_SO400M_14_384, TEXT_SO, "siglip-so400m-patch14-384",
    "SigLIP shape-optimised 400M at 384 pixels.",
)  # fmt: skip
SIGLIP_B_16_256_I18N_PAIR = siglip(
    "siglip-vit-b-16-256-multilingual", SIGLIP_B_16_256, TEXT_B.but(vocab=250000), "siglip-base-patch16-256-multilingual",
    "SigLIP ViT-B/16 at 256 pixels, many languages.",
)  # fmt: skip
SIGLIP_SO_16_256_I18N_PAIR = siglip(
    "siglip-vit-so400m-16-256-i18n", SIGLIP_SO400M_14_384.but(patch=16, size=256), TEXT_SO.but(vocab=250000),
    "siglip-so400m-patch16-256-i18n", "SigLIP shape-optimised 400M at 256 pixels, many languages.",
)  # fmt: skip


def _alone(pair: DualSystem, eye: ViT) -> VisionSystem:
    source = pair.checkpoints[0].source
    return VisionSystem(
        name=f"{pair.name}-vision", encoder=eye, checkpoints=(Checkpoint(source=source, layouts=vision_hf(SIGLIP_HF)),),
        policy=ImagePolicy(size=(eye.size, eye.size), fit="stretch", mean=HALF, std=HALF),
        meta=META.but(row="", summary=f"{pair.meta.summary[:-1]}: its vision tower alone."),
    )  # fmt: skip


SIGLIP_VIT_B_16_256 = _alone(SIGLIP_B_16_256_PAIR, SIGLIP_B_16_256)
SIGLIP_VIT_B_16_256_MULTILINGUAL = _alone(SIGLIP_B_16_256_I18N_PAIR, SIGLIP_B_16_256)
SIGLIP_VIT_L_16_384 = _alone(SIGLIP_L_16_384_PAIR, SIGLIP_L_16_384)
SIGLIP_VIT_SO400M_14_384 = _alone(SIGLIP_SO_14_384_PAIR, SIGLIP_SO400M_14_384)
