"""VideoMAE equals transformers': rows of clips, whole and with hidden tubes; full-size names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers as hf
from transformers.models.videomae import modeling_videomae

from anyvlm import registry
from anyvlm.errors import InputError
from anyvlm.parts.features import patches
from anyvlm.parts.vision.tubes import tube_mask
from anyvlm.system import Checkpoint, VisionSystem
from anyvlm.tiny import tiny_vision
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.parity import gap, record, saved, stirred
from tests.zoo.test_manifest import fits, names

NAMES = sorted(name for name in registry.SYSTEMS if registry.system(name).meta.row == "videomae")


def config(system: VisionSystem) -> hf.VideoMAEConfig:
    eye = system.encoder
    return hf.VideoMAEConfig(
        hidden_size=eye.width, num_hidden_layers=eye.depth, num_attention_heads=eye.block.heads, image_size=eye.size,
        intermediate_size=eye.block.ffn.hidden, use_mean_pooling=not eye.post_norm, decoder_num_hidden_layers=1,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["videomae-base", "videomae-base-finetuned-kinetics"])
@torch.no_grad()
def test_clips(name: str, tmp_path: Path) -> None:
    system = tiny_vision(registry.system(name))
    theirs = stirred(hf.VideoMAEModel(config(system)))
    source = Directory(path=str(saved(theirs, tmp_path)))
    ours = load_module(system.but(checkpoints=(Checkpoint(source=source, layouts=system.checkpoints[0].layouts),)))
    clips, grid = torch.randn(2, 16, 3, 48, 48), system.encoder.grid(48, 48, 16)
    assert grid == (8, 3, 3)
    x_NC = torch.cat([patches(clip, 16, 2) for clip in clips])
    worst = gap(ours(x_NC, (grid, grid)).x_ND, theirs(clips).last_hidden_state.flatten(0, 1))
    hidden_Bn = torch.stack([tube_mask(grid, 0.9, torch.Generator().manual_seed(n)) for n in range(2)])
    assert (~hidden_Bn).sum(1).tolist() == [8, 8]  # int(0.9 * 9) of 9 places are hidden
    worst = max(worst, gap(ours(x_NC, (grid, grid), ~hidden_Bn), theirs(clips, hidden_Bn).last_hidden_state))
    assert worst <= 1e-5, worst
    for one in NAMES:
        if registry.system(one).encoder.post_norm == system.encoder.post_norm:
            record("parity", one, worst)


@pytest.mark.parametrize("name", NAMES)
def test_names_at_full_size(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without their tables of places, which are no parameters and take seconds."""
    monkeypatch.setattr(modeling_videomae, "get_sinusoid_encoding_table", lambda n, width: torch.zeros(1, n, 1))
    system = registry.system(name)
    with torch.device("meta"):
        theirs = names(hf.VideoMAEModel(config(system)))
        whole = names(hf.VideoMAEForPreTraining(config(system)))
    fits(system, theirs, system.checkpoints[0].layouts, "hf")
    fits(system, whole, system.checkpoints[0].layouts, "hf-videomae")
    record("manifest", name, 0.0)


def test_hidden_tubes_stand_still() -> None:
    hidden = tube_mask((8, 14, 14), 0.9).view(8, 196)
    assert int(hidden[0].sum()) == 176 and all(torch.equal(hidden[0], frame) for frame in hidden)
    assert int((~hidden).sum()) == 160


def test_too_long_a_clip_is_refused() -> None:
    with pytest.raises(InputError, match="up to 16 pictures"):
        registry.system("videomae-base").encoder.grid(224, 224, 18)
