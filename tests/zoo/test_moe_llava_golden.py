"""MoE-LLaVA equals its authors' code, run on tiny seeded weights outside this repository, in evaluation and in training.

golden/moe_llava.npz: PKU-YuanGroup/MoE-LLaVA 6cb5f66 (`EvalMoELLaVA{Stablelm,QWen,Phi}ForCausalLM`, transformers 4.37.2) with
microsoft/DeepSpeed 38327e0 deepspeed/moe/{layer,experts,sharded_moe,mappings}.py as they are. Replaced were DeepSpeed's process
groups, timers and all-to-all (one process), and `top2_2nd_expert_sampling` was off: the second expert is not drawn. Towers of
random weights came from a config and not from the Hub.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from anyvlm import registry
from anyvlm.keys import audit, choose, revert
from anyvlm.parts.moe import routings
from anyvlm.seq import Kind, causal
from anyvlm.system import VLM, Batch, Checkpoint, System
from anyvlm.tiny import tiny
from anyvlm.train.losses import balance_first
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.golden import seeded
from tests.parity import gap, pixels, record
from tests.whole import greedy

GOLDEN = np.load(Path(__file__).with_name("golden") / "moe_llava.npz")
NAMES = {
    "stablelm": "moe-llava-stablelm-1.6b-4e", "stablelm-384": "moe-llava-stablelm-1.6b-4e-384",
    "qwen": "moe-llava-qwen-1.8b-4e", "phi2": "moe-llava-phi2-2.7b-4e", "phi2-384": "moe-llava-phi2-2.7b-4e-384",
}  # fmt: skip
REFERENCE = "PKU-YuanGroup/MoE-LLaVA 6cb5f66, microsoft/DeepSpeed 38327e0"


def small(case: str) -> System:
    system = tiny(registry.system(NAMES[case]), vocab=90, depth=4)
    assert isinstance(system, System) and system.lm.swaps[0].layers == (0, 2)
    return system.but(
        lm__swaps__0__ffn__draw="never", lm__heads=2, lm__kv_heads=2, streams__image__encoder__width=24,
        streams__image__encoder__depth=3, streams__image__encoder__ffn__hidden=40, tokenizer=None,
    )  # fmt: skip


def loaded(case: str, folder: Path) -> VLM:
    """Through files named as the authors name them."""
    system, layout = small(case), registry.system(NAMES[case]).checkpoints[0].layouts[0]
    shapes = dict(revert(dict(system.build().named_parameters()), layout, system.part))
    save_file({name: seeded(name, tuple(tensor.shape)) for name, tensor in shapes.items()}, folder / "model.safetensors")
    source = Directory(path=str(folder))
    module = load_module(system.but(checkpoints=(Checkpoint(source=source, layouts=(layout,)),)), dtype=torch.float32)
    assert isinstance(module, VLM)
    return module


def batch(system: System) -> Batch:
    """The stored prompt: text, the picture's rows where -200 stands, text."""
    ids, stream = GOLDEN["ids"].tolist(), system.streams["image"]
    ((_, h, w),) = stream.rows(stream.policy.cut(42, 42))
    at = ids.index(-200)
    ids_BT = torch.tensor([[*ids[:at], *[0] * (h * w), *ids[at + 1 :]]])
    kind_BT = torch.zeros_like(ids_BT)
    kind_BT[:, at : at + h * w] = Kind.IMAGE
    start = causal(torch.zeros(*ids_BT.shape, 1))
    picture = torch.randn(1, 3, 42, 42, generator=torch.Generator().manual_seed(1))
    return Batch(ids_BT, kind_BT, start.pos_PBT, start.seg_BT, {"image": pixels(picture, 14)})


@pytest.mark.parametrize("case", NAMES)
@torch.no_grad()
def test_logits_balance_and_greedy_tokens(case: str, tmp_path: Path) -> None:
    """In training experts are full at 1.5 times their share and turn rows away."""
    ours, worst = loaded(case, tmp_path), 0.0
    start = batch(ours.spec)
    for mode in ("eval", "train"):
        ours.train(mode == "train")
        with routings() as seen:
            logits = ours(start)[0]
        worst = max(worst, gap(logits, torch.from_numpy(GOLDEN[f"{case}.{mode}"])))
        assert abs(float(balance_first(seen)) - float(GOLDEN[f"{case}.{mode}.balance"])) < 1e-5
    assert worst <= 1e-5, worst
    assert np.abs(GOLDEN[f"{case}.eval"] - GOLDEN[f"{case}.train"]).max() > 0.1
    assert greedy(ours.eval(), start, 32) == GOLDEN[f"{case}.greedy"].tolist()
    record("golden", NAMES[case], worst, REFERENCE)


MANIFEST = {  # tensors, their values, and the CRC of sorted lines "name [shape]" at full size, without SigLIP's pooling head
    "stablelm": (855, 3200124928, 2063173485), "stablelm-384": (901, 3309866864, 1154737776),
    "qwen": (710, 3364126720, 736233536), "phi2": (1055, 5609680896, 518984256), "phi2-384": (1101, 5719488368, 3915454408),
}  # fmt: skip
"""Of the authors' classes built on the meta device, with the tower inside."""


@pytest.mark.parametrize("case", MANIFEST)
def test_names_at_full_size(case: str) -> None:
    system = registry.system(NAMES[case])
    layout = system.checkpoints[0].layouts[0]
    with torch.device("meta"):
        ours = dict(system.build().named_parameters())
    theirs = dict(revert(ours, layout, system.part))
    lines = "\n".join(f"{name} {list(tensor.shape)}" for name, tensor in sorted(theirs.items()))
    values = sum(tensor.numel() for tensor in theirs.values())
    assert (len(theirs), values, zlib.crc32(lines.encode())) == MANIFEST[case]
    shapes = {name: tuple(tensor.shape) for name, tensor in theirs.items()}
    audit([(shapes, choose(shapes, (layout,), system.part))], {name: tuple(p.shape) for name, p in ours.items()})
    record("manifest", NAMES[case], 0.0, REFERENCE)
