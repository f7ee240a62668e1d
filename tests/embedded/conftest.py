"""The model `tiny` (Conv, Relu, MaxPool, Gemm, Tanh, Softmax), what it should answer, and the compiler."""

import os
import pathlib
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
ONNXC = os.environ.get("ONNXC_BIN", str(ROOT / "build/bin/onnxc"))


def run(*command, **options):
    """Standard output of a command that must succeed; standard error too where that is asked for by both=True."""
    both = options.pop("both", False)
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr if both else done.stdout


def onnxc(*arguments):
    return run(ONNXC, "-q", *arguments)


def tiny_model():
    rng = np.random.default_rng(1)
    weights = {
        "w1": rng.standard_normal((3, 1, 3, 3)) * 0.4,
        "b1": rng.standard_normal(3) * 0.1,
        "w2": rng.standard_normal((48, 4)) * 0.2,
        "b2": rng.standard_normal(4) * 0.1,
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], "relu"),
        helper.make_node("MaxPool", ["r"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "w2", "b2"], ["l"], "dense"),
        helper.make_node("Tanh", ["l"], ["t"], "tanh"),
        helper.make_node("Softmax", ["t"], ["probabilities"], "softmax"),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny") / "tiny.onnx"
    onnx.save(tiny_model(), path)
    return path


@pytest.fixture(scope="session")
def expected(tiny):
    """Millionths, by onnx's reference evaluator."""
    from onnx.reference import ReferenceEvaluator

    x = (np.arange(64) * 37 % 17 - 8).astype(np.float32).reshape(1, 1, 8, 8) / 8
    return ReferenceEvaluator(str(tiny)).run(None, {"x": x})[0].ravel() * 1e6


@pytest.fixture
def check(expected):
    def compare(text):
        numbers = [int(line) for line in text.split()]
        assert len(numbers) == len(expected), text
        assert np.allclose(numbers, expected, rtol=0, atol=2), (numbers, expected)

    return compare
