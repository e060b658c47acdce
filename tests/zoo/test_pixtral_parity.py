"""Pixtral equals transformers': pixels, prompt, logits and greedy tokens of two pictures in one prompt; names at full size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil

from anyvlm import registry
from anyvlm.parts.ffn import GLU
from anyvlm.system import Checkpoint, System
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.parity import gap, record, saved, stirred
from tests.whole import both, greedy, laid, noise, theirs_greedy
from tests.zoo.test_manifest import fits, names

SPECIALS = ("<s>", "</s>", "[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]")
OURS, THEIRS = both(*SPECIALS)
IMAGE = OURS.id("[IMG]")
LM = {
    "vocab_size": 272, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "sliding_window": None,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e9}, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
EYE = {
    "hidden_size": 16, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 128,
    "patch_size": 16, "hidden_act": "silu",
}  # fmt: skip
PICTURES = (noise(70, 100, 0), noise(300, 90, 1))  # the second is made smaller
CONTENT = ("Compare ", PICTURES[0], "with ", PICTURES[1], " now:\n\nwell?")


def reference(text: dict[str, object], eye: dict[str, object]) -> hf.LlavaForConditionalGeneration:
    config = hf.LlavaConfig(
        text_config=hf.MistralConfig(**text), vision_config=hf.PixtralVisionConfig(**eye), image_token_index=IMAGE,
        vision_feature_layer=-1, vision_feature_select_strategy="full",
    )  # fmt: skip
    return hf.LlavaForConditionalGeneration(config)


def small(folder: Path) -> System:
    system = registry.system("pixtral-12b")
    assert isinstance(system, System)
    return system.but(
        lm__vocab=272, lm__width=32, lm__depth=2, lm__heads=4, lm__kv_heads=2, lm__head=16, lm__ffn__hidden=48,
        lm__context=512, streams__image__encoder__width=16, streams__image__encoder__depth=2,
        streams__image__encoder__heads=2, streams__image__encoder__ffn=GLU(hidden=48, act="silu"),
        streams__image__policy__size=(128, 128), tokenizer=None,
        checkpoints=(Checkpoint(source=Directory(path=str(folder)), layouts=system.checkpoints[0].layouts),),
    )  # fmt: skip


def expected() -> dict[str, torch.Tensor]:
    """The prompt as mistral-community's chat template and PixtralProcessor write it, the pixels of its image processor."""
    pixels = PixtralImageProcessorPil(size={"longest_edge": 128})(list(PICTURES), return_tensors="pt")
    places = []
    for height, width in pixels["image_sizes"].tolist():
        rows = [["[IMG]"] * (width // 16) + ["[IMG_BREAK]"]] * (height // 16)
        places.append("".join(sum(rows, []))[: -len("[IMG_BREAK]")] + "[IMG_END]")
    text = f"<s>[INST]Compare {places[0]}with {places[1]} now:\n\nwell?[/INST]"
    return {"input_ids": THEIRS(text, return_tensors="pt").input_ids, **pixels}


def test_whole(tmp_path: Path) -> None:
    theirs = stirred(reference(LM, EYE))
    system = small(saved(theirs, tmp_path))
    ours = load_module(system, dtype=torch.float32).eval()
    plan, batch = laid(system, OURS, CONTENT)
    inputs = expected()
    assert list(plan.ids) == inputs["input_ids"][0].tolist()
    for picture, size, pixels in zip(PICTURES, inputs["image_sizes"], inputs["pixel_values"], strict=True):
        (array,) = system.streams["image"].policy.arrays(picture)
        assert np.array_equal(array, pixels[:, : size[0], : size[1]].numpy())
    with torch.no_grad():
        worst = gap(ours(batch), theirs(**inputs).logits)
    assert worst <= 1e-5, worst
    assert greedy(ours, batch, 32) == theirs_greedy(theirs, inputs, 32)
    record("parity", "pixtral-12b", worst)


def test_mistrals_own_files(tmp_path: Path) -> None:
    """Named as transformers' convert_pixtral_weights_to_hf.py reads them, rotary pairs side by side."""
    theirs = stirred(reference(LM, EYE))
    before = load_file(saved(theirs, tmp_path / "hf") / "model.safetensors")
    ours = load_module(small(tmp_path / "hf"), dtype=torch.float32).state_dict()
    (tmp_path / "mistral").mkdir()
    save_file({mistral(name): paired(name, t) for name, t in before.items()}, tmp_path / "mistral" / "model.safetensors")
    again = load_module(small(tmp_path / "mistral"), dtype=torch.float32).state_dict()
    assert ours.keys() == again.keys() and all(torch.equal(ours[name], again[name]) for name in ours)


def mistral(name: str) -> str:
    """The name in consolidated.safetensors."""
    for theirs, original in {
        "vision_tower.": "vision_encoder.", "multi_modal_projector.linear_1.": "vision_language_adapter.w_in.",
        "multi_modal_projector.linear_2.": "vision_language_adapter.w_out.", "language_model.lm_head.": "output.",
        "language_model.model.": "", "embed_tokens.": "tok_embeddings.", "input_layernorm.": "attention_norm.",
        "post_attention_layernorm.": "ffn_norm.", "self_attn.": "attention.", "mlp.": "feed_forward.", "q_proj.": "wq.",
        "k_proj.": "wk.", "v_proj.": "wv.", "o_proj.": "wo.", "gate_proj.": "w1.", "down_proj.": "w2.", "up_proj.": "w3.",
    }.items():  # fmt: skip
        name = name.replace(theirs, original)
    return name


def paired(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """The inverse of the script's `permute_for_rope`."""
    heads = 2 if "vision" in name or "k_proj" in name else 4
    if not name.endswith(("q_proj.weight", "k_proj.weight")):
        return tensor
    return tensor.view(heads, 2, -1, tensor.shape[1]).transpose(1, 2).reshape(tensor.shape).contiguous()


def test_names_at_full_size() -> None:
    system = registry.system("pixtral-12b")
    full = {
        "vocab_size": 131072, "hidden_size": 5120, "intermediate_size": 14336, "num_hidden_layers": 40,
        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
    }  # fmt: skip
    with torch.device("meta"):
        model = reference(full, {"hidden_act": "silu"})
    fits(system, names(model), system.checkpoints[0].layouts, "hf-5")
    fits(system, names(model, in_files=False), system.checkpoints[0].layouts, "hf-module")
    record("manifest", "pixtral-12b", 0.0)


def test_the_catalogues_example() -> None:
    """300 x 500 pixels: 19 rows of 32 patches, 18 breaks and one end."""
    stream = registry.system("pixtral-12b").streams["image"]
    cells = stream.cells(stream.policy.cut(500, 300))
    assert cells[::2] == ((1, 1, 32),) * 19
    assert cells[1::2] == ("[IMG_BREAK]",) * 18 + ("[IMG_END]",)


def test_pictures_do_not_see_each_other() -> None:
    """Two packed pictures give the rows that each gives alone, whatever stands between."""
    system = registry.system("pixtral-12b")
    encoder = small(Path()).streams["image"].encoder
    module = encoder.build().eval()
    assert type(encoder) is type(system.streams["image"].encoder)
    grids = ((1, 2, 3), (1, 4, 1), (1, 2, 3))
    x = torch.randn(16, 3 * 16 * 16)
    with torch.no_grad():
        together = module(x, grids).x_ND
        apart = [module(rows, (grid,)).x_ND for rows, grid in zip(x.split([6, 4, 6]), grids, strict=True)]
    torch.testing.assert_close(together, torch.cat(apart), atol=1e-5, rtol=1e-5)
