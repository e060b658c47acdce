"""How a language model that sees makes points of pictures and texts: what it is asked, and what it has learned for it."""

from __future__ import annotations

from dataclasses import dataclass

from anyvlm.errors import SpecError
from anyvlm.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Embedding(Spec):
    """A picture and `image`, or a text put into `text` at {}, are a question; the state of its last token, at length 1, is
    the point.

    `soft`: so many learned vectors stand in front of the question (2104.08691), and of nothing else. `scale`: of cosines in
    the contrast, and where probabilities of labels are asked. `prompt`: the sentence around a label.
    """

    image: str
    text: str
    soft: int = 0
    scale: float = 20.0
    prompt: str = "a photo of a {}."

    def __post_init__(self) -> None:
        if "{}" not in self.text or "{}" not in self.prompt:
            raise SpecError("Embedding: text and prompt must hold {} where the text or the label goes.")
