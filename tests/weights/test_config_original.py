"""Directories of haotian-liu/LLaVA and its forks are read as the named systems are written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from anyvlm import registry
from anyvlm.errors import SpecError
from anyvlm.inputs.templates import LLAVA_V1_MARKED
from anyvlm.keys import revert
from anyvlm.parts.catalog.clip import CLIP_HF
from anyvlm.parts.catalog.layouts import vision_hf
from anyvlm.system import System
from anyvlm.tiny import tiny
from anyvlm.weights.config_lm import KEYS, write_lm
from anyvlm.weights.config_vision import write_vision
from anyvlm.weights.load import find, load_system
from tests.zoo import published

COMMON = {
    "mm_hidden_size": 1024,
    "mm_use_im_patch_token": False,
    "mm_use_im_start_end": False,
    "mm_vision_select_feature": "patch",
    "mm_vision_select_layer": -2,
    "tokenizer_model_max_length": 2048,
    "tokenizer_padding_side": "right",
    "tune_mm_mlp_adapter": False,
    "unfreeze_mm_vision_tower": False,
    "use_mm_proj": True,
}
V1_5 = {"mm_vision_tower": "openai/clip-vit-large-patch14-336", "mm_projector_type": "mlp2x_gelu", "image_aspect_ratio": "pad"}
CASES = {
    "llava-llama-2-13b": (published.LLAMA_13B, "llava", {"mm_vision_tower": "openai/clip-vit-large-patch14"}),
    "llava-med": (published.MISTRAL_V0_2, "llava_mistral", V1_5),
    "llava-pp-phi3-mini": (published.PHI_3, "llava_phi", V1_5),
    "palo-7b": (published.LLAMA_7B, "llava_llama", V1_5),
    "maya": (
        published.AYA, "llava_cohere", V1_5 | {"mm_vision_tower": "google/siglip-base-patch16-256-multilingual"},
    ),
}  # fmt: skip


def directory(folder: Path, config: dict[str, object]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("name", CASES)
def test_the_config_says_what_the_zoo_says(name: str, tmp_path: Path) -> None:
    lm, kind, extra = CASES[name]
    found, named = find(directory(tmp_path, {**lm, **COMMON, **extra, "model_type": kind})), registry.system(name)
    assert isinstance(found, System) and isinstance(named, System)
    assert found.lm == named.lm and found.streams == named.streams
    assert found.checkpoints[1] == named.checkpoints[1]


def test_marker_tokens(tmp_path: Path) -> None:
    config = {**published.LLAMA_7B, **COMMON, "mm_vision_tower": "openai/clip-vit-large-patch14", "model_type": "llava"}
    found = find(directory(tmp_path, config | {"mm_use_im_start_end": True}))
    assert isinstance(found, System)
    assert found.template == LLAVA_V1_MARKED


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mm_projector_type", "ldpnet"),
        ("image_aspect_ratio", "anyres"),
        ("mm_patch_merge_type", "spatial_unpad"),
        ("mm_vision_tower", "eva02/somewhere"),
        ("mm_vision_select_layer", "last"),
        ("mm_new_thing", 3),
        ("s2", True),
        ("rope_scaling", {"type": "dynamic", "factor": 2.0}),
    ],
)
def test_what_cannot_be_honoured_is_named(field: str, value: object, tmp_path: Path) -> None:
    config = {**published.LLAMA_7B, **COMMON, **V1_5, "model_type": "llava_llama", field: value}
    with pytest.raises(SpecError, match=field):
        find(directory(tmp_path, config))


def test_a_directory_with_its_tower_inside(tmp_path: Path) -> None:
    """As Yi-VL is published: the tower in a folder of the checkpoint, a projector with norms."""
    system = tiny(registry.system("yi-vl-6b")).but(lm__context=64)
    torch.manual_seed(0)
    ours = {name: torch.randn_like(p) for name, p in system.build().named_parameters()}
    layout = system.checkpoints[0].layouts[0]
    whole = dict(revert(ours, layout, system.part))
    vision = {name for name in whole if "vision_tower" in name}
    config = write_lm(system.lm, KEYS["llama"]) | COMMON | V1_5
    config |= {"model_type": "llava_llama", "mm_vision_tower": "./vit/clip-448", "mm_projector_type": "mlp2x_gelu_Norm"}
    folder = directory(tmp_path / "yi", config)
    save_file({n: t.contiguous() for n, t in whole.items() if n not in vision}, folder / "model.safetensors")
    (folder / "vit").mkdir()
    eye = system.streams["image"].encoder
    tower = directory(folder / "vit" / "clip-448", write_vision(eye, CLIP_HF))
    side = {"height": eye.size, "width": eye.size}
    preprocessor = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": eye.size}, "crop_size": side}
    (tower / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    alone = dict(revert({n: t for n, t in ours.items() if n.startswith("encoders.")},
                        vision_hf(CLIP_HF, "encoders.image.")[0], system.part))  # fmt: skip
    save_file({n: t.contiguous() for n, t in alone.items()}, tower / "model.safetensors")
    loaded = load_system(folder)
    plain = system.but(streams__image__most=None)  # no file says that the authors ask about one picture at a time
    assert loaded.system.streams == plain.streams and loaded.system.lm == system.lm
    assert all(torch.equal(parameter, ours[name]) for name, parameter in loaded.module.named_parameters())
