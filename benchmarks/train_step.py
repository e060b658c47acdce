"""A training step of a 29 M CLIP (vision 6 x 384 at 224/32, text 6 x 256) at batch 64, beside open_clip's own classes.

Both: forward, InfoNCE, backward, AdamW; captions as long as COCO's (8 to 22 tokens). Ours reads texts up to the longest of the
batch, as a causal tower may; open_clip always reads 77. bf16: ours keeps weights in it, with fp32 copies in the optimiser;
open_clip casts (its amp_bf16). It is no dependency: `pip install --no-deps open_clip_torch timm ftfy`.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from contextlib import AbstractContextManager, nullcontext

import torch
from _harness import Result, compare, report
from torch import nn

from anyvlm import registry
from anyvlm.dual import Dual, DualSystem
from anyvlm.inputs.text import WordsBatch
from anyvlm.system import Pixels
from anyvlm.train.dual import contrast
from anyvlm.train.loop import trainable
from anyvlm.train.optim import AdamW

PAIRS, VOCAB, CONTEXT = 64, 49408, 77


def open_clip() -> tuple[type[nn.Module], type[nn.Module]]:
    """Its model and loss, without its front door, which needs torchvision (no CPU build) for pictures alone."""
    import transformers  # noqa: F401  # looks for torchvision too, and must not find the stand-in

    for name in ("torchvision", "torchvision.ops", "torchvision.ops.misc"):
        sys.modules.setdefault(name, types.ModuleType(name))
    setattr(sys.modules["torchvision.ops.misc"], "FrozenBatchNorm2d", type("FrozenBatchNorm2d", (), {}))  # noqa: B010
    if (found := importlib.util.find_spec("open_clip")) is None:
        raise SystemExit("open_clip is not installed: pip install --no-deps open_clip_torch timm ftfy")
    package = types.ModuleType("open_clip")
    package.__path__ = list(found.submodule_search_locations or ())
    sys.modules["open_clip"] = package
    return importlib.import_module("open_clip.model").CLIP, importlib.import_module("open_clip.loss").ClipLoss


def system() -> DualSystem:
    named = registry.system("clip-vit-b-32")
    assert isinstance(named, DualSystem)
    eye = {"width": 384, "depth": 6, "heads": 6, "ffn__hidden": 1536}
    words = {"width": 256, "depth": 6, "heads": 4, "ffn__hidden": 1024}
    changes = {f"towers__image__encoder__{key}": value for key, value in eye.items()}
    return named.but(**changes, **{f"towers__text__encoder__{key}": value for key, value in words.items()})


def run() -> list[Result]:
    CLIP, ClipLoss = open_clip()
    torch.manual_seed(0)
    pixels = torch.randn(PAIRS, 3, 224, 224)
    lengths = torch.randint(8, 23, (PAIRS,))
    ids = torch.randint(1, VOCAB - 2, (PAIRS, CONTEXT)) * (torch.arange(CONTEXT) < lengths[:, None])
    ids[torch.arange(PAIRS), lengths - 1] = VOCAB - 1
    results = []
    for name in ("fp32", "bf16"):
        half: AbstractContextManager[object] = torch.autocast("cpu", torch.bfloat16) if name != "fp32" else nullcontext()

        theirs = CLIP(
            embed_dim=512, quick_gelu=True, vision_cfg={"image_size": 224, "layers": 6, "width": 384, "patch_size": 32},
            text_cfg={"width": 256, "heads": 4, "layers": 6},
        ).train()  # fmt: skip
        loss, optimiser = ClipLoss(), torch.optim.AdamW(theirs.parameters(), 1e-4, betas=(0.9, 0.98), weight_decay=0.2)

        def their(theirs=theirs, loss=loss, optimiser=optimiser, half=half) -> None:  # type: ignore[no-untyped-def]
            optimiser.zero_grad()
            with half:
                value = loss(*theirs(pixels, ids))
            value.backward()
            optimiser.step()

        spec = system()
        dual, stage = Dual(spec).train(), spec.stages[0].but(lr=1e-4, weight_decay=0.2)
        dtype = torch.float32 if name == "fp32" else torch.bfloat16
        dual.towers.to(dtype)
        own = AdamW(trainable(dual, stage), stage)
        longest = int(lengths.max())

        def ours(dual=dual, own=own, stage=stage, dtype=dtype, longest=longest) -> None:  # type: ignore[no-untyped-def]
            patches = pixels.unflatten(3, (7, 32)).unflatten(2, (7, 32)).permute(0, 2, 4, 1, 3, 5).reshape(-1, 3072)
            seen = torch.arange(longest) < lengths[:, None]
            batch = {"image": Pixels(patches.to(dtype), ((1, 7, 7),) * PAIRS), "text": WordsBatch(ids[:, :longest], seen)}
            value = sum(contrast(dual, batch, stage).values())
            value.backward()  # type: ignore[union-attr]
            own.step(5, 10)

        sizes = [sum(p.numel() for p in module.parameters()) for module in (dual, theirs)]
        assert sizes[0] == sizes[1]
        title = f"training step of a CLIP of {sizes[0] / 1e6:.0f} M, batch {PAIRS}, {name}, beside open_clip"
        results.append(compare(title, ours, their, unit="pairs/s", work=PAIRS, at_least=1.3, rounds=3))
    return results


if __name__ == "__main__":
    report(run())
