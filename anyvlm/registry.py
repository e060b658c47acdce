"""Every named system: name -> "file:CONSTANT" below ``anyvlm/zoo``. Only the file of the name that is asked for is imported."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING

from anyvlm.errors import SpecError

if TYPE_CHECKING:
    from anyvlm.system import System, VisionSystem

SYSTEMS = {
    "anyvlm-pocket": "pocket:POCKET",
    "aya-23-8b": "aya:AYA_23",
    "bakllava-7b": "bakllava:BAKLLAVA_7B",
    "clip-vit-b-16": "clip:CLIP_VIT_B_16",
    "clip-vit-b-32": "clip:CLIP_VIT_B_32",
    "clip-vit-h-14-laion2b": "clip:CLIP_VIT_H_14",
    "clip-vit-l-14": "clip:CLIP_VIT_L_14",
    "clip-vit-l-14-336": "clip:CLIP_VIT_L_14_336",
    "dinov2-base": "dinov2:DINOV2_BASE",
    "dinov2-giant": "dinov2:DINOV2_GIANT",
    "dinov2-large": "dinov2:DINOV2_LARGE",
    "dinov2-small": "dinov2:DINOV2_SMALL",
    "firellava-13b": "firellava:FIRELLAVA_13B",
    "fuyu-8b": "fuyu:FUYU_8B",
    "idefics-80b": "idefics:IDEFICS_80B",
    "idefics-80b-instruct": "idefics:IDEFICS_80B_INSTRUCT",
    "idefics-9b": "idefics:IDEFICS_9B",
    "idefics-9b-instruct": "idefics:IDEFICS_9B_INSTRUCT",
    "idefics3-8b": "idefics3:IDEFICS3_8B",
    "llama-3-8b-instruct": "llama:LLAMA_3_8B_INSTRUCT",
    "llama-3.2-11b-vision-instruct": "llama_3_2_vision:LLAMA_3_2_11B_VISION",
    "llama-3.2-90b-vision-instruct": "llama_3_2_vision:LLAMA_3_2_90B_VISION",
    "llava": "llava:LLAVA",
    "llava-1.5-13b": "llava_1_5:LLAVA_1_5_13B",
    "llava-1.5-7b": "llava_1_5:LLAVA_1_5_7B",
    "llava-13b": "llava:LLAVA_13B",
    "llava-llama-2-13b": "llava:LLAVA_LLAMA_2_13B",
    "llava-med": "llava_med:LLAVA_MED",
    "llava-med-v1-7b": "llava_med:LLAVA_MED_V1_7B",
    "llava-next-110b": "llava_next:LLAVA_NEXT_110B",
    "llava-next-34b": "llava_next:LLAVA_NEXT_34B",
    "llava-next-72b": "llava_next:LLAVA_NEXT_72B",
    "llava-next-llama3-8b": "llava_next:LLAVA_NEXT_LLAMA3_8B",
    "llava-next-mistral-7b": "llava_next:LLAVA_NEXT_MISTRAL_7B",
    "llava-next-vicuna-13b": "llava_next:LLAVA_NEXT_VICUNA_13B",
    "llava-next-vicuna-7b": "llava_next:LLAVA_NEXT_VICUNA_7B",
    "llava-onevision-0.5b-ov": "llava_onevision:LLAVA_ONEVISION_0_5B_OV",
    "llava-onevision-0.5b-si": "llava_onevision:LLAVA_ONEVISION_0_5B_SI",
    "llava-onevision-72b-ov": "llava_onevision:LLAVA_ONEVISION_72B_OV",
    "llava-onevision-7b-ov": "llava_onevision:LLAVA_ONEVISION_7B_OV",
    "llava-onevision-7b-si": "llava_onevision:LLAVA_ONEVISION_7B_SI",
    "llava-pp-llama3-8b": "llava_pp:LLAVA_PP_LLAMA3_8B",
    "llava-pp-phi3-mini": "llava_pp:LLAVA_PP_PHI3_MINI",
    "maya": "maya:MAYA",
    "mistral-7b-instruct-v0.2": "mistral:MISTRAL_7B_INSTRUCT",
    "paligemma-3b-mix-224": "paligemma:PALIGEMMA_3B_MIX_224",
    "paligemma-3b-mix-448": "paligemma:PALIGEMMA_3B_MIX_448",
    "paligemma-3b-pt-224": "paligemma:PALIGEMMA_3B_PT_224",
    "paligemma-3b-pt-448": "paligemma:PALIGEMMA_3B_PT_448",
    "paligemma-3b-pt-896": "paligemma:PALIGEMMA_3B_PT_896",
    "palo-13b": "palo:PALO_13B",
    "palo-7b": "palo:PALO_7B",
    "phi-3-mini-4k-instruct": "phi3:PHI_3_MINI_4K_INSTRUCT",
    "pixtral-12b": "pixtral:PIXTRAL_12B",
    "qwen2-vl-2b-instruct": "qwen2_vl:QWEN2_VL_2B_INSTRUCT",
    "qwen2-vl-72b-instruct": "qwen2_vl:QWEN2_VL_72B_INSTRUCT",
    "qwen2-vl-7b-instruct": "qwen2_vl:QWEN2_VL_7B_INSTRUCT",
    "qwen2.5-0.5b-instruct": "qwen2:QWEN2_5_0_5B_INSTRUCT",
    "qwen2.5-1.5b-instruct": "qwen2:QWEN2_5_1_5B_INSTRUCT",
    "qwen2.5-14b-instruct": "qwen2:QWEN2_5_14B_INSTRUCT",
    "qwen2.5-32b-instruct": "qwen2:QWEN2_5_32B_INSTRUCT",
    "qwen2.5-3b-instruct": "qwen2:QWEN2_5_3B_INSTRUCT",
    "qwen2.5-7b-instruct": "qwen2:QWEN2_5_7B_INSTRUCT",
    "qwen2.5-vl-32b-instruct": "qwen2_5_vl:QWEN2_5_VL_32B_INSTRUCT",
    "qwen2.5-vl-3b-instruct": "qwen2_5_vl:QWEN2_5_VL_3B_INSTRUCT",
    "qwen2.5-vl-72b-instruct": "qwen2_5_vl:QWEN2_5_VL_72B_INSTRUCT",
    "qwen2.5-vl-7b-instruct": "qwen2_5_vl:QWEN2_5_VL_7B_INSTRUCT",
    "sharegpt4v-7b": "sharegpt4v:SHAREGPT4V_7B",
    "siglip-vit-b-16-256": "siglip:SIGLIP_VIT_B_16_256",
    "siglip-vit-b-16-256-multilingual": "siglip:SIGLIP_VIT_B_16_256_MULTILINGUAL",
    "siglip-vit-l-16-384": "siglip:SIGLIP_VIT_L_16_384",
    "siglip-vit-so400m-14-384": "siglip:SIGLIP_VIT_SO400M_14_384",
    "smollm2-1.7b-instruct": "smollm2:SMOLLM2_1_7B_INSTRUCT",
    "smollm2-135m-instruct": "smollm2:SMOLLM2_135M_INSTRUCT",
    "smollm2-360m-instruct": "smollm2:SMOLLM2_360M_INSTRUCT",
    "smolvlm-2.2b": "smolvlm:SMOLVLM_2_2B",
    "smolvlm-256m": "smolvlm:SMOLVLM_256M",
    "smolvlm-500m": "smolvlm:SMOLVLM_500M",
    "smolvlm2-2.2b": "smolvlm:SMOLVLM2_2_2B",
    "smolvlm2-256m": "smolvlm:SMOLVLM2_256M",
    "smolvlm2-500m": "smolvlm:SMOLVLM2_500M",
    "som-llava": "som_llava:SOM_LLAVA",
    "yi-34b-chat": "yi:YI_34B_CHAT",
    "yi-6b-chat": "yi:YI_6B_CHAT",
    "yi-vl-34b": "yi_vl:YI_VL_34B",
    "yi-vl-6b": "yi_vl:YI_VL_6B",
}


def system(name: str) -> System | VisionSystem:
    """The spec of a name. Raises SpecError with the three nearest names for one that is not known."""
    if name not in SYSTEMS:
        near = ", ".join(get_close_matches(name.lower(), SYSTEMS, n=3, cutoff=0.0))
        raise SpecError(f"There is no system '{name}'; the nearest are {near}. `anyvlm list` shows all.")
    file, _, constant = SYSTEMS[name].partition(":")
    found: System | VisionSystem = getattr(import_module(f"anyvlm.zoo.{file}"), constant)
    return found
