"""`anyvlm index`: the pictures of a folder, ready to be searched."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from anyvlm.cli._options import DEFAULT_TOWERS, Device, Dtype, Json, Model

if TYPE_CHECKING:
    from anyvlm.search.build import Report


def index(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="A folder; the folders in it are included.")],
    out: Annotated[
        str | None, typer.Option(metavar="INDEX", help="Where the index goes; DIR/.anyvlm-index if not given.")
    ] = None,
    model: Model = DEFAULT_TOWERS,
    batch: Annotated[int, typer.Option(metavar="N", help="Pictures embedded and committed at a time.")] = 32,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Processes that decode; as many as pay if not given.")
    ] = None,
    device: Device = None,
    dtype: Dtype = None,
    json: Json = False,
) -> None:
    """Make a folder of pictures searchable, or bring its index up to date.

    Only new and changed pictures are embedded. It may be interrupted at any time and goes on where it was.

    Example: anyvlm index Pictures
    """
    from pathlib import Path

    from anyvlm.errors import InputError

    root, target = Path(folder), Path(out) if out else None
    if not root.is_dir():
        raise InputError(f"There is no folder '{folder}' to index.")
    if batch < 1:
        raise InputError(f"--batch must be at least 1, not {batch}.")

    from anyvlm.search.build import DEFAULT_NAME, update
    from anyvlm.search.embedder import load_towers

    embedder = load_towers(model, device=device, dtype=dtype)
    with _bar() as progress:
        report = update(root, target, embedder, batch=batch, workers=workers, progress=progress)
    where = str(target or root / DEFAULT_NAME)
    if json:
        import json as writer

        typer.echo(writer.dumps({"index": where, "model": embedder.name, **asdict(report)}, indent=2, ensure_ascii=False))
    else:
        _print(where, report)


def _print(where: str, report: Report) -> None:
    for path, reason in report.broken.items():
        typer.echo(f"left out: {path}: {reason}", err=True)
    typer.echo(
        f"{where}: {report.embedded} embedded, {report.known} moved or copied, {report.unchanged} unchanged, "
        f"{report.removed} removed, {len(report.broken)} cannot be read ({report.seconds:.1f} s)."
    )


class _bar:
    """A bar on a terminal's stderr, nothing elsewhere."""

    def __enter__(self) -> _bar:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self._bar = Progress(console=console, disable=not console.is_terminal, transient=True)
        self._task = self._bar.add_task("embedding", total=None)
        self._bar.start()
        return self

    def __call__(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
