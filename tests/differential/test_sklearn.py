"""Models of scikit-learn as skl2onnx exports them, with and without ZipMap, against scikit-learn and ONNX Runtime."""

import numpy as np
import onnxc
import onnxruntime
import pytest
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.base import is_classifier
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR, OneClassSVM

random = np.random.default_rng(5)
ROWS, FEATURES = 120, 4
X = random.normal(size=(ROWS, FEATURES)).astype(np.float32)
SIGNAL = X[:, 0] + X[:, 1] * X[:, 2]
NUMBERS = (np.digitize(SIGNAL, [-0.5, 0.5]) * 3 - 1).astype(np.int64)
NAMES = np.array(["low", "mïd", "high"], object)[np.digitize(SIGNAL, [-0.5, 0.5])]
TWO = np.array(["no", "yes"], object)[(SIGNAL > 0).astype(int)]
WORDS = ["good", "bad", "very", "not", "film", "plot", "Actor"]
TEXT = np.array([" ".join(random.choice(WORDS, 6)) for _ in range(ROWS)], object).reshape(-1, 1)
MOOD = np.array(["good" if "good" in t and "not" not in t else "bad" for t in TEXT[:, 0]], object)
CITIES = random.choice(np.array(["Bern", "Zürich", "Genf"], object), (ROWS, 1))
UNSEEN = 40  # rows, of which the models learn nothing


def words():
    estimator = ColumnTransformer([("text", TfidfVectorizer(), 0)])
    return make_pipeline(estimator, LogisticRegression()), {"text": TEXT}, MOOD


def mixed():
    columns = ColumnTransformer(
        [
            ("city", OneHotEncoder(handle_unknown="ignore", sparse_output=False), [0]),
            ("x", StandardScaler(), [1, 2, 3, 4]),
        ]
    )
    forest = RandomForestClassifier(n_estimators=10, max_depth=5, random_state=0)
    return make_pipeline(columns, forest), {"city": CITIES, "x": X}, NAMES


CASES = {
    "words and logistic regression": words,
    "cities, numbers and random forest": mixed,
    "gradient boosting": lambda: (GradientBoostingClassifier(n_estimators=10, random_state=0), {"x": X}, NUMBERS),
    "gradient boosting of two": lambda: (GradientBoostingClassifier(n_estimators=10, random_state=0), {"x": X}, TWO),
    "gradient boosting of numbers": lambda: (GradientBoostingRegressor(n_estimators=10, random_state=0), {"x": X}, SIGNAL),
    "support vectors": lambda: (SVC(), {"x": X}, NAMES),
    "support vectors of two": lambda: (SVC(kernel="poly"), {"x": X}, TWO),
    "support vectors, probabilities": lambda: (SVC(probability=True, random_state=0), {"x": X}, NUMBERS),
    "support vectors, probabilities of two": lambda: (SVC(probability=True, random_state=0), {"x": X}, TWO),
    "support vectors for numbers": lambda: (SVR(), {"x": X}, SIGNAL),
    "support vectors of one class": lambda: (OneClassSVM(nu=0.2), {"x": X}, None),
    "neighbours": lambda: (KNeighborsClassifier(3), {"x": X}, NAMES),
    "neighbours' numbers": lambda: (KNeighborsRegressor(3), {"x": X}, SIGNAL),
    "isolation forest": lambda: (IsolationForest(n_estimators=10, random_state=0), {"x": X}, None),
    "scaler, PCA, k-means": lambda: (make_pipeline(StandardScaler(), PCA(2), KMeans(3, n_init=2, random_state=0)), {"x": X}, None),
    "perceptron": lambda: (MLPClassifier(hidden_layer_sizes=(8,), max_iter=60, random_state=0), {"x": X}, NAMES),
    "perceptron of two": lambda: (MLPClassifier(hidden_layer_sizes=(8,), max_iter=60, random_state=0), {"x": X}, TWO),
    "perceptron of numbers": lambda: (MLPRegressor(hidden_layer_sizes=(8,), max_iter=60, random_state=0), {"x": X}, SIGNAL),
}  # fmt: skip


def side_by_side(inputs):
    return (
        next(iter(inputs.values()))
        if len(inputs) == 1
        else np.concatenate([v.astype(object) for v in inputs.values()], 1)
    )


def typed(name, array):
    kind = StringTensorType if array.dtype == object else FloatTensorType
    return name, kind([None, array.shape[1]])


@pytest.fixture(scope="module")
def fitted():
    made = {}

    def fit(case):
        if case not in made:
            estimator, inputs, y = CASES[case]()
            estimator.fit(side_by_side({k: v[:-UNSEEN] for k, v in inputs.items()}), None if y is None else y[:-UNSEEN])
            made[case] = estimator, {k: v[-UNSEEN:] for k, v in inputs.items()}
        return made[case]

    return fit


def equal(ours, theirs):
    if isinstance(theirs, list):  # of maps
        assert [list(m) for m in ours] == [list(m) for m in theirs]
        ours, theirs = (np.array([list(m.values()) for m in maps]) for maps in (ours, theirs))
    if theirs.dtype.kind == "f":
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5)
    else:
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("zipmap", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_as_the_others(tmp_path, monkeypatch, fitted, case, zipmap):
    monkeypatch.setenv("ONNXC_CACHE_DIR", str(tmp_path / "cache"))
    estimator, inputs = fitted(case)
    if zipmap and not is_classifier(estimator):
        pytest.skip("no classifier: no map")
    options = {id(estimator): {"zipmap": zipmap}} if is_classifier(estimator) else {}
    if case == "words and logistic regression":  # the exporter's own locale is not on every machine
        options[id(estimator[0].named_transformers_["text"])] = {"locale": "C.UTF-8"}
    model = to_onnx(
        estimator,
        initial_types=[typed(*i) for i in inputs.items()],
        options=options,
        target_opset={"": 18, "ai.onnx.ml": 3},
    )
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    real, ours = onnxruntime.InferenceSession(str(path)), onnxc.InferenceSession(str(path))
    answers = ours.run(None, inputs)
    for mine, theirs in zip(answers, real.run(None, inputs), strict=True):
        equal(mine, theirs)
    labels = estimator.predict(side_by_side(inputs))
    np.testing.assert_allclose(np.ravel(answers[0]), labels, rtol=1e-3, atol=1e-4) if labels.dtype.kind == "f" else (
        np.testing.assert_array_equal(np.ravel(answers[0]), labels)
    )
