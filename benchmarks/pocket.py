"""Score a model on the held-out sets of the pocket recipe: an unseen drawing style, unseen words, easy-vqa's test split.

    python benchmarks/pocket.py                    # anyvlm-pocket on every set; prints a table, --json for the numbers
    python benchmarks/pocket.py --only counting --model PATH

Needs the extra `train` (icons are fetched from npm and drawn once, about a minute). Intervals are Wilson's, 95 %.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

import anyvlm
from anyvlm.data.held_out import SETS, Item
from anyvlm.data.score import correct, wilson
from anyvlm.generate.model import Model
from anyvlm.generate.sampling import Sampling

GOALS = {"naming": 0.40, "counting": 0.85, "directions": 0.85, "reading": 0.70, "easy_vqa": 0.85}
"""What is asked of a model trained on a GPU."""

PLAIN = (
    "What is the capital of France?",
    "What is 2 + 2?",
    "Who wrote Romeo and Juliet?",
    "What is the largest planet in our solar system?",
    "What color is the sky on a clear day?",
)
"""Questions without a picture, which the language model answered before it learned to see."""


def score(model: Model, items: list[Item], batch: int = 32) -> list[bool]:
    """Whether each item is answered right, greedily, in at most 32 tokens."""
    right: list[bool] = []
    for start in track(range(0, len(items), batch), console=Console(stderr=True)):
        chunk = items[start : start + batch]
        answers = model.generate([conversation(item) for item in chunk], Sampling(max_tokens=32), rows=batch)
        right += [correct(item.task, answer.text, item.key, item.accepted) for item, answer in zip(chunk, answers, strict=True)]
    return right


def conversation(item: Item) -> list[dict[str, object]]:
    """The item as one user message."""
    picture = {"type": "image", "image": Image.fromarray(item.image)}
    return [{"role": "user", "content": [picture, {"type": "text", "text": item.question}]}]


def main(
    model: Annotated[str, typer.Option(help="a name or a path")] = "anyvlm-pocket",
    only: Annotated[list[str] | None, typer.Option(help=f"some of {', '.join(SETS)}")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="write the numbers here")] = None,
    limit: Annotated[int | None, typer.Option(help="only so many items of each set")] = None,
) -> None:
    """Print right answers of each set with intervals, then answers without a picture beside the language model's own."""
    loaded = anyvlm.load(model)
    table = Table("set", "items", "right", "95 % interval", "goal")
    numbers: dict[str, object] = {}
    for name in only or SETS:
        items = list(SETS[name]())[:limit]
        right = score(loaded, items)
        low, high = wilson(sum(right), len(right))
        share, goal = sum(right) / len(right), GOALS[name]
        groups = {g: [r for r, i in zip(right, items, strict=True) if i.group == g] for g in {i.group for i in items} - {""}}
        numbers[name] = {
            "items": len(right), "right": share, "low": low, "high": high, "goal": goal,
            "groups": {g: sum(found) / len(found) for g, found in sorted(groups.items())},
        }  # fmt: skip
        table.add_row(name, str(len(right)), f"{share:.1%}", f"{low:.1%} to {high:.1%}", f"{goal:.0%}")
    Console().print(table)
    if only is None:
        before = anyvlm.load("smollm2-135m-instruct")
        numbers["plain"] = [
            {"question": q, "before": before.ask(None, q, max_tokens=48).text, "after": loaded.ask(None, q, max_tokens=48).text}
            for q in PLAIN
        ]
        print(json.dumps(numbers["plain"], indent=1))
    if as_json:
        as_json.write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
