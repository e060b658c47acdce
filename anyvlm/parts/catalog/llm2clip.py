"""LLM2CLIP's files (2411.04997): a vision tower, and an adapter behind a frozen language model.

Sources: microsoft/LLM2CLIP cba3b45 `llm2clip/eva_clip/{model,eva_vit_model,timm_model}.py`. The layout "hf" is of the published
repositories, whose remote code is not at hand: the name of the adapter in it is a guess.
"""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Layout, Mount, Reshape, Rule, Transpose, rename
from anyvlm.parts.catalog.clip import CLIP_HF
from anyvlm.parts.catalog.timm import FRONT, VIT_TIMM
from anyvlm.parts.catalog.towers import VIT_OPEN

_EYE, _POOL, _B = "towers.image.encoder.", "towers.image.pool.", "blocks.{}."
ADAPTER = Keys(
    rules=rename(
        {
            f"{block}.{theirs}.": f"blocks.{block}.{ours}."
            for block in range(4)
            for theirs, ours in (("ln", "norm"), ("fn.0", "up"), ("fn.3", "down"))
        }
        | {"4.": "norm.", "5.": "map."}
    )
)
"""TextProj."""

EVA_OWN = Keys(
    rules=(
        *rename({
            _B + "norm1.": _B + "norm1.", _B + "norm2.": _B + "norm2.", _B + "attn.proj.": _B + "attn.o.",
            _B + "attn.inner_attn_ln.": _B + "attn.norm.", _B + "attn.q_proj.bias": _B + "attn.bias_q",
            _B + "attn.v_proj.bias": _B + "attn.bias_v", _B + "mlp.ffn_ln.": _B + "ffn.norm.", _B + "mlp.w3.": _B + "ffn.down.",
            "patch_embed.proj.bias": "stem.bias", "norm.": "norm.",
        }),
        Rule(
            theirs=tuple(f"{_B}attn.{p}_proj.weight" for p in "qkv"), ours=(_B + "attn.qkv.weight",),
            ops=(Fuse(shares=(1, 1, 1)),),
        ),
        Rule(theirs=(_B + "mlp.w1.", _B + "mlp.w2."), ours=(_B + "ffn.gate_up.",), ops=(Fuse(shares=(1, 1)),)),
        *FRONT,
    ),
    ignore=("*rope.freqs_*",),
)  # fmt: skip
"""EVA-02's tower in the authors' own code."""

_SIGLIP = Keys(
    rules=tuple(rule for rule in VIT_TIMM.rules if rule.ours not in (("cls",), ("pos",)))
    + (Rule(theirs=("pos_embed",), ours=("pos",), ops=(Reshape(theirs=(1, -1, "width"), ours=(-1, "width")),)),)
)
_PROBE = Keys(
    rules=(
        Rule(theirs=("latent",), ours=("probe",), ops=(Reshape(theirs=(1, 1, -1), ours=(-1,)),)),
        *rename({
            "q.": "attn.q.", "kv.": "attn.kv.", "proj.": "attn.o.", "norm.": "norm.", "mlp.fc1.": "ffn.up.",
            "mlp.fc2.": "ffn.down.",
        }),
    )
)  # fmt: skip
"""timm's SigLIP, and its AttentionPoolLatent."""

_SCALE = rename({"logit_scale": "contrasts.0.scale"})
_VIT = Keys(rules=(Rule(theirs=("visual.proj",), ours=("towers.image.project.weight",), ops=(Transpose(),)), *_SCALE))
_EVA = Keys(rules=(*rename({"visual.head.": "towers.image.project."}), *_SCALE))
_HF = Keys(rules=(*rename({"visual_projection.": "towers.image.project."}), *_SCALE))


def _layout(name: str, ends: Keys, *eye: Mount, adapter: str = "text.text_adaptor.", ignore: tuple[str, ...] = ()) -> Layout:
    head = Mount(theirs=adapter, ours="towers.text.project.", keys=ADAPTER)
    return Layout(name=name, mounts=(*eye, head, Mount(theirs="", ours="", keys=ends)), ignore=ignore)


LLM2CLIP_VIT = (
    _layout("hf", _HF, Mount(theirs="vision_model.", ours=_EYE, keys=CLIP_HF), adapter="text_adapter.text_adaptor."),
    _layout("eva_clip", _VIT, Mount(theirs="visual.", ours=_EYE, keys=VIT_OPEN)),
)
LLM2CLIP_EVA = (_layout("eva_clip", _EVA, Mount(theirs="visual.", ours=_EYE, keys=EVA_OWN)),)
LLM2CLIP_SIGLIP = (
    _layout(
        "eva_clip", Keys(rules=_SCALE), Mount(theirs="visual.trunk.", ours=_EYE, keys=_SIGLIP),
        Mount(theirs="visual.trunk.attn_pool.", ours=_POOL, keys=_PROBE), adapter="text.text_proj.text_adaptor.",
        ignore=("text.text.*",),  # the language model, which is read from its own files
    ),
)  # fmt: skip
"""The last has the language model in front of the adapter while it is trained."""
