"""Diagrams of all systems: no text leaves the canvas or covers another, and colours say what stages train."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from anyvlm import registry
from anyvlm.anatomy.cards import scheme, states
from anyvlm.anatomy.diagram import HEIGHT, WIDTH, diagram
from anyvlm.anatomy.svg import Drawing, measure
from anyvlm.errors import InputError
from anyvlm.system import Lora, Stage
from tests.commands import run

WIDE, BOLD = 1.1, 1.22  # DejaVu, the widest of the typefaces asked for


def heavy(path: str) -> str:
    """As wide a number as there is."""
    return "888.88 B"


def texts(drawing: Drawing) -> list[tuple[str, float, float, float, float]]:
    """What stands where: words, left, top, right, foot."""
    out = []
    for element in drawing.elements:
        at = dict(element.attributes)
        if element.tag == "text":
            size, x, y = float(at["font-size"]), float(at["x"]), float(at["y"])
            width = measure(element.words, size) * (BOLD if "font-weight" in at else WIDE)
            left = x - {"start": 0.0, "middle": width / 2, "end": width}[str(at["text-anchor"])]
            out.append((element.words, left, y - 0.74 * size, left + width, y + 0.2 * size))
    return out


@pytest.mark.parametrize("name", registry.SYSTEMS)
def test_text_is_legible(name: str) -> None:
    system = registry.system(name)
    stages = [stage.name for stage in getattr(system, "stages", ())]
    for stage in (None, *stages[-1:]):
        drawing = diagram(system, heavy, stage)
        found = texts(drawing)
        assert len(found) > 8
        for words, left, top, right, foot in found:
            assert left >= 0 and top >= 0 and right <= WIDTH and foot <= HEIGHT, words
        for one, two in combinations(found, 2):
            apart = one[3] <= two[1] or two[3] <= one[1] or one[4] <= two[2] or two[4] <= one[2]
            assert apart, (one, two)


def test_text_is_seen_to_overlap() -> None:
    """So that the test above can fail."""
    drawing = Drawing(100, 100)
    drawing.text(10, 50, "words", 14)
    drawing.text(20, 55, "words", 14)
    one, two = texts(drawing)
    assert one[3] > two[1] and one[4] > two[2]


def test_states() -> None:
    stages = (
        Stage(name="a", train=("connectors.*",)),
        Stage(name="b", train=("lm.inserts.*", "encoders.image.blocks.2?.*"), lora=Lora(rank=8, alpha=8)),
        Stage(name="c", train=("*",)),
    )
    assert states(stages, "connectors.image.") == ("trained", "frozen", "trained")
    assert states(stages, "encoders.image.") == ("frozen", "partly", "trained")
    assert states(stages, "lm.", "lm.inserts.") == ("frozen", "lora", "trained")
    assert states(stages, "lm.inserts.") == ("frozen", "trained", "trained")


def test_what_it_says() -> None:
    plan = scheme(registry.system("flamingo-9b"), heavy)
    assert [card.label for card in plan.lanes[0]] == ["picture", "encoder", "connector"]
    assert plan.lanes[0][2].title == "Perceiver" and plan.lanes[0][2].states == ("trained",)
    assert plan.body.reads and plan.body.rows == 0 and plan.body.marks[0].layers == (0, 4, 8, 12, 16, 20, 24, 28)
    assert plan.body.card.states == ("frozen",)  # its inserts are trained, and drawn apart
    llava = scheme(registry.system("llava-1.5-7b"), heavy)
    assert llava.body.rows == 576 and not llava.body.reads
    assert scheme(registry.system("instructblip-vicuna-7b"), heavy).told
    aim = scheme(registry.system("aim-600m"), heavy)
    assert [card.label for card in aim.outputs] == ["out", "lesson 1", "lesson 2"]
    assert aim.body.card.states == ("trained", "frozen") and aim.outputs[2].states == ("frozen", "trained")
    glip = scheme(registry.system("glip-t"), heavy)
    assert [card.label for card in glip.lanes[0]] == ["picture", "encoder", "connector"] and glip.body.depths == (6,)


def test_a_stage_it_does_not_have() -> None:
    with pytest.raises(InputError, match="has no stage 'melt'; it has align, tune"):
        diagram(registry.system("llava-1.5-7b"), heavy, "melt")


def test_command(tmp_path: Path) -> None:
    out = tmp_path / "clip.svg"
    done = run("diagram", "clip-vit-b-32", "-o", out, "--png", "--json")
    assert done.code == 0, done.err
    assert '"title": "CLIP ViT-B/32"' in done.out and "151.3 M parameters" in out.read_text()
    assert out.with_suffix(".png").read_bytes()[1:4] == b"PNG"
