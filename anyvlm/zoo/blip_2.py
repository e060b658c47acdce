"""BLIP-2 (2301.12597): EVA-CLIP ViT-g and a frozen language model, between them queries that read the picture.

Numbers: the paper, sections 3 and 4 and appendix; the config.json of Salesforce/blip2-*, whose vocabularies hold <image> and
are rounded up to 64. Stage 1 trained the Q-Former with words too; that half is not in these files.
"""

from __future__ import annotations

from anyvlm.inputs.formats import BLIP_2_OPT, BLIP_2_OPT_CAPTION, BLIP_2_T5, T5_PLAIN
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.inputs.template import Template
from anyvlm.keys import Keys
from anyvlm.parts.catalog.blip_2 import BLIP_2_QFORMER, EVA_G_14, QFORMER_HF, blip_2_hf
from anyvlm.parts.catalog.opt import OPT_2_7B, OPT_6_7B, OPT_HF
from anyvlm.parts.catalog.t5 import FLAN_T5_XL, FLAN_T5_XXL, T5_HF
from anyvlm.parts.language import LanguageModel
from anyvlm.system import Checkpoint, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

EYE = Stream(policy=ImagePolicy(size=(224, 224), fit="stretch"), encoder=EVA_G_14, connector=BLIP_2_QFORMER)
WEB = ("COCO", "Visual Genome", "CC3M", "CC12M", "SBU", "LAION-115M")
QUERIES = ("connectors.image.norm*", "connectors.image.queries", "connectors.image.blocks.*")
REPRESENT = Stage(
    name="represent", train=QUERIES, data=WEB, losses={"contrastive": 1.0, "matching": 1.0, "caption": 1.0}, lr=1e-4,
    batch=1680, steps=250_000, warmup=2000 / 250_000, weight_decay=0.05, note="no language model; cosine down to 1e-5",
)  # fmt: skip
GENERATE = Stage(
    name="generate", train=("connectors.*",), data=WEB, lr=1e-4, batch=1920, steps=80_000, warmup=2000 / 80_000,
    weight_decay=0.05, note="cosine down to 5e-5",
)  # fmt: skip
CAPTION = Stage(
    name="caption", train=("encoders.*", "connectors.*"), data=("COCO captions",), lr=1e-5, batch=256, epochs=5,
    weight_decay=0.05, note="364 pixels, 'a photo of', 1,000 steps of warm-up",
)  # fmt: skip


def _blip_2(size: str, lm: LanguageModel, keys: Keys, template: Template, batch: int) -> System:
    """`batch`: of the second stage."""
    source = Hub(repo=f"Salesforce/blip2-{size}")
    return System(
        name=f"blip2-{size}",
        lm=lm,
        streams={"image": EYE},
        template=template,
        attention="causal" if lm.start is None else "prefix",
        tokenizer=source,
        checkpoints=(Checkpoint(source=source, layouts=blip_2_hf(QFORMER_HF, keys)),),
        stages=(REPRESENT, GENERATE.but(batch=batch)),
        meta=Meta(
            paper="2301.12597", year=2023, license="MIT", family="blip-2", row="blip-2",
            summary="32 queries read a frozen ViT-g for a frozen language model.",
        ),
    )  # fmt: skip


def _coco(base: System, template: Template) -> System:
    """Fine-tuned for captions, at 364 pixels."""
    name = f"{base.name}-coco"
    source = Hub(repo=f"Salesforce/{name}")
    return base.but(
        name=name, template=template, tokenizer=source, stages=(*base.stages, CAPTION), checkpoints__0__source=source,
        streams__image__policy__size=(364, 364), streams__image__encoder__size=364,
        meta__summary="BLIP-2 tuned for captions: ask 'a photo of'.",
    )  # fmt: skip


BLIP2_OPT_2_7B = _blip_2("opt-2.7b", OPT_2_7B.but(vocab=50304), OPT_HF, BLIP_2_OPT, 1920)
BLIP2_OPT_6_7B = _blip_2("opt-6.7b", OPT_6_7B.but(vocab=50304), OPT_HF, BLIP_2_OPT, 1920)
# LAVIS sets the exact GELU where Flan-T5 was trained with the tanh form
BLIP2_FLAN_T5_XL = _blip_2("flan-t5-xl", FLAN_T5_XL.but(ffn__act="gelu"), T5_HF, BLIP_2_T5, 1520)
BLIP2_FLAN_T5_XXL = _blip_2("flan-t5-xxl", FLAN_T5_XXL.but(ffn__act="gelu"), T5_HF, BLIP_2_T5, 1520)
BLIP2_OPT_2_7B_COCO = _coco(BLIP2_OPT_2_7B, BLIP_2_OPT_CAPTION)
BLIP2_OPT_6_7B_COCO = _coco(BLIP2_OPT_6_7B, BLIP_2_OPT_CAPTION)
BLIP2_FLAN_T5_XL_COCO = _coco(BLIP2_FLAN_T5_XL, T5_PLAIN)
