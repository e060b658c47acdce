"""At full width, without a byte of weights: transformers' class of each pair maps onto ours with an empty audit, and back.

All layers of a tower are alike: two of each are built, once the depth that a config says has been compared.

The numbers are those of published config.json files, written down apart from the zoo. What only open_clip's configs know
(OpenAI's ResNets) is compared by the shapes that openai/CLIP's `clip/model.py` gives a few telling tensors.
"""

from __future__ import annotations

import pytest
import torch
import transformers as hf

from anyvlm import registry
from anyvlm.dual import DualSystem
from anyvlm.keys import export_steps
from anyvlm.weights.config_dual import DUAL, read_eye, read_words
from tests.parity import record
from tests.zoo.test_manifest import fits, names

EYES = {  # width, hidden, depth, heads
    "s": (384, 1536, 12, 6), "m": (512, 2048, 12, 8),
    "b": (768, 3072, 12, 12), "l": (1024, 4096, 24, 16), "h": (1280, 5120, 32, 16), "g": (1408, 6144, 40, 16),
    "G": (1664, 8192, 48, 16), "so": (1152, 4304, 27, 16), "opt": (1536, 6144, 40, 16),
}  # fmt: skip
MOUTHS = {
    384: (384, 1536, 12, 6), 512: (512, 2048, 12, 8), 768: (768, 3072, 12, 12), 1024: (1024, 4096, 24, 16),
    1280: (1280, 5120, 32, 20), "b": (768, 3072, 12, 12), "l": (1024, 4096, 24, 16), "so": (1152, 4304, 27, 16),
    "opt": (1152, 4304, 27, 16),
}  # fmt: skip
Facts = tuple[str, str, int, int, int | str, str, int]
CLIPS: dict[str, Facts] = {  # model_type, eye, patch, size, mouth, activation, vocabulary
    **{
        f"clip-vit-{name}": ("clip", eye, patch, size, mouth, "quick_gelu", 49408)
        for name, eye, patch, size, mouth in (
            ("b-32", "b", 32, 224, 512), ("b-16", "b", 16, 224, 512), ("l-14", "l", 14, 224, 768),
            ("l-14-336", "l", 14, 336, 768), ("b-16-dfn", "b", 16, 224, 512), ("l-14-dfn", "l", 14, 224, 768),
            ("h-14-dfn", "h", 14, 224, 1024), ("h-14-378-dfn", "h", 14, 378, 1024),
        )
    },
    **{
        f"clip-vit-{name}": ("clip", eye, patch, size, mouth, "gelu", 49408)
        for name, eye, patch, size, mouth in (
            ("b-32-laion2b", "b", 32, 224, 512), ("b-16-laion2b", "b", 16, 224, 512), ("l-14-laion2b", "l", 14, 224, 768),
            ("h-14-laion2b", "h", 14, 224, 1024), ("g-14-laion2b", "g", 14, 224, 1024),
            ("bigg-14-laion2b", "G", 14, 224, 1280), ("b-32-datacomp", "b", 32, 224, 512),
            ("b-32-256-datacomp", "b", 32, 256, 512), ("b-16-datacomp", "b", 16, 224, 512),
            ("l-14-datacomp", "l", 14, 224, 768),
        )
    },
    **{
        f"metaclip-vit-{name}": ("clip", eye, patch, 224, mouth, "quick_gelu", 49408)
        for name, eye, patch, mouth in (
            ("b-32-400m", "b", 32, 512), ("b-32-2.5b", "b", 32, 512), ("b-16-400m", "b", 16, 512),
            ("b-16-2.5b", "b", 16, 512), ("l-14-400m", "l", 14, 768), ("l-14-2.5b", "l", 14, 768),
            ("h-14-2.5b", "h", 14, 1024), ("bigg-14-2.5b", "G", 14, 1280),
        )
    },
    "metaclip-2-vit-h-14": ("metaclip_2", "h", 14, 224, 1024, "quick_gelu", 901629),
    "metaclip-2-vit-h-14-378": ("metaclip_2", "h", 14, 378, 1024, "gelu", 901629),
    "metaclip-2-vit-bigg-14": ("metaclip_2", "G", 14, 224, 1280, "gelu", 901629),
    "metaclip-2-vit-bigg-14-378": ("metaclip_2", "G", 14, 378, 1280, "gelu", 901629),
    "metaclip-1.2-vit-h-14": ("clip", "h", 14, 224, 1024, "gelu", 49408),
    **{
        f"metaclip-2-vit-{name}": ("metaclip_2", eye, patch, size, mouth, "gelu", 901629)
        for name, eye, patch, size, mouth in (
            ("s-16", "s", 16, 224, 384), ("s-16-384", "s", 16, 384, 384), ("m-16", "m", 16, 224, 512),
            ("m-16-384", "m", 16, 384, 512), ("b-32", "b", 32, 224, 512), ("b-32-384", "b", 32, 384, 512),
            ("b-16", "b", 16, 224, 512), ("b-16-384", "b", 16, 384, 512), ("l-14", "l", 14, 224, 768),
        )
    },
    **{
        f"metaclip-2-vit-{name}-mt5": ("metaclip_2", eye, patch, 224, mouth, "gelu", 250000)
        for name, eye, patch, mouth in (("s-16", "s", 16, 384), ("m-16", "m", 16, 512), ("b-32", "b", 32, 512))
    },
    **{f"siglip-vit-b-16-{size}": ("siglip", "b", 16, size, "b", "", 32000) for size in (224, 256, 384, 512)},
    **{f"siglip-vit-l-16-{size}": ("siglip", "l", 16, size, "l", "", 32000) for size in (256, 384)},
    **{f"siglip-vit-so400m-14-{size}": ("siglip", "so", 14, size, "so", "", 32000) for size in (224, 384)},
    "siglip-vit-b-16-256-multilingual": ("siglip", "b", 16, 256, "b", "", 250000),
    "siglip-vit-so400m-16-256-i18n": ("siglip", "so", 16, 256, "so", "", 250000),
    **{f"siglip2-vit-b-16-{size}": ("siglip", "b", 16, size, "b", "", 256000) for size in (224, 256, 384, 512)},
    "siglip2-vit-b-32-256": ("siglip", "b", 32, 256, "b", "", 256000),
    **{f"siglip2-vit-l-16-{size}": ("siglip", "l", 16, size, "l", "", 256000) for size in (256, 384, 512)},
    **{f"siglip2-vit-so400m-14-{size}": ("siglip", "so", 14, size, "so", "", 256000) for size in (224, 384)},
    **{f"siglip2-vit-so400m-16-{size}": ("siglip", "so", 16, size, "so", "", 256000) for size in (256, 384, 512)},
    **{f"siglip2-vit-g-16-{size}": ("siglip", "opt", 16, size, "opt", "", 256000) for size in (256, 384)},
    "siglip2-vit-b-16-naflex": ("siglip2", "b", 16, 0, "b", "", 256000),
    "siglip2-vit-so400m-16-naflex": ("siglip2", "so", 16, 0, "so", "", 256000),
    **{
        f"chinese-clip-vit-{name}": ("chinese_clip", eye, patch, size, mouth, "quick_gelu", 21128)
        for name, eye, patch, size, mouth in (
            ("b-16", "b", 16, 224, 768), ("l-14", "l", 14, 224, 768), ("l-14-336", "l", 14, 336, 768),
            ("h-14", "h", 14, 224, 1024),
        )
    },
}  # fmt: skip
CONTEXT = {"siglip-vit-so400m-14-224": 16}
SHARED = {"s": 384, "m": 512, "b": 512, "l": 768, "h": 1024, "g": 1024, "G": 1280}
CLASSES = {
    "clip": (hf.CLIPConfig, hf.CLIPModel), "metaclip_2": (hf.MetaClip2Config, hf.MetaClip2Model),
    "chinese_clip": (hf.ChineseCLIPConfig, hf.ChineseCLIPModel), "siglip": (hf.SiglipConfig, hf.SiglipModel),
    "siglip2": (hf.Siglip2Config, hf.Siglip2Model),
}  # fmt: skip
FIELDS = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")


def configs(name: str) -> tuple[str, dict[str, object], dict[str, object], int]:
    kind, eye, patch, size, mouth, act, vocab = CLIPS[name]
    vision: dict[str, object] = dict(zip(FIELDS, EYES[eye], strict=True)) | {"patch_size": patch}
    text: dict[str, object] = dict(zip(FIELDS, MOUTHS[mouth], strict=True)) | {"vocab_size": vocab}
    vision |= {"image_size": size} if size else {"num_patches": 256}
    if act:
        vision |= {"hidden_act": act}
        text |= {"hidden_act": "gelu" if kind == "chinese_clip" else act}
    if name in CONTEXT:
        text["max_position_embeddings"] = CONTEXT[name]
    if eye == "opt":
        text["projection_size"] = 1536
    return kind, vision, text, SHARED.get(eye, 0)


@pytest.mark.parametrize("name", CLIPS)
def test_full_size(name: str) -> None:
    system, (kind, vision, text, shared) = registry.system(name), configs(name)
    assert isinstance(system, DualSystem)
    eye, (words, projected) = read_eye(vision, name, DUAL[kind]), read_words(text, name, DUAL[kind])
    assert system.towers["image"].encoder == eye.but(keep_cls=eye.cls)
    assert system.towers["text"].encoder == words
    assert system.shared == (projected if DUAL[kind].sigmoid else shared)
    system = system.but(towers__image__encoder__depth=2, towers__text__encoder__depth=2)
    vision |= {"num_hidden_layers": 2}
    text |= {"num_hidden_layers": 2}
    make, model = CLASSES[kind]
    more = {} if DUAL[kind].sigmoid else {"projection_dim": shared}
    with torch.device("meta"):
        theirs = names(model(make(text_config=text, vision_config=vision, **more)))
    fits(system, theirs, system.checkpoints[0].layouts, "hf")
    record("manifest", name, 0.0)


def test_every_pair_is_here_or_has_a_convolutional_tower() -> None:
    ours = {name for name in registry.SYSTEMS if isinstance(registry.system(name), DualSystem)}
    families = {"clip", "open-clip", "metaclip", "siglip", "chinese-clip"}
    known = {name for name in ours if registry.system(name).meta.family in families}
    assert known == CLIPS.keys() | RESNETS.keys() | CONVNEXTS.keys()


RESNETS = {  # width of the rows, pool's places, shared space, width of the text tower, blocks, parameters in millions
    "clip-rn50": (2048, 50, 1024, 512, 16, 102.0), "clip-rn101": (2048, 50, 512, 512, 33, 119.7),
    "clip-rn50x4": (2560, 82, 640, 640, 26, 178.3), "clip-rn50x16": (3072, 145, 768, 768, 40, 291.0),
    "clip-rn50x64": (4096, 197, 1024, 1024, 64, 623.3),
}  # fmt: skip


@pytest.mark.parametrize("name", RESNETS)
def test_resnets(name: str) -> None:
    """Parameters are counted without running statistics, as the paper's and the catalogue's numbers are."""
    rows, places, shared, text, blocks, millions = RESNETS[name]
    system = registry.system(name)
    assert isinstance(system, DualSystem)
    with torch.device("meta"):
        ours = dict(system.build().named_parameters())
    layout = system.checkpoints[0].layouts[0]
    theirs = {one: step for step in export_steps(ours, layout, system.part) for one in step.theirs}
    assert {"visual.attnpool.c_proj.weight", "visual.layer4.2.bn3.running_var", "text_projection"} <= theirs.keys()
    assert tuple(ours["towers.image.pool.pos"].shape) == (places, rows)
    assert tuple(ours["towers.image.project.weight"].shape) == (shared, rows)
    assert tuple(ours["towers.text.project.weight"].shape) == (shared, text)
    assert sum(one.endswith("conv3.weight") for one in theirs) == blocks + 1
    count = sum(p.numel() for n, p in ours.items() if not n.endswith((".mean", ".var")))
    assert abs(count / 1e6 - millions) < 0.1


CONVNEXTS = {  # width of the rows, shared space, depth of the text tower, blocks, millions of the whole and of the vision tower
    "clip-convnext-base-laion400m": (1024, 512, 12, 36, 151.52, 88.09),
    **{
        f"clip-convnext-base-w-{end}": (1024, 640, 12, 36, 179.39, 88.22)
        for end in ("laion2b", "laion2b-augreg", "laion-aesthetic", "320-laion-aesthetic", "320-laion-aesthetic-augreg")
    },
    **{
        f"clip-convnext-large-d-{end}": (1536, 768, 16, 36, 351.77, 199.77)
        for end in ("laion2b-augreg", "320-laion2b-ft", "320-laion2b-ft-soup")
    },
    **{
        f"clip-convnext-xxlarge-laion2b-augreg{end}": (3072, 1024, 24, 40, 1200.58, 846.54) for end in ("", "-rewind", "-soup")
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CONVNEXTS)
def test_convnexts(name: str) -> None:
    """Parameters are those of open_clip 3.3.0's models, all of whose names and shapes were compared outside the repository."""
    rows, shared, depth, blocks, millions, eye = CONVNEXTS[name]
    system = registry.system(name)
    assert isinstance(system, DualSystem) and system.shared == shared
    with torch.device("meta"):
        ours = dict(system.build().named_parameters())
    theirs = {one for step in export_steps(ours, system.checkpoints[0].layouts[0], system.part) for one in step.theirs}
    assert {"visual.trunk.stem.1.weight", "visual.trunk.head.norm.bias", "visual.trunk.stages.3.downsample.0.bias"} <= theirs
    assert ("visual.head.mlp.fc2.weight" in theirs) != ("visual.head.proj.weight" in theirs)
    assert tuple(ours["towers.image.pool.norm.weight"].shape) == (rows,)
    assert sum(one.endswith("conv_dw.weight") for one in theirs) == blocks
    assert sum(one.endswith("attn.in_proj_weight") for one in theirs) == depth
    counts = sum(p.numel() for p in ours.values()), sum(p.numel() for n, p in ours.items() if n.startswith("towers.image."))
    assert [round(count / 1e6, 2) for count in counts] == [millions, eye]
    record("manifest", name, 0.0, "open_clip 3.3.0")


MOBILES = {  # millions of the whole and of the vision tower: open_clip 3.3.0, of S0 apple/ml-mobileclip 4144bb1
    "mobileclip-s0": (53.85, 11.41), "mobileclip2-s0": (74.84, 11.41), "mobileclip2-s3": (248.89, 125.24),
    "mobileclip2-s4": (445.44, 321.78), "mobileclip2-l-14": (427.62, 303.97), "mobileclip-s3": (248.89, 125.24),
    "mobileclip-s4": (445.44, 321.78), "mobileclip-l-14": (427.62, 303.97),
}  # fmt: skip


@pytest.mark.parametrize("name", MOBILES)
def test_mobileclips(name: str) -> None:
    """All names and shapes were compared outside the repository."""
    system = registry.system(name)
    with torch.device("meta"):
        ours = {n: p.numel() for n, p in system.build().named_parameters() if not n.endswith((".mean", ".var"))}
    whole, eye = sum(ours.values()), sum(count for n, count in ours.items() if n.startswith("towers.image."))
    assert (round(whole / 1e6, 2), round(eye / 1e6, 2)) == MOBILES[name]
    record("manifest", name, 0.0, "open_clip 3.3.0, apple/ml-mobileclip 4144bb1")
