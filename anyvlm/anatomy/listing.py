"""The assembled model as one text that reads from top to bottom: every number, and the code of every class that runs.

It is put together from this package's files by `inspect`: what is printed is what is computed. Of classes the constructor is
left out; in its place stand, as comments, what this very system holds there, with shapes.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from enum import Enum
from types import FunctionType
from typing import TYPE_CHECKING

from anyvlm.anatomy.path import Step
from anyvlm.anatomy.shares import parts
from anyvlm.dual import DualSystem
from anyvlm.match import AnySystem
from anyvlm.parts.features import Features
from anyvlm.seq import Kind, Memory, Seq
from anyvlm.spec import Spec
from anyvlm.system import VisionSystem

if TYPE_CHECKING:
    from torch import nn

_WIDE = 110
_UNTOLD = ("checkpoints",)  # fields that say how files name tensors, not what is computed
_RECORDS = (Kind, Features, Memory, Seq)


def listing(system: AnySystem, module: nn.Module, steps: Sequence[Step]) -> str:
    """Python, though not to be run by itself. `module`: what the system builds; `steps`: the way of a picture, told first."""
    return "\n".join(_Listing(system, module).lines(steps))


class _Listing:
    """What has been printed so far is not printed again."""

    def __init__(self, system: AnySystem, module: nn.Module) -> None:
        self.system, self.module = system, module
        self.parts = dict(parts(system))
        self.done = set[object]()

    def lines(self, steps: Sequence[Step]) -> Iterator[str]:
        system, meta = self.system, self.system.meta
        about = f"{system.name}: {meta.summary}" if meta.summary else system.name
        told = "\n".join(textwrap.wrap(f"Paper: {meta.paper} ({meta.year}). Licence: {meta.license}.", _WIDE))
        yield f'"""{about}\n\n{told}\n"""'
        yield "\n# The shapes that parts hand on:\n#"
        for step in steps:
            name = "" if step.name == step.part else step.name
            yield f"#   {step.part:24} {name:18} {_by(step.shape):20} {step.note}".rstrip()
        yield "\nimport torch\nimport torch.nn.functional as F\nfrom torch import Tensor, nn\n"
        yield _title("What parts hand to each other")
        plain = isinstance(system, DualSystem | VisionSystem)
        for record in _RECORDS[1:2] if plain else _RECORDS:
            yield from self._code(record, whole=True)
        for path, spec in self.parts.items():
            yield _title(f"{path or 'encoder'}: {type(spec).__name__}")
            yield f"# {_file(type(spec))}"
            yield f"{_constant(path)} = {self._written(spec, '', inside=True)}\n"
            below = self.module.get_submodule(path)
            yield from self._modules(below, path)
            yield from self._methods(spec)
        if not isinstance(system, VisionSystem):
            yield _title("The whole")
            yield f"{_constant('system')} = {self._written(system, '', inside=True)}\n"
            yield from self._modules(self.module, "")

    # Specs ------------------------------------------------------------------------------------------------------------

    def _written(self, value: object, indent: str, inside: bool = False) -> str:
        """A spec as the call that makes it, every field written out; a part that has a name of its own by that."""
        if isinstance(value, Spec):
            name = next((_constant(path) for path, spec in self.parts.items() if spec is value), None)
            if name is not None and not inside:
                return name
            args = [
                (f"{field.name}=", "..." if field.name in _UNTOLD else getattr(value, field.name)) for field in fields(value)
            ]
            return self._call(f"{type(value).__name__}(", args, ")", indent)
        if isinstance(value, Enum):
            return f"{type(value).__name__}.{value.name}"
        if isinstance(value, dict):
            return self._call("{", [(f"{self._written(key, indent)}: ", item) for key, item in value.items()], "}", indent)
        if isinstance(value, tuple):
            comma = "," if len(value) == 1 else ""
            return self._call("(", [("", item) for item in value], f"{comma})", indent)
        return json.dumps(value, ensure_ascii=False) if isinstance(value, str) and value != "..." else str(value)

    def _call(self, begin: str, args: list[tuple[str, object]], end: str, indent: str) -> str:
        deeper = f"{indent}    "
        shown = [f"{name}{self._written(value, deeper)}" for name, value in args]
        line = f"{begin}{', '.join(shown)}{end}"
        if len(indent) + len(line) <= _WIDE and "\n" not in line:
            return line
        return "\n".join([begin, *(f"{deeper}{each}," for each in shown), f"{indent}{end.removeprefix(',')}"])

    def _methods(self, spec: Spec) -> Iterator[str]:
        """What specs themselves compute with tensors (rotary tables, patches)."""
        for _, each in spec.walk():
            yield from self._code(type(each), wanted=_with_tensors)

    # Modules ----------------------------------------------------------------------------------------------------------

    def _modules(self, module: nn.Module, path: str) -> Iterator[str]:
        """The class of a module, those of what it holds, then the functions that they call."""
        called: dict[object, None] = {}
        found: Iterator[tuple[str, nn.Module]] = module.named_modules(prefix=path)
        for at, each in found:
            own = type(each)
            for cls in own.__mro__:
                if _ours(cls) and cls not in self.done:
                    yield from self._code(cls, [f"# {at or 'the system'}", *_held(each)] if cls is own else ())
                    called |= dict.fromkeys(_called(cls))
        for function in called:
            yield from self._function(function)

    def _function(self, function: object) -> Iterator[str]:
        if function in self.done or not isinstance(function, FunctionType):
            return
        self.done.add(function)
        yield f"\n# {_file(function)}\n{inspect.getsource(function)}"
        for other in _names(ast.parse(textwrap.dedent(inspect.getsource(function))), function.__module__):
            yield from self._function(other)

    def _code(
        self, cls: type, held: Iterable[str] = (), whole: bool = False, wanted: Callable[[ast.FunctionDef], bool] | None = None
    ) -> Iterator[str]:
        """A class without its constructor; `wanted`: which of its methods. Nothing if none is left."""
        if cls in self.done:
            return
        source = inspect.getsource(cls)
        tree, lines = ast.parse(source).body[0], source.splitlines()
        assert isinstance(tree, ast.ClassDef)
        methods = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name != "__init__"]
        if wanted is not None and not (methods := [node for node in methods if wanted(node)]):
            return
        self.done.add(cls)
        yield f"\n# {_file(cls)}"
        if whole:
            yield source
            return
        yield lines[tree.lineno - 1]
        blocks = [[f'    """{doc}"""'] if (doc := ast.get_docstring(tree, clean=False)) else []]
        blocks.append([f"    {line}" for line in held])
        for node in methods:
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            blocks.append(lines[first - 1 : node.end_lineno])
        if not methods:
            blocks.append(["    ..."])
        yield "\n\n".join("\n".join(block) for block in blocks if block)
        yield ""


def _title(text: str) -> str:
    return f"\n# {text} {'-' * (_WIDE - len(text) - 3)}\n"


def _constant(path: str) -> str:
    return (path or "encoder").replace(".", "_").replace("-", "_").upper()


def _file(what: object) -> str:
    """Where it stands: "anyvlm/parts/ffn.py"."""
    module = str(getattr(what, "__module__", ""))
    package = getattr(sys.modules[module], "__path__", None) is not None
    return module.replace(".", "/") + ("/__init__.py" if package else ".py")


def _ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "anyvlm" and not cls.__module__.startswith("anyvlm.anatomy.")


def _held(module: nn.Module) -> Iterator[str]:
    """What a module has: numbers, parameters, modules."""
    plain = {name: value for name, value in vars(module).items() if isinstance(value, (bool, int, float, str))}
    numbers = [f"{name} = {value}" for name, value in plain.items() if not name.startswith("_") and name != "training"]
    yield from (f"# {line}" for line in textwrap.wrap(", ".join(numbers), _WIDE - 6))
    for name, parameter in module.named_parameters(recurse=False):
        yield f"# {name}: {_by(parameter.shape)}"
    for name, child in module.named_children():
        if _ours(type(child)) or any(child.children()) or any(True for _ in child.parameters()):
            yield f"# {name}: {_child(child)}"


def _child(module: nn.Module) -> str:
    below = list(module.children())
    if below and not _ours(type(module)):  # a list or a dictionary of torch
        first, more = type(below[0]).__name__, len({type(child) for child in below}) > 1
        return f"{len(below)} × {first}{' and others' if more else ''}"
    own = {name: parameter.shape for name, parameter in module.named_parameters(recurse=False)}
    shapes = " + ".join(_by(shape) if name == "weight" else f"{name} {_by(shape)}" for name, shape in own.items())
    return f"{type(module).__name__} {shapes}".rstrip()


def _by(shape: Iterable[int | str]) -> str:
    return " × ".join(map(str, shape)) or "one number"


def _with_tensors(method: ast.FunctionDef) -> bool:
    said = [arg.annotation for arg in method.args.args] + [method.returns]
    return any(node is not None and "Tensor" in ast.unparse(node) for node in said)


def _called(cls: type) -> Iterator[object]:
    return _names(ast.parse(textwrap.dedent(inspect.getsource(cls))), cls.__module__)


def _names(tree: ast.AST, module: str) -> Iterator[object]:
    """Functions of this package that a piece of code of a module names, but for what only builds or draws first values."""
    scope = vars(sys.modules[module])
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found = scope.get(node.func.id)
            if isinstance(found, FunctionType) and _computes(found):
                yield found


def _computes(function: FunctionType) -> bool:
    """Whether it is code of this package that takes or gives tensors."""
    if function.__module__.partition(".")[0] != "anyvlm":
        return False
    said = " ".join(map(str, function.__annotations__.values()))
    return function.__module__ != "anyvlm.parts.init" and any(what in said for what in ("Tensor", "Seq", "Features"))
