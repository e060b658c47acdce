"""Two towers of any kind side by side in Hugging Face's layout: a CLIP or DINOv2, and a BERT with its pooler.

Source: transformers ``modeling_vision_text_dual_encoder.py``. CiT is one, around a tower that transformers does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from anyvlm.dual import DualSystem, Softmax, TextTower, Tower
from anyvlm.errors import SpecError
from anyvlm.keys import Layout, Mount
from anyvlm.parts.catalog.cit import DUAL_ENDS_HF, POOLER_HF, TEXT_HF
from anyvlm.parts.headed import Tanh
from anyvlm.parts.pool import Linear, Pick
from anyvlm.system import Checkpoint, Meta
from anyvlm.weights.config_dual import Kind, read_policy, read_text_policy, read_words
from anyvlm.weights.config_vision import read_vision
from anyvlm.weights.fields import Fields
from anyvlm.weights.sources import Source

_BERT = Kind("", (), bert=True)
_UNREAD = (
    "model_type", "tie_word_embeddings", "use_cache", "is_decoder", "add_cross_attention", "classifier_dropout",
    "gradient_checkpointing",
)  # fmt: skip


def read_pair(path: Path, config: Mapping[str, object], source: Source) -> DualSystem:
    """The system of a directory. Raises SpecError naming a field that cannot be honoured, or a tower that is not known."""
    f = Fields(config, {"projection_dim": 512}, str(path / "config.json"))
    eye = read_vision(f.nested("vision_config"), f"{path}: vision_config")
    text = f.nested("text_config")
    for name in ("is_decoder", "add_cross_attention"):
        if text.get(name):
            raise SpecError(f"{path}: text_config: {name} = {text[name]!r} is not known here; only a BERT that reads is.")
    given = {name: value for name, value in text.items() if name not in _UNREAD}
    words, _ = read_words(given, f"{path}: text_config", _BERT)
    shared = f.need("projection_dim", int)
    f.done()
    layouts = tuple(
        Layout(
            name=name,
            mounts=(
                Mount(theirs=before, ours="towers.image.encoder.", keys=eye.keys),
                Mount(theirs="text_model.", ours="towers.text.encoder.", keys=TEXT_HF),
                Mount(theirs="text_model.pooler.", ours="towers.text.pool.", keys=POOLER_HF),
                Mount(theirs="", ours="", keys=DUAL_ENDS_HF),
            ),
        )
        for name, before in (("hf", "vision_model."), ("hf_nested", "vision_model.vision_model."))
    )
    policy = read_text_policy(path, words, _BERT).but(context=words.context)
    return DualSystem(
        name=path.name,
        towers={
            "image": Tower(
                policy=read_policy(path), encoder=eye.encoder.but(keep_cls=True), pool=Pick(row="first"), project=Linear()
            ),
            "text": TextTower(policy=policy, encoder=words, pool=Tanh(), project=Linear()),
        },
        shared=shared,
        contrasts=(Softmax(),),
        meta=Meta(paper="", year=0, license="unknown", family="vision-text-dual-encoder", row=""),
        tokenizer=source if (path / "tokenizer.json").is_file() else None,
        checkpoints=(Checkpoint(source=source, layouts=layouts),),
    )
