"""VideoMAE equals transformers': rows of clips, whole and with hidden tubes; pixels, classes and losses; full-size names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers as hf
from transformers.models.videomae import modeling_videomae

from anyvlm import registry
from anyvlm.errors import InputError
from anyvlm.parts.features import patches
from anyvlm.parts.hidden_tubes import HiddenTubes, HiddenTubesModule
from anyvlm.parts.lesson import Views
from anyvlm.parts.vision.tubes import tube_mask
from anyvlm.system import Checkpoint, StudentModule, VisionSystem
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
        intermediate_size=eye.block.ffn.hidden, use_mean_pooling=not eye.post_norm, **decoder(system), **classes(system),
    )  # fmt: skip


def decoder(system: VisionSystem) -> dict[str, int]:
    lesson = system.lessons.get("mask")
    if not isinstance(lesson, HiddenTubes):
        return {"decoder_num_hidden_layers": 1}
    return {
        "decoder_hidden_size": lesson.width, "decoder_num_hidden_layers": lesson.depth,
        "decoder_num_attention_heads": lesson.block.heads, "decoder_intermediate_size": lesson.block.ffn.hidden,
    }  # fmt: skip


def classes(system: VisionSystem) -> dict[str, int]:
    return {"num_labels": system.lessons["classify"].classes} if "classify" in system.lessons else {}


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


def clips(seed: int = 0) -> tuple[torch.Tensor, Views]:
    videos, grid = torch.randn(2, 16, 3, 48, 48, generator=torch.Generator().manual_seed(seed)), (8, 3, 3)
    return videos, Views(torch.cat([patches(clip, 16, 2) for clip in videos]), (grid, grid), labels_B=torch.tensor([2, 5]))


def student(name: str, model: type[hf.PreTrainedModel], folder: Path) -> tuple[hf.PreTrainedModel, StudentModule]:
    """Theirs, and ours with the same weights, in its only stage."""
    system = tiny_vision(registry.system(name))
    theirs = stirred(model(config(system)))
    source = Directory(path=str(saved(theirs, folder)))
    here = system.but(checkpoints=(system.checkpoints[0].but(source=source),))
    ours = load_module(here.student(system.stages[0].name))
    assert isinstance(ours, StudentModule)
    return theirs, ours


@torch.no_grad()
def test_hidden_tubes(tmp_path: Path) -> None:
    """Pixels of what is hidden, and the loss."""
    theirs, ours = student("videomae-base", hf.VideoMAEForPreTraining, tmp_path)
    (videos, views), lesson = clips(), ours.lesson
    assert isinstance(lesson, HiddenTubesModule)
    hidden_Bn = torch.stack([tube_mask((8, 3, 3), 0.9, torch.Generator().manual_seed(n)) for n in range(2)])
    reference = theirs(videos, hidden_Bn)
    worst = gap(lesson.predicted(ours.encoder, views, hidden_Bn), reference.logits)
    draw = torch.Generator().manual_seed(3)
    drawn = torch.stack([tube_mask((8, 3, 3), 0.9, draw) for _ in range(2)])
    loss = ours.losses(views, torch.Generator().manual_seed(3))["pixels"]
    worst = max(worst, gap(loss, theirs(videos, drawn).loss))
    assert worst <= 1e-5, worst
    for name in ("videomae-base", "videomae-large"):
        record("parity", name, worst)


@torch.no_grad()
def test_what_is_seen_is_not_learned(tmp_path: Path) -> None:
    """The truth of visible tubes is never read: the loss is that of the hidden ones, of which 8 of 72 are no part."""
    _, ours = student("videomae-base", hf.VideoMAEForPreTraining, tmp_path)
    _, views = clips()
    hidden_Bn = torch.stack([tube_mask((8, 3, 3), 0.9)] * 2)
    other = views.x_NC.clone()
    other[~hidden_Bn.flatten()] += torch.randn(16, 1536)
    changed = Views(other, views.grids)
    assert torch.equal(ours.lesson.truth(views, hidden_Bn), ours.lesson.truth(changed, hidden_Bn))
    read = []
    ours.encoder.blocks[0].register_forward_pre_hook(lambda _, given: read.append(given[0].shape))
    assert ours.lesson.predicted(ours.encoder, views, hidden_Bn).shape == (2, 64, 1536)
    assert read == [(2, 8, 32)]


@torch.no_grad()
def test_classes(tmp_path: Path) -> None:
    theirs, ours = student("videomae-base-finetuned-kinetics", hf.VideoMAEForVideoClassification, tmp_path)
    videos, views = clips()
    reference = theirs(videos, labels=views.labels_B)
    worst = gap(ours.lesson(ours.encoder(views.x_NC, views.grids)), reference.logits)
    worst = max(worst, gap(ours.losses(views)["classes"], reference.loss))
    assert worst <= 1e-5, worst
    for name in NAMES:
        if "classify" in registry.system(name).lessons:
            record("parity", name, worst)


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
    student = system.student(system.stages[0].name)
    with torch.device("meta"):
        beside = whole if "mask" in system.lessons else names(hf.VideoMAEForVideoClassification(config(system)))
    fits(student, beside, student.checkpoints[0].layouts, "hf-videomae")
    record("manifest", name, 0.0)


def test_hidden_tubes_stand_still() -> None:
    hidden = tube_mask((8, 14, 14), 0.9).view(8, 196)
    assert int(hidden[0].sum()) == 176 and all(torch.equal(hidden[0], frame) for frame in hidden)
    assert int((~hidden).sum()) == 160


def test_too_long_a_clip_is_refused() -> None:
    with pytest.raises(InputError, match="up to 16 pictures"):
        registry.system("videomae-base").encoder.grid(224, 224, 18)
