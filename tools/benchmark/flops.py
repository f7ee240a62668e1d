"""Floating-point operations of a model, 2 per multiply-add, from the shapes of its products: what GFLOP/s and the share of the peak
are computed from. Element-wise work counts nothing, nor does the way an engine computes a product (Winograd does with fewer). Shapes
come from a run of ONNX Runtime in which Shape nodes hang on the operands."""

import math
from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper

Shapes = list[tuple[int, ...]]  # of a node's inputs, then of its first output; () where absent


def product(shape: tuple[int, ...]) -> int:
    return math.prod(shape)


def attribute(node: onnx.NodeProto, name: str, default):
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def conv(node: onnx.NodeProto, shapes: Shapes) -> int:
    return 2 * product(shapes[-1]) * product(shapes[1][1:])


def conv_transpose(node: onnx.NodeProto, shapes: Shapes) -> int:
    return 2 * product(shapes[0]) * product(shapes[1][1:])


def gemm(node: onnx.NodeProto, shapes: Shapes) -> int:
    return 2 * product(shapes[-1]) * shapes[0][0 if attribute(node, "transA", 0) else 1]


def matmul(node: onnx.NodeProto, shapes: Shapes) -> int:
    return 2 * product(shapes[-1]) * shapes[0][-1]


def recurrent(node: onnx.NodeProto, shapes: Shapes) -> int:
    """W is [directions, gates * hidden, inputs], R [directions, gates * hidden, hidden]."""
    steps_and_batch = product(shapes[0][:2])
    return 2 * steps_and_batch * (product(shapes[1]) + product(shapes[2]))


def attention(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Q [batch, heads, tokens, head] or [batch, tokens, width], K and V likewise: Q K^T and the product with V."""
    query, key, value = shapes[:3]
    heads = query[1] if len(query) == 4 else attribute(node, "q_num_heads", 1)
    q_head, v_head = (query[-1], value[-1]) if len(query) == 4 else (
        query[-1] // heads, value[-1] // attribute(node, "kv_num_heads", 1))  # fmt: skip
    return 2 * query[0] * heads * query[-2] * key[-2] * (q_head + v_head)


def einsum(node: onnx.NodeProto, shapes: Shapes) -> int:
    """The extents of all labels, for equations of two terms without dots."""
    terms = attribute(node, "equation", b"").decode().replace(" ", "").split("->")[0].split(",")
    extents = {label: extent for term, shape in zip(terms, shapes) for label, extent in zip(term, shape)}
    return 2 * product(tuple(extents.values())) if len(terms) == 2 else 0


COUNTERS: dict[str, Callable[[onnx.NodeProto, Shapes], int]] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Gemm": gemm,
    "MatMul": matmul,
    "LSTM": recurrent,
    "GRU": recurrent,
    "RNN": recurrent,
    "Attention": attention,
    "Einsum": einsum,
}


def count(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> int:
    """Of the main graph; the branches of If and the bodies of Loop are not counted."""
    nodes = [n for n in model.graph.node if n.op_type in COUNTERS and n.domain in ("", "ai.onnx")]
    wanted = {name for node in nodes for name in (*node.input[:3], node.output[0]) if name}
    shapes = shapes_of(model, feed, sorted(wanted))
    total = 0
    for node in nodes:
        names = [*node.input[:3], node.output[0]]
        total += COUNTERS[node.op_type](node, [shapes.get(n, ()) for n in names])
    return total


def shapes_of(model: onnx.ModelProto, feed: dict[str, np.ndarray], names: list[str]) -> dict[str, tuple[int, ...]]:
    import onnxruntime

    weights = {w.name: tuple(w.dims) for w in model.graph.initializer}
    names = [n for n in names if n not in weights]
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    for k, name in enumerate(names):
        probe.graph.node.append(helper.make_node("Shape", [name], [f"shape_of_{k}"]))
        probe.graph.output.append(helper.make_tensor_value_info(f"shape_of_{k}", onnx.TensorProto.INT64, None))
    if not names:
        return weights
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
    known = {i.name for i in session.get_inputs()}
    found = session.run(None, {n: v for n, v in feed.items() if n in known})
    return weights | {n: tuple(int(d) for d in s) for n, s in zip(names, found, strict=True)}
