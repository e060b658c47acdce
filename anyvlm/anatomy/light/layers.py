"""`torch.nn` as far as a tree of parameters goes: modules that register what is assigned to them, layers with their shapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from anyvlm.anatomy.light.values import Parameter, Tensor, Unknown, Unseen


class Hollow:
    """Registers what is assigned to it as `torch.nn.Module` does."""

    def __init__(self) -> None:
        self.__dict__["_parameters"] = {}
        self.__dict__["_modules"] = {}
        self.__dict__["training"] = True

    def __setattr__(self, name: str, value: object) -> None:
        stores: tuple[tuple[type, dict[str, object]], ...]
        stores = (Parameter, self.__dict__["_parameters"]), (Hollow, self.__dict__["_modules"])
        for kind, store in stores:
            if isinstance(value, kind):
                for other in (self.__dict__, *(one for _, one in stores if one is not store)):
                    other.pop(name, None)
                store[name] = value
                return
        for _, store in stores:
            if name in store:
                if value is not None:
                    raise TypeError(f"cannot assign a {type(value).__name__} to {name}")
                store[name] = None
                return
        if isinstance(value, Unknown) and value.within("torch.nn") and not value.within("torch.nn.functional"):
            raise Unseen(f"the parameters of '{name}'")  # of a layer that is not modelled, which torch would count
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> object:
        for store in ("_parameters", "_modules"):
            if name in self.__dict__.get(store, {}):
                return self.__dict__[store][name]
        raise AttributeError(f"{type(self).__name__} has no {name}")

    def __delattr__(self, name: str) -> None:
        for store in ("_parameters", "_modules"):
            if name in self.__dict__[store]:
                del self.__dict__[store][name]
                return
        object.__delattr__(self, name)

    def register_parameter(self, name: str, value: Parameter | None) -> None:
        """A parameter, or the place of one that is not there."""
        self.__dict__["_parameters"][name] = value

    def register_buffer(self, name: str, value: Tensor | None, persistent: bool = True) -> None:
        """Buffers are no parameters; nothing counts them."""
        object.__setattr__(self, name, value)

    def add_module(self, name: str, module: Hollow | None) -> None:
        """A child by name. Raises Unseen for one of which nothing is known."""
        if module is not None and not isinstance(module, Hollow):
            raise Unseen(f"the parameters of '{name}'")
        self.__dict__["_modules"][name] = module

    register_module = add_module

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        """Every parameter once, by its first name."""
        seen: set[int] = set()
        for path, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name, value in module.__dict__["_parameters"].items():
                if value is not None and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{path}.{name}" if path else name, value

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Every parameter once."""
        return (value for _, value in self.named_parameters(recurse=recurse))

    def named_children(self) -> Iterator[tuple[str, Hollow]]:
        """Every module directly below, once."""
        seen: set[int] = set()
        for name, module in self.__dict__["_modules"].items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Hollow]:
        """Every module directly below, once."""
        return (module for _, module in self.named_children())

    def named_modules(self, prefix: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Hollow]]:
        """This module and all below, each once."""
        seen = set() if seen is None else seen
        if id(self) in seen:
            return
        seen.add(id(self))
        yield prefix, self
        for name, module in self.__dict__["_modules"].items():
            if module is not None:
                yield from module.named_modules(f"{prefix}.{name}" if prefix else name, seen)

    def modules(self) -> Iterator[Hollow]:
        """This module and all below, each once."""
        return (module for _, module in self.named_modules())

    def get_submodule(self, path: str) -> Hollow:
        """The module at a dotted path; "" is this one."""
        found: object = self
        for name in path.split(".") if path else ():
            found = getattr(found, name)
        assert isinstance(found, Hollow)
        return found

    def requires_grad_(self, _wanted: bool = True) -> Hollow:
        """Itself; nothing is trained here."""
        return self

    def eval(self) -> Hollow:
        """Itself; nothing runs here."""
        return self


class ModuleList(Hollow):
    """Children by number."""

    def __init__(self, modules: Iterable[Hollow] = ()) -> None:
        super().__init__()
        self.extend(modules)

    def append(self, module: Hollow) -> ModuleList:
        """One more."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Hollow]) -> ModuleList:
        """Many more."""
        for module in modules:
            self.append(module)
        return self

    def __len__(self) -> int:
        return len(self.__dict__["_modules"])

    def __iter__(self) -> Iterator[Hollow]:
        return iter(self.__dict__["_modules"].values())

    def __getitem__(self, at: int | slice) -> Hollow:
        found = list(self)[at]
        return type(self)(found) if isinstance(found, list) else found

    def __setitem__(self, at: int, module: Hollow) -> None:
        self.add_module(str(range(len(self))[at]), module)


class Sequential(ModuleList):
    """Children by number, or by the names of a mapping."""

    def __init__(self, *modules: Hollow | Mapping[str, Hollow]) -> None:
        super().__init__()
        for module in modules:
            if isinstance(module, Mapping):
                for name, one in module.items():
                    self.add_module(name, one)
            else:
                self.append(module)

    def __getitem__(self, at: int | slice) -> Hollow:
        found = list(self)[at]
        return Sequential(*found) if isinstance(found, list) else found


class ModuleDict(Hollow):
    """Children by name."""

    def __init__(self, modules: Mapping[str, Hollow] | None = None) -> None:
        super().__init__()
        for name, module in (modules or {}).items():
            self.add_module(name, module)

    def __getitem__(self, name: str) -> Hollow:
        found: Hollow = self.__dict__["_modules"][name]
        return found

    def __setitem__(self, name: str, module: Hollow) -> None:
        self.add_module(name, module)

    def __contains__(self, name: str) -> bool:
        return name in self.__dict__["_modules"]

    def __len__(self) -> int:
        return len(self.__dict__["_modules"])

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__["_modules"])

    def keys(self) -> Iterable[str]:
        """Names."""
        return tuple(self)

    def values(self) -> Iterable[Hollow]:
        """Modules."""
        return tuple(self.__dict__["_modules"].values())

    def items(self) -> Iterable[tuple[str, Hollow]]:
        """Names with modules."""
        return tuple(self.__dict__["_modules"].items())


class ParameterList(Hollow):
    """Parameters by number."""

    def __init__(self, values: Iterable[Parameter] = ()) -> None:
        super().__init__()
        for n, value in enumerate(values):
            self.register_parameter(str(n), value)


class _Weighted(Hollow):
    """A module of a weight and a bias, or places where they are not."""

    def __init__(self, weight: Iterable[int] | None, bias: Iterable[int] | None) -> None:
        super().__init__()
        self.register_parameter("weight", None if weight is None else Parameter(Tensor(weight)))
        self.register_parameter("bias", None if bias is None else Parameter(Tensor(bias)))


class Linear(_Weighted):
    """weight (outputs, inputs)."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__((out_features, in_features), (out_features,) if bias else None)
        self.in_features, self.out_features = in_features, out_features


class Embedding(Hollow):
    """weight (entries, width)."""

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, *, _weight: Tensor | None = None
    ) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = Parameter(Tensor((num_embeddings, embedding_dim)))


class LayerNorm(_Weighted):
    """weight and bias of the shape that is normed."""

    def __init__(
        self, normalized_shape: int | tuple[int, ...], eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True
    ) -> None:
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        super().__init__(shape if elementwise_affine else None, shape if elementwise_affine and bias else None)
        self.normalized_shape, self.eps = shape, eps


class GroupNorm(_Weighted):
    """weight and bias (channels)."""

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__((num_channels,) if affine else None, (num_channels,) if affine else None)
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps


class BatchNorm(_Weighted):
    """weight and bias (channels); its running means are buffers."""

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:  # fmt: skip
        super().__init__((num_features,) if affine else None, (num_features,) if affine else None)
        self.num_features, self.eps = num_features, eps


class BatchNorm1d(BatchNorm):
    """Of (B, C) or (B, C, T)."""


class BatchNorm2d(BatchNorm):
    """Of (B, C, h, w)."""


class _Conv(_Weighted):
    """weight (outputs, inputs / groups, sides of the kernel)."""

    axes = 2

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int | tuple[int, ...], stride: int | tuple[int, ...] = 1,
        padding: int | str | tuple[int, ...] = 0, dilation: int | tuple[int, ...] = 1, groups: int = 1, bias: bool = True,
    ) -> None:  # fmt: skip
        kernel = (kernel_size,) * self.axes if isinstance(kernel_size, int) else kernel_size
        super().__init__(self.sides(in_channels, out_channels, groups) + kernel, (out_channels,) if bias else None)
        self.in_channels, self.out_channels, self.groups, self.kernel_size = in_channels, out_channels, groups, kernel

    def sides(self, inputs: int, outputs: int, groups: int) -> tuple[int, ...]:
        """The axes of the weight that are no kernel."""
        return outputs, inputs // groups


class Conv1d(_Conv):
    """One axis."""

    axes = 1


class Conv2d(_Conv):
    """Two axes."""


class Conv3d(_Conv):
    """Three axes."""

    axes = 3


class ConvTranspose2d(_Conv):
    """weight (inputs, outputs / groups, kernel)."""

    def sides(self, inputs: int, outputs: int, groups: int) -> tuple[int, ...]:
        """The axes of the weight that are no kernel."""
        return inputs, outputs // groups


class Plain(Hollow):
    """A module without parameters, whatever it is made with."""

    def __init__(self, *_args: object) -> None:
        super().__init__()
