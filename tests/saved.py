"""A tiny random pocket model in a directory, with a tokenizer of bytes, so that the command line can be run whole."""

from __future__ import annotations

from pathlib import Path

import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers

from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.registry import system
from anyvlm.system import System
from anyvlm.tiny import tiny
from anyvlm.weights.load import Loaded
from anyvlm.weights.save import save

CONTEXT = 512
IMAGE_TOKENS = 4


def bytes_tokenizer() -> Tokenizer:
    """One token per byte, and the control tokens of the pocket model's template."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = tokenizers.Tokenizer(models.BPE(vocab={char: id for id, char in enumerate(alphabet)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(["<|im_start|>", "<|im_end|>", "<image>"])
    return Tokenizer(inner, eos=("<|im_end|>",))


def tiny_pocket() -> Loaded:
    """Random weights, always the same."""
    spec = tiny(system("anyvlm-pocket"))
    assert isinstance(spec, System)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        module = spec.but(name="tiny").build().eval()
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.ndim == 2:
                    parameter.normal_(std=0.2)
    return Loaded(spec.but(name="tiny"), module, bytes_tokenizer())


def save_watching(directory: Path, name: str = "smolvlm2-256m") -> Path:
    """A directory with a tiny system that takes videos."""
    spec = tiny(system(name)).but(name="watching", lm__context=2048)
    assert isinstance(spec, System)
    stream = spec.streams["image"]
    marks = {*spec.template.specials, spec.placeholder, *(stream.markup.tokens if stream.markup else ())}
    marks |= {*stream.film.script.tokens, stream.film.placeholder or spec.placeholder}
    inner = bytes_tokenizer()._inner
    inner.add_special_tokens(sorted(marks))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        save(Loaded(spec, spec.build().eval(), Tokenizer(inner, eos=("<|im_end|>",))), directory)
    return directory


def save_tiny(directory: Path) -> Path:
    """The directory, filled."""
    save(tiny_pocket(), directory)
    return directory
