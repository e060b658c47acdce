"""UniAdapter's files (2302.06605): what it adds to BLIP. Source: RERV/UniAdapter 796c124 `models/blip_retrieval.py`."""

from __future__ import annotations

from anyvlm.keys import Keys, Layout, Mount, rename
from anyvlm.parts.catalog.blip import BLIP_EYE_HF, BLIP_EYE_TIMM, MATCH_KEYS, MED_TEXT_KEYS

_A, _O = "adapters.{}.", "encoder.blocks.{}.adapter."
ADAPTER_KEYS = Keys(
    rules=rename({
        _A + "adapter_layer_norm_before.": _O + "norm.", _A + "adapter_layer_norm_cross_modal.": _O + "norm_both.",
        _A + "down_proj.": _O + "down.", _A + "up_proj.": _O + "text.", _A + "visual_up_proj.": _O + "image.",
        _A + "multi_up_proj.": _O + "both.",
        **{
            f"text_encoder.encoder.video_{name}_adapter.{their}": f"text.blocks.0.cross.{name}.{our}"
            for name in ("key", "value")
            for their, our in (("down_proj.", "down."), ("up_proj.", "up."), ("scale", "scale"))
        },
    })
)  # fmt: skip

_COPIES = ("visual_encoder.adapters.*", "*.blocks.*.adapter.*", "*.layer.*.adapter.*")  # each adapter under three names
_MOMENTUM = ("*_m.*", "*_queue", "ptr_queue")
UNIADAPTER = Layout(
    name="uniadapter", ignore=(*_COPIES, *_MOMENTUM),
    mounts=(
        Mount(theirs="visual_encoder.", ours="encoder.", keys=BLIP_EYE_TIMM),
        Mount(theirs="text_encoder.", ours="text.", keys=MED_TEXT_KEYS), Mount(theirs="", ours="", keys=MATCH_KEYS),
        Mount(theirs="", ours="", keys=ADAPTER_KEYS),
    ),
)  # fmt: skip
"""What training saves."""

UNDER_UNIADAPTER = Layout(
    name="hf", ignore=("text_decoder.*",),
    mounts=(
        Mount(theirs="vision_model.", ours="encoder.", keys=BLIP_EYE_HF),
        Mount(theirs="text_encoder.", ours="text.", keys=MED_TEXT_KEYS),
    ),
)  # fmt: skip
"""transformers' BlipForQuestionAnswering, of which training begins: both encoders; the heads are new."""
