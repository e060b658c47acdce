"""The checkpoints of one system as those of parts of another: tables of what is kept; all else in the files stays unread."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from anyvlm.keys import Keys, Layout, Mount, Rule
from anyvlm.match import AnySystem
from anyvlm.system import Checkpoint

Moves = Mapping[str, str]
"""Where parts lie in the system they come from, and in the one they go to: {"towers.image.encoder.": "encoders.image."}."""


def transplanted(system: AnySystem, moves: Moves, without: tuple[str, ...] = ()) -> tuple[Checkpoint, ...]:
    """Checkpoints that fill the parts of `moves`, and nothing else. `without`: prefixes inside them that stay unfilled.

    Low-rank updates beside the weights go with their part.
    """
    move = _Move(dict(moves), without)
    out = []
    for checkpoint in system.checkpoints:
        layouts = tuple(move.layout(layout, system) for layout in checkpoint.layouts)
        if kept := tuple(layout for layout in layouts if layout.mounts):
            out.append(checkpoint.but(layouts=kept))
    return tuple(out)


@dataclass(frozen=True)
class _Move:
    moves: dict[str, str]
    without: tuple[str, ...]

    def taken(self, name: str) -> str | None:
        """The prefix in `moves` of one of the old system's names, None for what stays behind."""
        if name.startswith(self.without):
            return None
        return next((old for old in self.moves if name.startswith(old)), None)

    def layout(self, layout: Layout, system: AnySystem) -> Layout:
        if not layout.mounts:
            return self._ours(layout, system)
        mounts: list[Mount] = []
        ignore = list(layout.ignore)
        for mount in layout.mounts:
            kept: dict[str, list[Rule]] = {}
            for rule in mount.keys.rules:
                parts = {self.taken(mount.ours + name) for name in rule.ours}
                if (old := parts.pop() if len(parts) == 1 else None) is None:
                    ignore += [mount.theirs + _glob(name) for name in rule.theirs]
                else:
                    kept.setdefault(old, []).append(rule)
            ignore += [mount.theirs + glob for glob in mount.keys.ignore] if not kept else []
            ignore += [mount.theirs + tie.theirs for tie in mount.keys.ties] if not kept else []
            mounts += [self._mount(mount, old, rules) for old, rules in kept.items()]
        return layout.but(mounts=tuple(mounts), ignore=tuple(dict.fromkeys(ignore)))

    def _mount(self, mount: Mount, old: str, rules: list[Rule]) -> Mount:
        """A mount above the part comes down to it; one inside it stays as deep."""
        inside, above = mount.ours.removeprefix(old), old.removeprefix(mount.ours)
        if not mount.ours.startswith(old):
            rules = [rule.but(ours=tuple(name.removeprefix(above) for name in rule.ours)) for rule in rules]
            inside = ""
        return mount.but(ours=self.moves[old] + inside, keys=mount.keys.but(rules=tuple(rules)))

    def _ours(self, layout: Layout, system: AnySystem) -> Layout:
        """Files in our own names, one rule for every name of the parts taken."""
        with torch.device("meta"):
            names = [name for name, _ in system.build().named_parameters()]
        patterns = list(dict.fromkeys(re.sub(r"(?<=\.)\d+(?=\.)", "{}", name) for name in names))
        mounts, ignore = [], []
        for old, new in self.moves.items():
            mine = [name.removeprefix(old) for name in patterns if self.taken(name) == old]
            mounts.append(Mount(theirs=old, ours=new, keys=Keys(rules=tuple(Rule(theirs=(n,), ours=(n,)) for n in mine))))
        for name in (name for name in patterns if self.taken(name) is None):
            layer = _glob(name.removesuffix(".weight"))
            ignore += [_glob(name), f"lora.{layer}.a", f"lora.{layer}.b"]
        return layout.but(name="anyvlm-parts", mounts=tuple(mounts), ignore=tuple(ignore))


def _glob(pattern: str) -> str:
    """The names that a rule's pattern claims, as a glob."""
    return pattern.replace("[", "[[]").replace("{}", "*") + ("*" if pattern.endswith(".") else "")
