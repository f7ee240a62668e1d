"""Strings, and maps by strings, through the package: what it takes and gives, beside the real ONNX Runtime."""

import numpy as np
import onnx
import onnx.parser
import onnxc
import onnxruntime
import pytest

CONCAT = """<ir_version: 10, opset_import: ["": 21]>
agraph (string[2, 2] x, string[2, 1] y) => (string[2, 2] z) { z = StringConcat(x, y) }"""
X = np.array([["", "ab"], ["日本", "😀"]], object)
Y = np.array([["!"], ["é"]], object)

FEEDS = {
    "objects": (X, Y),
    "unicode": (X.astype("U"), Y.astype("U")),
    "lists": (X.tolist(), Y.tolist()),
    "strided": (X.T.copy().T, Y[::-1]),
    "numbers_as_objects": (X, np.array([[1], [2.5]], object)),
    "numbers": (X, np.array([[1], [2]])),
    "wrong_dims": (X, X),
}


def outcome(session, feed):
    try:
        (z,) = session.run(None, feed)
        return z.dtype, z.tolist()
    except Exception as e:
        return type(e).__name__, str(e)


@pytest.fixture(scope="module")
def model():
    return onnx.parser.parse_model(CONCAT).SerializeToString()


@pytest.mark.parametrize("feed", FEEDS)
def test_as_onnx_runtime(feed, model):
    feeds = dict(zip("xy", FEEDS[feed], strict=True))
    real, ours = onnxruntime.InferenceSession(model), onnxc.InferenceSession(model)
    assert str(ours.get_inputs()[0]) == str(real.get_inputs()[0])
    assert outcome(ours, feeds) == outcome(real, feeds)


@pytest.mark.parametrize(
    "key, labels", [(8, {"classlabels_strings": ['a "b"', "é"]}), (7, {"classlabels_int64s": [7, -1]})]
)
def test_maps_as_onnx_runtime(key, labels):
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            [
                onnx.helper.make_node("Neg", ["x"], ["y"]),
                onnx.helper.make_node("ZipMap", ["y"], ["maps"], domain="ai.onnx.ml", **labels),
            ],
            "g",
            [onnx.helper.make_tensor_value_info("x", 1, ["N", 2])],
            [
                onnx.helper.make_value_info(
                    "maps",
                    onnx.helper.make_sequence_type_proto(
                        onnx.helper.make_map_type_proto(key, onnx.helper.make_tensor_type_proto(1, None))
                    ),
                ),
                onnx.helper.make_tensor_value_info("y", 1, ["N", 2]),
            ],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 21), onnx.helper.make_opsetid("ai.onnx.ml", 3)],
        ir_version=10,
    ).SerializeToString()
    real, ours = onnxruntime.InferenceSession(model), onnxc.InferenceSession(model)
    assert str(ours.get_outputs()[0]) == str(real.get_outputs()[0])
    x = np.float32([[0.5, -1], [3, 0.1], [1, 2]])
    (wanted, y), (maps, z) = real.run(None, {"x": x}), ours.run(None, {"x": x})
    assert maps == wanted and list(maps[0]) == list(wanted[0])
    np.testing.assert_array_equal(z, y)
