"""A listing is Python that says the spec whole, and has the code of every class that runs, once."""

from __future__ import annotations

import ast
import inspect

import pytest

from anyvlm.anatomy.listing import listing
from anyvlm.anatomy.parameters import hollow, parameters
from anyvlm.anatomy.path import path
from anyvlm.anatomy.shares import parts
from anyvlm.match import AnySystem
from anyvlm.registry import system
from anyvlm.seq import Kind
from anyvlm.system import VisionSystem

NAMES = [
    *("llava-1.5-7b", "llama-3.2-11b-vision-instruct", "moe-llava-phi2-2.7b-4e", "cogvlm-chat", "blip2-flan-t5-xl"),
    *("janus-1.3b", "imagebind-huge", "clip-rn50", "blip-itm-base-coco", "dinov2-small", "qwen2.5-vl-7b-instruct"),
]


def listed(spec: AnySystem) -> str:
    return listing(spec, hollow(spec), path(spec, parameters(spec), (640, 480)))


@pytest.mark.parametrize("name", NAMES)
def test_the_specs_are_said_whole(name: str) -> None:
    """What is printed makes them again, every field by its name."""
    spec = system(name)
    scope: dict[str, object] = {type(each).__name__: type(each) for _, each in spec.walk()} | {"Kind": Kind}
    for node in ast.parse(listed(spec)).body:
        if isinstance(node, ast.Assign):
            (target,) = node.targets
            assert isinstance(target, ast.Name)
            scope[target.id] = eval(ast.unparse(node.value), scope)
    for at, part in parts(spec):
        assert scope[(at or "encoder").replace(".", "_").replace("-", "_").upper()] == part
    if not isinstance(spec, VisionSystem):
        assert scope["SYSTEM"] == spec.but(checkpoints=...)


@pytest.mark.parametrize("name", NAMES)
def test_every_class_that_runs_is_there_once(name: str) -> None:
    spec = system(name)
    tree = ast.parse(listed(spec))
    classes = [(node.name, node) for node in tree.body if isinstance(node, ast.ClassDef)]
    modules = [each for each in hollow(spec).modules() if type(each).__module__.startswith("anyvlm.")]
    if isinstance(spec, VisionSystem):
        assert modules
    for cls in {type(each) for each in modules}:
        bodies = [node for found, node in classes if found == cls.__name__]
        own = [node for node in ast.parse(inspect.getsource(cls).strip()).body if isinstance(node, ast.ClassDef)][0]
        methods = {node.name for node in own.body if isinstance(node, ast.FunctionDef)} - {"__init__"}
        assert any({each.name for each in body.body if isinstance(each, ast.FunctionDef)} >= methods for body in bodies), cls
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert len(functions) == len(set(functions)) or {"_hidden", "_look"} & set(functions)


def test_numbers_stand_beside_the_code() -> None:
    text = listed(system("llava-1.5-7b"))
    for line in (
        "    # stem: Linear 1024 × 588",
        "    # blocks: 24 × PreNormBlock",
        "    # qkv: Linear 12288 × 4096",
        "#   encoders.image           ViT                577 × 1024           with a class token",
        "# anyvlm/parts/attention.py",
        "def attend(",
        "    def tables(self, pos_PBT: Tensor, h: int) -> tuple[Tensor, Tensor]:",
    ):
        assert line in text.splitlines(), line
    order = [text.index(word) for word in ("class ViTEncoder", "class ProjectorModule", "class DecoderLM", "class VLM")]
    assert order == sorted(order)
