"""The tree of a system's parameters: shapes and counts, from a module on the meta device, so that 70 B costs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from anyvlm.match import AnySystem
    from anyvlm.system import Student


@dataclass(frozen=True)
class Branch:
    """A module or a parameter.

    `count`: parameters in it, all repetitions together; a parameter shared with an earlier one (`tied`) counts there.
    `shape`: of a parameter, or of the weight of a module that has only that and a `bias`. `times`: so many alike in a row.
    """

    name: str
    count: int
    shape: tuple[int, ...] = ()
    bias: bool = False
    tied: bool = False
    times: int = 1
    branches: tuple[Branch, ...] = ()

    def find(self, path: str) -> Branch | None:
        """The branch at a dotted path below this one."""
        for branch in self.branches:
            if branch.name == path:
                return branch
            if path.startswith(f"{branch.name}.") and (found := branch.find(path.removeprefix(f"{branch.name}."))):
                return found
        return None


def hollow(system: AnySystem | Student) -> nn.Module:
    """What `system.build()` makes, with shapes for values."""
    import torch

    with torch.device("meta"):
        return system.build()


def parameters(system: AnySystem | Student, module: nn.Module | None = None) -> Branch:
    """The tree of everything that `system.build()` makes; `module`: if it has been made."""
    return _branch(hollow(system) if module is None else module, system.name, set())


def _branch(module: nn.Module, name: str, seen: set[int]) -> Branch:
    leaves = [_leaf(parameter, leaf, seen) for leaf, parameter in module.named_parameters(recurse=False)]
    below = [_branch(child, part, seen) for part, child in module.named_children()]
    branches = (*leaves, *(branch for branch in _joined(below) if branch.branches or branch.shape))
    if branches and not below and branches[0].name == "weight" and {leaf.name for leaf in leaves} <= {"weight", "bias"}:
        weight = branches[0]
        return replace(weight, name=name, bias=len(leaves) == 2, count=sum(leaf.count for leaf in leaves))
    if len(branches) == 1 and branches[0].name.isdecimal() and branches[0].times > 1:
        return replace(branches[0], name=name)
    return Branch(name, sum(branch.count for branch in branches), branches=branches)


def _leaf(parameter: nn.Parameter, name: str, seen: set[int]) -> Branch:
    tied = id(parameter) in seen
    seen.add(id(parameter))
    shape = tuple(parameter.shape)
    return Branch(name, 0 if tied else prod(shape), shape, tied=tied)


def _joined(branches: list[Branch]) -> Iterator[Branch]:
    """Numbered neighbours that differ in nothing else become one branch: blocks.0 ... blocks.31 -> 32 times."""
    for (_, numbered), run in groupby(branches, lambda each: (replace(each, name=""), each.name.isdecimal())):
        alike = list(run)
        if numbered and len(alike) > 1:
            times = len(alike) * alike[0].times
            yield replace(alike[0], count=sum(each.count for each in alike), times=times)
        else:
            yield from alike
