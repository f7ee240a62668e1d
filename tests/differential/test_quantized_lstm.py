"""DynamicQuantizeLSTM: as the LSTM of floats that its weights stand for, and near ONNX Runtime, which also quantises what flows."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.c_abi import CompiledModel
from support.compiler import compile_model

SEQUENCE, BATCH, INPUTS, HIDDEN = 6, 3, 8, 16
BIDIRECTIONAL = 2


def model_of(op, domain, constants, inputs, attributes):
    names = ["x", *inputs]
    node = helper.make_node(op, names, ["y", "h", "c"], domain=domain, hidden_size=HIDDEN, **attributes)
    graph = helper.make_graph(
        [node],
        "lstm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["steps", "batch", INPUTS])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("y", "h", "c")],
        [numpy_helper.from_array(a, n) for n, a in constants.items()],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def theirs(model, x):
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})


def ours(tmp_path, model, x):
    source, artefact = tmp_path / "model.onnx", tmp_path / "model.so"
    source.write_bytes(model.SerializeToString())
    outcome = compile_model(source, artefact)
    assert outcome.ok, outcome.reason()
    with CompiledModel(artefact, host=True) as compiled:
        return compiled.run({"x": x})


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("per_column", [False, True])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_against_the_lstm_of_floats(tmp_path, dtype, per_column, direction):
    random = np.random.default_rng(7)
    directions = BIDIRECTIONAL if direction == "bidirectional" else 1
    scales = (directions, 4 * HIDDEN) if per_column else (directions,)
    constants, real = {}, {}
    for name, rows in (("w", INPUTS), ("r", HIDDEN)):
        info = np.iinfo(dtype)
        q = random.integers(info.min, info.max + 1, (directions, rows, 4 * HIDDEN)).astype(dtype)
        scale = (random.random(scales) * 0.003 + 0.001).astype(np.float32)
        zero = np.full(scales, 128 if dtype == np.uint8 else 0).astype(dtype)
        constants |= {name: q, f"{name}_scale": scale, f"{name}_zero": zero}
        by_column = scale.reshape(directions, 1, -1), zero.astype(np.float32).reshape(directions, 1, -1)
        real[name] = ((q - by_column[1]) * by_column[0]).transpose(0, 2, 1).astype(np.float32)
    bias = random.standard_normal((directions, 8 * HIDDEN)).astype(np.float32) * np.float32(0.1)
    constants["b"] = real["b"] = bias
    x = random.standard_normal((SEQUENCE, BATCH, INPUTS)).astype(np.float32)
    names = ["w", "r", "b", "", "", "", "", "w_scale", "w_zero", "r_scale", "r_zero"]
    attributes = {"direction": direction}
    quantized = model_of("DynamicQuantizeLSTM", "com.microsoft", constants, names, attributes)
    got = ours(tmp_path, quantized, x)
    for a, b in zip(got, theirs(model_of("LSTM", "", real, ["w", "r", "b"], attributes), x), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6)
    for a, b in zip(got, theirs(quantized, x), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=0.02)
