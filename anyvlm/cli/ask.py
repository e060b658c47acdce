"""`anyvlm ask`: pictures, videos and a question in, an answer out, word by word."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Annotated

import typer

from anyvlm.cli._options import (
    DEFAULT_MODEL,
    MAX_TOKENS,
    Device,
    Dtype,
    Fps,
    Frames,
    Json,
    Masks,
    MaxTokens,
    Model,
    Remote,
    Seed,
    SystemText,
    Temperature,
    TopK,
    TopP,
    Videos,
)

if TYPE_CHECKING:
    from anyvlm.generate.answer import Answer


def ask(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[IMAGE]... QUESTION", help="Pictures (files; - reads one from stdin), then the question in quotes."
        ),
    ],
    video: Videos = None,
    fps: Fps = None,
    frames: Frames = None,
    model: Model = DEFAULT_MODEL,
    json: Json = False,
    draw: Annotated[
        str | None,
        typer.Option(metavar="OUT.png", help="Also write the first picture with the boxes, points and masks of the answer."),
    ] = None,
    masks: Masks = None,
    remote: Remote = False,
    max_tokens: MaxTokens = MAX_TOKENS,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    top_k: TopK = 0,
    seed: Seed = None,
    system: SystemText = None,
    device: Device = None,
    dtype: Dtype = None,
) -> None:
    """Ask a question about pictures and videos, or about none.

    Example: anyvlm ask cat.png "What is in the picture?"
    """
    begin = time.perf_counter()
    from anyvlm.cli._pictures import conversation, picture, videos
    from anyvlm.cli._places import drawing, drawn, lines

    *images, question = words
    _must_be_a_question(question)
    file = None if draw is None else drawing(draw, len(images))
    pictures = [picture(image, remote=remote) for image in images]
    moving = videos(video, remote=remote, fps=fps, frames=frames)
    messages = conversation([*pictures, *moving], question, system)

    from anyvlm.generate.model import load  # torch comes with it: a missing picture is told sooner
    from anyvlm.generate.sampling import Sampling

    sampling = Sampling(max_tokens=max_tokens, temperature=temperature, top_p=top_p, top_k=top_k, seed=seed)
    if file is not None:
        _must_write_places(model)
    loaded = load(model, device=device, dtype=dtype, masks=masks)
    load_time = time.perf_counter() - begin
    stream = loaded.stream(messages, sampling)
    for piece in stream:
        if not json:
            print(piece, end="", flush=True)
    answer = stream.answer
    print(_object(loaded.system.name, answer, load_time) if json else "\n".join(["", *lines(answer)]))
    if file is not None:
        drawn(answer, pictures[0], file)


def _must_be_a_question(last: str) -> None:
    from anyvlm.errors import InputError

    if not last.strip():
        raise InputError("The question is empty; it is the last word of the command.")
    if os.path.isfile(last):
        raise InputError(f"The last word must be the question, but '{last}' is a file; add a question in quotes.")


def _must_write_places(model: str) -> None:
    """Said before the weights are fetched."""
    from anyvlm.errors import InputError
    from anyvlm.system import System
    from anyvlm.weights.load import find

    if isinstance(found := find(model), System) and found.boxes is None:
        raise InputError(f"'{found.name}' writes no boxes, points or masks, so that there is nothing to --draw.")


def _object(model: str, answer: Answer, load_time: float) -> str:
    """Timings are seconds: `load` from the start of the command, the others from the moment the model was there."""
    import json
    from dataclasses import asdict

    from anyvlm.cli._places import as_json

    timings = {"load": load_time, **asdict(answer.timings)}
    out = {
        "text": answer.text,
        **as_json(answer),
        "model": model,
        "finish": answer.finish,
        "usage": asdict(answer.usage),
        "timings": {name: round(value, 4) for name, value in timings.items()},
    }
    return json.dumps(out, indent=2, ensure_ascii=False)
