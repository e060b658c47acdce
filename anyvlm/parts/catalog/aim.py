"""AIM (2401.08541): sizes, and the names of tensors in the authors' files.

Source: apple/ml-aim bd9e068 `aim-v1/aim/v1/torch/{models,layers}.py`.
"""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Layout, Mount, Reshape, Rule, rename
from anyvlm.parts.ffn import MLP
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.aim import NativeAimViT

AIM_600M = NativeAimViT(
    width=1536, depth=24, heads=12, patch=14, ffn=MLP(hidden=6144, bias=False), norm=LayerNorm(eps=1e-6), averaged=True,
    layers=(15, 16, 17, 18, 19, 20),
)  # fmt: skip
"""`layers`: of each size those whose mean the authors' best probe reads; with (-6, -5, -4, -3, -2, -1) that of "last"."""
AIM_1B = AIM_600M.but(width=2048, heads=16, ffn__hidden=8192, layers=(13, 14, 15, 16, 17, 18))
AIM_3B = AIM_1B.but(width=3072, heads=24, ffn__hidden=12288)
AIM_7B = AIM_600M.but(width=4096, depth=32, heads=32, ffn__hidden=16384)

_B, _T = "blocks.{}.", "trunk.blocks.{}."
AIM_OWN = Keys(
    rules=(
        *rename({
            _T + "attn.qkv.": _B + "attn.qkv.", _T + "attn.proj.": _B + "attn.o.", _T + "norm_1.": _B + "norm1.",
            _T + "norm_2.": _B + "norm2.", _T + "mlp.fc1.": _B + "ffn.up.", _T + "mlp.fc2.": _B + "ffn.down.",
            "trunk.post_trunk_norm.": "norm.", "preprocessor.patchifier.norm.": "norm_pre.",
            "preprocessor.patchifier.proj.bias": "stem.bias",
        }),
        Rule(
            theirs=("preprocessor.patchifier.proj.weight",), ours=("stem.weight",),
            ops=(Reshape(theirs=("width", 3, "patch", "patch"), ours=("width", -1)),),
        ),
    )
)  # fmt: skip
_PROBE = Keys(
    rules=(
        Rule(theirs=("cls_token",), ours=("pool.probe",), ops=(Reshape(theirs=(1, 1, -1), ours=(-1,)),)),
        Rule(theirs=("k.", "v."), ours=("pool.kv.",), ops=(Fuse(shares=(1, 1)),)),
        *rename({"bn.running_mean": "pool.mean", "bn.running_var": "pool.var", "linear.": "head."}),
    ),
    ignore=("bn.num_batches_tracked",),
)
AIM_EYE = (Layout(name="aim", mounts=(Mount(theirs="", ours="", keys=AIM_OWN),), ignore=("head.*",)),)
"""Of the encoder alone; the authors' two files, of encoder and probe, are one in their repositories on the hub."""
AIM_PROBE = (
    Layout(
        name="aim",
        mounts=(Mount(theirs="", ours="encoder.", keys=AIM_OWN), Mount(theirs="head.", ours="lesson.", keys=_PROBE)),
    ),
)
"""Of encoder and probe."""
