"""Strings through the package: what it takes and gives, beside the real ONNX Runtime."""

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
