"""Losses in chunks equal the plain ones, alone and shared by two processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from anyvlm.parts.chunked import info_nce, one_way, sigmoid

KINDS = ("softmax", "one way", "sigmoid")


def given(n: int = 50) -> list[Tensor]:
    draw = torch.Generator().manual_seed(0)
    points = [F.normalize(torch.randn(n, 16, generator=draw), dim=-1) for _ in range(2)]
    return [x.requires_grad_() for x in (*points, torch.tensor(14.0), torch.tensor(-10.0))]


def plain(kind: str, a: Tensor, b: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    z, same = scale * (a @ b.T), torch.eye(len(a))
    if kind == "sigmoid":
        return -F.logsigmoid((z + bias) * (2 * same - 1)).sum() / len(a)
    if kind == "one way":
        return F.cross_entropy(z, same)
    return (F.cross_entropy(z, same) + F.cross_entropy(z.T, same)) / 2


def chunked(kind: str, a: Tensor, b: Tensor, scale: Tensor, bias: Tensor, chunk: int) -> Tensor:
    if kind == "sigmoid":
        return sigmoid(a, b, scale, bias, chunk)
    return (one_way if kind == "one way" else info_nce)(a, b, scale, chunk)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk", [1, 16, 50, 1000])
def test_loss_and_gradients(kind: str, chunk: int) -> None:
    x = given()
    ours, theirs = chunked(kind, *x, chunk), plain(kind, *x)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-6)
    grads = (torch.autograd.grad(3 * loss, x, allow_unused=True) for loss in (ours, theirs))
    for a, b in zip(*grads, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_a_batch_in_bf16_has_gradients_in_bf16() -> None:
    a, b, scale, _ = given()
    half = [x.detach().bfloat16().requires_grad_() for x in (a, b)]
    loss = info_nce(*half, scale)
    loss.backward()
    assert loss.dtype == torch.float32 and half[0].grad.dtype == torch.bfloat16


SHARED = """
import json, sys, torch, torch.distributed as dist
from tests.parts.test_chunked import KINDS, chunked, given
dist.init_process_group("gloo")
rank, out = dist.get_rank(), {}
for kind in KINDS:
    a, b, scale, bias = given()
    mine = slice(25 * rank, 25 * rank + 25)
    loss = chunked(kind, a[mine], b[mine], scale, bias, 8)
    loss.backward()
    grads = [x.grad if x.grad is not None else torch.zeros_like(x) for x in (a, b, scale, bias)]
    for grad in grads:
        dist.all_reduce(grad)
    out[kind] = [loss.item(), *(grad.tolist() for grad in grads)]
if rank == 0:
    open(sys.argv[1], "w").write(json.dumps(out))
"""


def test_two_processes_are_one(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(SHARED)
    words = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=0", "--rdzv-backend=c10d",
             "--rdzv-endpoint=localhost:0", str(tmp_path / "run.py"), str(tmp_path / "out.json")]  # fmt: skip
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, *words], cwd=root, capture_output=True, text=True, timeout=300,
                          env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    out = json.loads((tmp_path / "out.json").read_text())
    for kind in KINDS:
        x = given()
        loss = plain(kind, *x)
        loss.backward()
        torch.testing.assert_close(torch.tensor(out[kind][0]), loss.detach(), atol=1e-5, rtol=1e-6)
        for ours, theirs in zip(out[kind][1:], x, strict=True):
            want = torch.zeros_like(theirs) if theirs.grad is None else theirs.grad
            torch.testing.assert_close(torch.tensor(ours), want, atol=1e-5, rtol=1e-5)
