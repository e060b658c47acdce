"""Weights inside an ONNX graph (the extra ``train``): a training-time source only, never needed to run a system."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anyvlm.errors import WeightsError

if TYPE_CHECKING:
    import onnx
    from torch import Tensor


def dinov2_from_onnx(path: Path, *, prefix: str = "backbone") -> dict[str, Tensor]:
    """The DINOv2 backbone of an exported graph, under the names and shapes of transformers' Dinov2Model.

    The exporter keeps the names of biases and norms, but renames the weight of every linear layer to ``onnx::MatMul_n``
    and stores it transposed; the node that uses it still carries the layer's path, which is where the name is taken
    from. The position table arrives in two constants, class row and patch rows. ``mask_token`` is not in such a file.
    """
    graph = _graph(path)
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    found = {
        name.removeprefix(f"{prefix}."): _tensor(tensors[name]) for name in tensors if name.startswith(f"{prefix}.")
    }
    for node in graph.node:
        layer = node.name.removeprefix(f"/{prefix}/").rpartition("/MatMul")[0]
        if node.op_type == "MatMul" and node.name.startswith(f"/{prefix}/") and node.input[1] in tensors:
            found[f"{layer.replace('/', '.')}.weight"] = _tensor(tensors[node.input[1]]).T.contiguous()
    found["embeddings.position_embeddings"] = _positions(graph, tensors, prefix)
    return found


def _positions(graph: onnx.GraphProto, tensors: dict[str, onnx.TensorProto], prefix: str) -> Tensor:
    """(1, 1 + patches, width): what a Concat (class row) and a Reshape (patch rows) of the embeddings take."""
    import torch

    place = f"/{prefix}/embeddings/"
    rows = {
        node.op_type: _tensor(tensors[node.input[0]])
        for node in graph.node
        if node.op_type in ("Concat", "Reshape") and node.name.startswith(place) and node.input[0] in tensors
    }
    if rows.keys() != {"Concat", "Reshape"}:
        raise WeightsError(f"The ONNX graph has no position table below {place}; it is not an exported DINOv2.")
    return torch.cat([rows["Concat"], rows["Reshape"]], dim=1)


def _graph(path: Path) -> onnx.GraphProto:
    try:
        import onnx
    except ImportError as error:
        raise WeightsError("Reading an ONNX file needs the extra: pip install 'anyvlm[train]'.") from error
    try:
        return onnx.load(path, load_external_data=False).graph
    except Exception as error:  # protobuf has its own
        raise WeightsError(f"{path} is not a readable ONNX file; it may be incomplete, fetch it again.") from error


def _tensor(stored: onnx.TensorProto) -> Tensor:
    import torch
    from onnx import numpy_helper

    return torch.from_numpy(numpy_helper.to_array(stored).copy())
