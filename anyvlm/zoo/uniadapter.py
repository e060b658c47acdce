"""UniAdapter (2302.06605): BLIP, frozen, learns to match by layers beside its blocks that pictures and texts share.

Numbers: RERV/UniAdapter 796c124 `configs/retrieval_{coco,flickr}.yaml` for 8 cards, `train_retrieval.py`. Its configs begin
from BLIP fine-tuned on questions; no trained adapters are published.
"""

from __future__ import annotations

from anyvlm.match import MatchSystem
from anyvlm.parts.adapted import AdaptedPostNorm, AdaptedViT, UniAdapter
from anyvlm.parts.catalog.blip import BLIP_B_16, MED_TEXT
from anyvlm.parts.catalog.uniadapter import UNDER_UNIADAPTER, UNIADAPTER
from anyvlm.system import Checkpoint, Stage
from anyvlm.weights.sources import Hub
from anyvlm.zoo.blip_match import BLIP_ITM_BASE_COCO

ADAPTER = UniAdapter()
EYE, BLOCK = BLIP_B_16, MED_TEXT.block
NEW = ("encoder.blocks.*.adapter.*", "text.blocks.*.cross.key.*", "text.blocks.*.cross.value.*", "to_shared.*", "judge.*")


def _uniadapter(name: str, data: str) -> MatchSystem:
    source = Hub(repo="Salesforce/blip-vqa-capfilt-large")
    return BLIP_ITM_BASE_COCO.but(
        name=name, temperature=0.07,
        encoder=AdaptedViT(
            width=EYE.width, depth=EYE.depth, heads=EYE.heads, patch=EYE.patch, size=EYE.size, ffn=EYE.ffn, norm=EYE.norm,
            keep_cls=True, stem_bias=True, adapter=ADAPTER,
        ),
        text__block=AdaptedPostNorm(heads=BLOCK.heads, ffn=BLOCK.ffn, norm=BLOCK.norm, adapter=ADAPTER), tokenizer=source,
        checkpoints=(Checkpoint(source=source, layouts=(UNDER_UNIADAPTER, UNIADAPTER)),), fresh=(*NEW, "temperature"),
        stages=(Stage(
            name="adapt", train=NEW, data=(data,), losses={"contrast": 1.0, "match": 1.0}, lr=1e-5, batch=256, epochs=6,
            warmup=0.0, weight_decay=0.05, note="queues of 57,600, momentum 0.995, soft targets 0.4; the temperature stays",
        ),),
        meta__paper="2302.06605", meta__year=2023, meta__family="uniadapter", meta__row="uniadapter",
        meta__summary="Adapters that are untrained until you train them; says how well a picture and a text fit.",
    )  # fmt: skip


UNIADAPTER_COCO = _uniadapter("uniadapter-blip-base-coco", "COCO captions")
UNIADAPTER_FLICKR = _uniadapter("uniadapter-blip-base-flickr", "Flickr30k")
