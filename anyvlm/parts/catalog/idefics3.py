"""How the files of Idefics3 (2408.12637) and SmolVLM (2504.05299) name their tensors."""

from __future__ import annotations

from anyvlm.keys import Keys, Layout, Mount, moved, rename
from anyvlm.parts.catalog.clip import SIGLIP_HF
from anyvlm.parts.catalog.llama import LLAMA_HF

IDEFICS3_HF = Layout(
    name="hf",
    mounts=(
        Mount(theirs="model.vision_model.", ours="encoders.image.", keys=SIGLIP_HF),
        Mount(
            theirs="model.connector.", ours="connectors.image.",
            keys=Keys(rules=rename({"modality_projection.proj.": "then.layers.0."})),
        ),
        Mount(theirs="", ours="lm.", keys=moved(LLAMA_HF, "model.", "model.text_model.")),
    ),
)  # fmt: skip
"""transformers' Idefics3ForConditionalGeneration and SmolVLMForConditionalGeneration, in files and in memory."""
