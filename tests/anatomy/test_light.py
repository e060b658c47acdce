"""Without torch everything is told as with it, or the command begins again with it; a library never sees the stand-in."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from anyvlm.anatomy.light.layers import BatchNorm2d, Conv2d, Embedding, Hollow, LayerNorm, Linear, ModuleList
from anyvlm.anatomy.light.values import Parameter, Tensor, Unknown, Unseen
from anyvlm.anatomy.parameters import parameters
from anyvlm.registry import SYSTEMS, system
from tests.commands import run
from tests.saved import save_tiny

ROOT = Path(__file__).parents[2]
ALL = """
import hashlib, json
from anyvlm.anatomy import light
light.install()
from anyvlm.anatomy.parameters import parameters
from anyvlm.registry import SYSTEMS, system
def told(name):
    try:
        return hashlib.sha256(repr(parameters(system(name))).encode()).hexdigest()
    except light.Unseen as error:
        return str(error)
print(json.dumps({name: told(name) for name in SYSTEMS}))
"""
COMMAND = """
import atexit, sys
atexit.register(lambda: print("torch" if "torch._C" in sys.modules else "light", file=sys.stderr))
{before}
from anyvlm.cli import command
sys.argv = ["anyvlm", *{words!r}]
command()
"""
SPOILT = "from anyvlm.anatomy.light import values; values.Tensor.is_meta = values.Unknown('is_meta')"

UNSEEN = """
import os
if "ANYVLM_TORCH" not in os.environ:
    from anyvlm.anatomy import light, tokens
    def costs(*args, **more):
        raise light.Unseen("a cost")
    tokens.costs = costs
"""


def python(code: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A process of its own, as wide as a test's."""
    whole = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"} | dict(env or {})
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=whole, cwd=ROOT)


def command(*words: object, before: str = "") -> tuple[str, list[str]]:
    """What `anyvlm ...` prints in a process of its own, and with what torch it and those behind it ended."""
    done = python(COMMAND.format(words=list(map(str, words)), before=before))
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr.split()


@pytest.fixture(scope="module")
def light() -> dict[str, str]:
    done = python(ALL)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_tree_is_that_of_torch(name: str, light: dict[str, str]) -> None:
    """Names, shapes, counts, ties and their order."""
    assert light[name] == hashlib.sha256(repr(parameters(system(name))).encode()).hexdigest()


@pytest.mark.parametrize(
    "words",
    [
        ("show", "llava-1.5-7b", "--json", "--expand"),
        ("show", "aria"),
        ("show", "clip-vit-b-32"),
        ("show", "qwen2-vl-7b-instruct"),
        ("show", "blip-itm-base-coco", "--image", "300x200"),
        ("show", "videomae-base"),
        ("show", "aim-600m"),
        ("show", "deepmim-vit-b-16"),
        ("show", "aimv2-large-patch14-224"),
        ("show", "glip-t"),
        ("compare", "llava-1.5-7b", "flamingo-9b", "aria", "--json"),
        ("compare", "qwen2-vl-7b-instruct", "imagebind-huge", "blip-itm-base-coco", "--video", "60s@1fps"),
        ("tokens", "{image}", "-m", "all", "--json"),
        ("tokens", "{image}", "-m", "pixtral-12b", "--layout"),
    ],
)
def test_verbs_that_look_need_no_torch(words: tuple[str, ...], tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (400, 300)).save(tmp_path / "a.png")
    words = tuple(word.replace("{image}", str(tmp_path / "a.png")) for word in words)
    out, ends = command(*words)
    assert ends == ["light"] and out == run(*words).out


def test_a_directory_is_read_without_torch(tmp_path: Path) -> None:
    save_tiny(tmp_path / "tiny")
    out, ends = command("show", tmp_path / "tiny")
    assert ends == ["light"] and out == run("show", tmp_path / "tiny").out


def test_what_only_torch_knows_is_asked_of_torch() -> None:
    out, ends = command("show", "llava-1.5-7b", before=SPOILT)
    assert ends == ["torch", "light"]  # the second process, then the first
    assert out == run("show", "llava-1.5-7b").out


def test_a_picture_on_stdin_is_read_once(tmp_path: Path) -> None:
    """The second process gets what the first has read."""
    from PIL import Image

    Image.new("RGB", (400, 300)).save(tmp_path / "a.png")
    code = COMMAND.format(words=["tokens", "-", "-m", "llava-1.5-7b", "--json"], before=UNSEEN)
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    picture = (tmp_path / "a.png").read_bytes()
    done = subprocess.run([sys.executable, "-c", code], input=picture, capture_output=True, env=env, cwd=ROOT)
    assert json.loads(done.stdout)["usage"]["image_tokens"] == 576 and done.stderr.split() == [b"torch", b"light"]


def test_a_wrong_name_is_no_reason_to_begin_again() -> None:
    done = python(COMMAND.format(words=["show", "lava-1.5-7b"], before=""))
    assert done.returncode == 1 and done.stdout == "" and done.stderr.split()[-1] == "light"
    assert done.stderr.startswith("anyvlm: There is no system 'lava-1.5-7b'")


def test_libraries_see_torch() -> None:
    code = "import anyvlm, sys; anyvlm.system('llava-1.5-7b').build; assert 'torch._C' in sys.modules"
    assert python(code).returncode == 0
    inside = "from anyvlm.cli import main; import sys; sys.argv = ['anyvlm', 'show', 'dinov2-small']; main()"
    code = f"import sys\ntry:\n    {inside}\nfinally:\n    import torch; torch.zeros(2).sum().item()"
    assert python(code).returncode == 0


def test_unknown_may_be_named_but_not_looked_into() -> None:
    some = Unknown("torch.backends").cudnn.enabled
    assert isinstance(2 * some + 1, Unknown) and isinstance(some(), Unknown)
    for look in (bool, int, float, len, list, str, lambda x: x == 1, lambda x: x < 1):
        with pytest.raises(Unseen, match=r"torch\.backends\.cudnn\.enabled"):
            look(some)
    with pytest.raises(Unseen):
        Parameter(some)  # type: ignore[arg-type]


def test_a_layer_that_is_not_modelled_is_not_passed_over() -> None:
    """Its parameters would be missing from the tree."""
    module = Hollow()
    for unknown in (Unknown("torch.nn.Bilinear")(64), Unknown("torch.nn.utils.weight_norm")(Linear(2, 2))):
        with pytest.raises(Unseen, match="norm"):
            module.norm = unknown
        with pytest.raises(Unseen):
            ModuleList([unknown])  # type: ignore[list-item]
    module.act = Unknown("torch.nn.functional.gelu")


def test_shapes() -> None:
    def shapes(module: Hollow) -> dict[str, tuple[int, ...]]:
        return {name: value.shape for name, value in module.named_parameters()}

    assert shapes(Linear(3, 5)) == {"weight": (5, 3), "bias": (5,)} and shapes(Linear(3, 5, bias=False)) == {"weight": (5, 3)}
    assert shapes(Conv2d(4, 6, 3, groups=2)) == {"weight": (6, 2, 3, 3), "bias": (6,)}
    assert shapes(BatchNorm2d(3)) == {"weight": (3,), "bias": (3,)} and shapes(BatchNorm2d(3, affine=False)) == {}
    assert shapes(Embedding(7, 2)) == {"weight": (7, 2)} and shapes(LayerNorm(4, bias=False)) == {"weight": (4,)}
    assert (Tensor((2, 3)) * 0.02).shape == (2, 3) and not isinstance(Tensor((2, 3)) @ Tensor((3, 2)), Tensor)


def test_a_module_registers_as_that_of_torch() -> None:
    class Both(Hollow):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.blocks = Embedding(5, 2), ModuleList(Linear(2, 2) for _ in range(3))
            self.head = Linear(2, 5, bias=False)
            setattr(self.head, "weight", getattr(self.embed, "weight"))  # noqa: B009, B010
            self.gate: Hollow | None = Linear(1, 1)
            self.gate = None

    names = [name for name, _ in Both().named_parameters()]
    assert names == ["embed.weight", *(f"blocks.{n}.{leaf}" for n in range(3) for leaf in ("weight", "bias"))]
    assert [name for name, _ in Both().named_children()] == ["embed", "blocks", "head"]
