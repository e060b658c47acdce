"""Systems of two towers equal transformers': whole directories, pixels and token ids of their processors; full-size names."""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from tokenizers import Tokenizer as Inner
from tokenizers import models, normalizers, pre_tokenizers
from transformers.models.chinese_clip.image_processing_pil_chinese_clip import ChineseCLIPImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

import anyvlm
from anyvlm import registry
from anyvlm.dual import DualSystem
from anyvlm.generate.dual import DualModel
from anyvlm.parts.features import still
from tests.parity import gap, record, saved, stirred
from tests.whole import noise

TEXTS = ["a photo of a cat.", "Two  Dogs, and a RED sofa!", "cat " * 60]
PICTURES = [noise(50, 41, 1), noise(31, 64, 2), noise(90, 90, 3)]
TEXT = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4}
EYE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "patch_size": 14}
FIXED = EYE | {"image_size": 42}
LETTERS = [*string.ascii_lowercase, *".,!?"]


def clip_words() -> hf.PreTrainedTokenizerBase:
    """One token for a letter, one for a letter at a word's end, and a pair."""
    vocab = [*LETTERS, *(letter + "</w>" for letter in LETTERS), "ca", "cat</w>", "<|startoftext|>", "<|endoftext|>"]
    return hf.CLIPTokenizer(vocab={word: n for n, word in enumerate(vocab)}, merges=[("c", "a"), ("ca", "t</w>")])


def plain_words(first: str | None, last: str, pad: str, **more: str) -> hf.PreTrainedTokenizerBase:
    """Words and letters in front of control tokens, put around a text by the post-processor."""
    vocab = ["<unk>", pad, *dict.fromkeys([first or last, last]), "▁", *LETTERS, "▁cat", "▁photo"]
    vocab = list(dict.fromkeys(vocab))
    pairs = [("▁", "c"), ("▁c", "a"), ("▁ca", "t")]
    vocab += ["▁c", "▁ca"]
    inner = Inner(models.BPE(vocab={word: n for n, word in enumerate(vocab)}, merges=pairs, unk_token="<unk>"))
    inner.normalizer = normalizers.Replace(" ", "▁")
    inner.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    from tokenizers.processors import TemplateProcessing

    around = f"{first} $A {last}" if first else f"$A {last}"
    tokens = [(token, vocab.index(token)) for token in {first or last, last}]
    inner.post_processor = TemplateProcessing(single=around, special_tokens=tokens)
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token=first, eos_token=last, pad_token=pad, unk_token="<unk>", **more
    )


def chinese_words(folder: Path) -> hf.PreTrainedTokenizerBase:
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "cat", "two", "photo", "of", "."]))
    return hf.BertTokenizerFast(str(folder / "vocab.txt"))


CLIP_PICTURES = {"size": {"shortest_edge": 42}, "crop_size": {"height": 42, "width": 42}}
SQUARE = {"height": 42, "width": 42}


def clip(folder: Path, **text: object):  # type: ignore[no-untyped-def]
    words = clip_words()
    ids = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    config = hf.CLIPConfig(
        text_config=TEXT | {"vocab_size": len(words), "max_position_embeddings": 32} | ids | text, vision_config=FIXED,
        projection_dim=20,
    )
    return hf.CLIPModel(config), words, CLIPImageProcessorPil(**CLIP_PICTURES), {"padding": True}


def clip_old(folder: Path):  # type: ignore[no-untyped-def]
    """Published files say 2 for the end of a text; the largest id is then taken."""
    return clip(folder, eos_token_id=2)


def clip_gelu(folder: Path):  # type: ignore[no-untyped-def]
    return clip(folder, hidden_act="gelu")


def metaclip_2(folder: Path):  # type: ignore[no-untyped-def]
    words = plain_words("<s>", "</s>", "<pad>")
    ids = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    config = hf.MetaClip2Config(
        text_config=TEXT | {"vocab_size": len(words), "max_position_embeddings": 32} | ids, vision_config=FIXED,
        projection_dim=20,
    )
    return hf.MetaClip2Model(config), words, CLIPImageProcessorPil(**CLIP_PICTURES), {"padding": True}


def chinese_clip(folder: Path):  # type: ignore[no-untyped-def]
    words = chinese_words(folder)
    config = hf.ChineseCLIPConfig(
        text_config=TEXT | {"vocab_size": len(words), "max_position_embeddings": 60}, vision_config=FIXED, projection_dim=20
    )
    pixels = ChineseCLIPImageProcessorPil(size=SQUARE, do_center_crop=False)
    return hf.ChineseCLIPModel(config), words, pixels, {"padding": True, "max_length": 52}


def _sigmoid_text(words: hf.PreTrainedTokenizerBase, **more: int) -> dict[str, object]:
    ids = {"bos_token_id": 0, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    return TEXT | {"hidden_size": 32, "vocab_size": len(words), "max_position_embeddings": 16} | ids | more


def siglip(folder: Path):  # type: ignore[no-untyped-def]
    words = plain_words(None, "</s>", "</s>")
    model = hf.SiglipModel(hf.SiglipConfig(text_config=_sigmoid_text(words), vision_config=FIXED))
    return model, words, SiglipImageProcessorPil(size=SQUARE), {"padding": "max_length", "max_length": 16}


def siglip_wider(folder: Path):  # type: ignore[no-untyped-def]
    """SigLIP 2's giant: the text tower is narrower than what it is mapped to."""
    words = plain_words(None, "<eos>", "<pad>")
    text = _sigmoid_text(words, hidden_size=24, projection_size=32)
    model = hf.SiglipModel(hf.SiglipConfig(text_config=text, vision_config=FIXED))
    return model, words, SiglipImageProcessorPil(size=SQUARE), {"padding": "max_length", "max_length": 16}


def siglip2(folder: Path):  # type: ignore[no-untyped-def]
    words = plain_words(None, "<eos>", "<pad>")
    model = hf.Siglip2Model(hf.Siglip2Config(text_config=_sigmoid_text(words), vision_config=EYE | {"num_patches": 16}))
    pixels = Siglip2ImageProcessorPil(patch_size=14, max_num_patches=20)
    return model, words, pixels, {"padding": "max_length", "max_length": 16}


KINDS = {
    "clip": clip, "clip-old": clip_old, "clip-gelu": clip_gelu, "metaclip-2": metaclip_2, "chinese-clip": chinese_clip,
    "siglip": siglip, "siglip-wider": siglip_wider, "siglip2": siglip2,
}  # fmt: skip
SHOWN = {
    "clip": ("clip", "metaclip-vit"), "clip-gelu": ("clip-vit",), "metaclip-2": ("metaclip-2",), "siglip": ("siglip-vit",),
    "siglip-wider": ("siglip2-vit",), "siglip2": ("siglip2-vit",), "chinese-clip": ("chinese-clip",),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_whole(kind: str, tmp_path: Path) -> None:
    theirs, words, pixels, padding = KINDS[kind](tmp_path)
    stirred(theirs)
    theirs.logit_scale.fill_(1.3)
    saved(theirs, tmp_path)
    words.save_pretrained(tmp_path)
    pixels.save_pretrained(tmp_path)
    ours = anyvlm.load(tmp_path, device="cpu", dtype="fp32")
    assert isinstance(ours, DualModel)
    tower, texts = ours.system.towers["image"], [text.lower() for text in TEXTS]
    limit = {"max_length": theirs.config.text_config.max_position_embeddings} | padding
    said = words(texts, return_tensors="pt", truncation=True, **limit)
    policy = ours.system.towers["text"].policy
    encoded = [policy.encode(ours.tokenizer, text) for text in texts]
    assert torch.equal(policy.collate(ours.tokenizer, encoded).ids_BT, said["input_ids"])
    seen = pixels(PICTURES, return_tensors="pt")
    for n, picture in enumerate(PICTURES):
        (array,) = tower.policy.arrays(picture)
        theirs_n = seen["pixel_values"][n]
        if kind == "siglip2":
            h, w = seen["spatial_shapes"][n].tolist()
            flat = still(torch.from_numpy(array), tower.encoder).unflatten(1, (3, -1)).transpose(1, 2).flatten(1)
            assert array.shape[1:] == (h * 14, w * 14) and torch.equal(flat, theirs_n[: h * w])
        else:
            assert np.array_equal(array, theirs_n.numpy())
    reads = said if "siglip" not in kind else {"input_ids": said["input_ids"]}  # SigLIP reads its padding
    out = theirs(**reads, **seen)
    points = ours.embed(PICTURES, texts)
    fit = ours.scores(PICTURES, texts)
    worst = max(gap(points.images, out.image_embeds), gap(points.texts, out.text_embeds))
    chance = out.logits_per_image.sigmoid() if "siglip" in kind else out.logits_per_image.softmax(-1)
    worst = max(worst, gap(fit.probability, chance))
    assert worst <= 1e-5, worst
    assert 2 in points.cut and 0 not in points.cut
    for name in registry.SYSTEMS:
        system = registry.system(name)
        if isinstance(system, DualSystem) and name.startswith(SHOWN.get(kind, ())) and _of(system, kind):
            record("parity", name, worst)


def _of(system: DualSystem, kind: str) -> bool:
    """Whether a system is made of the parts that this kind shows equal."""
    eye, layouts = system.towers["image"].encoder, system.checkpoints[0].layouts
    if layouts[0].name != "hf":
        return False
    if kind in ("siglip", "siglip-wider", "siglip2"):
        return bool(eye.resize) == (kind == "siglip2")
    return kind == "chinese-clip" or (eye.ffn.act == "gelu") == (kind == "clip-gelu") or kind == "metaclip-2"
