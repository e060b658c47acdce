"""Aria (2410.05993): sizes of its tower and its decoder, and the names of its tensors."""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Layout, Mount, Rule, Split, moved, rename
from anyvlm.parts.catalog.clip import SIGLIP_HF, SIGLIP_SO400M_14_384
from anyvlm.parts.catalog.llama import LLAMA_HF
from anyvlm.parts.ffn import GLU
from anyvlm.parts.lm import Decoder
from anyvlm.parts.moe import MoE
from anyvlm.parts.norm import RMSNorm
from anyvlm.parts.rope import Rope
from anyvlm.parts.vision.bucketed import BucketedViT

ARIA_TOWER = BucketedViT(
    width=1152, depth=27, heads=16, patch=14, size=980, ffn=SIGLIP_SO400M_14_384.ffn, norm=SIGLIP_SO400M_14_384.norm,
    stem_bias=True, post_norm=False,
)  # fmt: skip
"""SigLIP-so400m/14 trained on at up to 980 pixels. Nothing follows its last block; files in transformers' names have a norm of
zeros there, which nobody reads."""

ARIA_LM = Decoder(
    vocab=100352, width=2560, depth=28, heads=20, kv_heads=20, context=65536, norm=RMSNorm(eps=1e-5),
    rope=Rope(theta=5_000_000.0),
    ffn=MoE(expert=GLU(hidden=1664), experts=64, top=6, shared=GLU(hidden=2 * 1664)),
)  # fmt: skip

_L, _B = "model.layers.{}.mlp.", "blocks.{}.ffn."


def _lm(experts: dict[str, str]) -> Keys:
    """`experts`: how the stacks are named."""
    return Keys(
        rules=(
            *rename(experts | {_L + "router.": _B + "router.", _L + "shared_experts.down_proj.": _B + "shared.down."}),
            Rule(
                theirs=(_L + "shared_experts.gate_proj.", _L + "shared_experts.up_proj."), ours=(_B + "shared.gate_up.",),
                ops=(Fuse(shares=(1, 1)),),
            ),
            *LLAMA_HF.rules,
        ),
        ties=LLAMA_HF.ties,
        ignore=LLAMA_HF.ignore,
    )  # fmt: skip


ARIA_HF = _lm({_L + "experts.fc1.weight": _B + "experts.gate_up", _L + "experts.fc2.weight": _B + "experts.down"})
"""AriaTextForCausalLM in files."""
_MODULE = _lm({_L + "experts.gate_up_proj": _B + "experts.gate_up", _L + "experts.down_proj": _B + "experts.down"})
"""The same in the memory of transformers 5."""

_TOWER = Keys(rules=SIGLIP_HF.rules, ignore=(*SIGLIP_HF.ignore, "post_layernorm.*"))
_A = "cross_attn."


def _projector(norm_out: str, norm: str, norm_rows: str, mlp: str) -> Keys:
    each = {f"{_A}{p}_proj.": f"attn.{p}1." for p in "qkv"}
    both = ("attn.q2.", "attn.k2.", "attn.v2.")
    return Keys(
        rules=(
            *rename(
                each
                | {
                    "query": "queries",
                    _A + "multihead_attn.out_proj.": "attn.o1.",
                    _A + "linear.": "attn.o2.",
                    _A + norm: "norm.",
                    _A + norm_rows: "norm_rows.",
                    norm_out: "norm_out.",
                    mlp + "linear_in.": "up.",
                    mlp + "linear_out.": "down.",
                }
            ),
            *(
                Rule(
                    theirs=(f"{_A}multihead_attn.in_proj_{leaf}",), ours=tuple(name + leaf for name in both),
                    ops=(Split(shares=(1, 1, 1)),),
                )
                for leaf in ("weight", "bias")
            ),
        )
    )  # fmt: skip


PROJECTOR_ARIA = _projector("layer_norm.", "layer_norm.", "layer_norm_kv.", "feed_forward.")
PROJECTOR_ORIGINAL = _projector("ln_ffn.", "layer_norm.", "ln_kv.", "ffn.")


def _layout(name: str, tower: str, above: str, projector: Keys, lm: Mount) -> Layout:
    return Layout(
        name=name,
        mounts=(
            Mount(theirs=f"{above}{tower}", ours="encoders.image.", keys=_TOWER),
            Mount(theirs=f"{above}multi_modal_projector.", ours="connectors.image.", keys=projector),
            lm,
        ),
    )


_NESTED = Mount(theirs="language_model.", ours="lm.", keys=ARIA_HF)
ARIA_LAYOUTS = (
    _layout("hf", "vision_tower.", "", PROJECTOR_ARIA, _NESTED),
    _layout("original", "vision_tower.vision_model.", "", PROJECTOR_ORIGINAL, _NESTED),
    _layout(
        "hf-module", "vision_tower.", "model.", PROJECTOR_ARIA,
        Mount(theirs="", ours="lm.", keys=moved(_MODULE, "model.", "model.language_model.")),
    ),
)  # fmt: skip
"""transformers' AriaForConditionalGeneration in files (we write no final norm of the tower: it holds nothing), the names of
rhymes-ai/Aria's own code, and transformers' state_dict."""
