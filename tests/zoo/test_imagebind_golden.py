"""ImageBind equals the authors' code: facebookresearch/ImageBind at 53680b0, run outside the repository on tiny random weights.

Sound: its `waveform2melspec` through torchaudio's own `compliance/kaldi.py` 2.11; every 8th band and 5th window is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from anyvlm import registry
from anyvlm.dual import Dual, DualSystem
from anyvlm.errors import InputError
from anyvlm.generate.device import place
from anyvlm.generate.dual import DualModel
from anyvlm.generate.signals import combine, point_signals
from anyvlm.inputs.signal import Mel, filter_bank
from anyvlm.inputs.text import WordsBatch
from anyvlm.system import Checkpoint, Pixels
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.golden import stored, weights
from tests.parity import gap, record

NAME, REFERENCE = "imagebind-huge", "facebookresearch/ImageBind 53680b0"
FIXED = {"text": 3.0, "audio": log(20), "depth": log(5), "thermal": log(10), "imu": log(5)}
FACTS, NUMBERS = stored("imagebind")


def system(folder: Path) -> DualSystem:
    whole = registry.system(NAME)
    narrow = {f"towers__{n}__encoder__{k}": v for n in whole.towers for k, v in {"width": 32, "depth": 2}.items()}
    senses = [n for n in whole.towers if n != "text"]
    narrow |= {f"towers__{n}__encoder__block__heads": 2 if n == "depth" else 4 for n in senses}
    narrow |= {f"towers__{n}__encoder__block__ffn__hidden": 128 for n in senses}
    narrow |= {"towers__text__encoder__heads": 4, "towers__text__encoder__ffn__hidden": 128}
    source = Directory(path=str(folder))
    return whole.but(shared=16, **narrow, checkpoints=(Checkpoint(source=source, layouts=whole.checkpoints[0].layouts),))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DualModel]:
    folder = tmp_path_factory.mktemp("imagebind")
    theirs = weights(FACTS["shapes"])
    theirs |= {f"modality_postprocessors.{n}.1.log_logit_scale": torch.tensor(float(v)) for n, v in FIXED.items()}
    save_file(theirs | {"modality_preprocessors.text.mask": torch.zeros(77, 77)}, folder / "model.safetensors")
    spec = system(folder)
    module = load_module(spec, dtype=torch.float32)
    assert isinstance(module, Dual)
    yield DualModel(spec, module, None, place("cpu", "fp32"))


def given() -> dict[str, Tensor]:
    """As the authors' code got them."""
    random = np.random.default_rng(1)
    sizes = {
        "vision": (2, 3, 224, 224), "audio": (2, 3, 1, 128, 204), "depth": (2, 1, 224, 224), "thermal": (2, 1, 224, 224),
        "imu": (2, 6, 2000), "clip": (1, 2, 3, 2, 224, 224),
    }  # fmt: skip
    out = {name: torch.from_numpy(random.standard_normal(size).astype(np.float32)) for name, size in sizes.items()}
    ids = torch.from_numpy(random.integers(1, 49000, (2, 77)))
    for line, end in enumerate((5, 76)):
        ids[line, end], ids[line, end + 1 :] = 49407, 0
    time = np.arange(int(16000 * 3.37)) / 16000
    chirp = 0.3 * np.sin(2 * np.pi * (200 + 300 * time) * time) + 0.05 * random.standard_normal(len(time))
    wave = np.stack([chirp, 0.1 * random.standard_normal(len(time))]).astype(np.float32)
    return out | {"text": ids, "wave": torch.from_numpy(wave)}


def read(model: DualModel, name: str, arrays: list[Tensor]) -> Tensor:
    """Points as the authors' code gives them: with the scale of that sense."""
    encoder = model.system.towers[name].encoder
    grids = tuple(encoder.grid(*array.shape[-2:]) for array in arrays)
    scales = {each.b: model.module.contrast(n).scale.exp() for n, each in enumerate(model.system.contrasts)}
    return model.module.points(name, Pixels(torch.cat([encoder.cut(x) for x in arrays]), grids)) * scales.get(name, 1.0)


@torch.no_grad()
def test_points_of_all_senses(model: DualModel) -> None:
    x = given()
    text = x["text"]
    words = WordsBatch(text, torch.arange(77) <= text.argmax(1, keepdim=True))
    ours = {
        "text": model.module.points("text", words) * model.module.contrast().scale.exp(),
        "vision": read(model, "image", list(x["vision"])),
        "clip": read(model, "image", [clip.transpose(0, 1) for clip in x["clip"][0]]).mean(0, keepdim=True),
        "audio": read(model, "audio", list(x["audio"].flatten(0, 1))).unflatten(0, (2, 3)).mean(1),
        "depth": read(model, "depth", list(x["depth"])),
        "thermal": read(model, "thermal", list(x["thermal"])),
        "imu": read(model, "imu", list(x["imu"].unsqueeze(2))),
    }
    gaps = {name: gap(value, NUMBERS[name]) / float(NUMBERS[name].abs().max()) for name, value in ours.items()}
    worst = max(gaps.values())
    assert worst <= 1e-5, gaps
    record("golden", NAME, worst, REFERENCE)


def test_sound_becomes_the_same_bands() -> None:
    wave = given()["wave"].numpy()
    ours = torch.from_numpy(np.stack(Mel().arrays(wave)))
    assert ours.shape == (3, 1, 128, 204)
    assert gap(ours[:, 0, ::8, ::5], NUMBERS["mel"]) <= 2e-4
    short = torch.from_numpy(Mel(clips=1).arrays(wave[:, :9000])[0])
    assert gap(short[0, ::8, ::5], NUMBERS["short"]) <= 2e-4
    assert filter_bank(wave[0], 16000, 128).shape == (128, 335)
    with pytest.raises(InputError, match="at least 400"):
        Mel().arrays(wave[:, :399])


def test_signals_by_name(model: DualModel) -> None:
    x = given()
    points = point_signals(model, "imu", list(x["imu"].numpy()), batch=1)
    assert gap(points * 5, NUMBERS["imu"]) <= 2e-4
    sound = point_signals(model, "audio", [x["wave"].numpy()])
    assert sound.shape == (1, 16) and float(sound.norm()) <= 1
    for modality, signal, said in (
        ("image", x["imu"].numpy(), "no tower for signals of 'image'"), ("imu", x["imu"].numpy()[:, :5], "give 6 x 2000"),
        ("depth", np.full((1, 224, 224), np.nan, np.float32)[None], "no numbers"), ("imu", [], "no signals"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=said):
            point_signals(model, modality, list(signal))


def test_arithmetic_of_points() -> None:
    """Among all pairs, the sum of two points is nearest to the two that made it, and what is taken away moves far."""
    torch.manual_seed(0)
    all_ = torch.nn.functional.normalize(torch.randn(40, 64), dim=-1)
    both = combine([all_[3], all_[17]])
    assert set((all_ @ both).topk(2).indices.tolist()) == {3, 17} and abs(float(both.norm()) - 1) < 1e-6
    assert float(combine([both, all_[17]], [1, -0.7]) @ all_[17]) < 0.1 < float(both @ all_[17])
    assert combine([all_[:5], all_[3]]).shape == (5, 64)
    with pytest.raises(InputError, match="cancel"):
        combine([all_[0], all_[0]], [1, -1])
    with pytest.raises(InputError, match="weights"):
        combine([all_[0]], [1, 2])
