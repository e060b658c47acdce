"""Sizes of the catalogue: the parameter counts that their publishers state."""

from __future__ import annotations

import pytest
import torch

from anyvlm.parts.catalog import clip, dinov2, llama
from anyvlm.parts.lm import Decoder
from anyvlm.parts.vision.vit import ViT

MILLIONS = {
    "CLIP_B_16": 85.8, "CLIP_B_32": 87.5, "CLIP_L_14": 303.2, "CLIP_L_14_336": 303.5, "CLIP_H_14": 630.8,
    "SIGLIP_B_16_256": 85.8, "SIGLIP_L_16_384": 303.7, "SIGLIP_SO400M_14_384": 413.0,
    "DINOV2_S": 22.1, "DINOV2_B": 86.6, "DINOV2_L": 304.4, "DINOV2_G": 1136.5,
    "SIGLIP_B_16_512": 86.4, "SIGLIP_SO400M_14_364": 412.9, "MISTRAL_NEMO_12B": 12247.8,
    "LLAMA_65B": 65285.7, "LLAMA_3_70B": 70553.7, "LLAMA_3_1_70B": 70553.7,
    "QWEN1_5_72B": 72287.9, "QWEN1_5_110B": 111209.9,
    "LLAMA_7B": 6738.4, "LLAMA_13B": 13015.9, "LLAMA_2_7B": 6738.4, "LLAMA_2_13B": 13015.9, "LLAMA_3_8B": 8030.3,
    "LLAMA_3_1_8B": 8030.3, "LLAMA_3_2_1B": 1235.8, "LLAMA_3_2_3B": 3212.7, "MISTRAL_7B": 7241.7,
    "MISTRAL_7B_V0_2": 7241.7, "YI_6B": 6061.0, "YI_34B": 34388.9, "QWEN2_0_5B": 494.0, "QWEN2_1_5B": 1543.7,
    "QWEN2_3B": 3085.9, "QWEN2_7B": 7615.6, "QWEN2_14B": 14770.0, "QWEN2_32B": 32763.9, "QWEN2_72B": 72706.2,
    "PHI_3_MINI": 3821.1, "SMOLLM2_135M": 134.5, "SMOLLM2_360M": 361.8, "SMOLLM2_1_7B": 1711.4, "AYA_23_8B": 8028.0,
}  # fmt: skip
SIZES = {
    name: spec
    for module in (clip, dinov2, llama)
    for name, spec in vars(module).items()
    if isinstance(spec, (Decoder, ViT))
}


def test_every_size_is_counted() -> None:
    assert SIZES.keys() == MILLIONS.keys()


@pytest.mark.parametrize("name", SIZES)
def test_parameters(name: str) -> None:
    with torch.device("meta"):
        module = SIZES[name].build()
    assert round(sum(parameter.numel() for parameter in module.parameters()) / 1e6, 1) == MILLIONS[name]
