"""Making a picture: what the prompt looks like, how codes become tokens, and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass

from anyvlm.inputs.template import Template
from anyvlm.parts.code.tables import Tables
from anyvlm.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Painting(Spec):
    """How a system makes a picture of `size` (height, width) pixels: a prompt, `begin`, its codes, `end`.

    `tables`: how codes enter and leave the language model. `template`: the chat format of a prompt that asks for a picture.
    `blank`: the token that stands for every token of the prompt but the first and the last where nothing is asked for;
    without it such a prompt is the first and the last alone. `guidance`, `temperature`, `top_p`: the authors' settings.
    """

    tables: Tables
    size: tuple[int, int]
    template: Template
    begin: str
    end: str
    blank: str | None = None
    guidance: float = 1.0
    temperature: float = 1.0
    top_p: float = 1.0
