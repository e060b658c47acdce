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
from anyvlm.parts.weighted import distilled, hard_negatives, nt_xent, several

KINDS = ("softmax", "one way", "sigmoid", "hard negatives", "several", "views", "distilled")
ALIKE = torch.arange(50) % 40  # ten items have a twin


def given(n: int = 50) -> list[Tensor]:
    draw = torch.Generator().manual_seed(0)
    points = [F.normalize(torch.randn(n, 16, generator=draw), dim=-1) for _ in range(2)]
    return [x.requires_grad_() for x in (*points, torch.tensor(14.0), torch.tensor(-10.0))]


TEACHERS = [given()[:2], [x.flip(1) for x in given()[:2]]]
TEACHERS = [tuple(x.detach().roll(n, 1) for n, x in enumerate(pair)) for pair in TEACHERS]


def plain(kind: str, a: Tensor, b: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """What the papers write, with the whole matrix."""
    z, same, n = scale * (a @ b.T), torch.eye(len(a)), len(a)
    if kind == "hard negatives":
        w = (0.5 * z).exp() * (1 - same)
        (rows, columns) = ((n - 1) * w / w.sum(side, keepdim=True) for side in (1, 0))
        own = z.diagonal()
        sums = [(0.8 * own.exp() + (weight * z.exp()).sum(side)).log() for side, weight in ((1, rows), (0, columns))]
        return sum((s - own).mean() for s in sums) / 2
    if kind == "several":
        aim = (ALIKE[:, None] == ALIKE).float()
        aim /= aim.sum(1, keepdim=True)
        return (F.cross_entropy(z, aim) + F.cross_entropy(z.T, aim)) / 2
    if kind == "views":  # facebookresearch/SLIP losses.py
        place, far = torch.arange(n), 1e9 * same
        first = torch.cat([z, scale * (a @ a.T) - far], 1)
        second = torch.cat([z.T, scale * (b @ b.T) - far], 1)
        return (F.cross_entropy(first, place) + F.cross_entropy(second, place)) / 2
    if kind == "distilled":
        turns = (TEACHERS, [(y, x) for x, y in TEACHERS])
        aims = [torch.stack([(100 * x @ y.T).softmax(1) for x, y in turn]).mean(0) for turn in turns]
        return (F.cross_entropy(z, aims[0]) + F.cross_entropy(z.T, aims[1])) / 2
    if kind == "sigmoid":
        return -F.logsigmoid((z + bias) * (2 * same - 1)).sum() / len(a)
    if kind == "one way":
        return F.cross_entropy(z, same)
    return (F.cross_entropy(z, same) + F.cross_entropy(z.T, same)) / 2


def chunked(
    kind: str, a: Tensor, b: Tensor, scale: Tensor, bias: Tensor, chunk: int, mine: slice = slice(None)
) -> Tensor:
    match kind:
        case "sigmoid":
            return sigmoid(a, b, scale, bias, chunk)
        case "one way":
            return one_way(a, b, scale, chunk)
        case "hard negatives":
            return hard_negatives(a, b, scale, 0.8, 0.5, chunk)
        case "several":
            return several(a, b, scale, ALIKE[mine], chunk)
        case "views":
            return nt_xent(a, b, scale, chunk)
        case "distilled":
            return distilled(a, b, scale, [(x[mine], y[mine]) for x, y in TEACHERS], 100.0, chunk)
    return info_nce(a, b, scale, chunk)


def test_hard_negatives_without_weights_are_info_nce_and_weigh_the_likest_most() -> None:
    a, b, scale, _ = given()
    torch.testing.assert_close(hard_negatives(a, b, scale, 1.0, 0.0), info_nce(a, b, scale), atol=1e-5, rtol=1e-6)
    likest = (a @ b.T).fill_diagonal_(-2).argmax(1)[0]

    def pull(beta: float) -> float:
        (grad,) = torch.autograd.grad(hard_negatives(a, b, scale, 1.0, beta), b)
        return float(grad[likest] @ a[0].detach())

    assert pull(0.5) > pull(0.25) > pull(0.0)


def test_partners_of_one_number_lower_the_loss() -> None:
    a = F.normalize(torch.randn(6, 8, generator=torch.Generator().manual_seed(1)), dim=-1)
    b, scale = a[[1, 0, 2, 3, 4, 5]], torch.tensor(10.0)  # the first two goods have each other's titles
    assert several(a, b, scale, torch.tensor([0, 0, 1, 2, 3, 4])) < several(a, b, scale, torch.arange(6))


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
    loss = chunked(kind, a[mine], b[mine], scale, bias, 8, mine)
    loss.backward()
    grads = [x.grad if x.grad is not None else torch.zeros_like(x) for x in (a, b, scale, bias)]
    for grad in grads:
        dist.all_reduce(grad)
    out[kind] = [loss.item(), *(grad.tolist() for grad in grads)]
if rank == 0:
    open(sys.argv[1], "w").write(json.dumps(out))
dist.barrier()
dist.destroy_process_group()
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
