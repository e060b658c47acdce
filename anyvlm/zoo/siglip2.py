"""SigLIP 2 (2502.14786): SigLIP's towers with Gemma's tokenizer, at fixed sizes, and at any ("NaFlex").

Numbers: google/siglip2-* config.json and preprocessor_config.json. Its decoder, self-distillation and masked prediction are
of training alone and left no weights.
"""

from __future__ import annotations

from anyvlm.dual import DualSystem
from anyvlm.inputs.budget import Budget
from anyvlm.inputs.text import TextPolicy
from anyvlm.parts.catalog.clip import SIGLIP_B_16_256, SIGLIP_L_16_384, SIGLIP_SO400M_14_384
from anyvlm.parts.catalog.towers import NAFLEX_LAYOUTS
from anyvlm.parts.text import TextTransformer
from anyvlm.parts.vision.vit import ViT
from anyvlm.zoo.siglip import META, PRETRAIN, PROMPT, TEXT_B, TEXT_L, TEXT_SO, siglip

WORDS = TextPolicy(context=64, last="<eos>", pad="<pad>", fill=True, lower=True, prompt=PROMPT)
VOCAB = 256000
G_16 = SIGLIP_B_16_256.but(width=1536, depth=40, heads=16, ffn__hidden=6144)
SO_14, SO_16 = SIGLIP_SO400M_14_384, SIGLIP_SO400M_14_384.but(patch=16)
STAGE = PRETRAIN.but(lr=1e-3, batch=32768, note="40B pairs; captioning, self-distillation and masked prediction beside it")


def _fixed(name: str, eye: ViT, text: TextTransformer, repo: str) -> DualSystem:
    size = eye.size
    pair = siglip(f"{name}-{size}", eye, text.but(vocab=VOCAB), f"{repo}-{size}", f"SigLIP 2 at {size} pixels.", WORDS)
    return pair.but(
        towers__image__policy__resample="bilinear", stages=(STAGE,),
        meta=META.but(paper="2502.14786", year=2025, summary=pair.meta.summary),
    )  # fmt: skip


def _naflex(name: str, eye: ViT, text: TextTransformer, repo: str) -> DualSystem:
    pair = _fixed(name, eye.but(size=256, resize=True, antialias=True), text, repo)
    layouts = tuple(checkpoint.but(layouts=NAFLEX_LAYOUTS) for checkpoint in pair.checkpoints)
    layouts = tuple(checkpoint.but(source__repo=f"google/{repo}-naflex") for checkpoint in layouts)
    return pair.but(
        name=f"{name}-naflex", towers__image__policy=Budget(most=256, patch=16), checkpoints=layouts,
        tokenizer__repo=f"google/{repo}-naflex", meta__summary="SigLIP 2 at any proportions, up to 256 patches and more.",
    )  # fmt: skip


def _sizes(name: str, eye: ViT, text: TextTransformer, repo: str, *sizes: int) -> tuple[DualSystem, ...]:
    return tuple(_fixed(name, eye.but(size=size), text, repo) for size in sizes)


(B_32_256,) = _sizes("siglip2-vit-b-32", SIGLIP_B_16_256.but(patch=32), TEXT_B, "siglip2-base-patch32", 256)
B_16_224, B_16_256, B_16_384, B_16_512 = _sizes(
    "siglip2-vit-b-16", SIGLIP_B_16_256, TEXT_B, "siglip2-base-patch16", 224, 256, 384, 512
)
L_16_256, L_16_384, L_16_512 = _sizes(
    "siglip2-vit-l-16", SIGLIP_L_16_384, TEXT_L, "siglip2-large-patch16", 256, 384, 512
)
SO_14_224, SO_14_384 = _sizes("siglip2-vit-so400m-14", SO_14, TEXT_SO, "siglip2-so400m-patch14", 224, 384)
SO_16_256, SO_16_384, SO_16_512 = _sizes(
    "siglip2-vit-so400m-16", SO_16, TEXT_SO, "siglip2-so400m-patch16", 256, 384, 512
)
G_16_256, G_16_384 = _sizes("siglip2-vit-g-16", G_16, TEXT_SO, "siglip2-giant-opt-patch16", 256, 384)
B_16_NAFLEX = _naflex("siglip2-vit-b-16", SIGLIP_B_16_256, TEXT_B, "siglip2-base-patch16")
SO_16_NAFLEX = _naflex("siglip2-vit-so400m-16", SO_16, TEXT_SO, "siglip2-so400m-patch16")
