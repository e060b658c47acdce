"""BLIP (2201.12086): contrast, matching and captioning in one network; fine-tuned to caption, to answer, to match.

Numbers: salesforce/BLIP 056a169 configs/*.yaml, the config.json of Salesforce/blip-*. Batches are those of the published
commands: 8 cards, 16 for questions.
"""

from __future__ import annotations

from anyvlm.inputs.policy import ImagePolicy
from anyvlm.inputs.templates import BLIP_ANSWER as ANSWER
from anyvlm.inputs.templates import BLIP_CAPTION as CAPTION
from anyvlm.match import MatchSystem, Wording
from anyvlm.parts.catalog.blip import (
    BLIP_ANSWER,
    BLIP_B_16,
    BLIP_CAPTION,
    BLIP_L_16,
    BLIP_MATCH,
    MED_ANSWERER,
    MED_DECODER,
    MED_TEXT,
)
from anyvlm.parts.connect.same import Same
from anyvlm.parts.vision.vit import ViT
from anyvlm.system import Checkpoint, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

META = Meta(paper="2201.12086", year=2022, license="BSD-3-Clause", family="blip", row="blip")
POLICY = ImagePolicy(size=(384, 384), fit="stretch")
EYE = Stream(policy=POLICY, encoder=BLIP_B_16, connector=Same(), reach="all", limit=1)
ADDED = ("[DEC]", "[ENC]")
LM = {"next_token": 1.0}
LOSSES = {"contrast": 1.0, "match": 1.0}
DECAY = 0.05


def _caption(name: str, encoder: ViT, batch: int, lr: float) -> System:
    source = Hub(repo=f"Salesforce/{name}")
    return System(
        name=name, lm=MED_DECODER, streams={"image": EYE.but(encoder=encoder)}, template=CAPTION, tokenizer=source, added=ADDED,
        checkpoints=(Checkpoint(source=source, layouts=BLIP_CAPTION),),
        stages=(Stage(
            name="caption", train=("*",), data=("COCO captions",), losses=LM, lr=lr, batch=batch, epochs=5, warmup=0.0,
            weight_decay=DECAY, note='label smoothing 0.1; "a picture of" is not learned',
        ),),
        meta=META.but(summary='Begins a caption with your words; the authors\' are "a picture of".'),
    )  # fmt: skip


BLIP_CAPTION_BASE = _caption("blip-image-captioning-base", BLIP_B_16, 256, 1e-5)
BLIP_CAPTION_LARGE = _caption("blip-image-captioning-large", BLIP_L_16, 128, 2e-6)

_VQA = Hub(repo="Salesforce/blip-vqa-base")
BLIP_VQA_BASE = System(
    name="blip-vqa-base", lm=MED_ANSWERER, streams={"image": EYE}, template=ANSWER, attention="prefix", tokenizer=_VQA,
    added=ADDED, checkpoints=(Checkpoint(source=_VQA, layouts=BLIP_ANSWER),),
    stages=(Stage(
        name="answer", train=("*",), data=("VQAv2", "Visual Genome QA"), losses=LM, lr=2e-5, batch=256, epochs=10, warmup=0.0,
        weight_decay=DECAY, note="480 pixels; published for 384, positions interpolated; label smoothing 0.1",
    ),),
    meta=META.but(summary="An encoder reads question and picture, a decoder what it made of the question."),
)  # fmt: skip
_CAPFILT = Hub(repo="Salesforce/blip-vqa-capfilt-large")
BLIP_VQA_CAPFILT_LARGE = BLIP_VQA_BASE.but(
    name="blip-vqa-capfilt-large", tokenizer=_CAPFILT, checkpoints=(Checkpoint(source=_CAPFILT, layouts=BLIP_ANSWER),)
)


def _match(name: str, encoder: ViT, data: str, batch: int, lr: float) -> MatchSystem:
    source = Hub(repo=f"Salesforce/{name}")
    return MatchSystem(
        name=name, policy=POLICY, encoder=encoder, text=MED_TEXT, shared=256, tokenizer=source, added=ADDED,
        wording=Wording(alone="[CLS]", beside="[ENC]", written="[DEC]", end="[SEP]"),
        checkpoints=(Checkpoint(source=source, layouts=BLIP_MATCH),),
        stages=(Stage(
            name="match", train=("*",), data=(data,), losses=LOSSES, lr=lr, batch=batch, epochs=6, warmup=0.0,
            weight_decay=DECAY,
        ),),
        meta=META.but(summary="Says how well a picture and a text fit: `load(...).match(pictures, texts)`."),
    )  # fmt: skip


def _pretrained(name: str, encoder: ViT, batch: int, lr: float, file: str) -> MatchSystem:
    return BLIP_ITM_BASE_COCO.but(
        name=name, encoder=encoder.but(size=224), policy=POLICY.but(size=(224, 224)), captioner=MED_DECODER, temperature=0.07,
        checkpoints=(),
        stages=(Stage(
            name="pretrain", train=("*",), data=("COCO", "Visual Genome", "CC3M", "CC12M", "SBU", "LAION115M"),
            losses=LOSSES | {"caption": 1.0}, bounds={"temperature": (0.001, 0.5)}, lr=lr, batch=batch, epochs=20,
            weight_decay=DECAY,
            note="queues of 57,600, momentum 0.995, soft targets 0.4 from the end of epoch 2; the rate falls by 0.9 an epoch",
        ),),
        meta=META.but(summary=f"Pre-trained; the authors' {file} loads from a directory in the layout BLIP_PRETRAINED."),
    )  # fmt: skip


BLIP_ITM_BASE_COCO = _match("blip-itm-base-coco", BLIP_B_16, "COCO captions", 256, 1e-5)
BLIP_ITM_BASE_FLICKR = _match("blip-itm-base-flickr", BLIP_B_16, "Flickr30k", 256, 1e-5)
BLIP_ITM_LARGE_COCO = _match("blip-itm-large-coco", BLIP_L_16, "COCO captions", 128, 5e-6)
BLIP_ITM_LARGE_FLICKR = _match("blip-itm-large-flickr", BLIP_L_16, "Flickr30k", 128, 5e-6)
BLIP_PRETRAINED_BASE = _pretrained("blip-pretrained-base", BLIP_B_16, 2880, 3e-4, "model_base_capfilt_large.pth")
BLIP_PRETRAINED_LARGE = _pretrained("blip-pretrained-large", BLIP_L_16, 2400, 2e-4, "model_large.pth")
