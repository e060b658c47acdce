"""How whole files name their tensors: language models, vision towers, LLaVA and its relatives, for any backbone."""

from __future__ import annotations

from anyvlm.keys import Keys, Layout, Mount, Rule, moved, rename
from anyvlm.parts.catalog.llama import LLAMA_GGUF

PROJECTOR_HF = Keys(rules=rename({"linear_1.": "layers.0.", "linear_2.": "layers.1."}))
"""transformers' LlavaMultiModalProjector."""

PROJECTOR_PALIGEMMA = Keys(rules=rename({"linear.": "layers.0."}))
"""transformers' PaliGemmaMultiModalProjector."""

PROJECTOR_LINEAR = Keys(rules=tuple(Rule(theirs=(n,), ours=(f"layers.0.{n}",)) for n in ("weight", "bias")))
"""haotian-liu/LLaVA, mm_projector_type "linear"."""

PROJECTOR_MLP = Keys(rules=rename({"0.": "layers.0.", "2.": "layers.1."}))
"""haotian-liu/LLaVA, "mlp2x_gelu"."""

PROJECTOR_NORMED = Keys(rules=rename({"0.": "layers.0.", "1.": "norms.0.", "3.": "layers.1.", "4.": "norms.1."}))
"""01-ai/Yi, "mlp2x_gelu_Norm"."""

NEWLINE = Keys(rules=rename({"image_newline": "newline"}))
"""The vector at the end of a line of tiles in LLaVA-NeXT and LLaVA-OneVision."""

_LM, _EYE, _BRIDGE, _JOIN = "lm.", "encoders.image.", "connectors.image.", "joins.image."


def llava_hf(lm: Keys, eye: Keys, join: Keys | None = None, bridge: Keys = PROJECTOR_HF) -> tuple[Layout, ...]:
    """Layouts of transformers' LlavaForConditionalGeneration: published files, files of version 5, its state_dict.

    Its relatives have other tables for the projector (`bridge`), and one for what puts tiles together (`join`).
    """

    def layout(name: str, tower: str, projector: str, decoder: Mount) -> Layout:
        eyes, link = Mount(theirs=tower, ours=_EYE, keys=eye), Mount(theirs=projector, ours=_BRIDGE, keys=bridge)
        above = projector.removesuffix("multi_modal_projector.")
        joins = (Mount(theirs=above, ours=_JOIN, keys=join),) if join else ()
        return Layout(name=name, mounts=(eyes, link, decoder, *joins))

    nested = Mount(theirs="language_model.", ours=_LM, keys=lm)
    flat = Mount(theirs="", ours=_LM, keys=moved(lm, "model.", "model.language_model."))
    return (
        layout("hf", "vision_tower.vision_model.", "multi_modal_projector.", nested),
        layout("hf-5", "vision_tower.", "multi_modal_projector.", nested),
        layout("hf-module", "model.vision_tower.", "model.multi_modal_projector.", flat),
    )


def llava_original(lm: Keys, eye: Keys, projector: Keys = PROJECTOR_MLP, join: Keys | None = None) -> Layout:
    """The layout of haotian-liu/LLaVA; files have the vision tower only if it was trained."""
    joins = (Mount(theirs="model.", ours=_JOIN, keys=join),) if join else ()
    return Layout(
        name="llava",
        mounts=(
            Mount(theirs="model.vision_tower.vision_tower.vision_model.", ours=_EYE, keys=eye),
            Mount(theirs="model.mm_projector.", ours=_BRIDGE, keys=projector),
            Mount(theirs="", ours=_LM, keys=lm),
            *joins,
        ),
    )


def llava_any(lm: Keys, eye: Keys, join: Keys | None = None) -> tuple[Layout, ...]:
    """Every layout of a LLaVA with the two-layer projector."""
    return (*llava_hf(lm, eye, join), llava_original(lm, eye, join=join))


def fuyu_hf(lm: Keys, bridge: Keys) -> tuple[Layout, ...]:
    """Layouts of transformers' FuyuForCausalLM: published files, its state_dict."""

    def layout(name: str, above: str, decoder: Mount) -> Layout:
        return Layout(name=name, mounts=(Mount(theirs=f"{above}vision_embed_tokens.", ours=_BRIDGE, keys=bridge), decoder))

    flat = moved(lm, "model.", "model.language_model.")
    return (
        layout("hf", "", Mount(theirs="language_model.", ours=_LM, keys=lm)),
        layout("hf-module", "model.", Mount(theirs="", ours=_LM, keys=flat)),
    )


def vision_hf(eye: Keys, ours: str = "") -> tuple[Layout, ...]:
    """A vision tower alone or, its text side ignored, as half of a CLIP; with the prefix of old files and without."""
    prefixes = {"hf": "vision_model.", "hf-5": ""}
    return tuple(
        Layout(name=name, mounts=(Mount(theirs=prefix, ours=ours, keys=eye),), ignore=_TEXT_SIDE)
        for name, prefix in prefixes.items()
    )


_TEXT_SIDE = ("text_model.*", "text_projection.weight", "visual_projection.weight", "logit_scale", "logit_bias")


def lm_hf(lm: Keys) -> Layout:
    """transformers' ...ForCausalLM."""
    return Layout(name="hf", mounts=(Mount(theirs="", ours=_LM, keys=lm),))


LM_GGUF = Layout(name="gguf", mounts=(Mount(theirs="", ours=_LM, keys=LLAMA_GGUF),))
"""llama.cpp's files of architecture "llama"."""
