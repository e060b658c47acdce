"""ConvNeXt equals transformers' on the same random weights: the maps of every stage, and what is pooled from the last."""

from __future__ import annotations

import pytest
import torch
import transformers as hf

from anyvlm.errors import InputError
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.pool import NormedMean, TwoLinear
from anyvlm.parts.vision.convnext import ConvNeXt, ConvNeXtEncoder
from tests.parity import gap, pixels, stirred

SPEC = ConvNeXt(widths=(8, 16, 24, 32), depths=(1, 2, 1, 2), norm=LayerNorm(eps=1e-6))
STEPS = {
    "embeddings.patch_embeddings": "stem", "embeddings.layernorm": "norm_stem", "encoder.": "", "downsampling_layer.0": "norm",
    "downsampling_layer.1": "down", "layers": "blocks", "dwconv": "conv", "layernorm": "norm", "pwconv1": "up",
    "pwconv2": "down", "layer_scale_parameter": "scale",
}  # fmt: skip


def ours(name: str) -> str:
    for their, our in STEPS.items():
        name = name.replace(their, our)
    return name


@torch.no_grad()
def test_transformers() -> None:
    theirs = stirred(
        hf.ConvNextModel(hf.ConvNextConfig(hidden_sizes=list(SPEC.widths), depths=list(SPEC.depths), layer_norm_eps=1e-6))
    )
    state = {ours(name): tensor for name, tensor in theirs.state_dict().items()}
    pool = NormedMean(norm=SPEC.norm).build(SPEC.out)
    pool.load_state_dict({name: state.pop(name) for name in ("norm.weight", "norm.bias")})
    encoder = SPEC.build()
    assert isinstance(encoder, ConvNeXtEncoder)
    encoder.load_state_dict(state)
    images = torch.randn(3, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    wanted = theirs(images, output_hidden_states=True)
    found = encoder(*(lambda x: (x.x_NC, x.grids))(pixels(images, 32)))
    assert found.grids == ((1, 2, 3),) * 3
    assert gap(found.x_ND.unflatten(0, (3, 2, 3)), wanted.last_hidden_state.permute(0, 2, 3, 1)) <= 1e-5
    for mine, their in zip(encoder.maps(images), wanted.hidden_states[1:], strict=True):
        assert gap(mine, their) <= 1e-5
    assert gap(pool(found.x_ND.unflatten(0, (3, 6))), wanted.pooler_output) <= 1e-5
    masked = pool(found.x_ND.unflatten(0, (3, 6))[:1], torch.tensor([[True, False, True, False, False, False]]))
    mean = found.x_ND[[0, 2]].mean(0)
    assert gap(masked[0], torch.nn.functional.layer_norm(mean, mean.shape, *pool.norm.parameters(), eps=1e-6)) <= 1e-5


def test_sizes() -> None:
    assert SPEC.grid(320, 64) == (1, 10, 2)
    with pytest.raises(InputError, match="multiples of 32"):
        SPEC.grid(300, 320)
    two = TwoLinear().build(8, 5)
    assert [tuple(p.shape) for p in two.parameters()] == [(10, 8), (10,), (5, 10)]
