"""Vision towers equal transformers': every hidden state of tiny random models, through save_pretrained and our loader."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers as hf
from torch.utils.flop_counter import FlopCounterMode

from anyvlm.inputs.policy import HALF, ImagePolicy, preprocessor_from_policy
from anyvlm.parts.catalog.clip import CLIP_B_32
from anyvlm.parts.vision.vit import ViT
from anyvlm.weights.load import find, load_module
from tests.parity import gap, pixels, record, saved, stirred

SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 42, "patch_size": 14}
CASES = {
    "clip": (hf.CLIPVisionConfig, hf.CLIPVisionModel, {"intermediate_size": 48}),
    "clip-exact-gelu": (hf.CLIPVisionConfig, hf.CLIPVisionModel, {"intermediate_size": 48, "hidden_act": "gelu"}),
    "siglip": (hf.SiglipVisionConfig, hf.SiglipVisionModel, {"intermediate_size": 48}),
    "siglip-uneven": (hf.SiglipVisionConfig, hf.SiglipVisionModel, {"intermediate_size": 48, "image_size": 47}),
    "dinov2": (hf.Dinov2Config, hf.Dinov2Model, {"mlp_ratio": 2}),
    "dinov2-swiglu": (hf.Dinov2Config, hf.Dinov2Model, {"mlp_ratio": 2, "use_swiglu_ffn": True}),
}


def loaded(case: str, folder: Path, layers: tuple[int, ...] = ()) -> tuple[torch.nn.Module, torch.nn.Module, ViT]:
    """(theirs, ours, our spec), ours with the class token kept where there is one."""
    config, model, extra = CASES[case]
    theirs = stirred(model(config(**(SMALL | extra))))
    side = theirs.config.image_size
    policy = ImagePolicy(size=(side, side), fit="stretch", mean=HALF, std=HALF)
    (saved(theirs, folder) / "preprocessor_config.json").write_text(json.dumps(preprocessor_from_policy(policy)))
    system = find(folder)
    system = system.but(encoder__layers=layers, encoder__keep_cls=system.encoder.cls)
    return theirs, load_module(system), system.encoder


@pytest.mark.parametrize("case", CASES)
def test_every_layer(case: str, tmp_path: Path) -> None:
    theirs, ours, spec = loaded(case, tmp_path, layers=(0, 1, -2, -1))
    images = torch.randn(2, 3, spec.size, spec.size)
    with torch.no_grad():
        out = theirs(images, output_hidden_states=True)
        x = pixels(images, 14)
        rows = ours(x.x_NC, x.grids)
    wanted = torch.cat([out.hidden_states[n] for n in (0, 1, -2, -1)], -1)
    assert spec.out == wanted.shape[-1] and rows.x_ND.shape[0] == 2 * wanted.shape[1]
    worst = gap(rows.x_ND, wanted.flatten(0, 1))
    assert worst <= 1e-5, worst
    record("parity", f"family:{case.partition('-')[0]}", worst)


@pytest.mark.parametrize("case", CASES)
def test_final_norm(case: str, tmp_path: Path) -> None:
    theirs, ours, spec = loaded(case, tmp_path)
    images = torch.randn(2, 3, spec.size, spec.size)
    with torch.no_grad():
        wanted = theirs(images).last_hidden_state
        if case.startswith("clip"):  # its last_hidden_state is not normed, only the pooled class token is
            wanted = theirs.post_layernorm(wanted)
        x = pixels(images, 14)
        worst = gap(ours(x.x_NC, x.grids).x_ND, wanted.flatten(0, 1))
    assert worst <= 1e-5, worst
    record("parity", f"family:{case.partition('-')[0]}", worst)


@pytest.mark.parametrize("size", [(28, 56), (70, 42), (112, 112)])
def test_dinov2_at_other_sizes(size: tuple[int, int], tmp_path: Path) -> None:
    """The position table is interpolated."""
    theirs, ours, _ = loaded("dinov2", tmp_path)
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        wanted = theirs(images).last_hidden_state
        x = pixels(images, 14)
        worst = gap(ours(x.x_NC, x.grids).x_ND, wanted.flatten(0, 1))
    assert worst <= 1e-5, worst
    record("parity", "family:dinov2", worst)


@pytest.mark.parametrize("changes", [{}, {"layer_scale": True}, {"norm_last": True}, {"post_norm": False}], ids=str)
@torch.no_grad()
def test_the_first_row_alone(changes: dict[str, bool]) -> None:
    """As among all rows; the last block has no others, which is most of its work."""
    spec = CLIP_B_32.but(width=32, depth=3, heads=4, ffn__hidden=48, size=96, keep_cls=True, **changes)
    assert spec.alone and not spec.but(keep_cls=False).alone and not spec.but(layers=(-1,)).alone and not spec.but(skip=1).alone
    encoder = stirred(spec.build())
    x = pixels(torch.randn(3, 3, 96, 96), 32)
    rows = encoder(x.x_NC, x.grids)
    assert gap(encoder.first(x.x_NC, x.grids), torch.stack([item[0] for item in rows.items()])) <= 1e-6
    with FlopCounterMode(display=False) as every:
        encoder(x.x_NC, x.grids)
    with FlopCounterMode(display=False) as one:
        encoder.first(x.x_NC, x.grids)
    rest = 9  # rows: the map of what they saw (the fused kernel is not counted), their feed-forward layer
    saved_by_picture = rest * (2 * 32 * 32 + 4 * 32 * 48)
    assert every.get_total_flops() - one.get_total_flops() == 3 * saved_by_picture
