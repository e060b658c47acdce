"""Run every speed benchmark, each in a process of its own, and write docs/benchmarks.md."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from _harness import Result, line

HERE = Path(__file__).parent
NAMES = (
    "decode", "prefill", "by_kind", "vision", "experts", "questions", "cross", "native", "contrast", "search", "indexing",
    "start", "memory",
)  # fmt: skip


def main() -> None:
    rows, machine = [], ""
    for name in NAMES:
        done = subprocess.run(
            [sys.executable, str(HERE / f"{name}.py"), "--json"], check=True, stdout=subprocess.PIPE, text=True
        )
        found = json.loads(done.stdout.splitlines()[-1])
        machine = found["machine"]
        rows += [line(Result(**result)) for result in found["results"]]
        print(*rows[-len(found["results"]) :], sep="\n", flush=True)
    (HERE.parent / "docs" / "benchmarks.md").write_text(PAGE.format(machine=machine, rows="\n".join(rows)))


PAGE = """# Benchmarks

Written by `python benchmarks/run_all.py`. Ours and transformers run in turns, at the same shapes and dtype; each figure is the
median of its rounds. A line that says what it is measured against has that in place of transformers. What misses its target
says so.

{machine}

| what | anyvlm | transformers | unit | result | target | met |
|---|---|---|---|---|---|---|
{rows}
"""

if __name__ == "__main__":
    main()
