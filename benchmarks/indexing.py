"""Indexing JPEGs end to end with CLIP-B/32 (random weights, bf16), against a plain transformers script and the encoder alone.

`ANYVLM_BENCH_PICTURES` sets how many (2,000).
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
from _harness import Result, report
from PIL import Image

PICTURES = int(os.environ.get("ANYVLM_BENCH_PICTURES", "2000"))
BATCH = 32


def run() -> list[Result]:
    # here and not above: every worker process imports this file, and should not import torch with it
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    from anyvlm.dual import Dual, DualSystem
    from anyvlm.generate.device import place
    from anyvlm.generate.dual import DualModel
    from anyvlm.generate.prepack import prepack
    from anyvlm.registry import system
    from anyvlm.search.build import update
    from anyvlm.search.embedder import Towers

    torch.manual_seed(0)
    named = system("clip-vit-b-32")
    assert isinstance(named, DualSystem)
    module = named.build().to(torch.bfloat16).eval()
    assert isinstance(module, Dual)
    prepack(module)  # as `load` does
    towers = Towers(DualModel(named, module, None, place("cpu", "bf16")), named.name, "0" * 64)
    theirs = CLIPVisionModelWithProjection(CLIPVisionConfig(projection_dim=512, patch_size=32)).to(torch.bfloat16).eval()
    processor = CLIPImageProcessorPil()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "pictures")
        paint(folder)

        def plain() -> None:
            files = sorted(folder.iterdir())
            for start in range(0, len(files), BATCH):
                images = [Image.open(file).convert("RGB") for file in files[start : start + BATCH]]
                with torch.inference_mode():
                    theirs(pixel_values=processor(images, return_tensors="pt")["pixel_values"].bfloat16())

        def alone() -> None:
            arrays = [towers.policy.arrays(Image.open(file).convert("RGB"))[0] for file in sorted(folder.iterdir())[:BATCH]]
            begin = time.perf_counter()
            for _ in range(PICTURES // BATCH):
                towers.pictures(arrays)
            rates.append(PICTURES // BATCH * BATCH / (time.perf_counter() - begin))

        rates = list[float]()
        alone()
        ours = timed(lambda: update(folder, Path(name, "index"), towers, batch=BATCH, workers=os.cpu_count()))
        their = timed(plain)
    share = ours / rates[0]
    title = f"index {PICTURES} JPEGs of 640 x 480, CLIP-B/32 bf16"
    return [
        Result(title, ours, their, "pictures/s", ours / their, ">= 1.5x", ours / their >= 1.5),
        Result(f"{title}, of the encoder's rate", ours, rates[0], "pictures/s", share, ">= 0.85x", share >= 0.85),
    ]


def timed(job: object) -> float:
    """Pictures a second."""
    begin = time.perf_counter()
    job()  # type: ignore[operator]
    return PICTURES / (time.perf_counter() - begin)


def paint(folder: Path) -> None:
    """Smooth noise: as much to decode as a photograph."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for n in range(PICTURES):
        small = Image.fromarray(draw.integers(0, 256, (48, 64, 3), np.uint8))
        small.resize((640, 480), Image.Resampling.BICUBIC).save(folder / f"{n:05}.jpg", quality=90)


if __name__ == "__main__":
    report(run())
