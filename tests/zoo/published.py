"""What the config.json of published checkpoints says: facts, defaults left out as in the files."""

from __future__ import annotations

LLAMA_7B = {"model_type": "llama", "vocab_size": 32000, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5}
LLAMA_13B = LLAMA_7B | {
    "hidden_size": 5120,
    "intermediate_size": 13824,
    "num_hidden_layers": 40,
    "num_attention_heads": 40,
    "num_key_value_heads": 40,
}
VICUNA_7B, VICUNA_13B = ({**config, "vocab_size": 32064} for config in (LLAMA_7B, LLAMA_13B))
MISTRAL = {
    "model_type": "mistral",
    "vocab_size": 32000,
    "intermediate_size": 14336,
    "num_key_value_heads": 8,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-5,
    "sliding_window": 4096,
}
MISTRAL_V0_2 = MISTRAL | {"sliding_window": None, "rope_theta": 1000000.0}
LLAMA_3 = {
    "model_type": "llama",
    "vocab_size": 128256,
    "intermediate_size": 14336,
    "num_key_value_heads": 8,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
}
PHI_3 = {
    "model_type": "phi3",
    "vocab_size": 32064,
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 4096,
    "original_max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "sliding_window": 2047,
}
AYA = {
    "model_type": "cohere",
    "vocab_size": 256000,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 8192,
    "layer_norm_eps": 1e-5,
    "rope_theta": 10000,
    "logit_scale": 0.0625,
    "use_qk_norm": False,
}
PHI_2 = {
    "model_type": "phi",
    "vocab_size": 51200,
    "hidden_size": 2560,
    "intermediate_size": 10240,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "hidden_act": "gelu_new",
    "max_position_embeddings": 2048,
    "layer_norm_eps": 1e-5,
    "partial_rotary_factor": 0.4,
}
STABLELM_2 = {
    "model_type": "stablelm",
    "vocab_size": 100352,
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 24,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 4096,
    "layer_norm_eps": 1e-5,
    "partial_rotary_factor": 0.25,
    "rope_theta": 10000,
    "use_qkv_bias": True,
    "use_parallel_residual": False,
}
YI_6B = LLAMA_7B | {"vocab_size": 64000, "num_key_value_heads": 4, "rope_theta": 5000000.0}
YI_34B = YI_6B | {
    "hidden_size": 7168,
    "intermediate_size": 20480,
    "num_hidden_layers": 60,
    "num_attention_heads": 56,
    "num_key_value_heads": 8,
}


def _qwen(width: int, hidden: int, depth: int, heads: int, groups: int, vocab: int = 152064) -> dict[str, object]:
    return {
        "model_type": "qwen2",
        "vocab_size": vocab,
        "hidden_size": width,
        "intermediate_size": hidden,
        "num_hidden_layers": depth,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "sliding_window": 32768,
        "use_sliding_window": False,
        "max_window_layers": depth,
        "tie_word_embeddings": vocab == 151936,
    }


def _smollm(width: int, hidden: int, depth: int, heads: int, groups: int, theta: int = 100000) -> dict[str, object]:
    return {
        "model_type": "llama",
        "vocab_size": 49152,
        "hidden_size": width,
        "intermediate_size": hidden,
        "num_hidden_layers": depth,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
        "rope_theta": theta,
        "tie_word_embeddings": True,
    }


REDPAJAMA = {
    "model_type": "gpt_neox",
    "vocab_size": 50432,
    "hidden_size": 2560,
    "intermediate_size": 10240,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "rotary_emb_base": 10000,
    "rotary_pct": 1.0,
    "use_parallel_residual": False,
}
MPT_7B = {"model_type": "mpt", "d_model": 4096, "n_heads": 32, "n_layers": 32, "vocab_size": 50432}

LM = {
    "aya-23-8b": AYA,
    "llama-3-8b-instruct": LLAMA_3,
    "mistral-7b-instruct-v0.2": MISTRAL_V0_2,
    "phi-2": PHI_2,
    "mpt-7b": MPT_7B,
    "phi-3-mini-4k-instruct": PHI_3,
    "qwen2.5-0.5b-instruct": _qwen(896, 4864, 24, 14, 2, 151936),
    "qwen2.5-1.5b-instruct": _qwen(1536, 8960, 28, 12, 2, 151936),
    "qwen2.5-3b-instruct": _qwen(2048, 11008, 36, 16, 2, 151936),
    "qwen2.5-7b-instruct": _qwen(3584, 18944, 28, 28, 4),
    "qwen2.5-14b-instruct": _qwen(5120, 13824, 48, 40, 8),
    "qwen2.5-32b-instruct": _qwen(5120, 27648, 64, 40, 8),
    "redpajama-incite-base-3b": REDPAJAMA,
    "redpajama-incite-instruct-3b": REDPAJAMA,
    "smollm2-135m-instruct": _smollm(576, 1536, 30, 9, 3),
    "smollm2-360m-instruct": _smollm(960, 2560, 32, 15, 5),
    "smollm2-1.7b-instruct": _smollm(2048, 8192, 24, 32, 32, 130000),
    "stablelm-2-1.6b": STABLELM_2,
    "yi-6b-chat": YI_6B,
    "yi-34b-chat": YI_34B,
}


def _clip(width: int, hidden: int, depth: int, heads: int, patch: int, size: int = 224) -> dict[str, object]:
    return {
        "model_type": "clip_vision_model",
        "hidden_size": width,
        "intermediate_size": hidden,
        "num_hidden_layers": depth,
        "num_attention_heads": heads,
        "patch_size": patch,
        "image_size": size,
        "projection_dim": 768,
    }


def _siglip(width: int, hidden: int, depth: int, heads: int, patch: int, size: int) -> dict[str, object]:
    return _clip(width, hidden, depth, heads, patch, size) | {"model_type": "siglip_vision_model"}


def _dino(width: int, depth: int, heads: int) -> dict[str, object]:
    return {
        "model_type": "dinov2",
        "hidden_size": width,
        "num_hidden_layers": depth,
        "num_attention_heads": heads,
        "patch_size": 14,
        "image_size": 518,
        "mlp_ratio": 4,
        "use_swiglu_ffn": depth == 40,
    }


CLIP_L_336 = _clip(1024, 4096, 24, 16, 14, 336)
EYE = {
    "clip-vit-b-16-vision": _clip(768, 3072, 12, 12, 16),
    "clip-vit-b-32-vision": _clip(768, 3072, 12, 12, 32),
    "clip-vit-h-14-laion2b-vision": _clip(1280, 5120, 32, 16, 14) | {"hidden_act": "gelu"},
    "clip-vit-l-14-vision": _clip(1024, 4096, 24, 16, 14),
    "clip-vit-l-14-336-vision": CLIP_L_336,
    "dinov2-small": _dino(384, 12, 6),
    "dinov2-base": _dino(768, 12, 12),
    "dinov2-large": _dino(1024, 24, 16),
    "dinov2-giant": _dino(1536, 40, 24),
    "siglip-vit-b-16-256-vision": _siglip(768, 3072, 12, 12, 16, 256),
    "siglip-vit-b-16-256-multilingual-vision": _siglip(768, 3072, 12, 12, 16, 256),
    "siglip-vit-l-16-384-vision": _siglip(1024, 4096, 24, 16, 16, 384),
    "siglip-vit-so400m-14-384-vision": _siglip(1152, 4304, 27, 16, 14, 384),
}

LLAVA = {
    "bakllava-7b": (MISTRAL | {"vocab_size": 32064}, CLIP_L_336),
    "firellava-13b": (VICUNA_13B, CLIP_L_336),
    "llava-1.5-7b": (VICUNA_7B, CLIP_L_336),
    "llava-1.5-13b": (VICUNA_13B, CLIP_L_336),
    "llava-med": (MISTRAL_V0_2, CLIP_L_336),
    "llava-pp-llama3-8b": (LLAMA_3, CLIP_L_336),
    "llava-pp-phi3-mini": (PHI_3, CLIP_L_336),
    "maya": (AYA, EYE["siglip-vit-b-16-256-multilingual-vision"] | {"vision_use_head": False}),
    "palo-7b": (LLAMA_7B, CLIP_L_336),
    "palo-13b": (LLAMA_13B, CLIP_L_336),
    "sharegpt4v-7b": (LLAMA_7B, CLIP_L_336),
    "som-llava": (VICUNA_13B, CLIP_L_336),
}
"""(language model, vision tower) of systems that LlavaForConditionalGeneration can hold."""
