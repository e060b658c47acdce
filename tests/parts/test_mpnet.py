"""MPNet as a text tower equals transformers' MPNetModel, from its own files; SAIL's other readers at full size."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers as hf

from anyvlm import registry
from anyvlm.keys import audit, choose, convert
from anyvlm.tiny import tiny_dual
from anyvlm.weights.readers import open_tensors
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
