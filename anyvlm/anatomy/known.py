"""Names people know for the shapes of backbones: facts, looked up by comparing specs.

A name says that a part is built like a published one, not where its weights come from: a Vicuna is built like a Llama 2.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from importlib import import_module

from anyvlm.spec import Spec

# What systems choose about a backbone without making it another one.
_CHOICES = {
    "layers", "keep_cls", "skip", "cls", "post_norm", "resize", "antialias", "vocab", "extra", "silent", "context", "inserts",
    "by_kind", "swaps", "tied", "window", "windowed",
}  # fmt: skip

# file in parts/catalog: {constant: name}
_NAMES: dict[str, dict[str, str]] = {
    "aim": {"AIM_600M": "AIM 600M", "AIM_1B": "AIM 1B", "AIM_3B": "AIM 3B", "AIM_7B": "AIM 7B"},
    "aimv2": {"AIMV2_L": "AIMv2-L", "AIMV2_H": "AIMv2-H", "AIMV2_1B": "AIMv2-1B", "AIMV2_3B": "AIMv2-3B"},
    "aria": {"ARIA_TOWER": "SigLIP so400m, any size", "ARIA_LM": "Aria, 25 B with experts"},
    "blip": {"BLIP_B_16": "BLIP ViT-B/16", "BLIP_L_16": "BLIP ViT-L/16", "MED_DECODER": "BLIP's MED"},
    "blip_2": {"EVA_G_14": "EVA-CLIP ViT-g/14"},
    "chameleon": {"CHAMELEON_LM_7B": "Chameleon 7B", "CHAMELEON_LM_34B": "Chameleon 34B"},
    "chinchilla": {
        "CHINCHILLA_1_4B": "Chinchilla 1.4B", "CHINCHILLA_7B": "Chinchilla 7B", "CHINCHILLA_70B": "Chinchilla 70B",
    },
    "clip": {
        "CLIP_L_14": "CLIP ViT-L/14", "CLIP_B_16": "CLIP ViT-B/16", "CLIP_B_32": "CLIP ViT-B/32", "CLIP_H_14": "CLIP ViT-H/14",
        "SIGLIP_B_16_256": "SigLIP B/16", "SIGLIP_L_16_384": "SigLIP L/16", "SIGLIP_SO400M_14_384": "SigLIP so400m/14",
    },
    "cogvlm": {"EVA2_CLIP_E": "EVA2-CLIP-E"},
    "convnext": {
        "CONVNEXT_B": "ConvNeXt-Base", "CONVNEXT_L": "ConvNeXt-Large", "CONVNEXT_XXL": "ConvNeXt-XXLarge",
    },
    "dinov2": {
        "DINOV2_S": "DINOv2 ViT-S/14", "DINOV2_B": "DINOv2 ViT-B/14", "DINOV2_L": "DINOv2 ViT-L/14",
        "DINOV2_G": "DINOv2 ViT-g/14",
    },
    "eva": {"EVA02_B": "EVA-02 B/16", "EVA02_L": "EVA-02 L/14", "EVA01_G": "EVA-01 g/14", "EVA02_E": "EVA-02 E/14"},
    "gemma": {"GEMMA_2B": "Gemma 2B", "GEMMA_7B": "Gemma 7B"},
    "glip": {"SWIN_T": "Swin-T", "SWIN_L": "Swin-L"},
    "janus": {
        "JANUS_SIGLIP": "SigLIP L/16", "DEEPSEEK_LLM_7B": "DeepSeek LLM 7B", "DEEPSEEK_LLM_1_3B": "DeepSeek LLM 1.3B",
    },
    "kosmos": {"KOSMOS_2_1B": "Magneto 1.3B"},
    "llama": {
        "LLAMA_2_7B": "Llama 2 7B", "LLAMA_7B": "LLaMA 7B", "LLAMA_2_13B": "Llama 2 13B", "LLAMA_13B": "LLaMA 13B",
        "LLAMA_65B": "LLaMA 65B", "LLAMA_3_8B": "Llama 3 8B", "LLAMA_3_70B": "Llama 3 70B", "LLAMA_3_1_8B": "Llama 3.1 8B",
        "LLAMA_3_1_70B": "Llama 3.1 70B", "LLAMA_3_2_3B": "Llama 3.2 3B", "LLAMA_3_2_1B": "Llama 3.2 1B",
        "MISTRAL_7B": "Mistral 7B", "MISTRAL_7B_V0_2": "Mistral 7B v0.2", "MISTRAL_NEMO_12B": "Mistral Nemo 12B",
        "YI_6B": "Yi 6B", "YI_34B": "Yi 34B", "QWEN2_7B": "Qwen2 7B", "QWEN2_0_5B": "Qwen2 0.5B", "QWEN2_1_5B": "Qwen2 1.5B",
        "QWEN2_3B": "Qwen2.5 3B", "QWEN2_14B": "Qwen2.5 14B", "QWEN2_32B": "Qwen2.5 32B", "QWEN2_72B": "Qwen2 72B",
        "QWEN1_5_72B": "Qwen1.5 72B", "QWEN1_5_110B": "Qwen1.5 110B", "PHI_3_MINI": "Phi-3 mini",
        "SMOLLM2_135M": "SmolLM2 135M", "SMOLLM2_360M": "SmolLM2 360M", "SMOLLM2_1_7B": "SmolLM2 1.7B",
        "AYA_23_8B": "Aya 23 8B",
    },
    "mllama": {"MLLAMA_VIT": "Llama 3.2's ViT-H/14"},
    "mobileclip": {"MCI0": "FastViT MCi0", "MCI1": "FastViT MCi1", "MCI2": "FastViT MCi2", "MCI_B": "MobileCLIP ViT-B/16"},
    "mpt": {"MPT_7B": "MPT 7B", "MPT_1B": "MPT 1B"},
    "neox": {"REDPAJAMA_3B": "RedPajama INCITE 3B"},
    "nfnet": {"NFNET_F0": "NFNet-F0", "NFNET_F6": "NFNet-F6"},
    "opt": {"OPT_2_7B": "OPT 2.7B", "OPT_6_7B": "OPT 6.7B"},
    "persimmon": {"PERSIMMON_8B": "Persimmon 8B"},
    "phi": {"PHI_2": "Phi-2"},
    "pixtral": {"PIXTRAL_400M": "Pixtral's ViT"},
    "qwen": {"QWEN_1_8B": "Qwen 1.8B"},
    "qwen_vl": {"QWEN2_VL_EYE": "Qwen2-VL's ViT", "QWEN2_5_VL_EYE": "Qwen2.5-VL's ViT"},
    "stablelm": {"STABLELM_2_1_6B": "StableLM 2 1.6B"},
    "t5": {
        "FLAN_T5_SMALL": "Flan-T5 small", "FLAN_T5_BASE": "Flan-T5 base", "FLAN_T5_LARGE": "Flan-T5 large",
        "FLAN_T5_XL": "Flan-T5 XL", "FLAN_T5_XXL": "Flan-T5 XXL",
    },
    "towers": {
        "RN50": "ResNet-50", "RN101": "ResNet-101", "RN50X4": "ResNet-50x4", "RN50X16": "ResNet-50x16",
        "RN50X64": "ResNet-50x64",
    },
    "videomae": {
        "VIDEOMAE_S": "VideoMAE-S", "VIDEOMAE_B": "VideoMAE-B", "VIDEOMAE_L": "VideoMAE-L", "VIDEOMAE_H": "VideoMAE-H",
    },
    "vqgan": {"CHAMELEON_VQGAN": "Chameleon's VQ-GAN", "JANUS_VQGAN": "LlamaGen's VQ-GAN"},
}  # fmt: skip


def known(spec: Spec) -> str | None:
    """The name of the published backbone that a part is built like; None if it is like none of them.

    The size of pictures, which layers are read, the vocabulary and what was put into it do not count.
    """
    near = [(_distance(spec, other), name) for name, other in _catalog() if type(other) is type(spec)]
    alike = [(far, name) for far, name in near if far is not None]
    return min(alike, key=lambda each: each[0])[1] if alike else None


@cache
def _catalog() -> tuple[tuple[str, Spec], ...]:
    out = []
    for file, names in _NAMES.items():
        module = import_module(f"anyvlm.parts.catalog.{file}")
        out += [(name, getattr(module, constant)) for constant, name in names.items()]
    return tuple(out)


def _distance(spec: Spec, other: Spec) -> int | None:
    """In how many free choices two specs of a class differ; None if they differ in anything else."""
    unlike = [field.name for field in fields(spec) if getattr(spec, field.name) != getattr(other, field.name)]
    fixed = [name for name in unlike if name not in _CHOICES and name != "size" and not _turns(spec, other, name)]
    return None if fixed else len(unlike)


def _turns(spec: Spec, other: Spec, name: str) -> bool:
    """Whether only the axes of positions, or their stretching to longer contexts, differ."""
    a, b = getattr(spec, name), getattr(other, name)
    return name == "rope" and isinstance(a, Spec) and a.but(sections=(), scaling=None) == b.but(sections=(), scaling=None)
