"""The largest resident memory of a process that loads a model and answers, against the size of its weights in bf16.

SmolLM2-135M out of its GGUF file (dequantised while loading), and a LLaVA out of a safetensors directory.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from _harness import Result, report

OURS = """
import resource, sys
import anyvlm
name, picture = sys.argv[1:]
model = anyvlm.load(name, device="cpu", dtype="bf16")
model.ask(picture or None, "What is this?", max_tokens=32)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
SIZE = """
import sys, torch
from anyvlm.weights.load import find
with torch.device("meta"):
    module = find(sys.argv[1]).build()
print(sum(parameter.numel() * 2 for parameter in module.parameters()))
"""


def run() -> list[Result]:
    results = []
    with tempfile.TemporaryDirectory() as name:
        subprocess.run([sys.executable, str(Path(__file__).with_name("_checkpoint.py")), name], check=True, capture_output=True)
        models = {"SmolLM2-135M (GGUF)": ("smollm2-135m-instruct", ""), "LLaVA (safetensors)": (name, f"{name}/picture.png")}
        for title, (model, picture) in models.items():
            peak = number(OURS, model, picture) / 1e3
            limit = 1.5 * number(SIZE, model) / 1e6 + 300
            results.append(Result(f"peak memory, {title}", peak, None, "MB", peak, f"<= {limit:.0f} MB", peak <= limit))
    return results


def number(code: str, *arguments: str) -> float:
    """What a script prints."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
    return float(done.stdout)


if __name__ == "__main__":
    report(run())
