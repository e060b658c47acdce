"""A DINOv2 out of an ONNX graph: names by the nodes that use the weights, values checked by running the graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import transformers
from onnx.reference import ReferenceEvaluator
from safetensors.torch import save_file

from anyvlm.errors import WeightsError
from anyvlm.train.pocket import FOCUS_WHEEL
from anyvlm.weights.onnx import dinov2_from_onnx
from anyvlm.weights.sources import resolve

PREFIX = "/backbone/encoder/layer.0/"


def exported(path: Path, *, position: bool = True) -> dict[str, np.ndarray]:
    """What torch's exporter makes of a linear layer and a position table; returns the constants."""
    rng = np.random.default_rng(0)
    values = {
        "backbone.encoder.layer.0.mlp.fc1.bias": rng.normal(size=6),
        "onnx::MatMul_7": rng.normal(size=(4, 6)),
        "onnx::MatMul_8": rng.normal(size=(4, 4)),  # of the head behind the backbone
        "onnx::Concat_1": rng.normal(size=(1, 1, 4)),
        "onnx::Reshape_2": rng.normal(size=(1, 9, 4)),
    }
    make, place = onnx.helper.make_node, "/backbone/embeddings/"
    nodes = [
        make("MatMul", ["x", "onnx::MatMul_7"], ["y"], name="/backbone/encoder/layer.0/mlp/fc1/MatMul"),
        make("MatMul", ["y", "x"], ["z"], name="/backbone/encoder/layer.0/attention/attention/MatMul_1"),
        make("MatMul", ["z", "onnx::MatMul_8"], ["h"], name="/decoder/MatMul"),
    ]
    if position:
        nodes.append(make("Reshape", ["onnx::Reshape_2", "s"], ["r"], name=f"{place}Reshape_1"))
        nodes.append(make("Concat", ["onnx::Concat_1", "r"], ["p"], name=f"{place}Concat_6", axis=1))
    stored = [onnx.numpy_helper.from_array(value.astype(np.float32), name) for name, value in values.items()]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], [], stored)), path)
    return values


def test_names_and_shapes(tmp_path: Path) -> None:
    values = exported(tmp_path / "m.onnx")
    found = dinov2_from_onnx(tmp_path / "m.onnx")
    assert {name: tuple(tensor.shape) for name, tensor in found.items()} == {
        "encoder.layer.0.mlp.fc1.bias": (6,),
        "encoder.layer.0.mlp.fc1.weight": (6, 4),
        "embeddings.position_embeddings": (1, 10, 4),
    }
    np.testing.assert_allclose(found["encoder.layer.0.mlp.fc1.weight"], values["onnx::MatMul_7"].T, rtol=1e-6)
    rows = np.concatenate([values["onnx::Concat_1"], values["onnx::Reshape_2"]], axis=1)
    np.testing.assert_allclose(found["embeddings.position_embeddings"], rows, rtol=1e-6)


def test_other_files(tmp_path: Path) -> None:
    exported(tmp_path / "m.onnx", position=False)
    with pytest.raises(WeightsError, match="is not an exported DINOv2"):
        dinov2_from_onnx(tmp_path / "m.onnx")
    (tmp_path / "junk.onnx").write_bytes(b"junk" * 100)
    with pytest.raises(WeightsError, match="is not a readable ONNX file"):
        dinov2_from_onnx(tmp_path / "junk.onnx")


def first_layer(path: Path) -> tuple[object, str, str]:
    """The nodes of layer 0 as a graph of its own, with the names of its input and output."""
    graph = onnx.load(path).graph
    layer = [node for node in graph.node if node.name.startswith(PREFIX)]
    begin, end = "/backbone/embeddings/Add_output_0", layer[-1].output[0]
    nodes = [node for node in graph.node if node.name.startswith(PREFIX) or node.op_type == "Constant"]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in (begin, end)]
    part = onnx.helper.make_graph(nodes, "layer", ends[:1], ends[1:], graph.initializer)
    return onnx.helper.make_model(part, opset_imports=[onnx.helper.make_opsetid("", 14)]), begin, end


@pytest.mark.network
def test_the_graph_computes_the_same(tmp_path: Path) -> None:
    """The first layer of the real graph, run by onnx's reference evaluator, against transformers with our tensors."""
    path = resolve(FOCUS_WHEEL, progress=False)
    tensors = dinov2_from_onnx(path)
    assert len(tensors) == 222
    config = transformers.Dinov2Config(hidden_size=384, num_hidden_layers=1, num_attention_heads=6, image_size=518)
    config.use_mask_token = False
    config.save_pretrained(tmp_path)
    first = {name: tensor for name, tensor in tensors.items() if "layer." not in name or "layer.0." in name}
    save_file(first, tmp_path / "model.safetensors", {"format": "pt"})
    model, report = transformers.Dinov2Model.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    part, begin, end = first_layer(path)
    x = torch.randn(1, 257, 384)
    theirs = ReferenceEvaluator(part).run([end], {begin: x.numpy()})[0]
    with torch.no_grad():
        ours = model.encoder.layer[0](x)
    ours = ours[0] if isinstance(ours, tuple) else ours
    assert (ours - torch.from_numpy(theirs)).abs().max() < 1e-5 * ours.abs().max()
