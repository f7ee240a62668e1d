"""A file of the form that torch.onnx's dynamo exporter writes: model-local functions (nested, with attributes), weights in
one .onnx.data file, a dynamic batch. Made with onnxscript, since torch is not needed for it. Compiled with --dim batch=2."""

import numpy as np
import onnx
import onnxruntime
import pytest
from support.c_abi import CompiledModel
from support.compiler import compile_model

pytest.importorskip("onnxscript")
from onnxscript import FLOAT, script  # noqa: E402
from onnxscript import opset18 as op  # noqa: E402
from onnxscript.values import Opset  # noqa: E402

here = Opset("pkg.torch.nn", 1)


@script(here)
def activation(x, slope: float):
    zero = op.CastLike(0.0, x)
    return op.Where(op.Less(x, zero), op.Mul(x, op.CastLike(slope, x)), x)


@script(here)
def linear_block(x, weight, bias):
    product = op.Add(op.MatMul(x, op.Transpose(weight, perm=[1, 0])), bias)
    return activation(product, slope=0.125)


@script(default_opset=op)
def network(
    x: FLOAT["batch", 24],  # noqa: F821
    w1: FLOAT[40, 24],
    b1: FLOAT[40],
    w2: FLOAT[6, 40],
    b2: FLOAT[6],
) -> FLOAT["batch", 6]:  # noqa: F821
    hidden = linear_block(x, w1, b1)
    rows = op.Shape(x, start=0, end=1)
    flat = op.Reshape(hidden, op.Concat(rows, op.Constant(value_ints=[-1]), axis=0))
    return op.Softmax(linear_block(flat, w2, b2), axis=-1)


def make_model(path):
    model = network.to_model_proto()
    rng = np.random.default_rng(3)
    for value in list(model.graph.input)[1:]:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        model.graph.initializer.append(
            onnx.numpy_helper.from_array((rng.standard_normal(shape) * 0.3).astype(np.float32), value.name)
        )
        model.graph.input.remove(value)
    model.producer_name = "pytorch"
    onnx.save(model, path, save_as_external_data=True, location=path.name + ".data", size_threshold=0)
    return model


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("dynamo") / "network.onnx"
    model = make_model(path)
    assert len(model.functions) == 2 and path.with_name("network.onnx.data").stat().st_size > 4000
    return path


@pytest.mark.parametrize("backend", ["llvm", "cpp"])
def test_compiles_with_dim_and_runs(model_path, tmp_path, backend):
    artefact = tmp_path / "network.so"
    outcome = compile_model(model_path, artefact, ["--dim", "batch=2", f"--backend={backend}", "-q"])
    assert outcome.ok, outcome.text
    x = np.random.default_rng(4).standard_normal((2, 24)).astype(np.float32)
    with CompiledModel(artefact) as compiled:
        (actual,) = compiled.run({"x": x})
    (expected,) = onnxruntime.InferenceSession(str(model_path)).run(None, {"x": x})
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_moved_without_its_data(model_path, tmp_path):
    lonely = tmp_path / "network.onnx"
    lonely.write_bytes(model_path.read_bytes())
    outcome = compile_model(lonely, tmp_path / "network.so", ["--dim", "batch=2", "-q"])
    assert outcome.code in (3, 5) and "network.onnx.data" in outcome.text
    assert not (tmp_path / "network.so").exists()
