"""Operators of ai.onnx.ml on tables of numbers, against ONNX Runtime, with fixed and free dims."""

import numpy as np
import onnx
import onnxruntime
import pytest
from differential.test_classifiers import forest, widened
from onnx import TensorProto, helper
from support.c_abi import CompiledModel
from support.compiler import compile_model

ROWS, FEATURES = 5, 4
COLUMNS = [0.5, -1.0, 2.0, 0.25]
CASES = {
    "scaler": ("Scaler", {"offset": COLUMNS, "scale": [2.0, 3.0, -1.0, 0.5]}, TensorProto.FLOAT),
    "scaler of integers, one factor": ("Scaler", {"offset": [1.0], "scale": [0.5]}, TensorProto.INT64),
    "max": ("Normalizer", {"norm": "MAX"}, TensorProto.FLOAT),
    "l1": ("Normalizer", {"norm": "L1"}, TensorProto.FLOAT),
    "l2": ("Normalizer", {"norm": "L2"}, TensorProto.FLOAT),
    "l2 of integers": ("Normalizer", {"norm": "L2"}, TensorProto.INT64),
    "imputer of NaN": (
        "Imputer",
        {"imputed_value_floats": COLUMNS, "replaced_value_float": float("nan")},
        TensorProto.FLOAT,
    ),
    "imputer of integers": (
        "Imputer",
        {"imputed_value_int64s": [7], "replaced_value_int64": 2},
        TensorProto.INT64,
    ),
    "regressor": (
        "LinearRegressor",
        {"coefficients": [*COLUMNS, 1.0, 2.0, 3.0, 4.0], "intercepts": [1.0, -2.0], "targets": 2},
        TensorProto.FLOAT,
    ),
    "regressor through a logistic": (
        "LinearRegressor",
        {"coefficients": [*COLUMNS, 1.0, 2.0, 3.0, 4.0], "targets": 2, "post_transform": "LOGISTIC"},
        TensorProto.FLOAT,
    ),
    "regressor through a probit": (
        "LinearRegressor",
        {"coefficients": COLUMNS, "post_transform": "PROBIT"},
        TensorProto.FLOAT,
    ),
    "regressor of one target, which ONNX Runtime leaves as it is": (
        "LinearRegressor",
        {"coefficients": COLUMNS, "post_transform": "LOGISTIC"},
        TensorProto.FLOAT,
    ),
}


def table(elem, seed):
    r = np.random.default_rng(seed)
    if elem == TensorProto.INT64:
        return r.integers(-3, 4, (ROWS, FEATURES))
    x = r.standard_normal((ROWS, FEATURES)).astype(np.float32)
    x[0] = 0
    x[1, 2] = np.nan
    return x


def answers(tmp_path, operator, attributes, inputs, rows):
    """(ours, ONNX Runtime's) for a model of one node."""
    infos = [
        helper.make_tensor_value_info(f"x{k}", helper.np_dtype_to_tensor_dtype(x.dtype), [rows, x.shape[1]])
        for k, x in enumerate(inputs)
    ]
    integers = operator == "Imputer" and inputs[0].dtype == np.int64
    y = helper.make_tensor_value_info("y", TensorProto.INT64 if integers else TensorProto.FLOAT, None)
    node = helper.make_node(operator, [i.name for i in infos], ["y"], domain="ai.onnx.ml", **attributes)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(helper.make_graph([node], "g", infos, [y]), opset_imports=opsets, ir_version=8)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    outcome = compile_model(path, tmp_path / "model.so", ["-q"])
    assert outcome.code == 0, outcome.text
    feeds = {i.name: x for i, x in zip(infos, inputs, strict=True)}
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    ours = CompiledModel(tmp_path / "model.so", host=True)
    try:
        return ours.run(feeds)[0], session.run(None, feeds)[0]
    finally:
        ours.close()


@pytest.mark.parametrize("rows", [ROWS, "N"])
@pytest.mark.parametrize("case", CASES)
def test_features(tmp_path, case, rows):
    operator, attributes, elem = CASES[case]
    ours, theirs = answers(tmp_path, operator, attributes, [table(elem, 1)], rows)
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=1e-6)


def test_feature_vectorizer(tmp_path):
    inputs = [table(TensorProto.FLOAT, 1), table(TensorProto.FLOAT, 2)[:, :2]]
    ours, theirs = answers(tmp_path, "FeatureVectorizer", {"inputdimensions": [4, 2]}, inputs, ROWS)
    np.testing.assert_array_equal(ours, theirs)


def tree_regressor(targets, **more):
    classifier = forest("x", FEATURES, targets, 5, list(range(targets)))
    attributes = {a.name: helper.get_attribute_value(a) for a in classifier.attribute}
    attributes = {k.replace("class_", "target_"): v for k, v in attributes.items() if not k.startswith("classlabels")}
    return attributes | {"n_targets": targets} | more


@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE", "MIN", "MAX"])
@pytest.mark.parametrize("base", [None, [0.5, -0.5]])
def test_forest_of_numbers(tmp_path, aggregate, base):
    attributes = tree_regressor(2, aggregate_function=aggregate, **({"base_values": base} if base else {}))
    ours, theirs = answers(tmp_path, "TreeEnsembleRegressor", attributes, [table(TensorProto.FLOAT, 3)], "N")
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("transform", ["LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"])
def test_transformed_forest(tmp_path, targets, transform):
    attributes = tree_regressor(targets, post_transform=transform)
    ours, theirs = answers(tmp_path, "TreeEnsembleRegressor", attributes, [table(TensorProto.FLOAT, 3)], "N")
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("wide", [True, False])
def test_forest_of_doubles(tmp_path, wide):
    x = table(TensorProto.FLOAT, 3).astype(np.float64) + 1e-9
    made = helper.make_node("TreeEnsembleRegressor", ["x0"], ["y"], **tree_regressor(2, base_values=[0.5, -0.5]))
    made = widened(made) if wide else made
    attributes = {a.name: helper.get_attribute_value(a) for a in made.attribute}
    ours, theirs = answers(tmp_path, "TreeEnsembleRegressor", attributes, [x], "N")
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
