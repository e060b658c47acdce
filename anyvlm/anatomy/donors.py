"""Parts by name: an eye (encoder and preprocessing) or a language model out of any system there is.

A name is one of `anyvlm list`, or the path of a directory or file. Words of a name may be left out (siglip-so400m-384 is
siglip-vit-so400m-14-384), but for the first: among the names that fit, the one with the fewest words more is meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anyvlm.dual import DualSystem, Tower
from anyvlm.errors import SpecError
from anyvlm.ground import GroundSystem
from anyvlm.inputs.mosaic import Mosaic
from anyvlm.inputs.policy import Policy
from anyvlm.inputs.tiles import AnyRes
from anyvlm.match import AnySystem, MatchSystem
from anyvlm.parts.code.code import Code
from anyvlm.parts.features import Encoder
from anyvlm.parts.vision.vit import ViT
from anyvlm.registry import SYSTEMS
from anyvlm.registry import system as registered
from anyvlm.system import System, VisionSystem
from anyvlm.weights.load import find


@dataclass(frozen=True)
class Eye:
    """An encoder with the policy of one array, and where it lies (`prefix`) in the system it comes from."""

    origin: AnySystem
    encoder: Encoder
    policy: Policy
    prefix: str


def named(word: str | AnySystem) -> AnySystem:
    """The system of a name, of one with words left out, or of a path. Raises SpecError with the nearest, or all that fit."""
    if not isinstance(word, str):
        return word
    if word in SYSTEMS or "/" in word or Path(word).expanduser().exists():
        return find(word)
    fits = {name: len(name.split("-")) for name in SYSTEMS if _abbreviates(word, name)}
    best = [name for name, words in fits.items() if words == min(fits.values())]
    if len(best) > 1:
        shown = ", ".join(best[:6]) + (f" and {len(best) - 6} more" if len(best) > 6 else "")
        raise SpecError(f"'{word}' may be {shown}; write more of the name that is meant.")
    return registered(best[0] if best else word)


def _abbreviates(word: str, name: str) -> bool:
    """Whether `name` is `word` with words put in, behind the first."""
    words, left = word.lower().split("-"), iter(name.split("-"))
    return name.startswith(f"{words[0]}-") and all(part in left for part in words)


def eye(word: str | AnySystem) -> Eye:
    """The eye of a system. Raises SpecError for one that has none, or whose pictures are words."""
    origin = named(word)
    match origin:
        case VisionSystem():
            found = Eye(origin, origin.encoder, origin.policy, "")
        case GroundSystem():
            raise SpecError(f"The encoder of '{origin.name}' gives maps of several sizes; take another one.")
        case MatchSystem():
            found = Eye(origin, origin.encoder, origin.policy, "encoder.")
        case DualSystem():
            pictures = {name: tower for name, tower in origin.towers.items() if isinstance(tower, Tower)}
            if not pictures:
                raise SpecError(f"'{origin.name}' has no tower for pictures; take the eye of another system.")
            name, tower = next(iter(pictures.items()))
            found = Eye(origin, tower.encoder, tower.policy, f"towers.{name}.encoder.")
        case System():
            if not origin.streams:
                raise SpecError(f"'{origin.name}' is a language model without eyes; take the encoder of another system.")
            name, stream = next(iter(origin.streams.items()))
            return _checked(Eye(origin, stream.encoder, _one(stream.policy), f"encoders.{name}."))
    if isinstance(found.encoder, ViT) and found.encoder.keep_cls:
        # a tower pools its class token; a language model reads what lies where in the picture
        found = Eye(origin, found.encoder.but(keep_cls=False), found.policy, found.prefix)
    return _checked(found)


def _checked(eye: Eye) -> Eye:
    if isinstance(eye.encoder, Code):
        raise SpecError(f"The encoder of '{eye.origin.name}' makes words of its own vocabulary, not rows; take another one.")
    return eye


def _one(policy: Policy) -> Policy:
    """That of one array, where a picture is cut into several of one kind."""
    return policy.one if isinstance(policy, (AnyRes, Mosaic)) else policy


def language(word: str | AnySystem) -> System:
    """The system whose language model is meant. Raises SpecError for one without, or whose reads pictures by itself."""
    found = named(word)
    if not isinstance(found, System):
        raise SpecError(f"'{found.name}' has no language model that writes; `anyvlm list` shows systems that do.")
    if reads_by_itself(found):
        raise SpecError(f"The language model of '{found.name}' reads pictures in all of its layers and cannot be taken out.")
    return found


def reads_by_itself(system: System) -> bool:
    """Whether all layers of the language model read the pictures, and are not made without them (BLIP)."""
    return any(stream.reach == "all" for stream in system.streams.values())
