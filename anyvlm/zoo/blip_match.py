"""BLIP (2201.12086): contrast, matching and captioning in one network, and what is fine-tuned from it to match.

Numbers: salesforce/BLIP 056a169 configs/{pretrain,retrieval_coco,retrieval_flickr}.yaml for 8 cards; pre-training has the
paper's batches; files of Salesforce/blip-itm-*.
"""

from __future__ import annotations

from anyvlm.match import MatchSystem, Wording
from anyvlm.parts.catalog.blip import BLIP_B_16, BLIP_L_16, BLIP_MATCH, MED_DECODER, MED_TEXT
from anyvlm.parts.vision.vit import ViT
from anyvlm.system import Checkpoint, Stage
from anyvlm.weights.sources import Hub
from anyvlm.zoo.blip import ADDED, META, POLICY

BOUNDS = {"temperature": (0.001, 0.5)}


def _match(name: str, encoder: ViT, data: str, batch: int, lr: float) -> MatchSystem:
    source = Hub(repo=f"Salesforce/{name}")
    return MatchSystem(
        name=name, policy=POLICY, encoder=encoder, text=MED_TEXT, shared=256, tokenizer=source, added=ADDED,
        wording=Wording(alone="[CLS]", beside="[ENC]", written="[DEC]", end="[SEP]"),
        checkpoints=(Checkpoint(source=source, layouts=BLIP_MATCH),),
        stages=(Stage(
            name="match", train=("*",), data=(data,), losses={"contrast": 1.0, "match": 1.0}, bounds=BOUNDS, lr=lr,
            batch=batch, epochs=6, warmup=0.0, weight_decay=0.05, note="from the pre-trained network, with its temperature",
        ),),
        meta=META.but(summary="Says how well a picture and a text fit: `load(...).match(pictures, texts)`."),
    )  # fmt: skip


def _pretrained(name: str, fine: MatchSystem, batch: int, lr: float, file: str) -> MatchSystem:
    return fine.but(
        name=name, encoder__size=224, policy__size=(224, 224), captioner=MED_DECODER, temperature=0.07, checkpoints=(),
        stages=(Stage(
            name="pretrain", train=("*",), data=("COCO", "Visual Genome", "CC3M", "CC12M", "SBU", "LAION115M"),
            losses={"contrast": 1.0, "match": 1.0, "caption": 1.0}, bounds=BOUNDS, lr=lr, batch=batch, epochs=20,
            weight_decay=0.05,
            note="queues of 57,600, momentum 0.995, soft targets 0.4 from the end of epoch 2; the rate falls by 0.9 an epoch",
        ),),
        meta=META.but(summary=f"Pre-trained. {file} is on no hub: point checkpoints at it, in the layout BLIP_PRETRAINED."),
    )  # fmt: skip


BLIP_ITM_BASE_COCO = _match("blip-itm-base-coco", BLIP_B_16, "COCO captions", 256, 1e-5)
BLIP_ITM_BASE_FLICKR = _match("blip-itm-base-flickr", BLIP_B_16, "Flickr30k", 256, 1e-5)
BLIP_ITM_LARGE_COCO = _match("blip-itm-large-coco", BLIP_L_16, "COCO captions", 128, 5e-6)
BLIP_ITM_LARGE_FLICKR = _match("blip-itm-large-flickr", BLIP_L_16, "Flickr30k", 128, 5e-6)
BLIP_PRETRAINED_BASE = _pretrained("blip-pretrained-base", BLIP_ITM_BASE_COCO, 2880, 3e-4, "model_base_capfilt_large.pth")
BLIP_PRETRAINED_LARGE = _pretrained("blip-pretrained-large", BLIP_ITM_LARGE_COCO, 2400, 2e-4, "model_large.pth")
