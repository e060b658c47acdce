"""Contrastive losses of 16,384 pairs of 512 numbers, forward and backward; a training step with half the patches left out."""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
from _harness import Result, compare, report

from anyvlm import registry
from anyvlm.dual import Dual
from anyvlm.inputs.text import WordsBatch
from anyvlm.parts.chunked import info_nce, sigmoid
from anyvlm.system import Pixels
from anyvlm.train.drop import dropped

N, WIDTH, MOST = 16_384, 512, 450  # pairs, numbers, MB


def loss(kind: str, a: torch.Tensor, b: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    if kind == "InfoNCE, chunked":
        return info_nce(a, b, scale)
    if kind == "sigmoid, chunked":
        return sigmoid(a, b, scale, bias)
    z = scale * (a @ b.T)
    if kind == "InfoNCE, plain":
        same = torch.arange(len(a))
        return (F.cross_entropy(z, same) + F.cross_entropy(z.T, same)) / 2
    return -F.logsigmoid((z + bias) * (2 * torch.eye(len(a)) - 1)).sum() / len(a)


def measure(kind: str) -> None:
    """MB beyond what points and their gradients take, and seconds of the faster of two."""
    torch.manual_seed(0)
    given = [F.normalize(torch.randn(N, WIDTH), dim=-1), F.normalize(torch.randn(N, WIDTH), dim=-1)]
    given = [x.requires_grad_() for x in (*given, torch.tensor(14.3), torch.tensor(-10.0))]
    for x in given:
        x.grad = torch.zeros_like(x)
    before, times = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
    for _ in range(2):
        begin = time.perf_counter()
        loss(kind, *given).backward()
        times.append(time.perf_counter() - begin)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, min(times))


def apart(kind: str) -> tuple[float, float]:
    out = subprocess.run([sys.executable, __file__, kind], capture_output=True, text=True, check=True).stdout
    megabytes, seconds = map(float, out.split())
    return megabytes, seconds


def run() -> list[Result]:
    results = []
    for kind in ("InfoNCE", "sigmoid"):
        (ours, fast), (plain, slow) = apart(f"{kind}, chunked"), apart(f"{kind}, plain")
        results.append(Result(f"{kind} of {N:,} pairs, extra memory", ours, plain, "MB", ours, f"<= {MOST}", ours <= MOST))
        results.append(
            Result(f"{kind} of {N:,} pairs", 1 / fast, 1 / slow, "steps/s", slow / fast, ">= 1x", slow >= fast)
        )
    return [*results, step()]


def step(pairs: int = 16) -> Result:
    """All of ViT-B/16's widths at a third of its depth, texts of 32 tokens."""
    spec = registry.system("clip-vit-b-16").but(towers__image__encoder__depth=4, towers__text__encoder__depth=4)
    dual = Dual(spec)
    x = Pixels(torch.randn(pairs * 196, 768), ((1, 14, 14),) * pairs)
    words = WordsBatch(torch.randint(0, 49408, (pairs, 32)), None)

    def train(keep: float) -> None:
        (loss,) = dual.losses({"image": dropped(x, keep) if keep < 1 else x, "text": words}).values()
        loss.backward()

    name = "training step with half the patches, against all"
    return compare(name, lambda: train(0.5), lambda: train(1.0), unit="pairs/s", work=pairs, at_least=1.7, rounds=3)


if __name__ == "__main__":
    if len(sys.argv) == 2 and not sys.argv[1].startswith("-"):
        measure(sys.argv[1])
    else:
        report(run())
