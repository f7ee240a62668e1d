"""DFT and STFT of fixed and free sizes against numpy."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from support.c_abi import CompiledModel
from support.compiler import compile_model

ELEMS = {np.float32: (TensorProto.FLOAT, 2e-5), np.float64: (TensorProto.DOUBLE, 1e-12)}


def run(tmp_path, node, dims, x, constants):
    elem = ELEMS[x.dtype.type][0]
    weights = [
        helper.make_tensor(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape, a) for n, a in constants.items()
    ]
    graph = helper.make_graph(
        [node],
        "signal",
        [helper.make_tensor_value_info("x", elem, dims)],
        [helper.make_tensor_value_info("y", elem, None)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    source, artefact = tmp_path / "model.onnx", tmp_path / "model.so"
    source.write_bytes(model.SerializeToString())
    outcome = compile_model(source, artefact)
    assert outcome.ok, outcome.reason()
    with CompiledModel(artefact, host=True) as compiled:
        return compiled.run({"x": x})[0]


def signal(shape, dtype):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)


def pairs(z):
    return np.stack([z.real, z.imag], axis=-1)


def as_complex(x):
    return x[..., 0] + (1j * x[..., 1] if x.shape[-1] == 2 else 0)


def check(got, want, dtype):
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, atol=ELEMS[dtype][1] * max(1, np.abs(want).max()), rtol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize(("axis", "length"), [(1, None), (2, None), (-2, 5), (1, 16)])  # 5 cuts, 16 fills up
def test_dft(tmp_path, dtype, free, parts, axis, length):
    x = signal((2, 9, 12, parts), dtype)
    names = ["x", "length" if length else "", "axis"]
    constants = {"axis": np.array(axis)} | ({"length": np.array(length)} if length else {})
    node = helper.make_node("DFT", names, ["y"])
    dims = ["b", "n", "m", parts] if free else x.shape
    want = pairs(np.fft.fft(as_complex(x.astype(np.float64)), length, axis=axis % 4))
    check(run(tmp_path, node, dims, x, constants), want, dtype)


@pytest.mark.parametrize("length", [None, 10, 7])
@pytest.mark.parametrize("onesided", [0, 1])
def test_inverse_dft(tmp_path, onesided, length):
    spectrum = np.fft.rfft(signal((3, 12), np.float64)) if onesided else np.fft.fft(signal((3, 12), np.float64))
    x = pairs(spectrum).astype(np.float32)
    node = helper.make_node("DFT", ["x", "length" if length else "", "axis"], ["y"], inverse=1, onesided=onesided)
    constants = {"axis": np.array(1)} | ({"length": np.array(length)} if length else {})
    z = as_complex(x.astype(np.float64))
    want = np.fft.irfft(z, length)[..., None] if onesided else pairs(np.fft.ifft(z, length))
    check(run(tmp_path, node, x.shape, x, constants), want, np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("windowed", [False, True])
@pytest.mark.parametrize(("parts", "onesided"), [((1,), 1), ((1,), 0), ((2,), 0), ((), 1)])
def test_stft(tmp_path, dtype, free, windowed, parts, onesided):
    """Without an axis for the parts too, which ONNX Runtime takes."""
    frame, step = 20, 7
    x = signal((2, 100, *parts), dtype)
    constants = {"step": np.array(step), "length": np.array(frame)}
    window = np.hanning(frame).astype(dtype) if windowed else np.ones(frame)
    if windowed:
        constants["window"] = window
    node = helper.make_node("STFT", ["x", "step", "window" if windowed else "", "length"], ["y"], onesided=onesided)
    z = as_complex(x.astype(np.float64) if parts else x.astype(np.float64)[..., None])
    frames = np.stack([z[:, i : i + frame] for i in range(0, z.shape[1] - frame + 1, step)], axis=1) * window
    spectrum = np.fft.fft(frames)[..., : frame // 2 + 1] if onesided else np.fft.fft(frames)
    check(run(tmp_path, node, ["b", "n", *parts] if free else x.shape, x, constants), pairs(spectrum), dtype)
