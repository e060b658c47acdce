"""Indexing JPEGs end to end in bf16 (random weights), against a plain transformers script and the encoder alone.

`ANYVLM_BENCH_PICTURES` sets how many (2,000; SigLIP-B/16, which takes four times as long, a quarter of them). The encoder is
timed before and after each index, and the plain scripts between: a neighbour on the machine slows all alike. One script asks
for bf16; the other takes the model as `from_pretrained` loads these checkpoints, in fp32.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Protocol

import numpy as np
from _harness import Result, report
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor, nn


class Processor(Protocol):
    def __call__(self, images: Sequence[Image.Image], *, return_tensors: str) -> Mapping[str, Tensor]: ...


PICTURES = int(os.environ.get("ANYVLM_BENCH_PICTURES", "2000"))
BATCH, ROUNDS = 32, 2
SQUARE = {"height": 224, "width": 224}


def run() -> list[Result]:
    # here and not above: every worker process imports this file, and should not import torch with it
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, SiglipVisionConfig, SiglipVisionModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    clip, siglip = CLIPVisionConfig(projection_dim=512, patch_size=32), SiglipVisionConfig(patch_size=16)
    return [
        *measured("CLIP-B/32", "clip-vit-b-32", CLIPVisionModelWithProjection(clip), CLIPImageProcessorPil(), PICTURES),
        *measured(
            "SigLIP-B/16", "siglip-vit-b-16-224", SiglipVisionModel(siglip), SiglipImageProcessorPil(size=SQUARE), PICTURES // 4
        ),
    ]


def measured(title: str, name: str, theirs: nn.Module, processor: Processor, pictures: int) -> list[Result]:
    """Ours against the plain script, and against the encoder alone."""
    import torch
    from _models import pair

    from anyvlm.search.build import update
    from anyvlm.search.embedder import Towers

    towers = Towers(pair(name), name, "0" * 64)
    models = {"fp32": theirs.eval(), "bf16": deepcopy(theirs).to(torch.bfloat16).eval()}
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base, "pictures")
        paint(folder, pictures)
        files = sorted(folder.iterdir())
        arrays = [towers.policy.arrays(Image.open(file).convert("RGB"))[0] for file in files[:BATCH]]

        def plain(model: nn.Module) -> None:
            for start in range(0, pictures, BATCH):
                images = [Image.open(file).convert("RGB") for file in files[start : start + BATCH]]
                with torch.inference_mode():
                    pixels = processor(images, return_tensors="pt")["pixel_values"]
                    model(pixel_values=pixels.to(next(model.parameters()).dtype))

        def alone() -> None:
            for _ in range(0, pictures // 2, BATCH):
                towers.pictures(arrays)

        encoder, ours, their = list[float](), list[float](), {dtype: list[float]() for dtype in models}
        towers.pictures(arrays)
        for number in range(ROUNDS):
            encoder.append(rate(alone, -(-(pictures // 2) // BATCH) * BATCH))
            index = Path(base, f"index-{number}")
            ours.append(rate(lambda: update(folder, index, towers, batch=BATCH, workers=os.cpu_count()), pictures))  # noqa: B023
            encoder.append(rate(alone, -(-(pictures // 2) // BATCH) * BATCH))
            for dtype, model in models.items():
                their[dtype].append(rate(partial(plain, model), pictures))
    line = f"index {pictures} JPEGs of 640 x 480, {title} bf16"
    out = []
    for dtype, rates in their.items():
        title, faster = f"{line}, script in {dtype}", mean(ours) / mean(rates)
        out.append(Result(title, mean(ours), mean(rates), "pictures/s", faster, ">= 1.5x", faster >= 1.5))
    share = mean(ours) / mean(encoder)
    named = f"{line}, of the encoder's rate"
    return [*out, Result(named, mean(ours), mean(encoder), "pictures/s", share, ">= 0.85x", share >= 0.85)]


def rate(job: Callable[[], object], pictures: int) -> float:
    """Pictures a second."""
    begin = time.perf_counter()
    job()
    return pictures / (time.perf_counter() - begin)


def paint(folder: Path, pictures: int) -> None:
    """Smooth noise: as much to decode as a photograph."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for n in range(pictures):
        small = Image.fromarray(draw.integers(0, 256, (48, 64, 3), np.uint8))
        small.resize((640, 480), Image.Resampling.BICUBIC).save(folder / f"{n:05}.jpg", quality=90)


if __name__ == "__main__":
    report(run())
