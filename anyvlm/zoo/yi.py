"""Yi (2403.04652), chat models."""

from __future__ import annotations

from anyvlm.inputs.templates import QWEN2
from anyvlm.parts.catalog.layouts import lm_hf
from anyvlm.parts.catalog.llama import LLAMA_HF, YI_6B, YI_34B
from anyvlm.system import Checkpoint, Meta, System
from anyvlm.weights.sources import Hub

YI_6B_CHAT = System(
    name="yi-6b-chat",
    lm=YI_6B,
    streams={},
    template=QWEN2.but(system=""),
    tokenizer=Hub(repo="01-ai/Yi-6B-Chat"),
    checkpoints=(Checkpoint(source=Hub(repo="01-ai/Yi-6B-Chat"), layouts=(lm_hf(LLAMA_HF),)),),
    meta=Meta(paper="2403.04652", year=2023, license="Apache-2.0", family="llama", row="", summary="Yi-6B-Chat."),
)
YI_34B_CHAT = YI_6B_CHAT.but(
    name="yi-34b-chat",
    lm=YI_34B,
    tokenizer=Hub(repo="01-ai/Yi-34B-Chat"),
    checkpoints=(Checkpoint(source=Hub(repo="01-ai/Yi-34B-Chat"), layouts=(lm_hf(LLAMA_HF),)),),
    meta__summary="Yi-34B-Chat.",
)
