"""Bytes and active parameters are those of the modules, and of the papers."""

from __future__ import annotations

import pytest
import torch

from anyvlm import registry
from anyvlm.anatomy.parameters import parameters
from anyvlm.anatomy.weights import Share, active, read, whole
from anyvlm.system import System
from anyvlm.tiny import tiny

KINDS = ("anyvlm-pocket", "llama-3.2-11b-vision-instruct", "idefics-9b", "blip2-flan-t5-xl", "blip-vqa-base", "aria",
         "moe-llava-phi2-2.7b-4e", "cogvlm-chat", "mixture-of-transformers-7b", "janus-pro-1b", "kosmos-2",
         "opt-2.7b", "cappa-vit-b-16", "vladva-llava-1.5-7b")  # fmt: skip
STACKS = ("lm.blocks.", "lm.inserts.", "lm.encoder.blocks.", "lm.reader.blocks.")


def small(name: str) -> tuple[System, dict[str, torch.nn.Parameter]]:
    system = tiny(registry.system(name))
    with torch.device("meta"):
        return system, dict(system.build().named_parameters())


@pytest.mark.parametrize("name", KINDS)
def test_matrices_are_those_of_blocks_and_inserts(name: str) -> None:
    system, found = small(name)
    share = whole(parameters(system))
    assert share.values == sum(x.numel() for x in found.values())
    assert share.matrices == sum(x.numel() for n, x in found.items() if n.startswith(STACKS) and x.ndim > 1) > 0


@pytest.mark.parametrize("name", KINDS)
def test_active_is_what_a_token_of_text_meets(name: str) -> None:
    system, found = small(name)
    count = matrices = 0
    for n, x in found.items():
        if n.startswith("lm.") and ".image." not in n:
            met = x.numel()
            if ".experts." in n:
                layer = system.lm.ffn_of(int(n.split(".")[2]))
                met = x.numel() // layer.experts * layer.top
            count += met
            matrices += met if n.startswith(STACKS) and x.ndim > 1 else 0
    assert active(system, parameters(system)) == Share(count, matrices)


@pytest.mark.parametrize("name", KINDS)
def test_one_token_more_reads_no_table_of_words_and_no_encoder(name: str) -> None:
    system, found = small(name)
    tree = parameters(system)
    left = [x for n, x in found.items() if n.startswith(("lm.encoder.", "lm.reader."))]
    tied = not any(n == "lm.head.weight" for n in found)
    left += [] if tied else [x for n, x in found.items() if n.startswith("lm.embed.")]
    gone = active(system, tree).values - read(system, tree).values
    assert gone == sum(x.numel() for x in left)


def test_bytes() -> None:
    """128 values in int4 are 64 bytes and a scale; what is no matrix stays in bf16."""
    assert Share(1000 + 128, 128).bytes() == {"bf16": 2256, "int8": 2000 + 128 + 2, "int4": 2000 + 64 + 2}


PAPERS = {"moe-llava-phi2-2.7b-4e": 3.6, "moe-llava-qwen-1.8b-4e": 2.2, "moe-llava-stablelm-1.6b-4e": 2.0, "cogvlm-chat": 6.7}


@pytest.mark.parametrize(("name", "billions"), PAPERS.items())
def test_active_parameters_of_the_papers(name: str, billions: float) -> None:
    system = registry.system(name)
    assert active(system, parameters(system)).values == pytest.approx(billions * 1e9, abs=0.06e9)


def test_active_parameters_of_aria() -> None:
    """2410.05993 says 3.5 B for a token of text. Ours are 3.6 B without the table of words and the head, which are 0.5 B."""
    system = registry.system("aria")
    words = 2 * system.lm.vocab * system.lm.width
    assert active(system, parameters(system)).values - words == pytest.approx(3.6e9, abs=0.01e9)
