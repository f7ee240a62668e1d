"""Strings, and maps by strings, through the package: what it takes and gives, beside the real ONNX Runtime."""

import numpy as np
import onnx
import onnx.parser
import onnxc
import onnxruntime
import pytest
from support.compiler import compile_model

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


def model_of_map(key, value, op="DictVectorizer", result=None, **attributes):
    map_type = onnx.helper.make_map_type_proto(key, onnx.helper.make_tensor_type_proto(value, []))
    nodes = [
        onnx.helper.make_node(op, ["x"], ["row"], domain="ai.onnx.ml", **attributes),
        onnx.helper.make_node("Identity", ["row"], ["y"]),
    ]
    y = onnx.helper.make_tensor_value_info("y", result or value, None)
    graph = onnx.helper.make_graph(nodes, "g", [onnx.helper.make_value_info("x", map_type)], [y])
    opsets = [onnx.helper.make_opsetid("", 21), onnx.helper.make_opsetid("ai.onnx.ml", 3)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


FLOAT, INT64, STRING, DOUBLE = 1, 7, 8, 11
MAPS = [
    {"a": 1.5, "c": 2.0, "zz": 1.0},
    {"a": 1, "é": True},
    {"c": np.float32(0.1), "a": float("nan")},
    {"a": 1e300},
    {},
    {"a": "x"},
    {1: 2.0},
    {1.5: 2.0},
    np.float32([[1, 2, 3]]),
]


@pytest.mark.parametrize("feed", range(len(MAPS)))
def test_maps_that_go_in_as_onnx_runtime(feed):
    model = model_of_map(STRING, FLOAT, string_vocabulary=["a", "é", "c"])
    real, ours = onnxruntime.InferenceSession(model), onnxc.InferenceSession(model)
    assert str(ours.get_inputs()[0]) == str(real.get_inputs()[0])
    wanted, got = outcome(real, {"x": MAPS[feed]}), outcome(ours, {"x": MAPS[feed]})
    assert str(got) == str(wanted)


# Maps that ONNX Runtime's Python cannot feed.
@pytest.mark.parametrize(
    "model, feed, wanted",
    [
        (model_of_map(INT64, STRING, int64_vocabulary=[5, -1]), {5: "é", 7: "b"}, [["é", ""]]),
        (model_of_map(INT64, DOUBLE, int64_vocabulary=[5, -1]), {-1: 0.1}, [[0, 0.1]]),
        (model_of_map(STRING, INT64, string_vocabulary=["a", "b"]), {"b": 2**40}, [[0, 2**40]]),
        (model_of_map(INT64, STRING, "CastMap", FLOAT), {7: "0.5", -2: "3"}, [[3, 0.5]]),
        (model_of_map(INT64, FLOAT, "CastMap", INT64, cast_to="TO_INT64"), {1: 2.5, 0: -1.0}, [[-1, 2]]),
        (
            model_of_map(INT64, FLOAT, "CastMap", map_form="SPARSE", max_map=4),
            {2: 0.5, 0: 3.0, 9: 1.0},
            [[3, 0, 0.5, 0]],
        ),
        (
            model_of_map(INT64, STRING, "CastMap", cast_to="TO_STRING", map_form="SPARSE", max_map=3),
            {1: "é"},
            [["", "é", ""]],
        ),
    ],
)
def test_maps_of_other_types(tmp_path, model, feed, wanted):
    (y,) = onnxc.InferenceSession(model).run(None, {"x": feed})
    assert y.tolist() == wanted


def test_compiled_model_of_a_map(tmp_path):
    source, artefact = tmp_path / "model.onnx", tmp_path / "model.so"
    source.write_bytes(model_of_map(INT64, FLOAT, int64_vocabulary=[5, -1]))
    assert compile_model(source, artefact).ok
    session = onnxc.InferenceSession(str(artefact))
    assert session.get_inputs()[0].type == "map(int64,tensor(float))"
    assert session.run(None, {"x": {5: 2.5}})[0].tolist() == [[2.5, 0]]
