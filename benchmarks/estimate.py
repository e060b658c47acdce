"""`anyvlm estimate` against what is really held: largest live bytes of torch's allocator, and of the whole process.

    python benchmarks/estimate.py                 on this machine's CPU; every case in a process of its own
    python benchmarks/estimate.py --device cuda   larger cases, against torch.cuda.max_memory_allocated

Random weights. The table says predicted and measured bytes of tensors and their ratio, which should be within 15 % of 1; on a
CPU also the process's largest resident bytes beyond those it had with torch imported.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from math import prod
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from torch import nn

from anyvlm.anatomy.memory import Load, answering, training
from anyvlm.dual import Dual, DualSystem, TextTower, Tower
from anyvlm.generate.engine import prefill
from anyvlm.inputs.text import WordsBatch
from anyvlm.match import AnySystem
from anyvlm.registry import system
from anyvlm.seq import Kind
from anyvlm.system import VLM, Batch, Lora, Pixels, Stage, System
from anyvlm.train.loop import trainable
from anyvlm.train.losses import next_token
from anyvlm.train.optim import AdamW

FULL = Stage(name="tune", train=("connectors.*", "lm.*"), lr=1e-4)
LORA = FULL.but(train=("connectors.*",), lora=Lora(rank=64, alpha=64))
ALIGN = FULL.but(train=("connectors.*",))
PAIRS = Stage(name="contrast", train=("*",), losses={"image-text": 1.0}, lr=1e-4)
TEXT = FULL.but(train=("*",))

Case = tuple[str, Stage | None, Load]
CPU: dict[str, Case] = {
    "pocket, prompt of 1024": ("anyvlm-pocket", None, Load(length=1024)),
    "pocket, prompt of 4096 x 2": ("anyvlm-pocket", None, Load(batch=2, length=4096)),
    "pocket, all, 4 x 192": ("anyvlm-pocket", FULL, Load(batch=4, length=192)),
    "pocket, all, 12 x 192": ("anyvlm-pocket", FULL, Load(batch=12, length=192)),
    "pocket, LoRA 64, 4 x 192": ("anyvlm-pocket", LORA, Load(batch=4, length=192)),
    "pocket, LoRA 64, 12 x 192": ("anyvlm-pocket", LORA, Load(batch=12, length=192)),
    "pocket, connector, 4 x 512": ("anyvlm-pocket", ALIGN, Load(batch=4, length=512)),
    "SmolLM2-135M fp32, all, 2 x 256": ("smollm2-135m-instruct", TEXT, Load(batch=2, length=256, pictures=0, dtype="fp32")),
    "CLIP-B/32 fp32, 16 pairs": ("clip-vit-b-32", PAIRS, Load(batch=16, dtype="fp32")),
    "CLIP-B/32 bf16, 48 pairs": ("clip-vit-b-32", PAIRS, Load(batch=48)),
    "Qwen2.5-0.5B, prompt of 2048": ("qwen2.5-0.5b-instruct", None, Load(length=2048, pictures=0)),
    "SmolVLM-256M, prompt of 2048": ("smolvlm-256m", None, Load(length=2048)),
    "DINOv2-S, 16 pictures": ("dinov2-small", None, Load(batch=16)),
}
CUDA: dict[str, Case] = {
    "pocket, all, 32 x 256": ("anyvlm-pocket", FULL, Load(batch=32, length=256)),
    "pocket, LoRA 64, 64 x 256": ("anyvlm-pocket", LORA, Load(batch=64, length=256)),
    "Qwen2.5-0.5B, all, 4 x 2048": ("qwen2.5-0.5b-instruct", TEXT, Load(batch=4, length=2048, pictures=0)),
    "Qwen2.5-1.5B, all, 2 x 1024": ("qwen2.5-1.5b-instruct", TEXT, Load(batch=2, length=1024, pictures=0)),
    "CLIP-B/32 fp32, 512 pairs": ("clip-vit-b-32", PAIRS, Load(batch=512, dtype="fp32")),
    "CLIP-L/14 bf16, 256 pairs": ("clip-vit-l-14", PAIRS, Load(batch=256)),
    "LLaVA-1.5-7B, prompt of 4096": ("llava-1.5-7b", None, Load(length=4096)),
    "LLaVA-1.5-7B, prompt of 2048 x 8": ("llava-1.5-7b", None, Load(batch=8, length=2048)),
    "LLaVA-1.5-7B, LoRA 64, 2 x 1024": ("llava-1.5-7b", LORA, Load(batch=2, length=1024)),
    "LLaVA-1.5-7B, connector, 4 x 1024": ("llava-1.5-7b", ALIGN, Load(batch=4, length=1024)),
    "BLIP-2 OPT-2.7B, connector, 8 x 256": ("blip2-opt-2.7b", ALIGN, Load(batch=8, length=256)),
    "Qwen2-VL-2B, prompt of 8192, 4 pictures": ("qwen2-vl-2b-instruct", None, Load(length=8192, pictures=4)),
    "SmolVLM-500M, all, 4 x 1536": ("smolvlm-500m", FULL, Load(batch=4, length=1536)),
}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def predicted(found: AnySystem, stage: Stage | None, load: Load) -> int:
    """Bytes of tensors."""
    return (answering(found, load, 16) if stage is None else training(found, stage, load)).tensors


def module_of(found: AnySystem, load: Load) -> nn.Module:
    """On its device, in its dtype, without a second copy anywhere."""
    with torch.device(load.device):
        torch.set_default_dtype(DTYPES[load.dtype])
        try:
            return found.build().to(DTYPES[load.dtype])
        finally:
            torch.set_default_dtype(torch.float32)


def work(found: AnySystem, module: nn.Module, stage: Stage | None, load: Load, steps: int = 2) -> None:
    """Two updates as `train.loop` makes them, or a prompt as `generate.engine` reads it."""
    if stage is not None:
        parameters = trainable(module.train(), stage)
        optimiser = AdamW(parameters, stage)
        for step in range(steps):
            total = loss(found, module, load)
            total.backward()
            optimiser.step(step, steps)
            del total
        return
    module.eval()
    with torch.no_grad():
        if isinstance(module, VLM):
            assert isinstance(found, System)
            batch = conversation(found, load)
            hidden_BD, _steps = prefill(module, batch, None, 16)
            module.lm.logits(hidden_BD)
        elif isinstance(module, Dual):
            assert isinstance(found, DualSystem)
            for name, x in pairs(found, load).items():
                module.points(name, x)
        else:
            pixels = pictures(found.encoder, [found.policy.cut(*load.size)] * load.batch, load)  # type: ignore[union-attr]
            module(pixels.x_NC, pixels.grids)


def loss(found: AnySystem, module: nn.Module, load: Load) -> torch.Tensor:
    """Of one batch."""
    if isinstance(module, Dual):
        assert isinstance(found, DualSystem)
        return torch.stack(list(module.losses(pairs(found, load)).values())).sum()
    assert isinstance(found, System) and isinstance(module, VLM)
    batch = conversation(found, load)
    hidden_BTD = module.lm.hidden(module.lm.begin(module.assemble(batch)))
    return next_token(module.lm, hidden_BTD, batch.labels_BT)


def pictures(encoder: object, cuts: list[object], load: Load) -> Pixels:
    """Noise."""
    sizes = [size for cut in cuts for size in cut.sizes]  # type: ignore[attr-defined]
    grids = tuple(encoder.grid(h, w) for h, w in sizes)  # type: ignore[attr-defined]
    each = encoder.cut(torch.empty(3, *sizes[0], device="meta")).shape[1]  # type: ignore[attr-defined]
    x_NC = torch.randn(sum(map(prod, grids)), each, dtype=DTYPES[load.dtype], device=load.device)
    return Pixels(x_NC, grids, tuple(cuts))  # type: ignore[arg-type]


def conversation(found: System, load: Load) -> Batch:
    """Pictures first, then text, all of which is learned."""
    kinds, media = torch.zeros(load.batch, load.length, dtype=torch.long), {}
    if load.pictures:
        name, stream = next(iter(found.streams.items()))
        cut = stream.policy_among(load.pictures).cut(*load.size)
        media[name] = pictures(stream.encoder, [cut] * (load.pictures * load.batch), load)
        if stream.reach:
            seen = tuple((row, 0, load.length) for row in range(load.batch) for _ in range(load.pictures))
            media[name] = replace(media[name], reaches=seen)
        else:
            kinds[:, : load.pictures * sum(map(prod, stream.rows(cut)))] = Kind.IMAGE
    labels, prefix = torch.where(kinds == 0, 7, -100), None
    places = torch.arange(load.length).expand(found.lm.axes, load.batch, load.length)
    if found.attention == "prefix":
        answer = int((kinds[0] == 0).sum()) // 2
        prefix = places[0] < load.length - answer
        if found.lm.start is not None:
            labels = torch.full((load.batch, answer + 1), 7)
    return Batch(torch.zeros_like(kinds), kinds, places, torch.zeros_like(kinds), media, labels, prefix).to(load.device)


def pairs(found: DualSystem, load: Load) -> dict[str, Pixels | WordsBatch]:
    """Noise and padding."""
    out: dict[str, Pixels | WordsBatch] = {}
    for name, tower in found.towers.items():
        if isinstance(tower, Tower):
            out[name] = pictures(tower.encoder, [tower.policy.cut(*load.size)] * load.batch, load)
        elif isinstance(tower, TextTower):
            ids_BT = torch.zeros(load.batch, tower.policy.context, dtype=torch.long, device=load.device)
            out[name] = WordsBatch(ids_BT, None)
    return out


# Measuring ------------------------------------------------------------------------------------------------------------


def allocated(found: AnySystem, stage: Stage | None, load: Load) -> int:
    """The most bytes that torch's allocator held at once, weights among them."""
    if load.device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work(found, module_of(found, load), stage, load)
        return torch.cuda.max_memory_allocated() - before
    module = module_of(found, load)
    own = sum(p.numel() * p.element_size() for p in module.parameters())
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True, acc_events=False) as profile:
        work(found, module, stage, load)
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]  # type: ignore[union-attr]
    now = most = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return own + most


def resident(field: str) -> int:
    """"VmRSS" or "VmHWM" of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{field}:"))


def one(title: str, device: str) -> dict[str, float]:
    """The numbers of a case, in this process."""
    name, stage, load = (CPU if device == "cpu" else CUDA)[title]
    found, load = system(name), replace(load, device=device)
    told = predicted(found, stage, load)
    if device != "cpu":
        return {"predicted": told, "measured": allocated(found, stage, load)}
    before = resident("VmRSS")
    work(found, module_of(found, load), stage, load)
    process = resident("VmHWM") - before
    return {"predicted": told, "measured": allocated(found, stage, load), "process": process}


def main() -> None:
    """Print a line for every case as it comes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--case", help="this one alone, in this process, as JSON")
    parser.add_argument("--json", action="store_true", help="print one JSON object a case")
    given = parser.parse_args()
    if given.case:
        print(json.dumps(one(given.case, given.device)))
        return
    worst = 0.0
    for title in CPU if given.device == "cpu" else CUDA:
        command = [sys.executable, __file__, "--device", given.device, "--case", title]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"| {title} | failed: {done.stderr.strip().splitlines()[-1]} |", flush=True)
            worst = 1.0
            continue
        found = json.loads(done.stdout)
        ratio = found["predicted"] / found["measured"]
        worst = max(worst, abs(ratio - 1))
        if given.json:
            print(json.dumps({"case": title, **found, "ratio": ratio}), flush=True)
            continue
        whole = f" {found['process'] / 1e6:.0f} |" if "process" in found else ""
        numbers = f"{found['predicted'] / 1e6:.0f} | {found['measured'] / 1e6:.0f} | {ratio:.3f} |{whole}"
        print(f"| {title} | {numbers} {'yes' if abs(ratio - 1) <= 0.15 else '**no**'} |", flush=True)
    print(f"largest difference {worst:.1%}")


if __name__ == "__main__":
    main()
