"""The eyes of Qwen2-VL (2409.12191) and Qwen2.5-VL (2502.13923): sizes, tensor names, and how whole files name theirs."""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Layout, Mount, Reshape, Rule, moved, rename
from anyvlm.parts.catalog.llama import LLAMA_HF
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.parts.norm import LayerNorm, RMSNorm
from anyvlm.parts.vision.native import NativeViT

_B = "blocks.{}."

_RULES = (
    *rename({_B + same: _B + same for same in ("norm1.", "norm2.", "attn.qkv.")} | {_B + "attn.proj.": _B + "attn.o."}),
    Rule(
        theirs=("patch_embed.proj.weight",), ours=("stem.weight",),
        ops=(Reshape(theirs=("width", 3, "frames", "patch", "patch"), ours=("width", -1)),),
    ),
)  # fmt: skip

QWEN2_VL_HF = Keys(rules=(*_RULES, *rename({_B + "mlp.fc1.": _B + "ffn.up.", _B + "mlp.fc2.": _B + "ffn.down."})))
"""transformers' Qwen2VisionTransformerPretrainedModel without its merger."""

QWEN2_5_VL_HF = Keys(
    rules=(
        *_RULES,
        *rename({_B + "mlp.down_proj.": _B + "ffn.down."}),
        Rule(
            theirs=(_B + "mlp.gate_proj.", _B + "mlp.up_proj."), ours=(_B + "ffn.gate_up.",), ops=(Fuse(shares=(1, 1)),),
        ),
    )
)  # fmt: skip
"""transformers' Qwen2_5_VisionTransformerPretrainedModel without its merger."""

MERGER_HF = Keys(rules=rename({"ln_q.": "norm.", "mlp.0.": "up.", "mlp.2.": "down."}))


def qwen_vl(eye: Keys) -> tuple[Layout, ...]:
    """Layouts of Qwen2VLForConditionalGeneration and its successor: files (published, and of version 5), its state_dict."""

    def layout(name: str, visual: str, lm: Keys) -> Layout:
        return Layout(
            name=name,
            mounts=(
                Mount(theirs=visual, ours="encoders.image.", keys=eye),
                Mount(theirs=visual + "merger.", ours="connectors.image.", keys=MERGER_HF),
                Mount(theirs="", ours="lm.", keys=lm),
            ),
        )

    nested = moved(LLAMA_HF, "model.", "model.language_model.")
    return layout("hf", "visual.", LLAMA_HF), layout("hf-module", "model.visual.", nested)


QWEN2_VL_EYE = NativeViT(
    width=1280, depth=32, heads=16, patch=14, frames=2, ffn=MLP(hidden=5120, act="quick_gelu"), norm=LayerNorm(eps=1e-6),
)  # fmt: skip
"""The same 675 M parameters at every size."""

QWEN2_5_VL_EYE = QWEN2_VL_EYE.but(ffn=GLU(hidden=3420, bias=True), norm=RMSNorm(eps=1e-6), window=8, whole=(7, 15, 23, 31))
"""In 3B and 7B; the paper's table has hidden 3456, which is that of 32B and 72B."""
