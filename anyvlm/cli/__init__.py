"""The command line: one file per verb. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import typer

from anyvlm.cli._errors import sentences
from anyvlm.cli._help import Verb, Verbs
from anyvlm.cli._light import whole_process
from anyvlm.cli.ask import ask
from anyvlm.cli.chat import chat
from anyvlm.cli.classify import classify
from anyvlm.cli.compare import compare
from anyvlm.cli.diagram import diagram
from anyvlm.cli.embed import embed
from anyvlm.cli.evaluate import evaluate
from anyvlm.cli.index import index
from anyvlm.cli.list import list_systems
from anyvlm.cli.paint import paint
from anyvlm.cli.search import search
from anyvlm.cli.show import show
from anyvlm.cli.tokens import tokens

app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"anyvlm {version('anyvlm')}")
        raise typer.Exit


@app.callback()
def about(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Vision-language models as compositions of shared parts: ask them, look into them, compare them.

    Example: anyvlm ask cat.png "What is in the picture?"
    """


app.command("ask", cls=Verb)(ask)
app.command("chat", cls=Verb)(chat)
app.command("classify", cls=Verb)(classify)
app.command("compare", cls=Verb)(compare)
app.command("diagram", cls=Verb)(diagram)
app.command("embed", cls=Verb)(embed)
app.command("evaluate", cls=Verb)(evaluate)
app.command("index", cls=Verb)(index)
app.command("list", cls=Verb)(list_systems)
app.command("paint", cls=Verb)(paint)
app.command("search", cls=Verb)(search)
app.command("show", cls=Verb)(show)
app.command("tokens", cls=Verb)(tokens)


def main() -> None:
    """Run the command line and end the process: 0 well, 1 with one sentence on stderr, 2 wrong usage, 130 interrupted."""
    with sentences():
        app(prog_name="anyvlm")


def command() -> None:
    """`main` in a process that is the command line's alone."""
    whole_process()
    main()
