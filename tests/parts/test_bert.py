"""Words and post-norm blocks equal transformers' BERT; attention to other rows, and a cache, keep what they should."""

from __future__ import annotations

import torch
import transformers as hf

from anyvlm.keys import Keys, Layout, Mount, convert, match, rename
from anyvlm.parts.act import ACTS
from anyvlm.parts.bert import PostNorm, Words
from anyvlm.parts.cache import allocate
from anyvlm.parts.catalog.bert import post_norm
from anyvlm.parts.ffn import MLP
from anyvlm.seq import causal
from tests.parity import gap, stirred

BLOCK, WORDS = PostNorm(heads=4, ffn=MLP(hidden=40)), Words(vocab=50, context=20, kinds=2)
KEYS = Keys(
    rules=(
        *post_norm("encoder.layer.{}.", "blocks.{}."),
        *rename(
            {
                "embeddings.word_embeddings.": "words.word.",
                "embeddings.position_embeddings.weight": "words.pos",
                "embeddings.token_type_embeddings.weight": "words.kind",
                "embeddings.LayerNorm.": "words.norm.",
            }
        ),
    )
)


@torch.no_grad()
def test_bert() -> None:
    theirs = stirred(
        hf.BertModel(
            hf.BertConfig(
                vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40,
                max_position_embeddings=20,
            ),
            add_pooling_layer=False,
        )
    )  # fmt: skip
    ours = torch.nn.ModuleDict(
        {"words": WORDS.build(32), "blocks": torch.nn.ModuleList(BLOCK.build(32, layer=n) for n in range(2))}
    ).eval()
    layout = Layout(name="hf", mounts=(Mount(theirs="", ours="", keys=KEYS),))
    state = theirs.state_dict()
    ours.load_state_dict(dict(convert(state, match(state, layout, lambda prefix: BLOCK))))
    ids, real = torch.randint(0, 50, (2, 9)), torch.ones(2, 9)
    real[1, 6:] = 0
    x = ours["words"](ids, torch.arange(9).expand(2, 9))
    added = torch.zeros(2, 1, 1, 9).masked_fill(real[:, None, None] == 0, -torch.inf)
    for block in ours["blocks"]:
        x = block.think(block.look(x, added))
    expected = theirs(input_ids=ids, attention_mask=real).last_hidden_state
    assert gap(x[real > 0], expected[real > 0]) <= 1e-5


@torch.no_grad()
def test_a_cache_gives_what_is_seen_at_once() -> None:
    block = BLOCK.build(32, into=24).eval()
    x, rows = torch.randn(1, 6, 32), torch.randn(1, 5, 24)
    keys = block.cross.keys(rows)
    whole = block.think(block.read(block.look(x, causal=True), *keys))
    cache, parts = allocate(1, 1, 4, 6, 8, like=x), []
    for n in range(6):
        cache.extend(causal(x[:, n : n + 1]))
        parts.append(block.think(block.read(block.look(x[:, n : n + 1], cache=cache), *keys)))
    assert gap(torch.cat(parts, 1), whole) <= 1e-5
    assert BLOCK.ffn.act == "gelu" and ACTS["gelu"] is torch.nn.functional.gelu  # the exact one
