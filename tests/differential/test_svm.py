"""SVMClassifier and SVMRegressor against ONNX Runtime: random machines of every kernel, labels, transforms, odd rows."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from support.c_abi import CompiledModel
from support.compiler import compile_model

FEATURES = 4
KERNELS = ["LINEAR", "POLY", "RBF", "SIGMOID"]
NAMES = ["a", "ß", "日本", "", "e"]
NUMBERS = [7, -1, 3, 0, 9]


def random_of(*key):
    return np.random.default_rng(list(repr(key).encode()))


def labels_attribute(labels):
    return {"classlabels_strings" if isinstance(labels[0], str) else "classlabels_ints": labels}


def kernel_attributes(kernel, random, degree=3.0):
    return {"kernel_type": kernel, "kernel_params": [0.3, float(random.uniform(0.1, 0.5)), degree]}


def classifier(kernel, labels, probabilities=False, transform="NONE", degree=3.0):
    random = random_of(kernel, labels, probabilities)
    classes = len(labels)
    per_class = random.integers(1, 30, classes).tolist()
    vectors, pairs = sum(per_class), classes * (classes - 1) // 2
    attributes = kernel_attributes(kernel, random, degree) | labels_attribute(labels)
    attributes |= {
        "vectors_per_class": per_class,
        "support_vectors": random.normal(size=vectors * FEATURES).tolist(),
        "coefficients": random.normal(size=max(classes - 1, 1) * vectors).tolist(),
        "rho": random.normal(size=max(pairs, 1)).tolist(),
        "post_transform": transform,
    }
    if probabilities:
        attributes |= {
            "prob_a": (-random.uniform(0.2, 2, max(pairs, 1))).tolist(),
            "prob_b": random.normal(size=max(pairs, 1)).tolist(),
        }
    return attributes


def linear_classifier(labels, transform="NONE", positive=False, probabilities=False):
    random = random_of(labels, transform, positive)
    coefficients = random.normal(size=len(labels) * FEATURES)
    attributes = {"kernel_type": "RBF", "kernel_params": [0.5, 0.0, 3.0]} | labels_attribute(labels)
    attributes |= {
        "coefficients": (np.abs(coefficients) if positive else coefficients).tolist(),
        "rho": [0.25],
        "post_transform": transform,
    }
    return attributes | ({"prob_a": [1.0], "prob_b": [0.5]} if probabilities else {})


def regressor(kernel, one_class=0, degree=3.0):
    random = random_of(kernel, one_class, "regressor")
    return kernel_attributes(kernel, random, degree) | {
        "n_supports": 21,
        "support_vectors": random.normal(size=21 * FEATURES).tolist(),
        "coefficients": random.normal(size=21).tolist(),
        "rho": [0.125],
        "one_class": one_class,
    }


def table(dtype=np.float32, rows=23, odd=False):
    x = random_of("table", rows).normal(size=(rows, FEATURES))
    if odd:
        x[1, 2], x[3], x[5, 0] = np.nan, np.nan, 50
    return (x * 4 if np.issubdtype(dtype, np.integer) else x).astype(dtype)


CLASSIFIERS = {
    **{f"{k}, {n} classes{', probabilities' * p}": classifier(k, NAMES[:n], bool(p)) for k in KERNELS for n in (2, 5) for p in (0, 1)},
    **{f"{t}, {n} classes": classifier("RBF", NUMBERS[:n], transform=t) for t in ("LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO") for n in (2, 3)},
    **{f"{t} of probabilities": classifier("RBF", NUMBERS[:3], True, t) for t in ("LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT")},
    "squares": classifier("POLY", NUMBERS[:3], degree=2.0),
    "power of 1.5": classifier("POLY", NUMBERS[:3], degree=1.5),
    "one class": classifier("RBF", NAMES[:1], True),
    **{f"linear, {n} classes, {t}": linear_classifier(NAMES[:n], t) for n in (1, 2, 3) for t in ("NONE", "SOFTMAX")},
    "linear of integers": linear_classifier(NUMBERS[:3], "LOGISTIC"),
    "linear, positive": linear_classifier(NAMES[:2], positive=True),
    "linear, positive, probabilities": linear_classifier(NAMES[:2], positive=True, probabilities=True),
}  # fmt: skip
REGRESSORS = {
    **{k: regressor(k) for k in KERNELS},
    **{f"{k}, one class": regressor(k, 1) for k in KERNELS},
    "squares": regressor("POLY", degree=2.0),
    "linear": {"kernel_type": "LINEAR", "kernel_params": [0.0, 0.0, 3.0], "coefficients": [0.5, -1.0, 2.0, 0.25], "rho": [3.0], "n_supports": 0},
}  # fmt: skip


def model_of(operator, attributes, dtype, rows):
    x = helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), [rows, FEATURES])
    if operator == "SVMRegressor":
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    else:
        elem = TensorProto.STRING if "classlabels_strings" in attributes else TensorProto.INT64
        outputs = [helper.make_tensor_value_info("label", elem, None), helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)]  # fmt: skip
    node = helper.make_node(operator, ["x"], [o.name for o in outputs], domain="ai.onnx.ml", **attributes)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(helper.make_graph([node], "g", [x], outputs), opset_imports=opsets, ir_version=10)


def both(tmp_path, model, feeds, options=()):
    """(ours, ONNX Runtime's) for each feed."""
    source, artefact = tmp_path / "model.onnx", tmp_path / "model.so"
    source.write_bytes(model.SerializeToString())
    outcome = compile_model(source, artefact, list(options))
    assert outcome.ok, outcome.reason()
    session = onnxruntime.InferenceSession(str(source), providers=["CPUExecutionProvider"])
    with CompiledModel(artefact, host=True) as ours:
        return [(ours.run({"x": x}), session.run(None, {"x": x})) for x in feeds]


def compare(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        if a.dtype == np.float32:
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)
        else:
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("case", CLASSIFIERS)
def test_classifier(tmp_path, case):
    feeds = [table(odd=True), table(rows=1), table(rows=0)]
    for ours, theirs in both(tmp_path, model_of("SVMClassifier", CLASSIFIERS[case], np.float32, "N"), feeds):
        compare(ours, theirs)


@pytest.mark.parametrize("case", REGRESSORS)
def test_regressor(tmp_path, case):
    feeds = [table(odd=True), table(rows=1), table(rows=0)]
    for ours, theirs in both(tmp_path, model_of("SVMRegressor", REGRESSORS[case], np.float32, "N"), feeds):
        compare(ours, theirs)


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.int64])
@pytest.mark.parametrize("case", ["RBF, 5 classes, probabilities", "linear, 3 classes, SOFTMAX"])
def test_inputs_of_other_types(tmp_path, case, dtype):
    [(ours, theirs)] = both(tmp_path, model_of("SVMClassifier", CLASSIFIERS[case], dtype, 23), [table(dtype)])
    compare(ours, theirs)


@pytest.mark.parametrize("case", ["POLY, 5 classes, probabilities", "RBF, 2 classes"])
def test_emitted_sources(tmp_path, case):
    model = model_of("SVMClassifier", CLASSIFIERS[case], np.float32, 23)
    [(ours, theirs)] = both(tmp_path, model, [table()], ["--backend=cpp"])
    compare(ours, theirs)


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"rho": [1.0]}, "rho has not an entry for each pair of classes"),
        ({"coefficients": [1.0]}, "coefficients has not a row for each class but one"),
        ({"vectors_per_class": [5]}, "vectors_per_class has 1 entries for 3 classes"),
        ({"vectors_per_class": [2**62, 2**62, 1]}, "vectors_per_class holds no numbers of vectors"),
        ({"prob_a": [1.0]}, "prob_a and prob_b have different lengths"),
        ({"kernel_type": "OTHER"}, 'there is no kernel_type "OTHER"'),
        ({"kernel_params": [1.0]}, "kernel_params must be gamma, coef0 and degree"),
        ({"post_transform": "OTHER"}, 'there is no post_transform "OTHER"'),
        ({"support_vectors": [1.0]}, "support_vectors holds no"),
    ],
)
def test_broken_attributes(tmp_path, change, reason):
    source = tmp_path / "model.onnx"
    model = model_of("SVMClassifier", classifier("RBF", NUMBERS[:3]) | change, np.float32, 3)
    source.write_bytes(model.SerializeToString())
    outcome = compile_model(source, tmp_path / "model.so", [])
    assert outcome.code == 3 and reason in outcome.text, outcome.text
