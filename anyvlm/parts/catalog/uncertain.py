"""How FLAIR and ProLIP name their tensors: open_clip's names, and their own beside them.

Sources: ExplainableML/flair 0f9ce05 `src/flair/model.py`; naver-ai/prolip 59f6324 `src/prolip/model.py`.
"""

from __future__ import annotations

from anyvlm.keys import Keys, Layout, Mount, Rule, Split, Transpose, rename
from anyvlm.parts.catalog.towers import TEXT_OPEN, VIT_OPEN

_NUMBERS = rename({"logit_scale": "contrasts.0.scale", "logit_bias": "contrasts.0.bias"})


def _across(theirs: str, ours: str) -> Rule:
    return Rule(theirs=(theirs,), ours=(ours,), ops=(Transpose(),))


_SEEN = Keys(
    rules=(
        *(
            Rule(
                theirs=(f"attn.in_proj_{n}",), ours=tuple(f"{part}.{n}" for part in "qkv"), ops=(Split(shares=(1, 1, 1)),)
            )
            for n in ("weight", "bias")
        ),
        *rename({"attn.out_proj.": "o.", "ln_q.": "norm_q.", "ln_k.": "norm_k.", "ln_v.": "norm_v."}),
    )
)  # fmt: skip


def _flair(name: str, before: str) -> Layout:
    ends = (
        _across("image_post.proj", "towers.image.project.weight"), _across("text_post.proj", "towers.text.project.weight"),
        *_NUMBERS,
    )  # fmt: skip
    return Layout(
        name=name,
        mounts=(
            Mount(theirs=f"{before}visual.", ours="towers.image.encoder.", keys=VIT_OPEN),
            Mount(theirs=f"{before}visual_proj.", ours="contrasts.0.pool.", keys=_SEEN),
            Mount(theirs=before, ours="towers.text.encoder.", keys=TEXT_OPEN),
            Mount(theirs=before, ours="", keys=Keys(rules=ends)),
        ),
        ignore=(f"{before}visual.proj",),
    )


FLAIR_LAYOUTS = (_flair("flair", ""), _flair("flair_parallel", "module."))
"""`visual.proj` is made and never read. Files of a parallel run carry a prefix."""

PROLIP_LAYOUT = Layout(
    name="prolip",
    mounts=(
        Mount(
            theirs="visual.", ours="towers.image.encoder.",
            keys=Keys(rules=(*VIT_OPEN.rules, *rename({"unc_embedding": "unc"}))),
        ),
        Mount(
            theirs="visual.", ours="towers.image.",
            keys=Keys(rules=(_across("proj", "project.weight"), *rename({"uncertainty_proj.": "spread.map."}))),
        ),
        Mount(
            theirs="text.", ours="towers.text.encoder.",
            keys=Keys(rules=(*TEXT_OPEN.rules, *rename({"unc_emb": "unc", "cls_emb": "cls"}))),
        ),
        Mount(
            theirs="text.", ours="towers.text.",
            keys=Keys(rules=rename({"text_projection.": "project.", "text_uncertainty_projection.": "spread.map."})),
        ),
        Mount(theirs="", ours="", keys=Keys(rules=_NUMBERS)),
    ),
)  # fmt: skip
