"""VideoCLIP (2109.14084): features of S3D, one row a second, beside texts, both read by BERT.

Numbers: facebookresearch/fairseq 3d262bb examples/MMPT projects/retri/{videoretri,videoclip}.yaml. Its file is a direct link,
not a repository: https://dl.fbaipublicfiles.com/MMPT/retri/videoclip/checkpoint_best.pt, whose "model" is to be saved alone, as
fairseq keeps its settings beside it as objects. S3D (antoine77340/S3D_HowTo100M) is not built here: features are given.
"""

from __future__ import annotations

from anyvlm.contrasts import Dot
from anyvlm.dual import DualSystem, SignalTower, TextTower
from anyvlm.inputs.signal import Rows
from anyvlm.inputs.text import TextPolicy
from anyvlm.parts.catalog.videoclip import VIDEOCLIP_LAYOUT, VIDEOCLIP_TEXT, VIDEOCLIP_VIDEO
from anyvlm.parts.pool import Rest
from anyvlm.system import Checkpoint, Meta, Stage
from anyvlm.weights.sources import Directory, Hub

VIDEOCLIP = DualSystem(
    name="videoclip",
    towers={
        "video": SignalTower(policy=Rows(width=512, most=32), encoder=VIDEOCLIP_VIDEO, pool=Rest()),
        "text": TextTower(
            # 96 tokens for both, less 32 of the video and the [SEP] behind it
            policy=TextPolicy(context=63, first="[CLS]", last="[SEP]", pad="[PAD]", prompt="{}"), encoder=VIDEOCLIP_TEXT,
            pool=Rest(),
        ),
    },
    shared=768,
    unit=False,
    contrasts=(Dot(a="video"),),
    tokenizer=Hub(repo="google-bert/bert-base-uncased"),
    checkpoints=(Checkpoint(source=Directory(path="checkpoint_best.pt"), layouts=(VIDEOCLIP_LAYOUT,)),),
    stages=(
        Stage(
            name="contrast", train=("towers.*",), losses={"video-text": 1.0}, data=("HowTo100M",), lr=5e-5, batch=512,
            epochs=25, schedule="linear", warmup=0.001,
            note="32 videos of 16 pairs that overlap in time, neighbours by their vectors (`data.overlap`); Adam 0.9, 0.98, "
            "clip 2; the rate would reach 0 after a million steps; the towers begin as BERT-base, the video's with 6 layers",
        ),
    ),
    meta=Meta(
        paper="2109.14084", year=2021, license="CC-BY-NC", family="videoclip", row="videoclip",
        summary="Videos as rows of S3D beside texts; likeness is the product of their vectors.",
    ),
)  # fmt: skip
