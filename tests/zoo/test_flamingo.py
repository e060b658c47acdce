"""What must hold for every system whose language model reads pictures through gated layers, and Flamingo's own numbers.

Flamingo has neither code nor weights to compare with: its ring is the laws, and the paper's counts of parameters.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from anyvlm import registry
from anyvlm.seq import causal
from anyvlm.system import Stream, System
from tests.zoo.test_laws import WHOLE, batch, built, close, laid_out, small

GATED = [name for name in WHOLE if registry.system(name).lm.inserts]
LAST = [name for name in GATED if registry.system(name).streams["image"].reach == "last"]
PAPER = {"flamingo-3b": (1.4, 1.2, 3.2), "flamingo-9b": (7.1, 1.6, 9.3), "flamingo-80b": (70, 10, 80)}


def test_the_right_systems_are_meant() -> None:
    assert {"flamingo-3b", "idefics-9b", "openflamingo-9b-vitl-mpt7b", "llama-3.2-11b-vision-instruct"} <= set(GATED)


@pytest.mark.parametrize("name", GATED)
@torch.no_grad()
def test_closed_gates_leave_the_language_model(name: str) -> None:
    """With the gates at 0, where training begins, pictures and gated layers change nothing."""
    system: System = small(name)
    vlm, start = system.build().eval(), batch(name, laid_out(name, (50, 40), "What is it?"))
    vlm.load_state_dict(built(name).state_dict())
    opened = vlm(start)
    for insert in vlm.lm.inserts:
        insert.gate1.zero_()
        insert.gate2.zero_()
    alone = system.lm.but(inserts=()).build()
    alone.load_state_dict({n: p for n, p in vlm.lm.state_dict().items() if not n.startswith("inserts.")})
    assert torch.equal(vlm(start), alone.logits(alone.hidden(causal(alone.embed(start.ids_BT)))))
    assert not torch.allclose(opened, vlm(start))


@pytest.mark.parametrize("name", GATED)
@torch.no_grad()
def test_the_order_of_a_batch_changes_nothing(name: str) -> None:
    """Two conversations with pictures of their own, either first, answer as they do alone."""
    one, two = laid_out(name, (50, 40), "What is it?"), laid_out(name, (30, 60), "And this?", (20, 20), "Or that?")
    two = (two[0], [array + 1 for array in two[1]])
    forth, back = built(name)(batch(name, one, two)), built(name)(batch(name, two, one))
    for n, row in enumerate((one, two)):
        alone = built(name)(batch(name, row))[0]
        close(forth[n, : len(row[0])], alone)
        close(back[1 - n, : len(row[0])], alone)


@pytest.mark.parametrize("name", LAST)
@torch.no_grad()
def test_text_reads_the_last_picture_alone(name: str) -> None:
    """Another first picture changes what stands before the second, and later text through the language model only."""
    laid, arrays = laid_out(name, (50, 40), "one", (50, 40), "two")
    first = batch(name, (laid, arrays))
    other = batch(name, (laid, [arrays[0] + 1, *arrays[1:]]))
    vlm, second = built(name), laid.pictures[1].start
    caught: list[torch.Tensor] = []
    hook = vlm.lm.inserts[0].attn.register_forward_hook(lambda _, given, out: caught.append(out))
    vlm(first), vlm(other)
    hook.remove()
    start = laid.pictures[0].start
    assert torch.equal(caught[0][:, second:], caught[1][:, second:])
    assert not torch.allclose(caught[0][:, start:second], caught[1][:, start:second])


@pytest.mark.parametrize("name", PAPER)
def test_parameters_are_those_of_the_paper(name: str) -> None:
    """Table 1, in billions: language model, gated layers, all; the resampler has 194 M and the encoder 435 M at every size."""
    lm, gated, whole = PAPER[name]
    with torch.device("meta"):
        sizes = {n: p.numel() / 1e9 for n, p in registry.system(name).build().named_parameters()}

    def total(*prefixes: str) -> float:
        return sum(size for n, size in sizes.items() if n.startswith(prefixes))

    def rounded(size: float, like: float) -> float:
        return round(size, 1) if like < 10 else round(size)

    assert rounded(total("lm.inserts."), gated) == gated
    assert rounded(total("lm.") - total("lm.inserts."), lm) == lm
    assert round(1000 * total("encoders.")) == 435
    assert round(1000 * (total("connectors.") - total("connectors.image.leave"))) == 194
    assert total("") == pytest.approx(whole, rel=0.01)


def test_flamingo_s_eyes_see_a_hundred_rows_and_give_sixty_four() -> None:
    eye: Stream = registry.system("flamingo-9b").streams["image"]
    cut = eye.policy.cut(640, 480)
    assert eye.patches(cut) == ((1, 10, 10),) and eye.rows(cut) == ((1, 1, 64),)


@torch.no_grad()
def test_text_before_the_first_picture_passes_the_attention_by() -> None:
    name = "openflamingo-9b-vitl-mpt7b"
    laid = laid_out(name, "Before it.", (50, 40), "After it.")
    start = batch(name, laid)
    seen = replace(start, media={})
    place = laid[0].pictures[0].start
    close(built(name)(start)[:, :place], built(name)(seen)[:, :place])
