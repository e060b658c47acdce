"""How `--help` is laid out: usage lines read as they are typed, and switches do not look as if they took a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

if TYPE_CHECKING:
    from typer._click.core import Context, Parameter


class Verb(TyperCommand):
    """A verb, whose arguments stand in the usage line as their metavar says."""

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        """The words behind `anyvlm <verb>`."""
        return [*(param.metavar or "" for param in self.params if isinstance(param, TyperArgument)), "[OPTIONS]"]

    def get_params(self, ctx: Context) -> list[Parameter]:
        """All parameters, `--help` included."""
        return _switches(super().get_params(ctx))


class Verbs(TyperGroup):
    """The command `anyvlm`."""

    def get_params(self, ctx: Context) -> list[Parameter]:
        """All parameters, `--help` included."""
        return _switches(super().get_params(ctx))


def _switches(params: list[Parameter]) -> list[Parameter]:
    for param in params:
        if isinstance(param, TyperOption) and param.is_flag:
            param.metavar = ""
    return params
