"""Small models that the tests of the Python package use, made with onnx.helper."""

import numpy
import onnx
from onnx import TensorProto, helper


def value(name: str, dims, elem=TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, elem, dims)


def model(nodes, inputs, outputs, initializers=(), opset=17, domains=(), **metadata) -> onnx.ModelProto:
    graph = helper.make_graph(list(nodes), "small", list(inputs), list(outputs), list(initializers))
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="tests")
    helper.set_model_props(made, {key: str(text) for key, text in metadata.items()})
    return made


def add_two(x_dims=(2, 4), y_dims=(2, 4), z_dims=(2, 4)) -> onnx.ModelProto:
    """z = x + y"""
    return model(
        [helper.make_node("Add", ["x", "y"], ["z"], "add0")],
        [value("x", x_dims), value("y", y_dims)],
        [value("z", z_dims)],
    )


def two_outputs() -> onnx.ModelProto:
    """s = relu(x), t = exp(x), of 3 x 4 x 5"""
    dims = (3, 4, 5)
    nodes = [helper.make_node("Relu", ["x"], ["s"], "relu0"), helper.make_node("Exp", ["x"], ["t"], "exp0")]
    return model(nodes, [value("x", dims)], [value("s", dims), value("t", dims)], colour="green")


def relu(dims=(2, 4), **changes) -> onnx.ModelProto:
    return model([helper.make_node("Relu", ["x"], ["y"], "relu0")], [value("x", dims)], [value("y", dims)], **changes)


def matmul_relu(rows="N", inner=8, columns=16) -> onnx.ModelProto:
    """y = relu(x @ w + b), x of free height"""
    rng = numpy.random.default_rng(7)
    w = onnx.numpy_helper.from_array(rng.standard_normal((inner, columns)).astype(numpy.float32), "w")
    b = onnx.numpy_helper.from_array(rng.standard_normal(columns).astype(numpy.float32), "b")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], "matmul0"),
        helper.make_node("Add", ["m", "b"], ["a"], "add0"),
        helper.make_node("Relu", ["a"], ["y"], "relu0"),
    ]
    return model(nodes, [value("x", (rows, inner))], [value("y", (rows, columns))], [w, b])
