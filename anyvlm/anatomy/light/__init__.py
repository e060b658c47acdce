"""A stand-in for torch in a process that only looks at systems: names and shapes of parameters, without torch's 2 s to start.

Importing the package gives every spec beside the `nn.Module` that it builds, so whoever wants a spec pays for torch. Here are
modules that hold parameters of which nothing is known but their shapes; all else of torch is `Unknown`, which may be named,
called and calculated with (dtypes in defaults, tables that are made once) but not looked into: that raises `Unseen`, and the
process must begin again with the real torch (`anyvlm.cli._light`). So an answer may come later, but never be wrong: the tree of
parameters of every system is tested to be the one that torch gives. Never to be installed where other code runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib.machinery import ModuleSpec
from types import ModuleType

from anyvlm.anatomy.light.layers import (
    BatchNorm1d,
    BatchNorm2d,
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose2d,
    Embedding,
    GroupNorm,
    Hollow,
    LayerNorm,
    Linear,
    ModuleDict,
    ModuleList,
    ParameterList,
    Plain,
    Sequential,
)
from anyvlm.anatomy.light.values import Parameter, Tensor, Unknown, Unseen


def _sized(*size: int | Iterable[int], **_more: object) -> Tensor:
    """torch.zeros(2, 3), torch.zeros((2, 3)), torch.zeros(())."""
    first = size[0] if size else ()
    return Tensor(first if not isinstance(first, int) else [n for n in size if isinstance(n, int)])


def _full(size: Iterable[int], _value: float, **_more: object) -> Tensor:
    return Tensor(size)


def _tensor(value: object, **_more: object) -> Tensor:
    shape = []
    while isinstance(value, (list, tuple)):
        shape.append(len(value))
        value = value[0] if value else 0
    return Tensor(shape) if isinstance(value, (int, float)) else Parameter(Unknown("torch.tensor"))  # type: ignore[arg-type]


def _eye(n: int, m: int | None = None, **_more: object) -> Tensor:
    return Tensor((n, n if m is None else m))


def _through(value: object, *_more: object, **_most: object) -> object:
    """nn.init.*: the tensor that was filled."""
    return value


class _Mode:
    """no_grad, inference_mode, device: a context that changes nothing, and a decorator that does as little."""

    def __init__(self, *_args: object) -> None:
        return

    def __call__(self, function: Callable[..., object]) -> Callable[..., object]:
        return function

    def __enter__(self) -> _Mode:
        return self

    def __exit__(self, *_error: object) -> None:
        return


class Function:
    """torch.autograd.Function, to be inherited from; its `apply` is never reached."""


_LAYERS = (
    Parameter, ModuleList, ModuleDict, Sequential, ParameterList,
    Linear, Embedding, LayerNorm, GroupNorm, BatchNorm1d, BatchNorm2d, Conv1d, Conv2d, Conv3d, ConvTranspose2d,
)  # fmt: skip
_EMPTY = ("Identity", "GELU", "ReLU", "SiLU", "Tanh", "Sigmoid", "Dropout", "Flatten")
_PLAIN: dict[str, object] = {name: type(name, (Plain,), {}) for name in _EMPTY}
_MAKERS: dict[str, object] = {
    **dict.fromkeys(("empty", "zeros", "ones", "rand", "randn"), _sized),
    **{"full": _full, "tensor": _tensor, "eye": _eye},
    **dict.fromkeys(("no_grad", "inference_mode", "enable_grad", "device"), _Mode),
}
_KNOWN: dict[str, dict[str, object]] = {
    "torch": {"Tensor": Tensor, "Size": tuple, **_MAKERS},
    "torch.nn": {"Module": Hollow, **{layer.__name__: layer for layer in _LAYERS}, **_PLAIN},
    "torch.nn.parameter": {"Parameter": Parameter},
    "torch.autograd": {"Function": Function},
    "torch.autograd.function": {"Function": Function},
}
_INIT = "torch.nn.init"


class _Package(ModuleType):
    """torch or a module of it: what is known by name, else `Unknown`."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self.__dict__.update(_KNOWN.get(name, {}))

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        if self.__name__ == _INIT:
            return _through
        path = f"{self.__name__}.{name}"
        return _module(path) if path in _SUBMODULES else Unknown(path)


_SUBMODULES = frozenset({*_KNOWN, "torch.nn.functional", _INIT})


def _module(name: str) -> ModuleType:
    if name not in sys.modules:
        sys.modules[name] = _Package(name)
    return sys.modules[name]


class _Finder:
    """Gives `import torch.anything` a stand-in."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """The stand-in for torch and what is below; None leaves all else to Python."""
        return ModuleSpec(name, _Finder, is_package=True) if name.split(".")[0] == "torch" else None  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> ModuleType:
        """An empty one."""
        return _Package(spec.name)

    @staticmethod
    def exec_module(_module: ModuleType) -> None:
        """Nothing to run."""


def install() -> None:
    """From here on `import torch` in this process gives the stand-in. Raises Unseen if torch has been imported before."""
    if "torch" in sys.modules:
        raise Unseen("torch is imported already")
    sys.meta_path.insert(0, _Finder)


def installed() -> bool:
    """Whether this process sees the stand-in."""
    return isinstance(sys.modules.get("torch"), _Package) or _Finder in sys.meta_path
