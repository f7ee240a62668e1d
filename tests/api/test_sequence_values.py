"""Sequences and optionals through the Python package, as ONNX Runtime passes them: lists of arrays, and None."""

import numpy as np
import onnx
import onnx.parser
import onnxc
import onnxruntime
import pytest

HEAD = '<ir_version: 10, opset_import: ["": 21]>\n'
LONGER = """agraph (seq(float[N, 3]) s, float[2, 3] x) => (seq(float[M, 3]) t, int64 n) {
  t = SequenceInsert (s, x)
  n = SequenceLength (t)
}"""
OPTIONAL = """agraph (optional(float[3]) o) => (bool has, optional(float[3]) same) {
  has = OptionalHasElement (o)
  same = Identity (o)
}"""
OPTIONAL_SEQUENCE = """agraph (optional(seq(float[3])) o) => (bool has, optional(seq(float[3])) same) {
  has = OptionalHasElement (o)
  same = Identity (o)
}"""

X = np.float32([[1, 2, 3], [4, 5, 6]])


def sessions(text):
    content = onnx.parser.parse_model(HEAD + text).SerializeToString()
    return onnxc.InferenceSession(content), onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def same(got, want):
    assert type(got) is type(want)
    if isinstance(want, list):
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            same(g, w)
    elif want is not None:
        assert got.dtype == want.dtype and got.shape == want.shape
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("length", [0, 1, 3])
def test_sequences_are_lists(length):
    ours, theirs = sessions(LONGER)
    feeds = {"s": [X[:k] for k in range(length)], "x": X}
    same(ours.run(None, feeds), theirs.run(None, feeds))


def test_results_are_the_callers():
    ours, _ = sessions(LONGER)
    (first, _), (second, _) = (ours.run(None, {"s": [X], "x": X}) for _ in range(2))
    first[0][:] = 7
    assert (second[0] == X).all() and first[0].flags.writeable


@pytest.mark.parametrize("value", [X[0], None], ids=["some", "none"])
def test_optional_tensors(value):
    ours, _ = sessions(OPTIONAL)
    has, kept = ours.run(None, {"o": value})
    assert has == (value is not None)
    assert kept is None if value is None else (kept == value).all()


def test_an_optional_input_may_be_left_out():
    ours, _ = sessions(OPTIONAL)
    assert ours.run(None, {})[1] is None


@pytest.mark.parametrize("value", [[X[0], X[1]], [], None], ids=["some", "empty", "none"])
def test_optional_sequences(value):
    ours, _ = sessions(OPTIONAL_SEQUENCE)
    has, kept = ours.run(None, {"o": value})
    assert has == (value is not None)
    if value is None:
        assert kept is None
    else:
        same(kept, value)


def test_types_are_named_alike():
    ours, theirs = sessions(LONGER)
    assert [(a.name, a.type) for a in ours.get_inputs()] == [(a.name, a.type) for a in theirs.get_inputs()]
    assert [(a.name, a.type) for a in ours.get_outputs()] == [(a.name, a.type) for a in theirs.get_outputs()]
    assert ours.get_inputs()[0].shape == theirs.get_inputs()[0].shape == []


@pytest.mark.parametrize(
    ("feeds", "error"),
    [
        ({"s": X, "x": X}, RuntimeError),
        ({"s": [X.astype(np.float64)], "x": X}, onnxc.errors.InvalidArgument),
        ({"s": [X[0]], "x": X}, onnxc.errors.InvalidArgument),
        ({"s": [X[:, :2]], "x": X}, onnxc.errors.InvalidArgument),
        ({"x": X}, ValueError),
    ],
)
def test_mistakes(feeds, error):
    ours, _ = sessions(LONGER)
    with pytest.raises(error):
        ours.run(None, feeds)
