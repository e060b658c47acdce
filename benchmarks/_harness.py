"""Alternating runs in one process, ratio of medians: a neighbour on the machine slows both sides alike."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version

REST = 0.02
"""Seconds before each run: OpenMP's threads go on spinning for a while after the other side, and would take a core from it."""


@dataclass(frozen=True)
class Result:
    """One line of the table. `value` is what the target speaks of: a ratio, MB, or seconds."""

    name: str
    ours: float
    theirs: float | None
    unit: str
    value: float
    target: str
    met: bool


def compare(
    name: str, ours: Callable[[], object], theirs: Callable[[], object], *, unit: str, work: float, at_least: float,
    rounds: int = 5,
) -> Result:  # fmt: skip
    """`work` units are done by one call of either side; the ratio of their median rates should be `at_least`."""
    ours(), theirs()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for side, run in zip(times, (ours, theirs), strict=True):
            time.sleep(REST)
            begin = time.perf_counter()
            run()
            side.append(time.perf_counter() - begin)
    a, b = (work / statistics.median(side) for side in times)
    return Result(name, a, b, unit, a / b, f">= {at_least:g}x", a / b >= at_least)


def report(results: list[Result]) -> None:
    """Print the results, for people or (`--json`) for programs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    if parser.parse_args().json:
        print(json.dumps({"machine": machine(), "results": [asdict(result) for result in results]}))
        return
    print(machine())
    for result in results:
        print(line(result))


def line(result: Result) -> str:
    """A row of a Markdown table."""
    theirs = "" if result.theirs is None else f"{result.theirs:.3g}"
    kind = "x" if result.target.endswith("x") else f" {result.unit}"
    return (
        f"| {result.name} | {result.ours:.3g} | {theirs} | {result.unit} | {result.value:.3g}{kind} | {result.target} | "
        f"{'yes' if result.met else '**no**'} |"
    )


def machine() -> str:
    """What ran, and how busy the machine was with other things."""
    import torch

    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
    able = torch.cpu.get_capabilities()
    extras = " ".join(name for name in ("amx_bf16", "avx512_bf16") if able.get(name))
    return (
        f"{able.get('cpu_name', platform.machine())} ({extras}), {torch.get_num_threads()} threads, Python "
        f"{platform.python_version()}, {versions}, load {os.getloadavg()[0]:.1f} of {os.cpu_count()}"
    )
