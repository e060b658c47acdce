"""GLIP's towers, pyramid, fusion and logits equal microsoft/GLIP 9dda955 (and transformers' BERT), run outside the repository
on the same tiny random weights, with padded texts. Its deformable convolutions have no code for a CPU: there stood
loops that do what its kernel does, number by number.
"""

from __future__ import annotations

import json

import pytest
import torch
import transformers as hf
from torch import Tensor

from anyvlm import registry
from anyvlm.ground import Ground, GroundSystem
from anyvlm.inputs.text import WordsBatch
from anyvlm.keys import choose, convert, revert
from anyvlm.parts.catalog.glip import glip_layouts
from anyvlm.parts.vision.swin import Swin
from tests.golden import FOLDER, seeded
from tests.parity import gap, pixels, record, stirred

REFERENCE = "microsoft/GLIP 9dda955"
DEPTH = 2


def system() -> GroundSystem:
    found = registry.system("glip-t")
    assert isinstance(found, GroundSystem)
    block = {"text__block__heads": 4, "text__block__ffn__hidden": 40}
    return found.but(
        encoder=Swin(width=16, depths=(2, 2, 2, 2), heads=(2, 2, 4, 4), window=3), pyramid__width=24, depth=DEPTH,
        text__vocab=40, text__width=32, text__depth=2, text__context=20, fusion__inner=48, fusion__heads=4, **block,
        head__groups=4, checkpoints__0__layouts=glip_layouts(DEPTH),
    )  # fmt: skip


def weights() -> dict[str, Tensor]:
    return {name: seeded(name, tuple(p.shape)) for name, p in system().build().named_parameters()}


def theirs() -> dict[str, Tensor]:
    layout = system().checkpoints[0].layouts[0]
    return {name: tensor.contiguous() for name, tensor in revert(weights(), layout, system().part)}


def given() -> tuple[Tensor, Tensor, Tensor]:
    """Two pictures, whose maps no window divides; ids and which are read."""
    draw = torch.Generator().manual_seed(1)
    images = torch.randn(2, 3, 128, 160, generator=draw)
    ids = torch.randint(1, 40, (2, 9), generator=draw)
    seen = torch.arange(9) < torch.tensor([[9], [5]])
    return images, ids.masked_fill(~seen, 0), seen


def few(x: Tensor) -> list[float]:
    """Some of the numbers, and their sum."""
    return [*x.flatten()[:: max(1, x.numel() // 24)].tolist(), float(x.double().abs().mean())]


def module() -> Ground:
    head = "module.rpn.head."
    files = theirs() | {f"{head}bbox_pred.bias": torch.ones(4), f"{head}scales.0.scale": torch.ones(1)}
    ours = system().build().eval()
    ours.load_state_dict(dict(convert(files, choose(files, system().checkpoints[0].layouts, system().part))))
    return ours


@torch.no_grad()
def test_authors() -> None:
    golden = json.loads((FOLDER / "glip.json").read_text())
    ours, (images, ids, seen) = module(), given()
    maps = ours.encoder.maps(images)
    levels = ours.levels(pixels(images, 32))
    t_BTE = ours.text(ids, seen)
    fused = ours.fuse(levels, t_BTE, seen)
    logits = ours(pixels(images, 32), WordsBatch(ids, seen))
    found = {
        "maps": [few(x) for x in maps], "levels": [few(x) for x in levels], "words": few(t_BTE[:, :5]),
        "image": few(fused.x_BND), "text": few(fused.t_BTE[:, :5]), "logits": few(logits[:, :, :5]),
    }  # fmt: skip
    assert [x.shape[2:] for x in levels] == [(16, 20), (8, 10), (4, 5), (2, 3), (1, 2)] and logits.shape == (2, 428, 9)
    worst = max(gap(torch.tensor(mine), torch.tensor(golden[name])) for name, mine in found.items())
    assert worst <= 1e-5, worst
    for name in registry.SYSTEMS:
        if registry.system(name).meta.row == "glip":
            record("golden", name, worst, REFERENCE)


def test_padding_is_not_read_by_places() -> None:
    ours, (images, ids, seen) = module(), given()
    logits = ours(pixels(images, 32), WordsBatch(ids, seen))
    other = ours(pixels(images, 32), WordsBatch(ids.masked_fill(~seen, 7), seen))
    torch.testing.assert_close(logits[:, :, :5], other[:, :, :5], atol=1e-5, rtol=1e-5)
    alone = ours(pixels(images[1:], 32), WordsBatch(ids[1:, :5], seen[1:, :5]))
    torch.testing.assert_close(logits[1:, :, :5], alone, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_swin_is_transformers() -> None:
    """Where maps are larger than a window: elsewhere transformers shrinks the window."""
    spec = Swin(width=16, depths=(2, 2, 2, 2), heads=(2, 2, 4, 4), window=3)
    config = hf.SwinConfig(embed_dim=16, depths=[2] * 4, num_heads=[2, 2, 4, 4], window_size=3, image_size=160)
    other = stirred(hf.SwinModel(config, add_pooling_layer=False))
    state = other.state_dict()
    own = dict[str, Tensor]()
    for name, p in spec.build().state_dict().items():
        if name.startswith(("norms.0.", "norms.1.")):  # of maps that transformers does not norm
            own[name] = p
        else:
            own[name] = state[their(name)] if "qkv" not in name else torch.cat([state[one] for one in split(name)])
    ours = spec.build().eval()
    ours.load_state_dict(own)
    images = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(2))
    wanted = other(images).last_hidden_state
    worst = gap(ours.maps(images)[-1].flatten(2).transpose(1, 2), wanted)
    assert worst <= 1e-5, worst


def their(name: str) -> str:
    """transformers' name of ours; of the three norms only the last is theirs."""
    steps = {
        "norm_stem": "embeddings.norm", "stem": "embeddings.patch_embeddings.projection", "norm1": "layernorm_before",
        "norm2": "layernorm_after", "attn.o": "attention.o_proj", "ffn.up": "mlp.fc1", "ffn.down": "mlp.fc2",
        "attn.near": "attention.relative_position_bias.relative_position_bias_table",
    }  # fmt: skip
    head, _, rest = name.partition(".")
    if head == "norms":
        return f"layernorm.{name.rsplit('.', 1)[1]}"
    if head == "stages":
        stage, _, rest = rest.partition(".")
        for ours, downs in (("norm_down.", "downsample.norm."), ("down.", "downsample.reduction.")):
            if rest.startswith(ours):
                return f"encoder.layers.{int(stage) - 1}.{downs}{rest.removeprefix(ours)}"
        name = f"encoder.layers.{stage}.{rest}"
    for ours, theirs_ in steps.items():
        name = name.replace(f"{ours}.", f"{theirs_}.") if not name.endswith(ours) else name.replace(ours, theirs_)
    return name


def split(name: str) -> list[str]:
    return [their(name.replace("attn.qkv", f"attention.{p}_proj")) for p in "qkv"]


@pytest.mark.parametrize("name", ["glip-t", "glip-l"])
def test_full_size(name: str) -> None:
    """The towers' parameters are those of transformers' Swin (whose norms of smaller maps are not counted) and BERT."""
    spec = registry.system(name)
    assert isinstance(spec, GroundSystem)
    eye = spec.encoder
    shape = {"embed_dim": eye.width, "depths": list(eye.depths), "num_heads": list(eye.heads), "window_size": eye.window}
    with torch.device("meta"):
        ours = dict(spec.build().named_parameters())
        swin, bert = hf.SwinConfig(**shape), hf.BertConfig()
        others = hf.SwinModel(swin, add_pooling_layer=False), hf.BertModel(bert, add_pooling_layer=False)
    counts = [sum(p.numel() for p in other.parameters()) for other in others]
    more = 2 * (eye.widths[1] + eye.widths[2])
    found = [sum(p.numel() for n, p in ours.items() if n.startswith(part)) for part in ("encoder.", "text.")]
    assert found == [counts[0] + more, counts[1]] and spec.fusion.start == 1 / spec.depth
    names = dict(revert(ours, spec.checkpoints[0].layouts[0], spec.part))
    assert f"module.rpn.head.dyhead_tower.{3 * spec.depth - 2}.output.LayerNorm.bias" in names
    assert names["module.backbone.body.layers.2.blocks.5.attn.relative_position_bias_table"].shape == (
        (2 * spec.encoder.window - 1) ** 2, spec.encoder.heads[2],
    )  # fmt: skip
