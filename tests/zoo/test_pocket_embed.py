"""anyvlm-pocket-embed: its text tower equals transformers' BertModel and mean; it names icons of a style it never saw."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import transformers as hf
from PIL import Image

import anyvlm
from anyvlm import registry
from anyvlm.data.held_out import naming
from anyvlm.dual import DualSystem
from anyvlm.generate.dual import DualModel
from anyvlm.train.pocket_embed import initial, read_lines
from anyvlm.weights.readers import open_tensors
from anyvlm.weights.sources import resolve
from anyvlm.zoo.pocket_embed import MINILM, POCKET_EMBED

LINES = ["a red apple", "The flag of the United States", "Café, owls & two 'dots'… and a much longer sentence.", "word " * 300]


@pytest.mark.network
def test_texts_are_read_as_transformers_reads_them() -> None:
    """The published files: ids of the tokenizer, and the mean of a BertModel's rows."""
    weights = resolve(MINILM)
    words = hf.PreTrainedTokenizerFast(tokenizer_file=str(weights.with_name("tokenizer.json")), pad_token="[PAD]")
    sizes = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    config = hf.BertConfig(vocab_size=30522, **sizes)
    reference = hf.BertModel(config, add_pooling_layer=False).eval()
    tensors = open_tensors(weights)
    state = {name: tensors[name] for name in tensors if not name.startswith(("pooler.", "embeddings.position_ids"))}
    reference.load_state_dict(state)
    ours, tokenizer = initial()
    batch = words(LINES, padding="longest", truncation=True, max_length=256, return_tensors="pt")
    policy = POCKET_EMBED.towers["text"].policy
    for n, line in enumerate(LINES):
        seen = batch["attention_mask"][n].bool()
        assert list(policy.encode(tokenizer, line).ids) == batch["input_ids"][n][seen].tolist()
    with torch.inference_mode():
        rows = reference(**{name: batch[name] for name in ("input_ids", "attention_mask")}).last_hidden_state
    mask = batch["attention_mask"][..., None]
    wanted = (rows * mask).sum(1) / mask.sum(1)
    gap = float((read_lines(ours, tokenizer, LINES) - wanted).abs().max())
    assert gap < 1e-5  # of its text tower alone, so the ledger does not have it


def test_its_names_meet_those_of_its_parts() -> None:
    system = registry.system("anyvlm-pocket-embed")
    assert isinstance(system, DualSystem) and system.towers["image"].encoder.rows((1, 16, 16)) == (1, 8, 8)
    assert system.towers["image"].encoder.out == 576 + 384


@pytest.mark.network
def test_it_names_an_icon_of_an_unseen_style_and_knows_texts_that_mean_the_same() -> None:
    model = anyvlm.load("anyvlm-pocket-embed", device="cpu")
    assert isinstance(model, DualModel)
    labels = ("red apple", "rocket", "octopus", "umbrella", "pizza", "guitar", "key", "snowman", "bus", "cactus")
    shown = {item.key: Image.fromarray(item.image) for item in naming() if item.key in labels}
    found = model.classify([shown[label] for label in labels], labels)
    assert sum(best == label for best, label in zip(found.best, labels, strict=True)) >= 8
    assert torch.allclose(found.probability.sum(1), torch.ones(10), atol=1e-5)
    texts = model.embed(texts=["a kitten", "a young cat", "a train station"]).texts
    assert texts is not None and texts[0] @ texts[1] > texts[0] @ texts[2] + 0.2
    assert torch.allclose(F.normalize(texts, dim=-1), texts, atol=1e-5)
