"""From the start of a process to the first token about a picture: the same LLaVA directory, weights in the page cache.

Both scripts are the shortest that do it. Also commands that need no weights: `anyvlm --help`, `show`, `compare`, `tokens`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _harness import Result, report

OURS = """
import anyvlm
stream = anyvlm.load({directory!r}, device="cpu", dtype="bf16").ask({picture!r}, "What is this?", max_tokens=1, stream=True)
list(stream)
print("first token", flush=True)
"""
THEIRS = """
import torch
from PIL import Image
from transformers import AutoProcessor, LlavaForConditionalGeneration
model = LlavaForConditionalGeneration.from_pretrained({directory!r}, dtype=torch.bfloat16)
processor = AutoProcessor.from_pretrained({directory!r})
turn = [{{"role": "user", "content": [{{"type": "image"}}, {{"type": "text", "text": "What is this?"}}]}}]
text = processor.apply_chat_template(turn, add_generation_prompt=True)
inputs = processor(images=Image.open({picture!r}), text=text, return_tensors="pt").to(torch.bfloat16)
out = model.generate(**inputs, max_new_tokens=1, do_sample=False)
processor.decode(out[0])
print("first token", flush=True)
"""


LOOKS = (
    ("show", "llava-1.5-7b"),
    ("compare", "llava-1.5-7b", "qwen2-vl-7b-instruct", "blip2-opt-2.7b", "flamingo-9b", "--image", "1344x896"),
    ("tokens", "{picture}", "--model", "all"),
)
"""Commands that only look; each must end within a second, though `import torch` alone takes two."""


def run(rounds: int = 5) -> list[Result]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        subprocess.run([sys.executable, str(Path(__file__).with_name("_checkpoint.py")), name], check=True, capture_output=True)
        paths = {"directory": name, "picture": str(directory / "picture.png")}
        sides = [[sys.executable, "-c", code.format(**paths)] for code in (OURS, THEIRS)]
        helps = [sys.executable, "-m", "anyvlm", "--help"]
        for command in (*sides, helps):
            seconds(command)
        times = [[seconds(command) for command in (*sides, helps)] for _ in range(rounds)]
        looks = [[sys.executable, "-m", "anyvlm", *(word.format(**paths) for word in words)] for words in LOOKS]
        whole = [statistics.median([ended(words) for _ in range(rounds + 1)][1:]) for words in looks]
    ours, theirs, help_ = (statistics.median(column) for column in zip(*times, strict=True))
    return [
        Result("start to first token", ours, theirs, "s", ours / theirs, "<= 0.7x", ours / theirs <= 0.7),
        Result("`anyvlm --help`", help_, None, "s", help_, "<= 0.3 s", help_ <= 0.3),
        *(
            Result(f"`anyvlm {words[0]}`, the whole command", taken, None, "s", taken, "<= 1 s", taken <= 1)
            for words, taken in zip(LOOKS, whole, strict=True)
        ),
    ]


def ended(command: list[str]) -> float:
    """Until the process has ended."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begin


def seconds(command: list[str]) -> float:
    """Until the process writes its first line."""
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        taken = time.perf_counter() - begin
        rest = process.communicate()[1]
    if process.returncode or not line:
        raise SystemExit(rest)
    return taken


if __name__ == "__main__":
    report(run())
