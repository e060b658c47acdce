"""Configs of OPT, T5 and BLIP-2 that cannot be honoured are refused, each with the field's name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anyvlm.errors import AnyVLMError
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.weights.config import read_directory
from anyvlm.weights.config_language import read_language

BLIP = {"model_type": "instructblip", "text_config": {"model_type": "opt"}, "image_token_index": 5}


@pytest.mark.parametrize(("config", "said"), [
    ({"model_type": "opt", "do_layer_norm_before": False}, "do_layer_norm_before"),
    ({"model_type": "opt", "word_embed_proj_dim": 512, "hidden_size": 1024}, "word_embed_proj_dim"),
    ({"model_type": "opt", "activation_function": "tanh"}, "activation_function"),
    ({"model_type": "opt", "new_field": 3}, "new_field"),
    ({"model_type": "t5", "feed_forward_proj": "gated-tanh"}, "'tanh' is not supported"),
    ({"model_type": "t5", "new_field": 3}, "new_field"),
    ({"model_type": "bart"}, "model_type 'bart'"),
])  # fmt: skip
def test_refused(config: dict[str, object], said: str) -> None:
    with pytest.raises(AnyVLMError, match=said):
        read_language(config)


def test_activation_of_t5() -> None:
    """The name alone means the tanh form; BLIP-2's files overrule it."""
    acts = {
        ("gated-gelu", None): "gelu_tanh", ("gated-gelu", "gelu"): "gelu", ("gated-silu", None): "silu", ("relu", None): "relu",
    }  # fmt: skip
    for (kind, act), ours in acts.items():
        ffn = read_language({"model_type": "t5", "feed_forward_proj": kind, "dense_act_fn": act}).ffn
        assert ffn.act == ours and isinstance(ffn, MLP if kind == "relu" else GLU)


@pytest.mark.parametrize(("config", "said"), [
    ({}, "qformer_tokenizer"),
    ({"qformer_config": {"position_embedding_type": "relative_key"}}, "position_embedding_type"),
    ({"vision_config": {"qkv_bias": False}}, "qkv_bias"),
    ({"new_field": 1}, "new_field"),
])  # fmt: skip
def test_refused_whole(config: dict[str, object], said: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(BLIP | config))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": "BlipImageProcessor"}))
    with pytest.raises(AnyVLMError, match=said):
        read_directory(tmp_path)
