"""MPNet as a text tower equals transformers' MPNetModel, from its own files; SAIL's other readers at full size."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers as hf

from anyvlm import registry
from anyvlm.dual import Dual
from anyvlm.keys import audit, choose, convert
from anyvlm.tiny import tiny_dual
from anyvlm.weights.load import load_module
from anyvlm.weights.readers import open_tensors
from anyvlm.weights.sources import Directory
from tests.parity import gap, record, saved, stirred
from tests.zoo.test_manifest import names

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


@torch.no_grad()
def test_parity(tmp_path: Path) -> None:
    """Texts longer than the distance from which on all are alike, some padded."""
    theirs = hf.MPNetModel(hf.MPNetConfig(vocab_size=40, max_position_embeddings=514, layer_norm_eps=1e-5, **SMALL))
    stirred(theirs)
    saved(theirs, tmp_path)
    spec = tiny_dual(registry.system("sail-dinov2-b-mpnet"), vocab=40)
    tensors = open_tensors(tmp_path)
    plan = choose(tensors, spec.checkpoints[1].layouts, spec.part)
    state = {name.removeprefix("towers.text.encoder."): tensor for name, tensor in convert(tensors, plan)}
    ours = spec.towers["text"].encoder.build()
    ours.load_state_dict(state)
    ids = torch.randint(3, 40, (3, 300), generator=torch.Generator().manual_seed(0))
    seen = torch.arange(300) < torch.tensor([[4], [300], [170]])
    ids = ids.masked_fill(~seen, 1)
    want = theirs(ids, attention_mask=seen.long()).last_hidden_state
    assert gap(ours(ids, seen)[seen], want[seen]) <= 1e-5


def test_new_heads_begin_as_the_paper_says(tmp_path: Path) -> None:
    """The towers come from their files; what none fills has Xavier's weights, no biases, a scale of 20 and a bias of -10."""
    eye = {name: value for name, value in SMALL.items() if name != "intermediate_size"}
    config = hf.Dinov2Config(mlp_ratio=2, image_size=42, patch_size=14, **eye)
    saved(stirred(hf.Dinov2Model(config)), tmp_path / "eye")
    saved(stirred(hf.MPNetModel(hf.MPNetConfig(vocab_size=40, layer_norm_eps=1e-5, **SMALL))), tmp_path / "text")
    spec = tiny_dual(registry.system("sail-dinov2-b-mpnet"), vocab=40).but(
        towers__image__encoder__depth=2, towers__image__encoder__ffn__hidden=64, towers__text__encoder__context=512
    )
    checkpoints = tuple(
        each.but(source=Directory(path=str(tmp_path / name)))
        for name, each in zip(("eye", "text"), spec.checkpoints, strict=True)
    )
    module = load_module(spec.but(checkpoints=checkpoints), dtype=torch.float32)
    assert isinstance(module, Dual)
    head = module.towers["image"].project
    assert not head.up.bias.any() and head.up.weight.abs().max().item() <= (6 / (64 + 512)) ** 0.5 + 1e-6
    assert abs(module.contrast().scale.exp().item() - 20) < 1e-3 and module.contrasts[0].bias.item() == -10


def test_full_size() -> None:
    qwen = {"hidden_size": 1536, "num_hidden_layers": 28, "num_attention_heads": 12, "intermediate_size": 8960}
    with torch.device("meta"):
        readers = {
            "sail-dinov2-b-mpnet": hf.MPNetModel(hf.MPNetConfig(vocab_size=30527, max_position_embeddings=514)),
            "sail-dinov2-l-gte-qwen2-1.5b": hf.Qwen2Model(hf.Qwen2Config(vocab_size=151646, num_key_value_heads=2, **qwen)),
        }
        for name, model in readers.items():
            spec, theirs = registry.system(name), names(model)
            ours = {n: tuple(p.shape) for n, p in spec.build().named_parameters()}
            plan = choose(theirs, spec.checkpoints[1].layouts, spec.part)
            audit([(theirs, plan)], ours, ("towers.image.*", *spec.fresh))
            record("manifest", name, 0.0)
