"""What a bill says beside FLOPs: visual tokens as the papers count them, the prompt, the context, what does not apply."""

from __future__ import annotations

from functools import cache
from math import ceil, floor, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyvlm import registry
from anyvlm.anatomy.bill import Bill, bill
from anyvlm.anatomy.parameters import Branch, hollow, parameters
from anyvlm.errors import InputError, SpecError
from anyvlm.inputs.video import Footage
from anyvlm.parts.features import Connector

FIXED = {
    64: ("flamingo-3b", "flamingo-9b", "flamingo-80b", "idefics-9b", "idefics-80b", "openflamingo-9b-vitl-mpt7b", "kosmos-2"),
    32: ("blip2-opt-2.7b", "blip2-flan-t5-xxl", "instructblip-vicuna-7b", "instructblip-flan-t5-xl"),  # Q-Former
    256: ("llava-13b", "llava-med-v1-7b", "paligemma-3b-pt-224", "aria"),
    576: ("llava-1.5-7b", "llava-1.5-13b", "sharegpt4v-7b", "bakllava-7b", "palo-7b", "firellava-13b", "llava-pp-llama3-8b",
          "moe-llava-phi2-2.7b-4e", "som-llava", "janus-pro-7b", "llava-med"),  # CLIP-L/336, SigLIP-L/384
    577: ("blip-image-captioning-base",),  # and the class token
    1024: ("paligemma-3b-pt-448", "yi-vl-6b", "chameleon-7b", "mixture-of-transformers-7b"),
    4096: ("paligemma-3b-pt-896",),
    256 + 2: ("cogvlm-base-224",),  # 16 x 16, and one vector around them on either side
    1225 + 2: ("cogvlm-chat",),
    # the published code leaves out the first patch, as if it were a class token
    255: ("maya",),
    728: ("moe-llava-phi2-2.7b-4e-384",),
    13 * 169: ("idefics3-8b",),  # 3 x 4 tiles and the whole
    13 * 81: ("smolvlm-2.2b",),
    13 * 64: ("smolvlm-256m", "smolvlm2-500m"),
    4 * 1601: ("llama-3.2-11b-vision-instruct",),  # 2 x 2 tiles of 560 pixels, each with a class token
}  # fmt: skip
PAIRS = [(name, count) for count, names in FIXED.items() for name in names]


def told(name: str, *sizes: tuple[int, int], text: int = 64, context: int = 4096) -> Bill:
    """A bill whose tree of parameters is made once."""
    return bill(registry.system(name), sizes, text=text, context=context, tree=tree(name))


@cache
def tree(name: str) -> Branch:
    return parameters(registry.system(name))


@pytest.mark.parametrize(("name", "count"), PAIRS)
def test_visual_tokens_of_the_papers(name: str, count: int) -> None:
    found = told(name, (1344, 896))
    assert found.visual == count
    reach = registry.system(name).streams["image"].reach
    assert found.prompt >= 64 + (count if reach is None else 0) and (reach is None or found.prompt <= 65)


@given(st.integers(56, 3000), st.integers(56, 3000))
def test_visual_tokens_of_qwen2_vl(width: int, height: int) -> None:
    """(h / 28) (w / 28) of sides rounded to 28 pixels, scaled where the area leaves 4 to 16,384 tokens (2409.12191)."""
    h, w = (max(28, round(side / 28) * 28) for side in (height, width))
    if h * w > 12845056:
        beta = sqrt(height * width / 12845056)
        h, w = (max(28, floor(side / beta / 28) * 28) for side in (height, width))
    elif h * w < 3136:
        beta = sqrt(3136 / (height * width))
        h, w = (ceil(side * beta / 28) * 28 for side in (height, width))
    for name in ("qwen2-vl-7b-instruct", "qwen2.5-vl-3b-instruct"):
        assert told(name, (width, height)).visual == h // 28 * (w // 28)


@given(st.integers(20, 3000), st.integers(20, 3000))
def test_visual_tokens_of_pixtral(width: int, height: int) -> None:
    """A row for every 16 x 16 pixels of a picture of at most 1,024 (2410.07073), and a token behind every line."""
    ratio = max(width, height) / 1024
    w, h = (round(side / ratio) if ratio > 1 else side for side in (width, height))
    lines, columns = ceil(h / 16), ceil(w / 16)
    found = told("pixtral-12b", (width, height), text=10)
    assert abs(found.visual - lines * columns) <= max(lines, columns) + 1  # an edge may be rounded the other way
    assert found.prompt > found.visual + 10


@pytest.mark.parametrize(("lines", "columns"), [(2, 2), (1, 2), (3, 1)])
def test_visual_tokens_of_llava_next(lines: int, columns: int) -> None:
    """The whole, then all tiles with a vector at each line's end."""
    found = told("llava-next-vicuna-7b", (336 * columns, 336 * lines))
    assert found.visual == 576 + 24 * lines * (24 * columns + 1)


def test_visual_tokens_of_fuyu() -> None:
    """A row for 30 x 30 pixels, and a token behind every line."""
    found = told("fuyu-8b", (1344, 896), text=7)
    assert found.visual == 45 * 30 and found.prompt == 45 * 30 + 30 + 7


def test_pictures_and_text_add_up() -> None:
    one, two = told("llava-1.5-7b", (640, 480)), told("llava-1.5-7b", (640, 480), (100, 900), text=100)
    assert two.encoder == 2 * one.encoder and two.connector == 2 * one.connector and two.prompt == 2 * 576 + 100
    assert sum(two.parts.values()) == two.encoder + two.connector + two.prefill


def test_no_picture() -> None:
    found = told("flamingo-9b", text=30)
    assert (found.visual, found.encoder, found.connector, found.prompt) == (0, 0, 0, 30)
    assert found.prefill < told("flamingo-9b", (640, 480), text=30).prefill


def test_context_is_at_most_what_the_system_takes() -> None:
    assert told("llava-1.5-7b", context=1000).context == 1000
    far, most = told("llava-1.5-7b", context=10**6), told("llava-1.5-7b", context=4096)
    assert far.context == 4096 and far.cache == most.cache and far.decode == most.decode


def test_a_cache_is_half_a_mebibyte_a_token() -> None:
    """Of Llama-2-7B: 2 x 32 layers x 4,096 values of 2 bytes; of Qwen2-7B, with 4 of 28 heads and 28 layers, 56 KiB."""
    assert told("llava-1.5-7b", context=1000).cache["bf16"] == 1000 * 2**19
    assert told("qwen2-vl-7b-instruct", context=1000).cache["bf16"] == 1000 * 56 * 2**10


def test_an_encoder_decoder_keeps_the_prompt_beside_the_answer() -> None:
    """24 layers of 32 heads, 64 wide: keys and values of 40 tokens of the prompt, 32 of them rows, and of 60 of the answer."""
    found = told("blip2-flan-t5-xl", (640, 480), text=8, context=100)
    assert found.context == 100 and found.cache["bf16"] == 2 * 2 * 24 * 2048 * (40 + 60)


def test_what_does_not_apply_is_0() -> None:
    eye = bill(registry.system("dinov2-small"), [(640, 480)])
    assert eye.visual > 0 < eye.encoder and eye.weights["int4"] == eye.weights["bf16"] == 2 * eye.total
    assert (eye.prompt, eye.connector, eye.prefill, eye.decode, eye.active, eye.context) == (0,) * 6
    towers = bill(registry.system("siglip-vit-b-16-224"), [(640, 480)], text=9)
    assert towers.prompt == 64 and towers.decode == 0 == towers.cache["bf16"]  # padded to its context, and read


def test_a_system_that_says_where_words_are() -> None:
    """800 x 1,066 pixels and zeros up to 1,088: a place for 8 x 8, 16 x 16 ... 128 x 128 of them (2112.03857)."""
    found, two = told("glip-t", (640, 480)), told("glip-t", (640, 480), (640, 480))
    assert found.visual == 100 * 136 + 50 * 68 + 25 * 34 + 13 * 17 + 7 * 9
    assert found.prompt == 256 and found.decode == 0 == found.context == found.cache["bf16"]
    assert two.encoder == 2 * found.encoder and two.connector == 2 * found.connector
    assert two.prefill - found.prefill == found.parts["layers.text.attention"] + found.parts["layers.text.ffn"]
    weights = hollow(registry.system("glip-t")).named_parameters()
    assert found.active == sum(x.numel() for name, x in weights if name.startswith("text.") or ".text." in name)


def test_videos() -> None:
    ticks = tuple(range(60))
    footage = Footage(640, 480, ticks, ticks, 1, 1.0)
    found = bill(registry.system("qwen2-vl-7b-instruct"), [footage], fps=1.0)
    assert found.visual > 30 * 100 and found.prompt > found.visual
    with pytest.raises(InputError, match="takes no videos"):
        bill(registry.system("llava-1.5-7b"), [footage])
    with pytest.raises(InputError, match="give pictures"):
        bill(registry.system("clip-vit-b-32"), [footage])


class Unknown(Connector):
    """A part that nobody has counted."""


def test_a_part_that_nobody_counted() -> None:
    system = registry.system("llava-1.5-7b")
    with pytest.raises(SpecError, match="connector Unknown.*connectors.py"):
        bill(system.but(streams__image__connector=Unknown()), [(640, 480)], tree=tree("llava-1.5-7b"))
