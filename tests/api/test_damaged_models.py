"""Models with a few bytes changed: the compiler refuses them or compiles them, and never falls over."""

import random

import numpy
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.compiler import compile_model


def small_network():
    """A convolution, a branch of shape arithmetic, a product: something of everything that import looks at."""
    weights = numpy.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(numpy.float32)
    constants = [
        numpy_helper.from_array(weights, "w"),
        numpy_helper.from_array(numpy.array([1, -1]), "flat"),
        numpy_helper.from_array(numpy.ones((64, 5), numpy.float32), "m"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Reshape", ["r", "flat"], ["f"]),
        helper.make_node("MatMul", ["f", "m"], ["p"]),
        helper.make_node("Softmax", ["p"], ["z"], axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 4])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 5])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()


def damaged(data, seed):
    """`data` with one to eight bytes flipped, changed, cut out or put in."""
    generator, out = random.Random(seed), bytearray(data)
    for _ in range(generator.choice([1, 1, 2, 4, 8])):
        at = generator.randrange(len(out))
        kind = generator.randrange(4)
        if kind == 0:
            out[at] = generator.randrange(256)
        elif kind == 1:
            out[at] ^= 1 << generator.randrange(8)
        elif kind == 2:
            del out[at : at + generator.randrange(1, 5)]
        else:
            out[at:at] = bytes([generator.choice([0, 127, 128, 255])] * generator.randrange(1, 4))
    return bytes(out)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_model(seed, tmp_path):
    model = tmp_path / "model.onnx"
    model.write_bytes(damaged(small_network(), seed))
    outcome = compile_model(model, tmp_path / "unused.so", ["--emit=plan"], timeout=60)
    assert outcome.code in (0, 3, 4, 5), f"exit code {outcome.code}: {outcome.text[-2000:]}"


def test_the_whole_model_compiles(tmp_path):
    model = tmp_path / "model.onnx"
    model.write_bytes(small_network())
    onnx.checker.check_model(onnx.load(model))
    outcome = compile_model(model, tmp_path / "model.so", timeout=120)
    assert outcome.ok, outcome.text
