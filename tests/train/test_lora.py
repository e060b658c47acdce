"""Low-rank updates: nothing changes at the start, merging changes nothing, the stored form rebuilds them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from anyvlm.errors import SpecError
from anyvlm.system import Lora
from anyvlm.train.lora import LoraLinear, add_lora, lora_tensors, merge_lora


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 4))


def trained(net: nn.Sequential) -> nn.Sequential:
    add_lora(net, Lora(rank=3, alpha=6, on=("*",)))
    for module in net.modules():
        if isinstance(module, LoraLinear):
            nn.init.normal_(module.b)
    return net


def test_nothing_changes_before_training() -> None:
    net, x = model(), torch.randn(2, 5)
    before = net(x)
    assert add_lora(net, Lora(rank=3, alpha=6, on=("2",))) == ["2"]
    assert isinstance(net[2], LoraLinear) and not isinstance(net[0], LoraLinear)
    assert torch.equal(net(x), before)


def test_merging_computes_the_same() -> None:
    net, x = trained(model()), torch.randn(2, 5)
    updated = net(x)
    assert not torch.allclose(updated, model()(x), atol=1e-2)
    merge_lora(net)
    assert not any(isinstance(module, LoraLinear) for module in net.modules())
    assert torch.allclose(net(x), updated, atol=1e-5)


def test_stored_tensors_are_the_whole_update() -> None:
    net = trained(model())
    stored = lora_tensors(net)
    assert set(stored) == {"lora.0.a", "lora.0.b", "lora.2.a", "lora.2.b"}
    plain = model()
    for n in (0, 2):
        plain[n].weight.data += stored[f"lora.{n}.b"] @ stored[f"lora.{n}.a"]  # type: ignore[operator]
    x = torch.randn(2, 5)
    assert torch.allclose(plain(x), net(x), atol=1e-5)


def test_adding_again_keeps_what_is_there() -> None:
    net = trained(model())
    first = net[0]
    assert add_lora(net, Lora(rank=3, alpha=6, on=("*",))) == []
    assert net[0] is first


def test_matching_nothing_is_an_error() -> None:
    with pytest.raises(SpecError, match="lm"):
        add_lora(model(), Lora(rank=3, alpha=6, on=("lm.*",)))


def test_dropout_is_in_the_update_alone_and_only_while_training() -> None:
    net = nn.Sequential(nn.Linear(5, 7))
    add_lora(net, Lora(rank=3, alpha=6, on=("*",), dropout=0.5))
    x = torch.ones(4, 5)
    assert torch.equal(net.train()(x), net(x)), "before training the update is nothing, dropped or not"
    nn.init.normal_(net[0].b)  # type: ignore[arg-type]
    assert not torch.equal(net(x)[0], net(x)[1])
    assert torch.equal(net.eval()(x)[0], net(x)[1])
