"""Options that several verbs share, each written once."""

from __future__ import annotations

from typing import Annotated

import typer

DEFAULT_MODEL = "anyvlm-pocket"
DEFAULT_TOWERS = "anyvlm-pocket-embed"
MAX_TOKENS = 512
_ANSWER, _MACHINE, _VIDEO = "Answer", "Machine", "Video"

Model = Annotated[
    str,
    typer.Option("--model", "-m", metavar="NAME|PATH", help="A name from [bold]anyvlm list[/], or a model's directory."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]
Masks = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="What decodes the masks a model writes (PaliGemma: vae-oid.npz)."),
]
Remote = Annotated[bool, typer.Option("--remote", help="Allow pictures from http(s) addresses.")]
Videos = Annotated[
    list[str] | None,
    typer.Option("--video", metavar="FILE", help="A video, for systems that take them.", rich_help_panel=_VIDEO),
]
Fps = Annotated[
    float | None,
    typer.Option(metavar="F", help="Frames of a second to look at; the system's own if not given.", rich_help_panel=_VIDEO),
]
Frames = Annotated[
    int | None,
    typer.Option(metavar="MAX", help="The most frames to look at; the system's own if not given.", rich_help_panel=_VIDEO),
]
Device = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="cpu, cuda, cuda:1 or mps; the fastest there is if not given.", rich_help_panel=_MACHINE),
]
Dtype = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="bf16, fp16 or fp32; the device's best if not given.", rich_help_panel=_MACHINE),
]

MaxTokens = Annotated[int, typer.Option(metavar="N", help="The longest answer, in tokens.", rich_help_panel=_ANSWER)]
Temperature = Annotated[
    float,
    typer.Option(metavar="T", help="0 takes the likeliest token; more is more varied.", rich_help_panel=_ANSWER),
]
TopP = Annotated[
    float,
    typer.Option(metavar="P", help="Draw from the likeliest tokens that make up P.", rich_help_panel=_ANSWER),
]
TopK = Annotated[int, typer.Option(metavar="K", help="Draw from the K likeliest tokens; 0 is all.", rich_help_panel=_ANSWER)]
Seed = Annotated[
    int | None,
    typer.Option(metavar="N", help="The same seed gives the same text; drawn if not given.", rich_help_panel=_ANSWER),
]
SystemText = Annotated[
    str | None,
    typer.Option("--system", metavar="TEXT", help="System text instead of the model's.", rich_help_panel=_ANSWER),
]
