"""BLIP (2201.12086) fine-tuned to caption, and to answer. What it is before, and to match: `blip_match.py`.

Numbers: salesforce/BLIP 056a169 configs/{caption_coco,vqa}.yaml for 8 cards, 16 for questions; files of Salesforce/blip-*.
"""

from __future__ import annotations

from anyvlm.inputs.formats import BLIP_ANSWER as ANSWER
from anyvlm.inputs.formats import BLIP_CAPTION as CAPTION
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.parts.catalog.blip import BLIP_ANSWER, BLIP_B_16, BLIP_CAPTION, BLIP_L_16, MED_ANSWERER, MED_DECODER
from anyvlm.parts.connect.same import Same
from anyvlm.parts.vision.vit import ViT
from anyvlm.system import Checkpoint, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

META = Meta(paper="2201.12086", year=2022, license="BSD-3-Clause", family="blip", row="blip")
POLICY = ImagePolicy(size=(384, 384), fit="stretch")
EYE = Stream(policy=POLICY, encoder=BLIP_B_16, connector=Same(), reach="all", most=1)
ADDED = ("[DEC]", "[ENC]")


def _caption(name: str, encoder: ViT, batch: int, lr: float) -> System:
    source = Hub(repo=f"Salesforce/{name}")
    return System(
        name=name, lm=MED_DECODER, streams={"image": EYE.but(encoder=encoder)}, template=CAPTION, tokenizer=source, added=ADDED,
        checkpoints=(Checkpoint(source=source, layouts=BLIP_CAPTION),),
        stages=(Stage(
            name="caption", train=("*",), data=("COCO captions",), lr=lr, batch=batch, epochs=5, warmup=0.0, weight_decay=0.05,
            note='label smoothing 0.1; "a picture of" is not learned',
        ),),
        meta=META.but(summary='Goes on with a caption that you begin; the authors begin with "a picture of".'),
    )  # fmt: skip


def _answer(name: str) -> System:
    source = Hub(repo=f"Salesforce/{name}")
    return System(
        name=name, lm=MED_ANSWERER, streams={"image": EYE}, template=ANSWER, attention="prefix", tokenizer=source, added=ADDED,
        checkpoints=(Checkpoint(source=source, layouts=BLIP_ANSWER),),
        stages=(Stage(
            name="answer", train=("*",), data=("VQAv2", "Visual Genome QA"), lr=2e-5, batch=256, epochs=10, warmup=0.0,
            weight_decay=0.05, note="at 480 pixels; published with positions interpolated to 384; label smoothing 0.1",
        ),),
        meta=META.but(summary="An encoder reads question and picture, a decoder what that made of the question."),
    )  # fmt: skip


BLIP_CAPTION_BASE = _caption("blip-image-captioning-base", BLIP_B_16, 256, 1e-5)
BLIP_CAPTION_LARGE = _caption("blip-image-captioning-large", BLIP_L_16, 128, 2e-6)
BLIP_VQA_BASE = _answer("blip-vqa-base")
BLIP_VQA_CAPFILT_LARGE = _answer("blip-vqa-capfilt-large")  # ViT-B too: "large" made its captions
