"""GLIP (2112.03857): detection as grounding; places of a picture and tokens of a text read each other, and are compared.

Numbers: microsoft/GLIP 9dda955 `configs/pretrain/glip_{Swin_T_O365_GoldG,Swin_L}.yaml`, `config/defaults.py`. The heads of
boxes, centres and their suppression come later: here are the logits of every place and token.
"""

from __future__ import annotations

from anyvlm.ground import GroundSystem
from anyvlm.inputs.shortest import Shortest
from anyvlm.inputs.text import TextPolicy
from anyvlm.parts.bifusion import BiFusion
from anyvlm.parts.catalog.glip import BERT_BASE, SWIN_L, SWIN_T, glip_layouts
from anyvlm.parts.connect.fpn import Pyramid
from anyvlm.parts.deformable import DyHead
from anyvlm.parts.vision.swin import Swin
from anyvlm.system import Checkpoint, Meta, Stage
from anyvlm.weights.sources import Directory, Hub

PIXELS = Shortest(
    short=800, longest=1333, nearest=False, bgr=True, rescale=1.0, mean=(103.53, 116.28, 123.675), std=(57.375, 57.12, 58.395)
)
WORDS = TextPolicy(context=256, first="[CLS]", last="[SEP]", pad="[PAD]", fill=True)


def _glip(name: str, eye: Swin, depth: int, file: str, data: tuple[str, ...], decay: float, epochs: int | None) -> GroundSystem:
    return GroundSystem(
        name=name, policy=PIXELS, encoder=eye, pyramid=Pyramid(), words=WORDS, text=BERT_BASE, depth=depth,
        fusion=BiFusion(start=1 / depth), head=DyHead(), tokenizer=Hub(repo="google-bert/bert-base-uncased"),
        checkpoints=(Checkpoint(source=Directory(path=file), layouts=glip_layouts(depth)),),
        stages=(Stage(
            name="ground", train=("*",), data=data, losses={"tokens": 1.0}, lr=1e-4, rates={"text.*": 1e-5}, batch=64,
            epochs=epochs, weight_decay=decay,
            note="focal loss of tokens (0.25, 2); beside it the losses of boxes, which come later; average of weights 0.999",
        ),),
        meta=Meta(
            paper="2112.03857", year=2021, license="MIT", family="glip", row="glip",
            summary=f"{file}: how well every place fits every token; the box head comes later.",
        ),
    )  # fmt: skip


GLIP_T = _glip(
    "glip-t", SWIN_T, 6, "glip_tiny_model_o365_goldg.pth", ("Objects365", "GoldG without COCO", "Flickr30k"), 1e-4, 30
)
GLIP_L = _glip(
    "glip-l", SWIN_L, 8, "glip_large_model.pth",
    ("Objects365", "GoldG without COCO", "Open Images", "Visual Genome", "ImageNet boxes", "captions"), 1e-2, None,
)  # fmt: skip
