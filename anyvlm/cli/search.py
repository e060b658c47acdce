"""`anyvlm search`: the pictures of an index that fit a text or a picture; or those that look the same."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anyvlm.cli._options import Device, Dtype, Json, Remote

if TYPE_CHECKING:
    from anyvlm.search.query import Found
    from anyvlm.search.store import Store


def search(
    where: Annotated[str, typer.Argument(metavar="INDEX", help="What `anyvlm index` made, or the folder it was made of.")],
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT|IMAGE|AUDIO]...", help="What is looked for; of several, the mean."),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--not", metavar="TEXT", help="What is not wanted; may be repeated.")
    ] = None,
    top: Annotated[int, typer.Option(metavar="N", help="How many to show.")] = 20,
    html: Annotated[str | None, typer.Option(metavar="PAGE", help="Also write a contact sheet that opens offline.")] = None,
    duplicates: Annotated[bool, typer.Option("--duplicates", help="List pictures that look the same instead.")] = False,
    threshold: Annotated[float, typer.Option(metavar="COSINE", help="How alike near-duplicates are.")] = 0.94,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME|PATH", help="The model that made the index; from the index if not given."),
    ] = None,
    remote: Remote = False,
    device: Device = None,
    dtype: Dtype = None,
    json: Json = False,
) -> None:
    """Find pictures by what they show.

    Example: anyvlm search Pictures "a dog in the snow" --not grass --html page.html
    """
    from anyvlm.errors import InputError
    from anyvlm.search.store import Store

    store = Store.open(_index(where))
    if duplicates:
        if words or without:
            raise InputError("--duplicates compares the pictures of the index with one another; leave out what to look for.")
        _duplicates(store, threshold, html, json)
        return
    if not words:
        raise InputError("There is nothing to search for; give a text in quotes, or a picture.")
    if top < 1:
        raise InputError(f"--top must be at least 1, not {top}.")
    found = _search(store, words, without or [], top, model, remote, device, dtype)
    title = ", ".join(words) + (f", not {', '.join(without)}" if without else "")
    if html:
        from anyvlm.search.sheet import Card, Group, write_sheet

        root = Path(store.facts.root)
        cards = [Card(root / one.paths[0], one.paths[0], f"{one.score:.3f}", one.paths[1:]) for one in found]
        write_sheet(Path(html), title, f"{len(found)} of {root}, by {store.facts.model}", [Group("", cards)])
    _print(store, title, found, json)


def _search(
    store: Store, words: list[str], without: list[str], top: int, model: str | None, remote: bool, device: str | None,
    dtype: str | None,
) -> list[Found]:  # fmt: skip
    from anyvlm.cli._pictures import picture
    from anyvlm.inputs.sound import SUFFIXES
    from anyvlm.search import query
    from anyvlm.search.embedder import load_towers

    addresses = ("http://", "https://", "data:")
    sounds = [word for word in words if os.path.isfile(word) and Path(word).suffix.lower() in SUFFIXES]
    files = [word for word in words if word not in sounds]
    named = [word for word in files if word == "-" or os.path.isfile(word) or word.lower().startswith(addresses)]
    images = [picture(word, remote=remote) for word in named]
    embedder = load_towers(model or store.facts.source, device=device, dtype=dtype)
    store.must_be_of(embedder.name, embedder.weights, embedder.width)
    vector = query.query(embedder, [word for word in files if word not in named], images, without, sounds)
    return query.search(store, embedder, vector, top)


def _print(store: Store, title: str, found: list[Found], json: bool) -> None:
    if json:
        import json as writer

        results = [{"path": one.paths[0], "score": round(one.score, 6), "copies": one.paths[1:]} for one in found]
        out = {"query": title, "model": store.facts.model, "root": store.facts.root, "results": results}
        typer.echo(writer.dumps(out, indent=2, ensure_ascii=False))
        return
    for one in found:
        copies = f"  (and {len(one.paths) - 1} more with the same content)" if len(one.paths) > 1 else ""
        typer.echo(f"{one.score:6.3f}  {os.path.join(store.facts.root, one.paths[0])}{copies}")


def _duplicates(store: Store, threshold: float, html: str | None, json: bool) -> None:
    from anyvlm.search.query import duplicates

    groups, root = duplicates(store, threshold), Path(store.facts.root)
    if html:
        from anyvlm.search.sheet import Card, Group, write_sheet

        cards = [Group(f"{len(names)} alike", [Card(root / name, name) for name in names]) for names in groups]
        write_sheet(Path(html), "Pictures that look the same", f"{len(groups)} groups in {root}", cards)
    if json:
        import json as writer

        typer.echo(writer.dumps({"root": str(root), "threshold": threshold, "groups": groups}, indent=2, ensure_ascii=False))
    else:
        typer.echo("\n\n".join("\n".join(str(root / name) for name in names) for names in groups) or "No two look the same.")


def _index(where: str) -> Path:
    from anyvlm.search.build import DEFAULT_NAME
    from anyvlm.search.store import CATALOGUE

    path = Path(where)
    inside = path / DEFAULT_NAME
    return inside if (inside / CATALOGUE).is_file() and not (path / CATALOGUE).is_file() else path
