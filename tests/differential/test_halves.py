"""Networks of float16 and bfloat16: as near to float64 as one rounding of the result allows, with fixed and with free dims."""

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from support.c_abi import CompiledModel
from support.compiler import compile_model

TYPES = {"float16": (TensorProto.FLOAT16, np.float16), "bfloat16": (TensorProto.BFLOAT16, ml_dtypes.bfloat16)}
NODE = helper.make_node


def convolutions(random):
    weights = {"a": random.standard_normal((16, 8, 3, 3)) / 8, "b": random.standard_normal((16, 16, 3, 3)) / 12}
    nodes = [
        NODE("Conv", ["x", "a"], ["p"], pads=[1, 1, 1, 1]),
        NODE("Relu", ["p"], ["q"]),
        NODE("Conv", ["q", "b"], ["r"], pads=[1, 1, 1, 1]),
        NODE("Add", ["q", "r"], ["s"]),
        NODE("GlobalAveragePool", ["s"], ["y"]),
    ]
    return nodes, weights, [2, 8, 15, 17]


def attention(random):
    weights = {n: random.standard_normal((32, 32)) / 6 for n in ("wq", "wk", "wv")} | {"g": random.random(32) + 0.5}
    nodes = [NODE("LayerNormalization", ["x", "g"], ["n"])]
    nodes += [NODE("MatMul", ["n", f"w{c}"], [c]) for c in "qkv"]
    nodes += [
        NODE("Transpose", ["k"], ["t"], perm=[0, 2, 1]),
        NODE("MatMul", ["q", "t"], ["m"]),
        NODE("Softmax", ["m"], ["p"]),
        NODE("MatMul", ["p", "v"], ["o"]),
        NODE("Add", ["o", "x"], ["y"]),
    ]
    return nodes, weights, [3, 11, 32]


def recurrent(random):
    weights = {"w": random.standard_normal((1, 64, 8)) / 4, "r": random.standard_normal((1, 64, 16)) / 6}
    return [NODE("LSTM", ["x", "w", "r"], ["y"], hidden_size=16)], weights, [9, 2, 8]


def model_of(nodes, weights, elem, dims):
    graph = helper.make_graph(
        nodes,
        "halves",
        [helper.make_tensor_value_info("x", elem, dims)],
        [helper.make_tensor_value_info("y", elem, None)],
        [numpy_helper.from_array(w, n) for n, w in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)


@pytest.mark.parametrize("free", [False, True], ids=["fixed", "free"])
@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("network", [convolutions, attention, recurrent])
def test_rounded_once(tmp_path, network, name, free):
    elem, dtype = TYPES[name]
    random = np.random.default_rng(3)
    nodes, weights, size = network(random)
    weights = {n: w.astype(dtype) for n, w in weights.items()}
    x = random.standard_normal(size).astype(dtype)
    wide = model_of(nodes, {n: w.astype(np.float64) for n, w in weights.items()}, TensorProto.DOUBLE, size)
    truth = ReferenceEvaluator(wide).run(None, {"x": x.astype(np.float64)})[0]
    source, artefact = tmp_path / "model.onnx", tmp_path / "model.so"
    dims = ["n", *size[1:-1], "last"] if free and network is convolutions else ["n", "m", size[-1]] if free else size
    source.write_bytes(model_of(nodes, weights, elem, dims).SerializeToString())
    outcome = compile_model(source, artefact)
    assert outcome.ok, outcome.reason()
    with CompiledModel(artefact, host=True) as compiled:
        y = compiled.run({"x": x})[0]
    assert y.dtype == dtype
    half_ulp = float(ml_dtypes.finfo(dtype).eps) / 2
    slack = 2e-5 * np.sqrt(np.mean(truth**2))  # of the sums in float32, and of what a tie then turns to
    np.testing.assert_array_less(np.abs(y.astype(np.float64) - truth), 1.01 * half_ulp * np.abs(truth) + slack)
