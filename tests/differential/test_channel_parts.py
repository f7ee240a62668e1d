"""Concat, Split and Slice of channels between convolutions, whose results lie in blocks of 16 channels: whole blocks, cut ones, and
so few that the plain layout serves; one image and several, fixed and free, with one thread and with three; against ONNX Runtime."""

import itertools

import numpy as np
import onnxc
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.compiler import compile_model

PARTS = [(16, 32), (24, 30), (24, 24, 24, 24), (8, 40, 5), (4, 12, 16), (20, 44), (40, 24, 16), (3, 13), (17, 16)]


def network(parts, images):
    """A convolution for each part; their Concat; a Split back; a Slice of the middle; convolutions of each piece."""
    rng = np.random.default_rng(sum(parts))
    constants, nodes, outputs = [], [], []

    def weights(name, out, into):
        values = rng.standard_normal((out, into, 3, 3)).astype(np.float32) / 8
        constants.append(numpy_helper.from_array(values, name))

    def conv(source, out, into, target):
        weights("w_" + target, out, into)
        nodes.append(helper.make_node("Conv", [source, "w_" + target], [target], pads=[1, 1, 1, 1]))

    for k, extent in enumerate(parts):
        conv("x", extent, 16, f"p{k}")
    total, first = sum(parts), parts[0]
    nodes.append(helper.make_node("Concat", [f"p{k}" for k in range(len(parts))], ["joined"], axis=1))
    constants.append(numpy_helper.from_array(np.array(parts, np.int64), "extents"))
    nodes.append(helper.make_node("Split", ["joined", "extents"], [f"s{k}" for k in range(len(parts))], axis=1))
    for name, value in (("from", first), ("to", total), ("axis", 1)):
        constants.append(numpy_helper.from_array(np.array([value], np.int64), name))
    nodes.append(helper.make_node("Slice", ["joined", "from", "to", "axis"], ["sliced"]))
    for name, extent in (("joined", total), ("sliced", total - first), (f"s{len(parts) - 1}", parts[-1])):
        conv(name, 18, extent, "y_" + name)
        outputs.append("y_" + name)
    outputs += ["joined", "s1"]
    graph = helper.make_graph(
        nodes,
        "parts",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [images, 16, 5, 6])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.mark.parametrize(("parts", "images"), list(itertools.product(PARTS, [1, 2, "N"])))
def test_parts_of_channels(parts, images, tmp_path):
    model = network(parts, images)
    source, library = tmp_path / "parts.onnx", tmp_path / "parts.so"
    source.write_bytes(model.SerializeToString())
    outcome = compile_model(source, library, ["--thread-grain=0"])
    assert outcome.ok, outcome.text
    reference = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for count in (1, 3) if images == "N" else (images,):
        feed = {"x": np.random.default_rng(count).standard_normal((count, 16, 5, 6)).astype(np.float32)}
        expected = reference.run(None, feed)
        for threads in (1, 3):
            options = onnxc.SessionOptions()
            options.intra_op_num_threads = threads
            for have, want in zip(onnxc.InferenceSession(str(library), options).run(None, feed), expected, strict=True):
                np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-4)
