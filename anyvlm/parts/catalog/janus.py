"""Janus (2410.13848) and Janus-Pro (2501.17811): sizes and tensor names.

Sources: deepseek-ai/Janus `janus/models`, transformers `modeling_janus.py` and its conversion script.
"""

from __future__ import annotations

from anyvlm.keys import Keys, Layout, Mount, Reshape, Rule, moved, rename
from anyvlm.parts.catalog.clip import SIGLIP_HF, SIGLIP_L_16_384
from anyvlm.parts.catalog.layouts import PROJECTOR_MLP
from anyvlm.parts.catalog.llama import LLAMA_7B, LLAMA_HF
from anyvlm.parts.catalog.vqgan import VQGAN_HF, VQGAN_LLAMAGEN

DEEPSEEK_LLM_7B = LLAMA_7B.but(vocab=102400, depth=30, context=16384)
"""DeepSeek-LLM (2401.02954) as Janus-Pro-7B has it; trained with sequences of 4,096."""
DEEPSEEK_LLM_1_3B = DEEPSEEK_LLM_7B.but(width=2048, depth=24, heads=16, kv_heads=16, ffn__hidden=5632)

JANUS_SIGLIP = SIGLIP_L_16_384.but(ffn__act="gelu")
"""SigLIP run by timm's code, whose activation is the exact one."""

_PROJECTION = rename({"encoder.layers.{}.self_attn.projection_layer.": "blocks.{}.attn.o."})
_ALIGNER = Keys(rules=rename({"fc1.": "layers.0.", "hidden_layers.0.": "layers.1."}))
_TABLES = {
    "generation_embeddings.": "book.",
    "generation_head.proj_out.": "head.up.",
    "generation_head.vision_head.": "head.down.",
}

JANUS_HF = Layout(
    name="hf",
    mounts=(
        Mount(theirs="model.vision_model.", ours="encoders.image.", keys=SIGLIP_HF.but(rules=(*_PROJECTION, *SIGLIP_HF.rules))),
        Mount(theirs="model.aligner.", ours="connectors.image.", keys=_ALIGNER),
        Mount(theirs="model.vqmodel.", ours="painter.coder.", keys=VQGAN_HF),
        Mount(theirs="model.generation_aligner.", ours="painter.aligner.", keys=_ALIGNER),
        Mount(theirs="model.", ours="painter.", keys=Keys(rules=rename(_TABLES))),
        Mount(theirs="", ours="lm.", keys=moved(LLAMA_HF, "model.", "model.language_model.")),
    ),
)
"""transformers' JanusForConditionalGeneration."""

_T = "blocks.{}."
_TIMM = Keys(
    rules=(
        Rule(theirs=("pos_embed",), ours=("pos",), ops=(Reshape(theirs=(1, -1, "width"), ours=(-1, "width")),)),
        Rule(
            theirs=("patch_embed.proj.weight",), ours=("stem.weight",),
            ops=(Reshape(theirs=("width", 3, "patch", "patch"), ours=("width", -1)),),
        ),
        *rename(
            {
                "patch_embed.proj.bias": "stem.bias",
                "norm.": "norm.",
                _T + "norm1.": _T + "norm1.",
                _T + "norm2.": _T + "norm2.",
                _T + "attn.qkv.": _T + "attn.qkv.",
                _T + "attn.proj.": _T + "attn.o.",
                _T + "mlp.fc1.": _T + "ffn.up.",
                _T + "mlp.fc2.": _T + "ffn.down.",
            }
        ),
    ),
    ignore=("attn_pool.*",),
)  # fmt: skip
_HEAD = {"gen_embed.": "book.", "gen_head.output_mlp_projector.": "head.up.", "gen_head.vision_head.": "head.down."}

JANUS_ORIGINAL = Layout(
    name="deepseek",
    mounts=(
        Mount(theirs="vision_model.vision_tower.", ours="encoders.image.", keys=_TIMM),
        Mount(theirs="aligner.layers.", ours="connectors.image.", keys=PROJECTOR_MLP),
        Mount(theirs="gen_vision_model.", ours="painter.coder.", keys=VQGAN_LLAMAGEN),
        Mount(theirs="gen_aligner.layers.", ours="painter.aligner.", keys=PROJECTOR_MLP),
        Mount(theirs="", ours="painter.", keys=Keys(rules=rename(_HEAD))),
        Mount(theirs="language_model.", ours="lm.", keys=LLAMA_HF),
    ),
)
"""deepseek-ai/Janus, in which deepseek-ai/Janus-{1.3B,Pro-1B,Pro-7B} are published."""
