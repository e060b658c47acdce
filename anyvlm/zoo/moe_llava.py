"""MoE-LLaVA (2401.15947): LLaVA-1.5 on small language models; then every second feed-forward layer becomes four experts.

Numbers: PKU-YuanGroup/MoE-LLaVA 6cb5f66 scripts/v1/{phi2,qwen,stablelm}/*.sh (8 GPUs), moellava/train/train.py. Its towers drop
the first row, which of SigLIP is a patch: 728 of 729 arrive at 384 pixels. Experts begin as copies (train/upcycle.py).
"""

from __future__ import annotations

from anyvlm.inputs.policy import CLIP_FILL, HALF, ImagePolicy
from anyvlm.inputs.templates import MOE_LLAVA
from anyvlm.keys import Keys, Rule
from anyvlm.parts.catalog.clip import CLIP_HF, CLIP_L_14_336, SIGLIP_HF, SIGLIP_SO400M_14_384
from anyvlm.parts.catalog.layouts import vision_hf
from anyvlm.parts.catalog.moe_llava import gated_experts, moe_llava, plain_experts
from anyvlm.parts.catalog.phi import PHI_2, PHI_HF
from anyvlm.parts.catalog.qwen import QWEN_1_8B, QWEN_ORIGINAL
from anyvlm.parts.catalog.stablelm import STABLELM_2_1_6B, STABLELM_HF
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.parts.gshard import GShard
from anyvlm.parts.lm import Decoder, Swap
from anyvlm.parts.vision.vit import ViT
from anyvlm.system import Checkpoint, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

EYES: dict[int, tuple[ViT, ImagePolicy, Keys, str]] = {
    336: (
        CLIP_L_14_336.but(layers=(-2,)), ImagePolicy(size=(336, 336), fit="pad", fill=CLIP_FILL), CLIP_HF,
        "openai/clip-vit-large-patch14-336",
    ),
    384: (
        SIGLIP_SO400M_14_384.but(layers=(-2,), skip=1),
        ImagePolicy(size=(384, 384), fit="pad", fill=(127, 127, 127), mean=HALF, std=HALF), SIGLIP_HF,
        "google/siglip-so400m-patch14-384",
    ),
}  # fmt: skip
"""By the size of pictures: tower, preprocessing, key table and repository."""

_ALL = ("connectors.*", "lm.*")
STAGES = (
    Stage(name="align", train=("connectors.*",), data=("LCS-558K",), lr=1e-3, batch=256, epochs=1, context=2048),
    Stage(
        name="tune", train=_ALL, data=("MIMIC-IT-256k", "LRV-331k", "LVIS-220k", "SViT-157k", "text"), lr=2e-5, batch=128,
        epochs=1, context=2048, note="still dense: the same system without `lm.swaps`",
    ),
    Stage(
        name="experts", train=("connectors.*", "lm.blocks.*.ffn.*"), data=("mix665k", "text"), lr=2e-5, batch=128, epochs=1,
        context=2048, losses={"next_token": 1.0, "balance_first": 0.01}, note="all feed-forward layers, dense ones too",
    ),
)  # fmt: skip


def _system(
    name: str, lm: Decoder, size: int, tokenizer: str, keys: tuple[Keys, tuple[Rule, ...], str], license: str
) -> System:
    """`keys`: the table of the language model, the rules of its experts, and what stands above LLaVA's own parts."""
    assert isinstance(lm.ffn, (GLU, MLP))
    experts = GShard(expert=lm.ffn, experts=4, capacity=1.5, eval_capacity=2.0)
    encoder, policy, eye, tower = EYES[size]
    table, rules, above = keys
    return System(
        name=f"moe-llava-{name.lower()}",
        lm=lm.but(swaps=(Swap(layers=tuple(range(0, lm.depth, 2)), ffn=experts),), head_bias=False),
        streams={"image": Stream(policy=policy, encoder=encoder, connector=Projector(depth=2))},
        template=MOE_LLAVA,
        tokenizer=Hub(repo=tokenizer),
        checkpoints=(
            Checkpoint(source=Hub(repo=f"LanguageBind/MoE-LLaVA-{name}"), layouts=(moe_llava(table, rules, eye, above),)),
            Checkpoint(source=Hub(repo=tower), layouts=vision_hf(eye, "encoders.image."), fallback=True),
        ),
        stages=STAGES,
        meta=Meta(
            paper="2401.15947", year=2024, license=license, family="llava", row="moe-llava",
            summary="LLaVA whose every second feed-forward layer is four experts, two of them for each token.",
        ),
    )  # fmt: skip


_STABLELM = (STABLELM_HF, gated_experts("model.layers.{}.", "gate_proj", "up_proj", "down_proj"), "model.")
_PHI = (PHI_HF, plain_experts("model.layers.{}.", "fc1", "fc2"), "model.")
_QWEN = (QWEN_ORIGINAL, gated_experts("transformer.h.{}.", "w2", "w1", "c_proj"), "transformer.")
_S, _P, _Q = "stabilityai/stablelm-2-1_6b", "microsoft/phi-2", "Qwen/Qwen1.5-1.8B"  # Qwen's own has no tokenizer.json
_FREE, _SLM, _TONGYI = "Apache-2.0 (Phi-2: MIT)", "Stability AI non-commercial", "Tongyi Qianwen"

MOE_LLAVA_STABLELM = _system("StableLM-1.6B-4e", STABLELM_2_1_6B, 336, _S, _STABLELM, _SLM)
MOE_LLAVA_STABLELM_384 = _system("StableLM-1.6B-4e-384", STABLELM_2_1_6B, 384, _S, _STABLELM, _SLM)
MOE_LLAVA_QWEN = _system("Qwen-1.8B-4e", QWEN_1_8B, 336, _Q, _QWEN, _TONGYI)
MOE_LLAVA_PHI2 = _system("Phi2-2.7B-4e", PHI_2, 336, _P, _PHI, _FREE)
MOE_LLAVA_PHI2_384 = _system("Phi2-2.7B-4e-384", PHI_2, 384, _P, _PHI, _FREE)
