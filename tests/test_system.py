"""Systems: parts by prefix, the count law, assembly."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anyvlm import registry
from anyvlm.errors import InputError, SpecError
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.parts.connect.shuffle import Shuffle
from anyvlm.parts.features import Features, Grid, patches
from anyvlm.parts.vision.vit import ViT
from anyvlm.seq import Kind
from anyvlm.system import Batch, Pixels, System
from anyvlm.tiny import tiny

LLAVA: System = tiny(registry.system("llava-1.5-7b"))
EYE = LLAVA.streams["image"].encoder


def test_parts_by_prefix() -> None:
    assert LLAVA.part("lm.") is LLAVA.lm and LLAVA.part("") is LLAVA
    assert LLAVA.part("encoders.image.") is EYE
    assert LLAVA.part("connectors.image.") is LLAVA.streams["image"].connector
    for prefix in ("encoders.video.", "heads.", "lm.blocks."):
        with pytest.raises(SpecError, match="has no part at"):
            LLAVA.part(prefix)


@pytest.mark.parametrize(
    ("name", "tokens"),
    [("llava", 256), ("llava-1.5-7b", 576), ("yi-vl-6b", 1024), ("maya", 255), ("anyvlm-pocket", 64)],
)
def test_tokens_of_a_picture(name: str, tokens: int) -> None:
    stream = registry.system(name).streams["image"]
    ((t, h, w),) = stream.rows(stream.policy.cut(1234, 321))
    assert t * h * w == tokens


encoders = st.builds(
    lambda **fields: EYE.but(depth=1, **fields),
    cls=st.booleans(), keep_cls=st.booleans(), skip=st.integers(0, 3), resize=st.just(True),
    layers=st.sampled_from([(), (0, 1)]),
)  # fmt: skip


@given(encoder=encoders, sizes=st.lists(st.tuples(st.integers(2, 6), st.integers(2, 6)), min_size=1, max_size=4),
       r=st.integers(1, 3))  # fmt: skip
def test_rows_are_counted_before_anything_runs(encoder: ViT, sizes: list[tuple[int, int]], r: int) -> None:
    """Any mixture of grids, class tokens kept or not, rows folded or not."""
    encoder = encoder.but(keep_cls=encoder.keep_cls and encoder.cls)
    shuffle = Shuffle(r=r)
    grids: tuple[Grid, ...] = tuple((1, h, w) for h, w in sizes)
    x_NC = torch.randn(sum(h * w for h, w in sizes), 3 * encoder.patch**2)
    with torch.no_grad():
        rows = encoder.build()(x_NC, grids)
        assert rows.grids == tuple(map(encoder.rows, grids)) and rows.x_ND.shape[1] == encoder.out
        if not encoder.keep_cls and not encoder.skip:
            assert shuffle.build(encoder.out, 5)(rows).grids == tuple(map(shuffle.count, rows.grids))


@torch.no_grad()
def test_items_do_not_see_each_other() -> None:
    encoder = EYE.but(depth=2, resize=True).build().eval()
    grids: tuple[Grid, ...] = ((1, 3, 3), (1, 3, 3), (1, 2, 4), (2, 3, 3))
    parts = [torch.randn(t * h * w, 3 * EYE.patch**2) for t, h, w in grids]
    together = encoder(torch.cat(parts), grids).items()
    for x, grid, rows in zip(parts, grids, together, strict=True):
        torch.testing.assert_close(rows, encoder(x, (grid,)).x_ND, atol=1e-5, rtol=1e-5)
    still, frames = encoder(parts[0], grids[:1]).x_ND, encoder(parts[0].repeat(2, 1), ((2, 3, 3),)).x_ND
    torch.testing.assert_close(frames, still.repeat(2, 1))


def test_an_encoder_says_what_it_cannot_take() -> None:
    with pytest.raises(InputError, match="takes pictures of 42 x 42 pixels, not 50 x 40"):
        EYE.grid(40, 50)
    with pytest.raises(InputError, match="smaller than one patch"):
        EYE.but(resize=True).grid(13, 100)
    assert EYE.but(resize=True).grid(28, 43) == (1, 2, 3)


def test_patches_are_read_as_a_convolution_reads_them() -> None:
    pixels, weight = torch.randn(2, 3, 29, 44), torch.randn(7, 3, 14, 14)
    wanted = torch.nn.functional.conv2d(pixels, weight, stride=14).flatten(2).transpose(1, 2)
    torch.testing.assert_close(patches(pixels, 14) @ weight.flatten(1).T, wanted.reshape(-1, 7), atol=1e-4, rtol=1e-4)


def batch(ids: list[int], media: dict[str, Pixels], image: int = 500) -> Batch:
    ids_BT = torch.tensor([ids])
    kind_BT = torch.where(ids_BT == image, int(Kind.IMAGE), int(Kind.TEXT))
    return Batch(ids_BT, kind_BT, torch.arange(len(ids))[None, None], torch.zeros_like(ids_BT), media)


@torch.no_grad()
def test_rows_are_laid_in_order_over_their_places() -> None:
    vlm = LLAVA.build().eval()
    media = {"image": Pixels(torch.randn(18, 3 * 14**2), ((1, 3, 3), (1, 3, 3)))}
    start = batch([1, *[500] * 9, 2, 3, *[500] * 9, 4], media)
    rows = vlm.features(media)["image"].x_ND
    x_TD = vlm.assemble(start).x_BTD[0]
    assert torch.equal(x_TD[1:10], rows[:9]) and torch.equal(x_TD[12:21], rows[9:])
    assert torch.equal(x_TD[[0, 10, 11, 21]], vlm.lm.embed(torch.tensor([1, 2, 3, 4])))
    known = {"image": Features(rows, ((1, 3, 3), (1, 3, 3)))}
    assert torch.equal(vlm.assemble(replace(start, media={}), known).x_BTD[0], x_TD)


def test_plan_and_rows_must_agree() -> None:
    media = {"image": Pixels(torch.randn(9, 3 * 14**2), ((1, 3, 3),))}
    with pytest.raises(ValueError, match="stream 'image': 8 places in the plan for 9 rows"):
        LLAVA.build().assemble(batch([1, *[500] * 8], media))


def test_tiny_keeps_what_makes_a_system_itself() -> None:
    full = registry.system("bakllava-7b")
    small = tiny(full)
    assert small.lm.window and small.lm.kv_heads < small.lm.heads and small.template == full.template
    assert small.streams["image"].encoder.depth == full.streams["image"].encoder.depth
    assert isinstance(small.streams["image"].policy, ImagePolicy) and small.streams["image"].policy.fit == "pad"
    assert sum(parameter.numel() for parameter in small.build().parameters()) < 1_000_000


def test_the_function_survives_the_module_of_its_name() -> None:
    """`anyvlm.system("...")` works before and after something has imported `anyvlm/system.py`."""
    code = (
        "import anyvlm; a = anyvlm.system('llava-1.5-7b'); from anyvlm.system import System;"
        "assert anyvlm.system('llava-1.5-7b') == a and isinstance(a, System)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
