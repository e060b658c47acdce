"""Shared by parity tests of whole systems: a small tokenizer for both sides, our batch from pictures, greedy decoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import tokenizers
import torch
import transformers as hf
from PIL import Image
from tokenizers import decoders, models, pre_tokenizers
from torch.nn.functional import pad

from anyvlm.inputs.collate import collate
from anyvlm.inputs.messages import Message, Picture
from anyvlm.inputs.plan import Plan, plan
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.system import VLM, Batch, System
from anyvlm.weights.config import read_directory
from anyvlm.weights.load import load_module


def bytes_and(*specials: str) -> tokenizers.Tokenizer:
    """One token for a byte, some pairs that merge (two line breaks, ": ", " w"), and control tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pairs = [("Ċ", "Ċ"), (":", "Ġ"), ("Ġ", "w"), ("o", "w")]
    vocab = {text: id for id, text in enumerate([*alphabet, *map("".join, pairs)])}
    inner = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=pairs))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(list(specials))
    return inner


def both(*specials: str) -> tuple[Tokenizer, hf.PreTrainedTokenizerFast]:
    """The same tokenizer as ours and as transformers'."""
    return Tokenizer(bytes_and(*specials)), hf.PreTrainedTokenizerFast(tokenizer_object=bytes_and(*specials))


def read(folder: Path) -> tuple[System, VLM]:
    """A directory as transformers writes it, in fp32."""
    system = read_directory(folder)
    assert isinstance(system, System)
    module = load_module(system, dtype=torch.float32)
    assert isinstance(module, VLM)
    return system, module


def laid(system: System, tokenizer: Tokenizer, content: Sequence[str | Image.Image]) -> tuple[Plan, Batch]:
    """One question of texts and pictures, planned from their sizes and collated from their pixels."""
    pictures = [part for part in content if isinstance(part, Image.Image)]
    message = Message("user", tuple(part if isinstance(part, str) else Picture("") for part in content))
    planned = plan(system, tokenizer, [message], sizes=[picture.size for picture in pictures])
    policy = system.streams["image"].policy
    return planned, collate(system, [planned], [[array for picture in pictures for array in policy.arrays(picture)]])


def text_batch(ids: Sequence[int]) -> Batch:
    """One row of text."""
    row = torch.tensor([ids])
    return Batch(row, torch.zeros_like(row), torch.arange(len(ids))[None, None], torch.zeros_like(row), {})


@torch.no_grad()
def greedy(module: VLM, start: Batch, steps: int) -> list[int]:
    """`steps` tokens after a batch of one row, everything computed again for each; the cache has its own law."""
    features, batch, out = module.features(start.media), start, []
    for _ in range(steps):
        seq = module.assemble(batch, features)
        out.append(int(module.lm.logits(module.lm.hidden(seq)[0, -1]).argmax()))
        batch = replace(
            batch, ids_BT=torch.cat([batch.ids_BT, torch.tensor([out[-1:]])], 1), kind_BT=pad(batch.kind_BT, (0, 1)),
            seg_BT=pad(batch.seg_BT, (0, 1)), pos_PBT=torch.cat([batch.pos_PBT, batch.pos_PBT[..., -1:] + 1], 2),
        )  # fmt: skip
    return out


def theirs_greedy(model: hf.GenerationMixin, inputs: dict[str, torch.Tensor], steps: int) -> list[int]:
    """The same by transformers, which is told of no token that ends an answer."""
    model.generation_config.eos_token_id = None
    out = model.generate(**inputs, max_new_tokens=steps, do_sample=False)
    return out[0, inputs["input_ids"].shape[1] :].tolist()


def noise(width: int, height: int, seed: int) -> Image.Image:
    """A picture in which no two places are alike."""
    data = torch.randint(0, 256, (height, width, 3), generator=torch.Generator().manual_seed(seed))
    return Image.fromarray(data.to(torch.uint8).numpy())
