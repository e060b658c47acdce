"""FLIP equals facebookresearch/flip at 9bf6bf8, run outside the repository (jax 0.10.2, flax 0.12.8) on tiny random weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from anyvlm import registry
from anyvlm.dual import Dual
from anyvlm.inputs.text import WordsBatch
from anyvlm.parts.sincos import sincos_2d
from anyvlm.system import Pixels
from anyvlm.tiny import tiny_dual
from anyvlm.train.drop import dropped
from tests.golden import stored, weights
from tests.parity import gap, pixels, record

FACTS, NUMBERS = stored("flip")
NAMES = [name for name in registry.SYSTEMS if registry.system(name).meta.row == "flip"]
ATTENTION, MLP = "MultiHeadDotProductAttention_0", "MlpBlock_0"


def state() -> dict[str, Tensor]:
    """The authors' weights in our names. Their matrices stand the other way round."""
    theirs, out = weights(FACTS["shapes"]), {}
    out["contrasts.0.scale"] = torch.tensor(2.0)

    def norm(ours: str, name: str) -> None:
        out[f"{ours}.weight"], out[f"{ours}.bias"] = theirs[f"{name}/scale"], theirs[f"{name}/bias"]

    def dense(ours: str, *names: str) -> None:
        out[f"{ours}.weight"] = torch.cat([theirs[f"{name}/kernel"].T for name in names])
        out[f"{ours}.bias"] = torch.cat([theirs[f"{name}/bias"] for name in names])

    for side, name in (("image", "img_encoder"), ("text", "txt_encoder")):
        ours = f"towers.{side}.encoder."
        for n in range(2):
            block, at = f"{ours}blocks.{n}.", f"{name}/Transformer/encoderblock_{n:02}/"
            norm(f"{block}norm1", f"{at}LayerNorm_0")
            norm(f"{block}norm2", f"{at}LayerNorm_1")
            dense(f"{block}attn.qkv", *(f"{at}{ATTENTION}/{part}" for part in ("query", "key", "value")))
            dense(f"{block}attn.o", f"{at}{ATTENTION}/out")
            dense(f"{block}ffn.up", f"{at}{MLP}/Dense_0")
            dense(f"{block}ffn.down", f"{at}{MLP}/Dense_1")
        norm(f"{ours}norm", f"{name}/Transformer/encoder_norm")
        out[f"towers.{side}.project.weight"] = theirs[f"{name[:3]}_mlp1/kernel"].T
    eye, words = "towers.image.encoder.", "towers.text.encoder."
    out[f"{eye}stem.weight"] = theirs["img_encoder/embedding/kernel"].permute(3, 2, 0, 1).flatten(1)
    out[f"{eye}stem.bias"], out[f"{eye}cls"] = theirs["img_encoder/embedding/bias"], theirs["img_encoder/cls"].flatten()
    out[f"{words}embed.weight"] = theirs["txt_encoder/token_embedding/embedding"]
    out[f"{words}pos"] = theirs["txt_encoder/posembed_encoder/pos_embedding"][0]
    return out


def tiny() -> Dual:
    """With places as they are built."""
    spec = tiny_dual(registry.system("flip-vit-b-16"), vocab=40).but(
        towers__image__encoder__depth=2, towers__text__encoder__context=12
    )
    module = spec.build().eval()
    missing = module.load_state_dict(state(), strict=False)
    assert missing.missing_keys == ["towers.image.encoder.pos"] and not missing.unexpected_keys
    return module


def given() -> tuple[Pixels, WordsBatch]:
    random = np.random.default_rng(1)
    x = pixels(torch.from_numpy(random.standard_normal((3, 3, 48, 48)).astype(np.float32)), 16)
    return x, WordsBatch(torch.from_numpy(random.integers(0, 40, (3, 12))), None)


@torch.no_grad()
def test_points_and_loss() -> None:
    module, (x, words) = tiny(), given()
    image, text = module.look("image", x), module.look("text", words)
    gaps = {
        "pos": gap(module.towers["image"].encoder.pos, NUMBERS["pos"]), "image": gap(image.point_BE, NUMBERS["image"]),
        "text": gap(text.point_BE, NUMBERS["text"]), "loss": gap(module.contrast().between(image, text), NUMBERS["loss"]),
        "tau": gap(1 / module.contrast().scale.exp(), NUMBERS["tau"].reshape(())),
    }  # fmt: skip
    assert max(gaps.values()) <= 1e-5, gaps
    for name in NAMES:
        record("golden", name, max(gaps.values()), "facebookresearch/flip 9bf6bf8")


@torch.no_grad()
def test_half_of_the_patches_reach_the_first_block_in_training() -> None:
    """As in the authors' code, where nine patches become four beside the class token; all of them when nothing is left out."""
    module, (x, _) = tiny(), given()
    seen = list[int]()
    hook = module.towers["image"].encoder.blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[1]))
    keep = registry.system("flip-vit-b-16").stages[0].keep["image"]
    module.points("image", dropped(x, keep, torch.Generator().manual_seed(0)))
    module.points("image", x)
    hook.remove()
    assert seen == [FACTS["tokens"][0][1], 10] == [5, 10]


def test_published_sizes() -> None:
    """Of `configs/*.py`: towers, rates of whole batches, lengths; places of the table and of the vocabulary."""
    shapes = {name: registry.system(name).towers for name in NAMES}
    sizes = {
        name: (t["image"].encoder.width, t["image"].encoder.depth, t["text"].encoder.width, t["text"].encoder.depth)
        for name, t in shapes.items()
    }
    assert sizes["flip-vit-b-16"] == (768, 12, 512, 12) and sizes["flip-vit-l-16"] == (1024, 24, 768, 12)
    assert sizes["flip-vit-h-14-laion2b"] == (1280, 32, 1024, 24) and len(NAMES) == 5
    masked, tune = registry.system("flip-vit-l-16").stages
    assert abs(masked.lr - 1.024e-3) < 1e-9 and abs(tune.lr - 1.024e-5) < 1e-9 and masked.steps == 195_490
    assert tune.keep == {} and not any(glob.endswith("pos") for glob in masked.train)
    assert sincos_2d(14, 14, 1024).shape == (196, 1024)


def test_a_tiny_model_learns_masked_then_whole() -> None:
    """Masked training and a short tuning on all patches come near training on all of them."""
    losses = {kind: _trained(keeps) for kind, keeps in (("masked", [0.5] * 24 + [1.0] * 6), ("whole", [1.0] * 30))}
    print(losses, _trained([]))
    assert losses["masked"] < 0.35 * _trained([]) and losses["masked"] < losses["whole"] + 0.25, losses


def _trained(keeps: list[float]) -> float:
    """Loss on all patches of 24 pairs: pictures of one colour each, whose texts name it."""
    torch.manual_seed(0)
    spec = tiny_dual(registry.system("flip-vit-b-16"), vocab=40).but(towers__image__encoder__depth=2)
    module = spec.build()
    colours = torch.randn(24, 3, 1, 1, generator=torch.Generator().manual_seed(3))
    ids = torch.arange(24)[:, None].expand(-1, 32)
    draw = torch.Generator().manual_seed(5)

    def batch(keep: float) -> dict[str, Pixels | WordsBatch]:
        noisy = pixels(colours + 0.2 * torch.randn(24, 3, 48, 48, generator=draw), 16)
        return {"image": dropped(noisy, keep, draw) if keep < 1 else noisy, "text": WordsBatch(ids, None)}

    steps = torch.optim.AdamW(module.parameters(), lr=2e-3, betas=(0.9, 0.95))
    for keep in keeps:
        steps.zero_grad()
        sum(module.losses(batch(keep)).values()).backward()
        steps.step()
    with torch.no_grad():
        return float(sum(module.losses(batch(1.0)).values()))
