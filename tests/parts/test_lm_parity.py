"""Decoders equal transformers': logits of tiny random models that went through save_pretrained and our real loader."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers as hf

from anyvlm.seq import causal
from anyvlm.weights.load import load_system
from tests.parity import gap, record, saved, stirred

SMALL = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LONG = {
    "rope_type": "longrope",
    "short_factor": [1.0, 1.1, 1.3, 1.7],
    "long_factor": [1.5, 2.0, 4.0, 9.0],
    "rope_theta": 10000.0,
}
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
PHI = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.4}
CASES = {
    "llama": (hf.LlamaConfig, hf.LlamaForCausalLM, {}),
    "llama-tied-biased": (hf.LlamaConfig, hf.LlamaForCausalLM, {"tie_word_embeddings": True, "attention_bias": True}),
    "llama-wide-heads": (hf.LlamaConfig, hf.LlamaForCausalLM, {"head_dim": 16, "rms_norm_eps": 1e-5}),
    "llama-linear": (
        hf.LlamaConfig, hf.LlamaForCausalLM,
        {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}},
    ),
    "llama-llama3": (
        hf.LlamaConfig, hf.LlamaForCausalLM,
        {"rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0} | LLAMA3},
    ),
    "llama-yarn": (
        hf.LlamaConfig, hf.LlamaForCausalLM,
        {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "rope_theta": 1e4}},
    ),
    "mistral": (hf.MistralConfig, hf.MistralForCausalLM, {"sliding_window": None}),
    "mistral-window": (hf.MistralConfig, hf.MistralForCausalLM, {"sliding_window": 7}),
    "qwen2": (hf.Qwen2Config, hf.Qwen2ForCausalLM, {}),
    "qwen2-tied-window": (
        hf.Qwen2Config, hf.Qwen2ForCausalLM,
        {"tie_word_embeddings": True, "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1},
    ),
    "phi3": (hf.Phi3Config, hf.Phi3ForCausalLM, {"sliding_window": 9}),
    "phi3-longrope": (
        hf.Phi3Config, hf.Phi3ForCausalLM, {"rope_parameters": LONG, "original_max_position_embeddings": 32},
    ),
    "stablelm": (hf.StableLmConfig, hf.StableLmForCausalLM, {"head_dim": 8, "use_qkv_bias": True}),
    "phi": (hf.PhiConfig, hf.PhiForCausalLM, {"rope_parameters": PHI, "hidden_size": 64, "num_key_value_heads": 4}),
    "aria_text": (hf.AriaTextConfig, hf.AriaTextForCausalLM, {"moe_num_experts": 6, "moe_topk": 3}),
    "cohere": (hf.CohereConfig, hf.CohereForCausalLM, {"logit_scale": 0.25}),
    "cohere-biased": (hf.CohereConfig, hf.CohereForCausalLM, {"attention_bias": True, "num_key_value_heads": 4}),
}  # fmt: skip
MPT = {"d_model": 32, "n_heads": 4, "n_layers": 3, "vocab_size": 96, "max_seq_len": 64}
NEOX = {
    "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 3, "intermediate_size": 48, "vocab_size": 96,
    "use_parallel_residual": False,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 1.0},
}  # fmt: skip
PYTHIA = {
    "hidden_size": 64, "use_parallel_residual": True,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.25},
}  # fmt: skip
OTHERS = {
    "mpt-7b": lambda: hf.MptForCausalLM(hf.MptConfig(**MPT)),
    "mpt-6-heads": lambda: hf.MptForCausalLM(hf.MptConfig(**(MPT | {"d_model": 48, "n_heads": 6}))),
    "pythia": lambda: hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**(NEOX | PYTHIA), attn_implementation="eager")),
    "redpajama-incite-base-3b": lambda: hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**NEOX, attn_implementation="eager")),
}


@pytest.mark.parametrize("case", OTHERS)
def test_logits_and_greedy_tokens(case: str, tmp_path: Path) -> None:
    theirs = stirred(OTHERS[case]())
    lm = load_system(saved(theirs, tmp_path)).module.lm
    ids = torch.randint(3, 96, (2, 24))
    with torch.no_grad():
        worst = gap(lm.logits(lm.hidden(causal(lm.embed(ids)))), theirs(ids).logits)
        for _ in range(32):
            ours = lm.logits(lm.hidden(causal(lm.embed(ids))))[:, -1].argmax(-1)
            assert torch.equal(ours, theirs(ids).logits[:, -1].argmax(-1))
            ids = torch.cat([ids, ours[:, None]], 1)
    assert worst <= 1e-5, worst
    for name in {"mpt-7b": [case], "redpajama-incite-base-3b": [case, "redpajama-incite-instruct-3b"]}.get(case, []):
        record("parity", name, worst)


@pytest.mark.parametrize("case", CASES)
def test_logits(case: str, tmp_path: Path) -> None:
    config, model, extra = CASES[case]
    theirs = stirred(model(config(**(SMALL | extra), attn_implementation="eager")))
    ours = load_system(saved(theirs, tmp_path)).module
    worst = 0.0
    for length in (24, 40):  # 40 is beyond Phi-3's original context
        ids = torch.randint(3, 96, (2, length))
        with torch.no_grad():
            logits = ours.lm.logits(ours.lm.hidden(causal(ours.lm.embed(ids))))
            worst = max(worst, gap(logits, theirs(ids).logits))
    assert worst <= 1e-5, worst
    record("parity", f"family:{case.partition('-')[0]}", worst)
