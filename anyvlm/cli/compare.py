"""`anyvlm compare`: systems side by side, what differs and what the same picture costs, as a table, a page or a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from anyvlm.cli._options import Json

if TYPE_CHECKING:
    from anyvlm.anatomy.compare import Case, Comparison
    from anyvlm.anatomy.svg import Drawing
    from anyvlm.match import AnySystem


def compare(
    names: Annotated[list[str], typer.Argument(metavar="A B [C]...", help="Names, directories or system files.")],
    image: Annotated[
        str, typer.Option(metavar="WxH|FILE", help="The picture all are asked about: its size, or a file.")
    ] = "1024x768",
    images: Annotated[
        int | None, typer.Option(metavar="N", help="So many such pictures; 1 if there is no video.", min=0)
    ] = None,
    video: Annotated[
        str | None, typer.Option(metavar="60s@1fps", help="A video so long, looked at so often; 60s: as each system does.")
    ] = None,
    context: Annotated[int, typer.Option(metavar="N", help="Tokens at which decoding is told.", min=1)] = 4096,
    device: Annotated[
        str, typer.Option(metavar="NAME", help="Whose roofline speeds are told: cpu, h200, rtx4090 ...")
    ] = "h200",
    dtype: Annotated[str, typer.Option(metavar="NAME", help="bf16, int8 or int4: of the weights, for speeds.")] = "bf16",
    json: Json = False,
    html: Annotated[str | None, typer.Option(metavar="FILE", help="Write a page with pictures, too.")] = None,
    png: Annotated[str | None, typer.Option(metavar="FILE", help="Write its pictures as one, too.")] = None,
) -> None:
    """Lay systems side by side: what differs, and what the same picture costs.

    Nothing is downloaded, no weights are read.

    Example: anyvlm compare llava-1.5-7b blip2-opt-2.7b --html out.html
    """
    from anyvlm.cli._light import without_torch

    without_torch()
    from anyvlm.anatomy.compare import compare as compared

    case = _case(image, images, video, context, device, dtype)
    found = compared([_named(name) for name in names], case)
    for path, written in ((html, _html), (png, _png)):
        if path is not None:
            _write(path, written(found, _picture(image, case)))
    if json:
        import json as writer
        from dataclasses import asdict

        typer.echo(writer.dumps(asdict(found), indent=2, ensure_ascii=False))
    else:
        from rich.console import Console

        from anyvlm.cli._comparison import tables

        tables(Console(highlight=False), found)


def _named(name: str) -> AnySystem:
    """A system; a name may be cut short where only one begins so (qwen2-vl-7b)."""
    from pathlib import Path

    from anyvlm.cli._find import find
    from anyvlm.registry import SYSTEMS

    longer = [each for each in SYSTEMS if each.startswith(f"{name}-")]
    alone = len(longer) == 1 and name not in SYSTEMS and not Path(name).expanduser().exists()
    return find(longer[0] if alone else name)


def _case(image: str, images: int | None, video: str | None, context: int, device: str, dtype: str) -> Case:
    import re
    from pathlib import Path

    from anyvlm.anatomy.compare import Case
    from anyvlm.cli._pictures import picture_size
    from anyvlm.errors import InputError

    match = re.fullmatch(r"(\d{1,6})\s*[x×]\s*(\d{1,6})", image)
    size = (int(match[1]), int(match[2])) if match else None
    if size is None and not Path(image).expanduser().is_file():
        raise InputError(f"--image {image}: give the size of a picture as 1024x768 (width x height), or a file that exists.")
    if size is not None and min(size) < 1:
        raise InputError(f"--image {image}: a picture has at least one pixel each way.")
    seconds, fps = _length(video)
    asked = images if images is not None else int(not seconds)
    return Case(size or picture_size(image, remote=False), asked, seconds, fps, 64, context, device, dtype)


def _length(video: str | None) -> tuple[float, float | None]:
    """Seconds of a video and how often it is looked at: "60s@1fps", "60s", "2m@0.5fps"."""
    import re

    from anyvlm.errors import InputError

    if video is None:
        return 0, None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|min)?(?:@(\d+(?:\.\d+)?)(?:fps)?)?", video)
    seconds = float(match[1]) * (1 if match[2] in (None, "s") else 60) if match else 0
    fps = float(match[3]) if match and match[3] else None
    if not 0 < seconds <= 6 * 3600 or fps == 0:
        raise InputError(f"--video {video}: give a length of at most six hours and how often to look, as 60s@1fps or 2m.")
    return seconds, fps


def _picture(image: str, case: Case) -> Drawing:
    """The file's picture, or a scene where only a size was given, drawn at the size of the case."""
    from pathlib import Path

    from anyvlm.anatomy.scene import scene
    from anyvlm.anatomy.svg import Drawing

    if not Path(image).expanduser().is_file():
        return scene(*case.size)
    out = Drawing(*case.size)
    out.picture(0, 0, *case.size, _jpeg(image))
    return out


def _jpeg(path: str) -> str:
    """A picture as the address of a small copy."""
    from base64 import b64encode
    from io import BytesIO

    from anyvlm.inputs.image import read_image

    small, out = read_image(path), BytesIO()
    small.thumbnail((1400, 1400))
    small.save(out, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{b64encode(out.getvalue()).decode()}"


def _html(found: Comparison, picture: Drawing) -> bytes:
    import shlex
    import sys

    from anyvlm.anatomy.page import page

    return page(found, picture, shlex.join(["anyvlm", *sys.argv[1:]])).encode()


def _png(found: Comparison, picture: Drawing) -> bytes:
    from anyvlm.anatomy.sheet import png, sheet

    return png(sheet(found, picture))


def _write(path: str, data: bytes) -> None:
    """Whole or not at all."""
    from pathlib import Path

    from anyvlm.weights.atomic import atomic_file

    with atomic_file(Path(path).expanduser()) as target:
        target.write_bytes(data)
