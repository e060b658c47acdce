"""The first Qwen (2309.16609), tuned for chat. Its repository has no tokenizer.json; that of Qwen1.5 holds the same tokens."""

from __future__ import annotations

from anyvlm.inputs.templates import QWEN2
from anyvlm.keys import Layout, Mount
from anyvlm.parts.catalog.qwen import QWEN_1_8B as LM
from anyvlm.parts.catalog.qwen import QWEN_ORIGINAL
from anyvlm.system import Checkpoint, Meta, System
from anyvlm.weights.sources import Hub

ORIGINAL = Layout(name="qwen", mounts=(Mount(theirs="", ours="lm.", keys=QWEN_ORIGINAL),))

QWEN_1_8B_CHAT = System(
    name="qwen-1.8b-chat",
    lm=LM,
    streams={},
    template=QWEN2,
    tokenizer=Hub(repo="Qwen/Qwen1.5-1.8B-Chat"),
    checkpoints=(Checkpoint(source=Hub(repo="Qwen/Qwen-1_8B-Chat"), layouts=(ORIGINAL,)),),
    meta=Meta(
        paper="2309.16609", year=2023, license="Tongyi Qianwen research", family="qwen", row="", summary="Qwen-1.8B-Chat.",
    ),
)  # fmt: skip
