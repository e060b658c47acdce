"""A LLaVA with random weights in transformers' own directory layout: CLIP-B/32 and SmolLM2-135M's shape, bf16."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from anyvlm.parts.catalog.llama import SMOLLM2_135M
from anyvlm.registry import system
from anyvlm.weights.gguf import Gguf
from anyvlm.weights.gguf_tokenizer import read_tokenizer
from anyvlm.weights.sources import resolve

TEMPLATE = """{% for message in messages %}{{ message["role"].upper() + ": " }}{% for part in message["content"] \
%}{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %} {% endfor %}ASSISTANT:"""


def write(directory: Path) -> None:
    """The model, its processor, and `picture.png` of 640 x 480."""
    spec = SMOLLM2_135M
    path = resolve(system("smollm2-135m-instruct").tokenizer)
    inner = read_tokenizer(path, Gguf(path).metadata).tokenizer
    inner.add_special_tokens(["<image>"])
    text = LlamaConfig(
        vocab_size=inner.get_vocab_size(), hidden_size=spec.width, intermediate_size=spec.ffn.hidden,
        num_hidden_layers=spec.depth, num_attention_heads=spec.heads, num_key_value_heads=spec.kv_heads,
        rms_norm_eps=spec.norm.eps, max_position_embeddings=2048, tie_word_embeddings=False, dtype="bfloat16",
    )  # fmt: skip
    vision = CLIPVisionConfig(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, image_size=224,
        patch_size=32, projection_dim=512,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=inner.token_to_id("<image>"), tie_word_embeddings=False
    )
    model = LlavaForConditionalGeneration(config).to(torch.bfloat16)
    model.save_pretrained(directory)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<|im_start|>", eos_token="<|im_end|>")
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 224}, crop_size=224),
        tokenizer=tokenizer,
        patch_size=32,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    processor.save_pretrained(directory)
    pixels = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(directory / "picture.png")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
