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
    from anyvlm.errors import InputError

    *images, question = words
    if not question.strip():
        raise InputError("The question is empty; it is the last word of the command.")
    if os.path.isfile(question):
        raise InputError(f"The last word must be the question, but '{question}' is a file; add a question in quotes.")
    moving = videos(video, remote=remote, fps=fps, frames=frames)
    messages = conversation([*(picture(image, remote=remote) for image in images), *moving], question, system)

    from anyvlm.generate.model import load  # torch comes with it: a missing picture is told sooner
    from anyvlm.generate.sampling import Sampling

    sampling = Sampling(max_tokens=max_tokens, temperature=temperature, top_p=top_p, top_k=top_k, seed=seed)
    loaded = load(model, device=device, dtype=dtype)
    load_time = time.perf_counter() - begin
    stream = loaded.stream(messages, sampling)
    for piece in stream:
        if not json:
            print(piece, end="", flush=True)
    print(_object(loaded.system.name, stream.answer, load_time) if json else "")


def _object(model: str, answer: Answer, load_time: float) -> str:
    """Timings are seconds: `load` from the start of the command, the others from the moment the model was there."""
    import json
    from dataclasses import asdict

    timings = {"load": load_time, **asdict(answer.timings)}
    out = {
        "text": answer.text,
        "model": model,
        "finish": answer.finish,
        "usage": asdict(answer.usage),
        "timings": {name: round(value, 4) for name, value in timings.items()},
    }
    return json.dumps(out, indent=2, ensure_ascii=False)
