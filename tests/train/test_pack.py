"""The packed file: small, loadable by the same names, and enough to train on from."""

from __future__ import annotations

from pathlib import Path

import torch

from anyvlm.registry import system
from anyvlm.system import Lora, System
from anyvlm.tiny import tiny
from anyvlm.train.lora import LoraLinear, add_lora
from anyvlm.train.pack import pack, quantised, unpack

LORA = Lora(rank=4, alpha=8)


def test_int8_rows_are_within_half_a_step() -> None:
    matrix = torch.randn(6, 40) * torch.logspace(-3, 2, 6)[:, None]
    stored = quantised({"w": matrix, "v": matrix[0]})
    assert stored["w.q"].dtype == torch.int8 and stored["v"].dtype == torch.float16
    off = (stored["w.q"].float() * stored["w.scale"][:, None] - matrix).abs()
    assert bool((off <= stored["w.scale"][:, None] / 2 * 1.0001).all())


def test_a_packed_model_comes_back(tmp_path: Path) -> None:
    spec = tiny(system("anyvlm-pocket"))  # type: ignore[arg-type]
    assert isinstance(spec, System)
    model, again = spec.build(), spec.build()
    again.lm.load_state_dict(model.lm.state_dict())
    add_lora(model, LORA)
    for module in model.modules():
        if isinstance(module, LoraLinear):
            torch.nn.init.normal_(module.b, std=0.1)
    pack(model, tmp_path / "packed.safetensors")
    unpack(again, tmp_path / "packed.safetensors", LORA)
    theirs = dict(again.named_parameters())
    for name, parameter in model.named_parameters():
        assert torch.allclose(parameter, theirs[name], atol=float(parameter.detach().abs().max()) / 127), name
