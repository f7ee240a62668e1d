"""Filter banks: convolutions over one channel in one row, whose taps mirror each other alike, with opposite signs, nearly, or
not, in all blocks of 16 output channels or in some; one row and several, fixed and free; against sums in float64."""

import re
import subprocess

import numpy as np
import onnxc
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.compiler import compile_model, find_onnxc

STEP = 7


def mirrored(rng, channels, taps, first, sign):
    """Tap `first` + k is `sign` times tap taps - 1 - k; those before `first` stand alone."""
    w = rng.standard_normal((channels, taps)).astype(np.float32)
    inner = w[:, first:]
    half = inner.shape[1] // 2
    inner[:, -half:] = sign * inner[:, :half][:, ::-1]
    return w


def banks():
    """name -> (weights [channels][taps], blocks whose taps are folded)."""
    rng = np.random.default_rng(3)
    yield "none", rng.standard_normal((40, 33)).astype(np.float32), 0
    for taps in (32, 33, 64, 65):
        for first in (0, 1):
            for sign in (1, -1):
                yield f"{taps}_{first}_{sign}", mirrored(rng, 24, taps, first, sign), 2
    even, odd = (mirrored(rng, 33, 64, 1, sign) for sign in (1, -1))
    yield "halves", np.concatenate([even, odd]), 4
    yield "mixed", np.concatenate([even[:20], rng.standard_normal((20, 64)).astype(np.float32), odd[:24]]), 2
    nearly, not_quite = mirrored(rng, 16, 64, 0, 1), mirrored(rng, 16, 64, 0, 1)
    nearly[:, 3] += np.float32(1e-12)
    not_quite[:, 3] *= np.float32(1 + 2e-7)
    yield "nearly", nearly, 1
    yield "not_quite", not_quite, 0
    yield "zeros", np.zeros((16, 64), np.float32), 1


BANKS = {name: (weights, folded) for name, weights, folded in banks()}


def folded_blocks(source, flags, taps):
    """How many blocks of 16 output channels are products of fewer columns than there are taps."""
    command = [str(find_onnxc()), str(source), "--emit=program", "--mcpu=x86-64-v3", *flags]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    products = re.findall(r"for \w+ in (\d+) \{\s+call gemm_f32\([^{]*\{[^}]*\bk = (\d+)", text)
    assert products
    return sum(int(blocks) for blocks, columns in products if int(columns) < taps)


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("name", BANKS)
def test_filter_bank(name, axes, tmp_path):
    weights, folded = BANKS[name]
    channels, taps = weights.shape
    ones = [1] * (axes - 1)
    constants = [
        numpy_helper.from_array(weights.reshape(channels, 1, *ones, taps), "w"),
        numpy_helper.from_array(np.arange(channels, dtype=np.float32), "b"),
    ]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w", "b"], ["c"], strides=[*ones, STEP]),
            helper.make_node("Relu", ["c"], ["y"]),
        ],
        "bank",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, *ones, "L"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        constants,
    )
    source = tmp_path / "bank.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    source.write_bytes(model.SerializeToString())
    for flags, sizes in ([], [(1, 200), (2, 103)]), (["--dim=N=2", "--dim=L=150"], [(2, 150)]):
        library = tmp_path / f"bank{len(flags)}.so"
        outcome = compile_model(source, library, ["--thread-grain=0", *flags])
        assert outcome.ok, outcome.text
        assert folded_blocks(source, flags, taps) == folded
        for images, length in sizes:
            x = np.random.default_rng(5).standard_normal((images, 1, *ones, length)).astype(np.float32)
            windows = np.lib.stride_tricks.sliding_window_view(x.reshape(images, length), taps, axis=1)[:, ::STEP]
            right = np.einsum("ntk,ck->nct", windows.astype(np.float64), weights.astype(np.float64))
            right = np.maximum(right + np.arange(channels)[:, None], 0).reshape(images, channels, *ones, -1)
            for threads in (1, 3):
                options = onnxc.SessionOptions()
                options.intra_op_num_threads = threads
                (y,) = onnxc.InferenceSession(str(library), options).run(None, {"x": x})
                assert y.shape == right.shape
                assert np.abs(y - right).max() <= 1e-5 * max(1.0, np.sqrt(np.mean(right**2)))
