"""`anyvlm tokens`: what pictures, videos and a question cost, before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from anyvlm.cli._light import without_torch
from anyvlm.cli._options import DEFAULT_MODEL, Fps, Frames, Json, Remote, SystemText, Videos

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyvlm.anatomy.tokens import Cost
    from anyvlm.inputs.plan import Plan, Size
    from anyvlm.inputs.tokenizer import Tokenizer
    from anyvlm.parts.features import Grid
    from anyvlm.system import System

ALL = "all"
"""Instead of a model's name: every system that takes pictures."""
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model", "-m", metavar="NAME|PATH|all",
        help=f"As elsewhere; several, or [bold]all[/], are told side by side. [dim]\\[default: {DEFAULT_MODEL}][/]",
    ),
]  # fmt: skip
Layout = Annotated[bool, typer.Option("--layout", help="Print what stands where in the prompt of one model.")]


def tokens(
    images: Annotated[list[str] | None, typer.Argument(metavar="[IMAGE]...", help="Files; - reads one from stdin.")] = None,
    video: Videos = None,
    fps: Fps = None,
    frames: Frames = None,
    model: Models = None,
    layout: Layout = False,
    question: Annotated[str, typer.Option(metavar="TEXT", help="What would be asked.", show_default=False)] = "",
    system: SystemText = None,
    remote: Remote = False,
    json: Json = False,
) -> None:
    """Say exactly how many tokens a prompt takes.

    From the sizes of pictures and videos alone: no weights are loaded and no picture is decoded.

    Example: anyvlm tokens cat.png --model all
    """
    without_torch()
    from anyvlm.anatomy.tokens import costs
    from anyvlm.cli._pictures import conversation, picture_size, videos
    from anyvlm.errors import InputError
    from anyvlm.inputs.plan import plan
    from anyvlm.inputs.video import read_footage

    images, moving = images or [], videos(video, remote=remote, fps=fps, frames=frames)
    sizes: list[Size] = [picture_size(image, remote=remote) for image in images]
    sizes += [read_footage(each.source) for each in moving]
    if not sizes:
        raise InputError("There is nothing to count; name a picture, or a video with --video.")
    names = list(dict.fromkeys(model or [DEFAULT_MODEL]))
    if len(names) > 1 or names == [ALL]:
        if layout or question or system:
            raise InputError("--layout, --question and --system are about the prompt of one model; name one with --model.")
        from anyvlm.cli._offers import side_by_side

        return side_by_side(names, sizes, fps=fps, frames=frames, json=json)
    found = _answering(names[0])
    each = costs(found, sizes, fps=fps, frames=frames)
    tokenizer = _tokenizer(found, needed=bool(question or system) and not layout)
    messages = conversation([*images, *moving], question, system)
    planned = None if tokenizer is None else plan(found, tokenizer, messages, sizes=sizes)
    shown = [*images, *(video or ())]
    if layout:
        from anyvlm.cli._layout import lay

        return lay(found, each, messages, planned, tokenizer, json=json)
    if json:
        _write(shown, found, each, planned)
    else:
        _print(shown, found, each, planned)


def _answering(name: str) -> System:
    """The system of a name or path. Raises InputError for one without a prompt."""
    from anyvlm.cli._find import find
    from anyvlm.errors import InputError
    from anyvlm.system import System, VisionSystem

    found = find(name)
    if isinstance(found, System):
        return found
    alone = "is an encoder alone" if isinstance(found, VisionSystem) else "answers no questions"
    raise InputError(f"'{found.name}' {alone}: it has no prompt; `anyvlm show {found.name}` describes it.")


def _tokenizer(system: System, needed: bool) -> Tokenizer | None:
    """The tokenizer; None where it cannot be had and is not `needed`, as pictures are counted without it."""
    from anyvlm.errors import NetworkError, WeightsError
    from anyvlm.weights.load import load_tokenizer

    try:
        return load_tokenizer(system)
    except (NetworkError, WeightsError):
        if needed:
            raise
        return None


def _write(names: Sequence[str], system: System, each: Sequence[Cost], planned: Plan | None) -> None:
    import json

    rows = [
        {
            "video" if c.cut.frames else "image": name, "size": c.cut.picture, "resized": [(w, h) for h, w in c.cut.sizes],
            "patches": c.patches, "grids": c.rows, "tokens": c.tokens, **({"times": c.cut.times} if c.cut.frames else {}),
        }  # fmt: skip
        for name, c in zip(names, each, strict=True)
    ]
    stills, films = ([c for c in each if bool(c.cut.frames) is film] for film in (False, True))
    usage = {"prompt_tokens": None if planned is None else len(planned), "image_tokens": sum(c.tokens for c in stills)}
    if films:
        usage["video_tokens"] = sum(c.tokens for c in films)
    out = {"model": system.name, "images": rows, "usage": usage, "context": system.lm.context}
    typer.echo(json.dumps(out, indent=2, ensure_ascii=False))


def _print(names: Sequence[str], system: System, each: Sequence[Cost], planned: Plan | None) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from anyvlm.cli._words import by

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    table.add_column("picture", overflow="fold")
    for name in ("pixels", "resized to", "patches", "rows", "tokens"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, cost in zip(names, each, strict=True):
        arrays = [f"{by((w, h))}" for h, w in cost.cut.sizes]
        resized = arrays[0] if len(arrays) == 1 else f"{len(arrays)} of {arrays[0]}"
        table.add_row(name, by(cost.cut.picture), resized, *map(_grids, (cost.patches, cost.rows)), str(cost.tokens))
    console = Console(highlight=False)
    console.print(table, "")
    console.print(_sum(system, each, planned))


def _grids(grids: Sequence[Grid]) -> str:
    """One grid by its sides, of several their sum."""
    from math import prod

    from anyvlm.cli._words import by

    return by(grids[0][1:]) if len(grids) == 1 and grids[0][0] == 1 else str(sum(map(prod, grids)))


def _sum(system: System, each: Sequence[Cost], planned: Plan | None) -> str:
    context, looks = system.lm.context, sum(cost.tokens for cost in each)
    what = "Videos" if all(cost.cut.frames for cost in each) else "Pictures"
    if planned is None:
        return (
            f"{what} take {looks} of the {context} tokens that {system.name} holds; text is not counted, as its "
            "tokenizer is not in the cache and could not be fetched."
        )
    text = len(planned) - planned.image_tokens - planned.video_tokens
    counts = ((planned.image_tokens, "pictures"), (planned.video_tokens, "videos"), (text, "text"))
    shares = ", ".join(f"{count} for {kind}" for count, kind in counts if count)
    shares = " and ".join(shares.rsplit(", ", 1))
    return (
        f"The prompt for {system.name} has {len(planned)} tokens, {shares}; "
        f"{context - len(planned)} of {context} are left for the answer."
    )
