"""DeepMIM and TinyMIM equal OliverRensu/DeepMIM 7bf1e80 and OliverRensu/TinyMIM d084705, run outside the repository on the
same tiny random weights (with TinyMIM's own copy of timm 0.3's block). `golden/{deepmim,tinymim}.npz` hold what came out.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from anyvlm import registry
from anyvlm.keys import Keys, Layout, Mount, Rule, Transpose, choose, convert, rename
from anyvlm.parts.catalog.timm import VIT_TIMM
from anyvlm.parts.catalog.towers import VIT_OPEN
from anyvlm.parts.deep_features import DeepFeaturesModule
from anyvlm.parts.lesson import Views
from anyvlm.parts.relations import Relations, RelationsModule
from anyvlm.parts.sincos import sincos_2d
from anyvlm.system import Student, StudentModule
from anyvlm.tiny import tiny_vision
from tests.golden import stored, weights
from tests.parity import gap, pixels, record
from tests.zoo.test_laws import stirred
from tests.zoo.test_manifest import fits

DEEPMIM, TINYMIM = "OliverRensu/DeepMIM 7bf1e80", "OliverRensu/TinyMIM d084705"
DECODERS = Keys(
    rules=tuple(
        rule
        for n in range(4)
        for rule in (
            *(
                rule.but(
                    theirs=tuple(f"decoder_blocks{n + 1}.{name.removeprefix('blocks.')}" for name in rule.theirs),
                    ours=tuple(f"decoders.{n}.{name}" for name in rule.ours),
                )
                for rule in VIT_TIMM.rules
                if rule.theirs[0].startswith("blocks.")
            ),
            *rename({
                f"decoder_embed{n + 1}.": f"decoders.{n}.map.", f"decoder_norm{n + 1}.": f"decoders.{n}.norm.",
                f"decoder_pred{n + 1}.": f"decoders.{n}.head.", f"mask_token{n + 1}": f"decoders.{n}.mask",
            }),
        )
    )
)  # fmt: skip
PROJECT = Keys(rules=(Rule(theirs=("proj",), ours=("project.weight",), ops=(Transpose(),)),))
DEEP = Layout(
    name="deepmim",
    mounts=(
        Mount(theirs="", ours="encoder.", keys=VIT_TIMM), Mount(theirs="", ours="lesson.", keys=DECODERS),
        Mount(theirs="visual.", ours="lesson.teacher.", keys=VIT_OPEN), Mount(theirs="visual.", ours="lesson.", keys=PROJECT),
    ),
)  # fmt: skip
SHALLOW = Layout(
    name="tinymim",
    mounts=(
        Mount(theirs="student.", ours="encoder.", keys=VIT_TIMM),
        Mount(theirs="teacher.", ours="lesson.teacher.", keys=VIT_TIMM),
    ),
)


def student(name: str) -> Student:
    """As wide as what the authors' code was given."""
    system = tiny_vision(registry.system(name))
    (spec,) = (system.student(stage.name) for stage in system.stages)
    if not isinstance(spec.lesson, Relations):
        return spec
    return spec.but(lesson__teacher__width=64, lesson__teacher__depth=9, lesson__teacher__ffn__hidden=96, lesson__layer=7,
                    lesson__heads=8)  # fmt: skip


@cache
def given(name: str) -> StudentModule:
    """With the authors' weights, in their names; places are no part of these."""
    file, layout = ("deepmim", DEEP) if "deepmim" in name else ("tinymim", SHALLOW)
    shapes, _ = stored(file)
    spec, theirs = student(name), weights(shapes)
    of = {"": 32} if file == "deepmim" else {"student.": 32, "teacher.": 64}
    for prefix, width in of.items():
        theirs[prefix + "pos_embed"] = torch.cat([torch.zeros(1, width), sincos_2d(3, 3, width)])[None]
    theirs = {key: value.flatten() if "mask_token" in key else value for key, value in theirs.items()}

    def part(prefix: str) -> object:
        return spec.lesson.teacher if prefix == "lesson.teacher." else spec.part(prefix)

    module = spec.build().eval()
    module.load_state_dict(dict(convert(theirs, choose(theirs, (layout,), part))))
    return module


def views(eyes: int = 1) -> Views:
    """Two pictures, and with two eyes two others for the teacher."""
    random = np.random.default_rng(1)
    both = [pixels(torch.from_numpy(random.standard_normal((2, 3, 48, 48)).astype(np.float32)), 16) for _ in range(2)]
    return Views(both[0].x_NC, both[0].grids, taught_NC=both[1].x_NC if eyes == 2 else None)


@torch.no_grad()
def test_deep_features() -> None:
    module, (_, golden) = given("deepmim-vit-b-16"), stored("deepmim")
    lesson, hidden_Bn = module.lesson, golden["hidden"]
    assert isinstance(lesson, DeepFeaturesModule)
    worst = gap(lesson.truth(views()), golden["features"])
    first, *_, last = lesson.predicted(module.encoder, views(), hidden_Bn)
    worst = max(worst, gap(first, golden["first"]), gap(last, golden["last"]))
    worst = max(worst, gap(lesson.each(module.encoder, views(), hidden_Bn), golden["losses"]))
    assert worst <= 1e-5, worst
    record("golden", "deepmim-vit-b-16", worst, DEEPMIM)


@torch.no_grad()
def test_only_hidden_patches_count() -> None:
    """Of the truth: other features of visible patches change no loss, and others of hidden patches do."""
    module, (_, golden) = given("deepmim-vit-b-16"), stored("deepmim")
    lesson, hidden_Bn = module.lesson, golden["hidden"]
    before = lesson.each(module.encoder, views(), hidden_Bn)
    truth, shift = lesson.truth(views()), torch.randn(2, 9, 24)
    for where, same in ((~hidden_Bn, True), (hidden_Bn, False)):
        lesson.truth = lambda _, where=where: truth + shift * where[..., None]
        assert torch.equal(lesson.each(module.encoder, views(), hidden_Bn), before) is same
    del lesson.truth


@torch.no_grad()
def test_the_last_decoder_alone_is_plain_masking() -> None:
    module, (_, golden) = given("deepmim-vit-b-16"), stored("deepmim")
    spec = student("deepmim-vit-b-16")
    plain = spec.but(lesson__after=(12,)).build().eval()
    state = {k: v for k, v in module.state_dict().items() if "decoders" not in k}
    state |= {k.replace("decoders.3.", "decoders.0."): v for k, v in module.state_dict().items() if "decoders.3." in k}
    plain.load_state_dict(state)
    assert gap(plain.lesson.each(plain.encoder, views(), golden["hidden"]), golden["losses"][3:]) <= 1e-5


@torch.no_grad()
def test_relations() -> None:
    module, (_, golden) = given("tinymim-vit-t-16"), stored("tinymim")
    lesson, seen = module.lesson, views(2)
    assert isinstance(lesson, RelationsModule)
    qk, _ = lesson.relations(lesson.teacher, seen.taught_NC.unflatten(0, (2, 9)), seen, 7)
    worst = gap(qk.exp()[:, :, :3], golden["shares"])
    losses = module.losses(seen)
    worst = max(worst, *(gap(losses[name], golden[name]) for name in ("qk", "vv")))
    assert worst <= 1e-5, worst
    for name in ("tinymim-vit-b-16", "tinymim-vit-s-16", "tinymim-vit-t-16"):
        record("golden", name, worst, TINYMIM)


def test_one_network_has_nothing_to_learn_from_itself() -> None:
    """The loss is 0, and gradients reach the encoder and never the teacher."""
    spec = tiny_vision(registry.system("tinymim-vit-s-16")).student("distil")
    module = stirred(spec.but(lesson__teacher=spec.encoder, lesson__layer=spec.encoder.depth).build()).eval()
    module.lesson.teacher.load_state_dict(module.encoder.state_dict())
    with torch.no_grad():  # with gradients attention takes another way on CPUs, and the last bits differ
        assert module.losses(views()) == {"qk": 0.0, "vv": 0.0}
    sum(module.losses(views(2)).values()).backward()
    assert all(p.grad is None for p in module.lesson.parameters())
    assert all(p.grad is not None for name, p in module.encoder.named_parameters() if "blocks.0." in name)


def test_blocks_are_left_out_in_training_alone() -> None:
    module, draw = given("tinymim-vit-t-16"), torch.Generator()
    quiet = module.losses(views(2), draw.manual_seed(0))
    module.train()
    first, again, other = (module.losses(views(2), draw.manual_seed(seed))["qk"] for seed in (0, 0, 1))
    module.eval()
    assert torch.equal(first, again) and not torch.equal(first, other) and not torch.equal(first, quiet["qk"])


def full_size(tiny: dict[str, list[int]], width: int) -> dict[str, tuple[int, ...]]:
    sizes = {32: width, 48: 4 * width, 96: 3 * width}
    out: dict[str, tuple[int, ...]] = {"pos_embed": (1, 197, width)}
    for key, shape in tiny.items():
        out[key] = tuple(sizes.get(size, size) for size in shape)
    return out


@pytest.mark.parametrize(
    ("name", "width"),
    [("deepmim-vit-b-16", 768), ("tinymim-vit-b-16", 768), ("tinymim-vit-s-16", 384), ("tinymim-vit-t-16", 192)],
)
def test_names_at_full_size(name: str, width: int) -> None:
    """Of what the authors' students hold: the encoder, and DeepMIM's decoders."""
    file = "deepmim" if "deepmim" in name else "tinymim"
    tiny: dict[str, list[int]] = stored(file)[0]
    own = {key.removeprefix("student."): shape for key, shape in tiny.items() if not key.startswith(("visual.", "teacher."))}
    fits(registry.system(name), full_size(own, width), registry.system(name).checkpoints[0].layouts, "timm")
    record("manifest", name, 0.0, DEEPMIM if file == "deepmim" else TINYMIM)


def test_places_are_sines() -> None:
    """A new encoder begins with MAE's places, whose class token has none."""
    built: Tensor = tiny_vision(registry.system("deepmim-vit-b-16")).encoder.build().pos
    assert torch.equal(built[0], torch.zeros(32)) and torch.equal(built[1:], sincos_2d(3, 3, 32))
