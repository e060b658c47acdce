"""Sentence encoders and language models that read texts for towers: sizes and tensor names, and SAIL's heads.

Sources: config.json and remote code of Alibaba-NLP/gte-large-en-v1.5 and nvidia/NV-Embed-v2; lezhang7/SAIL b39de67
`model/sail_model.py`.
"""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Layout, Mount, Reshape, Rule, moved, rename
from anyvlm.parts.bert import PostNorm
from anyvlm.parts.catalog.llama import LLAMA_3_1_8B, LLAMA_3_2_1B, LLAMA_3_8B, LLAMA_HF, MISTRAL_7B, QWEN2_1_5B
from anyvlm.parts.decoder_text import reading
from anyvlm.parts.ffn import MLP
from anyvlm.parts.mpnet import MPNetText
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.rope import Ntk, Rope
from anyvlm.parts.turning_text import TurningText

GTE_LARGE = TurningText(
    vocab=30528, width=1024, depth=24, heads=16, context=8192, hidden=4096,
    rope=Rope(theta=160_000.0, scaling=Ntk(factor=2.0)),
)  # fmt: skip
"""gte-large-en-v1.5. Its table of turns is always the scaled one, for short texts too."""
MPNET_BASE = MPNetText(
    vocab=30527, width=768, depth=12, context=514,
    block=PostNorm(heads=12, ffn=MLP(hidden=3072), norm=LayerNorm(eps=1e-5)),
)  # fmt: skip
"""sentence-transformers/all-mpnet-base-v2."""
GTE_QWEN2_1_5B = reading(QWEN2_1_5B.but(vocab=151646, context=131072))
"""gte-Qwen2-1.5B-instruct, which sees in both directions and is read at the last token."""
NV_EMBED_V2 = reading(MISTRAL_7B.but(window=None, context=32768))
"""Mistral-7B-v0.1 that sees in both directions; without the window, which its texts of 1,024 tokens never reach."""
LLAMA_3_8B_TEXT, LLAMA_3_1_8B_TEXT, LLAMA_3_2_1B_TEXT = map(reading, (LLAMA_3_8B, LLAMA_3_1_8B, LLAMA_3_2_1B))

_TEXT = "towers.text.encoder."
_E, _B = "encoder.layer.{}.", "blocks.{}."
GTE = Keys(
    rules=(
        *rename({
            "embeddings.word_embeddings.": "embed.", "embeddings.token_type_embeddings.weight": "kind",
            "embeddings.LayerNorm.": "norm.", _E + "attention.qkv_proj.": _B + "qkv.", _E + "attention.o_proj.": _B + "o.",
            _E + "attn_ln.": _B + "norm1.", _E + "mlp.up_gate_proj.": _B + "up_gate.", _E + "mlp.down_proj.": _B + "down.",
            _E + "mlp_ln.": _B + "norm2.",
        }),
    ),
    ignore=("embeddings.position_ids", "pooler.*"),
)  # fmt: skip
"""The remote code's NewModel, which transformers writes for its GteModel too."""
GTE_LAYOUTS = tuple(
    Layout(name=name, mounts=(Mount(theirs=before, ours=_TEXT, keys=GTE),), ignore=("lm_head.*", "classifier.*"))
    for name, before in (("gte", ""), ("gte_masked", "new."))
)
_M = "encoder.layer.{}."
MPNET = Keys(
    rules=(
        *rename({
            "embeddings.word_embeddings.weight": "words.word.weight", "embeddings.position_embeddings.weight": "words.pos",
            "embeddings.LayerNorm.": "words.norm.", "encoder.relative_attention_bias.weight": "distances.weight",
            _M + "attention.attn.o.": _B + "attn.o.", _M + "attention.LayerNorm.": _B + "norm1.",
            _M + "intermediate.dense.": _B + "ffn.up.", _M + "output.dense.": _B + "ffn.down.",
            _M + "output.LayerNorm.": _B + "norm2.",
        }),
        Rule(
            theirs=tuple(f"{_M}attention.attn.{p}." for p in "qkv"), ours=(_B + "attn.qkv.",), ops=(Fuse(shares=(1, 1, 1)),),
        ),
    ),
    ignore=("embeddings.position_ids", "pooler.*"),
)  # fmt: skip
"""transformers' MPNetModel."""
MPNET_LAYOUTS = (Layout(name="mpnet", mounts=(Mount(theirs="", ours=_TEXT, keys=MPNET),)),)
DECODER = Keys(rules=moved(LLAMA_HF, "model.", "").rules, ignore=("lm_head.*", "*.rotary_emb.inv_freq"))
DECODER_LAYOUTS = tuple(
    Layout(name=name, mounts=(Mount(theirs=before, ours=_TEXT, keys=DECODER),), ignore=("lm_head.*",))
    for name, before in (("llama", ""), ("llama_lm", "model."))
)
"""transformers' LlamaModel, and a LlamaForCausalLM whose head is not read."""

_C = "cross_attend_blocks."
LATENT = Keys(
    rules=rename({
        "latents": "latents", _C + "0.norm.": "norm1.", _C + "0.norm_context.": "norm_latents.", _C + "0.fn.to_q.": "q.",
        _C + "0.fn.to_kv.": "kv.", _C + "0.fn.to_out.": "o.", _C + "1.norm.": "norm2.", _C + "1.fn.net.0.": "up_gate.",
        _C + "1.fn.net.2.": "down.",
    })
)  # fmt: skip
NV_EMBED_LAYOUTS = (
    Layout(
        name="nv_embed",
        mounts=(
            Mount(theirs="embedding_model.", ours=_TEXT, keys=DECODER),
            Mount(theirs="latent_attention_model.", ours="towers.text.pool.", keys=LATENT),
        ),
    ),
)

# Heads ----------------------------------------------------------------------------------------------------------------

_NUMBER = (Reshape(theirs=(1,), ours=()),)


def _star(side: str, ours: str) -> dict[str, str]:
    return {
        f"{side}_layer_norm.": f"{ours}norm.", f"{side}_mapping_network.f1.": f"{ours}gate.",
        f"{side}_mapping_network.f2.": f"{ours}up.", f"{side}_mapping_network.g.": f"{ours}down.",
    }  # fmt: skip


_SAIL = Keys(
    rules=(
        *rename(_star("vision", "towers.image.project.") | _star("text", "towers.text.project.")),
        Rule(theirs=("logit_scale",), ours=("contrasts.0.scale",), ops=_NUMBER),
        Rule(theirs=("logit_bias",), ours=("contrasts.0.bias",), ops=_NUMBER),
    )
)
SAIL_LAYOUTS = tuple(
    Layout(name=name, mounts=(Mount(theirs=before, ours="", keys=_SAIL),))
    for name, before in (("sail", ""), ("sail_parallel", "module."))
)
