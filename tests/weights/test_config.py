"""Configs field by field: published and version 5 files, defaults, what is refused, and the way back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import transformers as hf
from hypothesis import given
from hypothesis import strategies as st

from anyvlm.errors import AnyVLMError, SpecError, WeightsError
from anyvlm.keys import Keys
from anyvlm.parts.act import Act
from anyvlm.parts.catalog.aria import ARIA_HF, ARIA_LM
from anyvlm.parts.catalog.clip import CLIP_HF, SIGLIP_HF
from anyvlm.parts.catalog.llama import LLAMA_HF
from anyvlm.parts.catalog.mpt import MPT_HF
from anyvlm.parts.catalog.neox import NEOX_HF
from anyvlm.parts.catalog.phi import PHI_2, PHI_HF
from anyvlm.parts.catalog.stablelm import STABLELM_2_1_6B, STABLELM_HF
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.parts.lm import Decoder
from anyvlm.parts.moe import MoE
from anyvlm.parts.norm import RMSNorm
from anyvlm.parts.rope import Linear, Llama3, Rope, Yarn
from anyvlm.parts.vision.vit import ViT
from anyvlm.weights.config import read_directory
from anyvlm.weights.config_lm import KEYS, read_lm, write_lm
from anyvlm.weights.config_vision import read_vision, write_vision
from tests.zoo import published


@pytest.mark.parametrize("name", published.LM)
def test_old_and_new_files_say_the_same(name: str) -> None:
    """`rope_theta` and `torch_dtype` as published; `rope_parameters`, `dtype` and every default as version 5 writes."""
    old = published.LM[name] | {"torch_dtype": "bfloat16", "use_cache": True, "architectures": ["X"]}
    new = hf.AutoConfig.for_model(**published.LM[name]).to_dict()
    assert ("rope_parameters" in new or new["attn_config"]["alibi"]) and "rope_theta" not in new
    assert read_lm(old) == read_lm(new)


@pytest.mark.parametrize("name", published.EYE)
def test_every_default_of_a_tower(name: str) -> None:
    assert read_vision(published.EYE[name]) == read_vision(hf.AutoConfig.for_model(**published.EYE[name]).to_dict())


@pytest.mark.parametrize("kind", KEYS)
def test_class_defaults(kind: str) -> None:
    """A config that says nothing is the class's default."""
    whole = hf.AutoConfig.for_model(kind).to_dict()
    whole.pop("rope_parameters", None)  # Cohere's default base has changed since the published files left it out
    assert read_lm({"model_type": kind}) == read_lm(whole)


@pytest.mark.parametrize(("decoder", "keys"), [(PHI_2, PHI_HF), (STABLELM_2_1_6B, STABLELM_HF)])
def test_decoders_of_which_a_share_of_a_head_turns_are_written(decoder: Decoder, keys: Keys) -> None:
    assert read_lm(json.loads(json.dumps(write_lm(decoder, keys)))) == decoder


def test_experts_are_read_and_not_written() -> None:
    with pytest.raises(SpecError, match="experts cannot be written"):
        write_lm(ARIA_LM, ARIA_HF)
    old = {"model_type": "aria_text", "intermediate_size": 99, "moe_intermediate_size": 1664, "moe_z_loss_coeff": 1e-5}
    ffn = read_lm(old).ffn
    assert isinstance(ffn, MoE) and ffn.expert.hidden == 1664 and ffn.shared == GLU(hidden=2 * 1664)


WRONG = {
    "attn_logit_softcapping": 50.0,
    "num_experts": 8,
    "mlp_bias": True,
    "hidden_act": "gelu_fast",
    "rope_scaling": {"type": "dynamic", "factor": 2.0},
    "vocab_size": "32000",
    "partial_rotary_factor": 0.5,
    "tie_word_embeddings": 1,
}


@pytest.mark.parametrize("field", WRONG)
def test_what_cannot_be_honoured_is_named(field: str) -> None:
    with pytest.raises(SpecError, match=field):
        read_lm(published.LLAMA_7B | {field: WRONG[field]}, "here/config.json")


@pytest.mark.parametrize(("config", "change"), [
    (published.MPT_7B, {"attn_config": {"qk_ln": True}}),
    (published.MPT_7B, {"attn_config": {"clip_qkv": 6}}),
    (published.MPT_7B, {"attn_config": {"alibi": False}}),
    (published.MPT_7B, {"no_bias": False}),
    (published.MPT_7B, {"logit_scale": 0.5}),
    (published.REDPAJAMA, {"use_parallel_residual": 1}),
    (published.REDPAJAMA, {"rope_scaling": {"rope_type": "dynamic"}}),
    (published.REDPAJAMA, {"hidden_act": "mish"}),
])  # fmt: skip
def test_what_mpt_and_neox_cannot_honour_is_named(config: dict[str, object], change: dict[str, object]) -> None:
    field = next(iter(change))
    named = next(iter(change[field])) if isinstance(change[field], dict) else field  # the field inside, if there is one
    with pytest.raises(SpecError, match=named):
        read_lm(config | change)


@pytest.mark.parametrize(("config", "keys"), [
    (published.MPT_7B, MPT_HF), (published.REDPAJAMA, NEOX_HF),
    (published.REDPAJAMA | {"use_parallel_residual": True, "rotary_pct": 0.25, "hidden_act": "gelu_new"}, NEOX_HF),
])  # fmt: skip
def test_written_mpt_and_neox_are_read_as_the_same(config: dict[str, object], keys: Keys) -> None:
    decoder = read_lm(config)
    assert read_lm(json.loads(json.dumps(write_lm(decoder, keys)))) == decoder
    with pytest.raises(SpecError, match="save it in our own form"):
        write_lm(decoder.but(norm__eps=1e-5, norm__bias=not decoder.norm.bias), keys)


@pytest.mark.parametrize("field", ["num_channels", "use_rope", "hidden_act", "qkv_bias"])
def test_what_a_tower_cannot_honour_is_named(field: str) -> None:
    value = {"num_channels": 4, "use_rope": True, "hidden_act": "mish", "qkv_bias": False}[field]
    with pytest.raises(SpecError, match=field):
        read_vision(published.CLIP_L_336 | {field: value})


def test_rope_scalings_of_published_files() -> None:
    llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    cases = {
        Linear(factor=4.0): {"type": "linear", "factor": 4.0},
        Llama3(factor=8.0, low=1.0, high=4.0, original=8192): llama3 | {"original_max_position_embeddings": 8192},
        Yarn(factor=2.0, original=4096): {"type": "yarn", "factor": 2.0, "original_max_position_embeddings": 4096},
    }
    for scaling, data in cases.items():
        assert read_lm(published.LLAMA_7B | {"rope_scaling": data}).rope == Rope(scaling=scaling)
    with pytest.raises(SpecError, match="attention_factor"):
        read_lm(published.LLAMA_7B | {"rope_scaling": {"type": "yarn", "factor": 2.0, "attention_factor": 0.5}})
    with pytest.raises(SpecError, match="rope_scaling.*mscale"):
        read_lm(published.LLAMA_7B | {"rope_scaling": {"type": "yarn", "factor": 2.0, "mscale": 0.7}})


@given(
    heads=st.sampled_from([1, 2, 4]), groups=st.sampled_from([1, 2, 4]), width=st.integers(1, 8), depth=st.integers(1, 9),
    tied=st.booleans(), biased=st.booleans(), window=st.none() | st.integers(1, 99), eps=st.floats(1e-9, 1e-3),
    theta=st.floats(1e2, 1e7), head=st.none() | st.sampled_from([6, 10]),
)  # fmt: skip
def test_written_configs_are_read_as_the_same(
    heads: int, groups: int, width: int, depth: int, tied: bool, biased: bool, window: int | None, eps: float,
    theta: float, head: int | None,
) -> None:  # fmt: skip
    decoder = Decoder(
        vocab=64, width=8 * width, depth=depth, heads=heads, kv_heads=groups, ffn=GLU(hidden=16), context=128, tied=tied,
        norm=RMSNorm(eps=eps), rope=Rope(theta=theta), qkv_bias=biased, o_bias=biased, window=window,
        head=None if head and head * heads == 8 * width else head,
    )  # fmt: skip
    if biased and window:  # no class has both
        with pytest.raises(SpecError, match="No class of transformers"):
            write_lm(decoder, LLAMA_HF)
    else:
        assert read_lm(json.loads(json.dumps(write_lm(decoder, LLAMA_HF)))) == decoder


@pytest.mark.parametrize("act", ["gelu", "gelu_tanh", "quick_gelu"])
def test_written_towers_are_read_as_the_same(act: Act) -> None:
    clip = read_vision(published.CLIP_L_336).encoder.but(ffn__act=act)
    assert read_vision(write_vision(clip, CLIP_HF)).encoder == clip
    with pytest.raises(SpecError, match="No class of transformers"):
        write_vision(clip.but(pre_norm=False), CLIP_HF)
    with pytest.raises(SpecError, match="No class of transformers"):
        write_vision(clip, SIGLIP_HF)
    assert isinstance(clip, ViT) and isinstance(clip.ffn, MLP)


def test_llava_in_its_published_form(tmp_path: Path) -> None:
    """llava-hf/llava-1.5-7b-hf: nested configs that leave out nearly everything."""
    config = {
        "architectures": ["LlavaForConditionalGeneration"],
        "ignore_index": -100,
        "image_token_index": 32000,
        "model_type": "llava",
        "pad_token_id": 32001,
        "projector_hidden_act": "gelu",
        "text_config": {
            "_name_or_path": "lmsys/vicuna-7b-v1.5",
            "architectures": ["LlamaForCausalLM"],
            "max_position_embeddings": 4096,
            "model_type": "llama",
            "rms_norm_eps": 1e-05,
            "torch_dtype": "float16",
            "vocab_size": 32064,
        },
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "transformers_version": "4.36.0.dev0",
        "vision_config": published.CLIP_L_336 | {"vocab_size": 32000},
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
        "vocab_size": 32064,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=r"no preprocessor_config\.json"):
        read_directory(tmp_path)
    preprocessor = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 336}, "crop_size": 336}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    from anyvlm import registry

    found, named = read_directory(tmp_path), registry.system("llava-1.5-7b")
    assert found.lm == named.lm
    assert found.streams["image"].but(policy=named.streams["image"].policy) == named.streams["image"]


BROKEN = {
    "not json": "{",
    "a list": "[]",
    "nothing known": '{"model_type": "bert"}',
    "no type": "{}",
    "nested wrongly": '{"model_type": "llava", "text_config": {"model_type": "mamba"}}',
}


@pytest.mark.parametrize("what", BROKEN)
def test_directories_that_hold_no_model(what: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(BROKEN[what])
    with pytest.raises(AnyVLMError) as caught:
        read_directory(tmp_path)
    assert str(tmp_path) in str(caught.value)
