"""The first Qwen equals its own code, run on tiny seeded weights outside this repository.

golden/qwen.npz: `QWenLMHeadModel` of PKU-YuanGroup/MoE-LLaVA 6cb5f66 moellava/model/language_model/qwen/modeling_qwen.py, as
in Qwen's repositories; transformers 4.37.2, fp32, 24 tokens of the 64 it is made for, then greedily 32 more.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from anyvlm import registry
from anyvlm.keys import revert
from anyvlm.seq import causal
from anyvlm.system import VLM, Checkpoint, System
from anyvlm.tiny import tiny
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.golden import seeded
from tests.parity import gap, record

NAME = "qwen-1.8b-chat"
GOLDEN = np.load(Path(__file__).with_name("golden") / "qwen.npz")


@torch.no_grad()
def test_logits_and_greedy_tokens(tmp_path: Path) -> None:
    system = tiny(registry.system(NAME), vocab=90)
    assert isinstance(system, System)
    system, layout = system.but(lm__heads=2, lm__kv_heads=2, tokenizer=None), system.checkpoints[0].layouts[0]
    shapes = dict(revert(dict(system.build().named_parameters()), layout, system.part))
    save_file({name: seeded(name, tuple(tensor.shape)) for name, tensor in shapes.items()}, tmp_path / "model.safetensors")
    source = Directory(path=str(tmp_path))
    ours = load_module(system.but(checkpoints=(Checkpoint(source=source, layouts=(layout,)),)), dtype=torch.float32)
    assert isinstance(ours, VLM)
    ids = [*GOLDEN["ids"].tolist(), *GOLDEN["greedy"].tolist()]
    logits = ours.lm.logits(ours.lm.hidden(causal(ours.lm.embed(torch.tensor([ids])))))[0]
    worst = gap(logits[:24], torch.from_numpy(GOLDEN["logits"]))
    assert worst <= 1e-5, worst
    assert logits[23:-1].argmax(-1).tolist() == GOLDEN["greedy"].tolist()
    record("golden", NAME, worst, "QWenLMHeadModel in PKU-YuanGroup/MoE-LLaVA 6cb5f66")
