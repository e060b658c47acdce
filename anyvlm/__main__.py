"""`python -m anyvlm` is the command `anyvlm`."""

from __future__ import annotations

from anyvlm.cli import command

command()
