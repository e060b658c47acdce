"""The loop: exact resume, exactly the declared parameters move, damaged checkpoints are named."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from anyvlm.errors import SpecError, WeightsError
from anyvlm.system import Lora, Stage
from anyvlm.train.loop import Task, _batches, run_stage, trainable


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.second(self.first(x).tanh())
        return out


def net() -> Net:
    torch.manual_seed(0)
    return Net()


def batch(step: int) -> Tensor:
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(step))


def losses(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    return {"size": (model(x) - x[:, :3]).square().mean()}


LORA = Lora(rank=2, alpha=4, on=("first",), dropout=0.2)
STAGE = Stage(name="fit", train=("second.*",), losses={"size": 1.0}, lr=0.05, lora=LORA)


def train(folder: Path, steps: int, total: int = 8) -> Net:
    """`steps` of a schedule of `total`, as if the process had been killed after the last checkpoint."""
    model = net()

    def stop(step: int) -> Tensor:
        if step == steps:
            raise KeyboardInterrupt
        return batch(step)

    task = Task(stop, losses, total)
    try:
        run_stage(model, STAGE, task, folder, workers=0, save_every=0.0, quiet=True)
    except KeyboardInterrupt:
        assert steps < total
    return model


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", 8)
    train(tmp_path / "parts", 3)
    train(tmp_path / "parts", 5)
    resumed = train(tmp_path / "parts", 8)
    assert resumed.state_dict().keys() == whole.state_dict().keys()
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    log = [json.loads(line) for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == list(range(8))
    assert log[-1]["size"] < log[0]["size"]


def test_exactly_what_the_stage_names_moves(tmp_path: Path) -> None:
    before, after = net(), train(tmp_path, 8)
    assert torch.equal(before.first.weight, after.first.base.weight)  # type: ignore[arg-type, union-attr]
    assert torch.equal(before.first.bias, after.first.base.bias)  # type: ignore[arg-type, union-attr]
    assert not torch.equal(before.second.weight, after.second.weight)
    assert not torch.equal(before.second.bias, after.second.bias)
    assert after.first.b.abs().max() > 0  # type: ignore[operator, union-attr]


def test_a_glob_without_parameters_is_an_error() -> None:
    with pytest.raises(SpecError, match="thrid"):
        trainable(net(), STAGE.but(train=("second.*", "thrid.*")))


def test_a_finished_stage_returns_at_once(tmp_path: Path) -> None:
    train(tmp_path, 8)

    def never(step: int) -> Tensor:
        raise AssertionError("a finished stage drew a batch")

    run_stage(net(), STAGE, Task(never, losses, 8), tmp_path, workers=0, quiet=True)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    train(tmp_path, 8)
    file = tmp_path / "fit.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(WeightsError, match=r"fit\.safetensors is damaged"):
        train(tmp_path, 8)


def test_a_gradient_that_is_not_finite_stops_and_changes_nothing(tmp_path: Path) -> None:
    model = net()

    def broken(net: nn.Module, x: Tensor) -> dict[str, Tensor]:
        return {"size": net(x).sum() * float("nan")}

    with pytest.raises(FloatingPointError, match="step 0"):
        run_stage(model, STAGE, Task(batch, broken, 8), tmp_path, workers=0, quiet=True)
    assert torch.equal(model.second.weight, net().second.weight)
    assert not (tmp_path / "fit.safetensors").exists()


@pytest.mark.parametrize("workers", [0, 2])
def test_neighbouring_batches_share_a_worker_and_keep_their_order(workers: int) -> None:
    """A stage that goes on at step 3 of groups of 4 makes 3, then 4 to 7, then 8 and 9."""
    made = list(_batches(Task(lambda step: (step, os.getpid()), losses, 10, group=4), 3, workers))
    assert [step for step, _ in made] == list(range(3, 10))
    assert len({process for step, process in made if 4 <= step < 8}) == 1
