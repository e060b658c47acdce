"""How Alpha-CLIP's files name their tensors: openai/CLIP's names but for attention in the vision tower, and alpha's stem.

Source: SunzeY/AlphaCLIP e5676c9 `alpha_clip/model.py`. Its published files hold the vision tower alone.
"""

from __future__ import annotations

from anyvlm.keys import Keys, Layout, Mount, Reshape, Rule, Transpose, rename
from anyvlm.parts.catalog.towers import TEXT_HF, TEXT_OPEN, VIT_OPEN

_ATTN = "transformer.resblocks.{}.attn.in_proj"
ALPHA_EYE = Keys(
    rules=(
        *(rule for rule in VIT_OPEN.rules if rule.theirs[0] not in (f"{_ATTN}_weight", f"{_ATTN}_bias", "conv1.weight")),
        *rename({f"{_ATTN}.": "blocks.{}.attn.qkv."}),
        Rule(
            theirs=("conv1.weight",), ours=("stem.rgb.weight",),
            ops=(Reshape(theirs=("width", 3, "patch", "patch"), ours=("width", -1)),),
        ),
        Rule(
            theirs=("conv1_alpha.weight",), ours=("stem.alpha.weight",),
            ops=(Reshape(theirs=("width", 1, "patch", "patch"), ours=("width", -1)),),
        ),
    )
)  # fmt: skip
_IMAGE = Rule(theirs=("proj",), ours=("project.weight",), ops=(Transpose(),))
_TEXT = Rule(theirs=("text_projection",), ours=("towers.text.project.weight",), ops=(Transpose(),))
_SCALE = rename({"logit_scale": "contrasts.0.scale"})
ALPHA_WHOLE = Layout(
    name="alpha_clip",
    mounts=(
        Mount(theirs="visual.", ours="towers.image.encoder.", keys=ALPHA_EYE),
        Mount(theirs="visual.", ours="towers.image.", keys=Keys(rules=(_IMAGE,))),
        Mount(theirs="", ours="towers.text.encoder.", keys=TEXT_OPEN),
        Mount(theirs="", ours="", keys=Keys(rules=(_TEXT, *_SCALE))),
    ),
    ignore=("input_resolution", "context_length", "vocab_size"),
)
ALPHA_VISUAL = Layout(
    name="visual",
    mounts=(
        Mount(theirs="", ours="towers.image.encoder.", keys=ALPHA_EYE),
        Mount(theirs="", ours="towers.image.", keys=Keys(rules=(_IMAGE,))),
    ),
)
CLIP_TEXT_ONLY = Layout(
    name="text",
    mounts=(
        Mount(theirs="text_model.", ours="towers.text.encoder.", keys=TEXT_HF),
        Mount(theirs="", ours="towers.text.", keys=Keys(rules=rename({"text_projection.": "project."}))),
        Mount(theirs="", ours="contrasts.0.", keys=Keys(rules=rename({"logit_scale": "scale"}))),
    ),
    ignore=("vision_model.*", "visual_projection.*"),
)
"""What remains of transformers' CLIPModel beside another vision tower."""
