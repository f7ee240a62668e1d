"""Classifiers with labels of strings and integers against ONNX Runtime, and pipelines as scikit-learn's are exported: TF-IDF of
words with a linear model, one-hot categories and numbers with a forest."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from support.c_abi import CompiledModel
from support.compiler import compile_model

STRING, I64, F32 = TensorProto.STRING, TensorProto.INT64, TensorProto.FLOAT
ML = {"domain": "ai.onnx.ml"}
node = helper.make_node
random = np.random.default_rng(7)


def model(nodes, inputs, label=STRING, free=False):
    def info(name, array):
        elem = STRING if array.dtype == object else helper.np_dtype_to_tensor_dtype(array.dtype)
        return helper.make_tensor_value_info(name, elem, [None if free else len(array), *array.shape[1:]])

    outputs = [
        helper.make_tensor_value_info("label", label, [None]),
        helper.make_tensor_value_info("scores", F32, None),
    ]
    graph = helper.make_graph(nodes, "g", [info(n, a) for n, a in inputs.items()], outputs)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def linear(x, coefficients, intercepts, labels, transform, **more):
    names = {"classlabels_strings" if isinstance(labels[0], str) else "classlabels_ints": labels}
    attrs = {"coefficients": coefficients, "intercepts": intercepts, "post_transform": transform, **names, **more, **ML}
    return node("LinearClassifier", [x], ["label", "scores"], **attrs)


def forest(
    x, features, classes, trees, labels, transform="NONE", ids=None, low=0.0, depth=4, base=None, modes=("BRANCH_LEQ",)
):
    """Random trees; each leaf votes for the classes `ids`."""
    nodes = {
        k: []
        for k in (
            "treeids",
            "nodeids",
            "featureids",
            "modes",
            "values",
            "truenodeids",
            "falsenodeids",
            "missing_value_tracks_true",
        )
    }
    votes = {k: [] for k in ("treeids", "nodeids", "ids", "weights")}

    def add(tree, number, level):
        leaf = level == depth or (level > 1 and random.random() < 0.2)
        row = (
            tree,
            number,
            random.integers(features),
            "LEAF" if leaf else random.choice(modes),
            random.normal(),
            *((0, 0) if leaf else (2 * number + 1, 2 * number + 2)),
            random.integers(2),
        )
        for key, value in zip(nodes, row, strict=True):
            nodes[key].append(value)
        for c in (ids if ids is not None else range(classes)) if leaf else ():
            for key, value in zip(votes, (tree, number, c, random.uniform(low, 1) / trees), strict=True):
                votes[key].append(value)
        if not leaf:
            add(tree, 2 * number + 1, level + 1)
            add(tree, 2 * number + 2, level + 1)

    for tree in range(trees):
        add(tree, 0, 0)
    names = {"classlabels_strings" if isinstance(labels[0], str) else "classlabels_int64s": labels}
    attrs = {f"nodes_{k}": [v.item() if hasattr(v, "item") else v for v in values] for k, values in nodes.items()}
    attrs |= {f"class_{k}": values for k, values in votes.items()} | names | ({"base_values": base} if base else {})
    return node("TreeEnsembleClassifier", [x], ["label", "scores"], post_transform=transform, **attrs, **ML)


def widened(tree_node, names=("nodes_values", "class_weights", "target_weights", "base_values")):
    """The same trees with tensors of doubles that no float is equal to."""
    attributes = {a.name: helper.get_attribute_value(a) for a in tree_node.attribute}
    for name in [n for n in names if n in attributes]:
        values = np.array(attributes.pop(name), np.float64) + random.uniform(-1e-9, 1e-9, 1)
        attributes[name + "_as_tensor"] = helper.make_tensor(name, TensorProto.DOUBLE, [len(values)], values)
    return node(tree_node.op_type, list(tree_node.input), list(tree_node.output), **attributes, **ML)


X = random.normal(size=(40, 5)).astype(np.float32)
W3, B3 = random.normal(size=15).tolist(), [0.5, -0.25, 0.0]
ABC = ["a", "ß", "日本"]
WORDS = np.array(["good", "bad", "very", "not", "film", "ß", ""], object)
MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]
DOUBLES = X.astype(np.float64) + 1e-9
WITH_NAN = np.where(random.random(X.shape) < 0.2, np.nan, X).astype(np.float32)


def words_and_linear():
    text = random.choice(WORDS, (30, 8))
    vectorizer = node(
        "TfIdfVectorizer",
        ["text"],
        ["counts"],
        mode="TF",
        min_gram_length=1,
        max_gram_length=2,
        max_skip_count=0,
        ngram_counts=[0, 4],
        ngram_indexes=list(range(7)),
        pool_strings=["good", "bad", "film", "ß", "not", "good", "very", "bad", "very", "good"],
        weights=random.uniform(1, 2, 7).tolist(),
    )
    return [vectorizer, linear("counts", random.normal(size=21).tolist(), B3, ABC, "SOFTMAX")], {"text": text}, STRING


def categories_and_forest():
    feeds = {"city": random.choice(np.array(["Bern", "Zürich", "Genf", "?"], object), (30, 1)), "x": X[:30]}
    nodes = [
        node("OneHotEncoder", ["city"], ["hot"], cats_strings=["Bern", "Zürich", "Genf"], zeros=1, **ML),
        node("Flatten", ["hot"], ["flat"], axis=1),
        node("Concat", ["flat", "x"], ["all"], axis=1),
        forest("all", 8, 3, 20, ABC),
    ]
    return nodes, feeds, STRING


def categories_of_integers():
    nodes = [
        node("OneHotEncoder", ["n"], ["hot"], cats_int64s=[3, 1, -2], **ML),
        linear("hot", W3[:9], B3, ABC, "NONE"),
    ]
    return nodes, {"n": random.integers(-3, 4, 20)}, STRING


ROWS = {
    "linear_none": lambda: ([linear("x", W3, B3, ABC, "NONE")], {"x": X}, STRING),
    "linear_softmax": lambda: ([linear("x", W3, B3, [7, -1, 3], "SOFTMAX")], {"x": X}, I64),
    "linear_logistic": lambda: ([linear("x", W3[:10], B3[:2], ABC[:2], "LOGISTIC")], {"x": X}, STRING),
    "linear_of_integers": lambda: ([linear("x", W3, B3, ABC, "NONE")], {"x": (X * 10).astype(np.int64)}, STRING),
    "linear_one_score": lambda: ([linear("x", W3[:5], B3[:1], ABC[:2], "NONE")], {"x": X}, STRING),
    "linear_one_score_logistic": lambda: ([linear("x", W3[:5], B3[:1], ABC[:2], "LOGISTIC")], {"x": X}, STRING),
    "trees": lambda: ([forest("x", 5, 3, 30, ABC)], {"x": X}, STRING),
    "trees_integers": lambda: ([forest("x", 5, 4, 9, [5, 6, -7, 8], "SOFTMAX")], {"x": X}, I64),
    "trees_base": lambda: ([forest("x", 5, 3, 9, ABC, "SOFTMAX_ZERO", base=[0.5, 0.25, 0.0])], {"x": X}, STRING),
    "trees_modes": lambda: ([forest("x", 5, 3, 30, ABC, modes=MODES)], {"x": np.round(WITH_NAN)}, STRING),
    "trees_two": lambda: ([forest("x", 5, 2, 9, ABC[:2])], {"x": X}, STRING),
    "trees_two_logistic": lambda: ([forest("x", 5, 2, 9, ABC[:2], "LOGISTIC", low=-1)], {"x": X}, STRING),
    "trees_second": lambda: ([forest("x", 5, 2, 9, ABC[:2], ids=[1])], {"x": X}, STRING),
    "trees_second_logistic": lambda: ([forest("x", 5, 2, 9, ABC[:2], "LOGISTIC", ids=[1], low=-1)], {"x": X}, STRING),
    "trees_first": lambda: ([forest("x", 5, 2, 9, ABC[:2], ids=[0])], {"x": X}, STRING),
    "trees_first_logistic": lambda: ([forest("x", 5, 2, 9, ABC[:2], "LOGISTIC", ids=[0], low=-1)], {"x": X}, STRING),
    "trees_two_of_integers": lambda: ([forest("x", 5, 2, 9, [0, 1], low=-1)], {"x": X}, I64),
    "trees_first_of_integers": lambda: ([forest("x", 5, 2, 9, [5, -7], ids=[0])], {"x": X}, I64),
    "trees_two_base": lambda: ([forest("x", 5, 2, 9, ABC[:2], "SOFTMAX", base=[0.25, -0.5])], {"x": X}, STRING),
    "trees_two_one_base": lambda: ([forest("x", 5, 2, 9, ABC[:2], base=[0.25])], {"x": X}, STRING),
    "trees_first_base": lambda: ([forest("x", 5, 2, 9, ABC[:2], "LOGISTIC", ids=[0], low=-1, base=[-0.125])], {"x": X}, STRING),
    "trees_first_two_bases": lambda: ([forest("x", 5, 2, 9, ABC[:2], ids=[0], low=-1, base=[0.5, 0.25])], {"x": X}, STRING),
    "trees_probit": lambda: ([forest("x", 5, 3, 9, ABC, "PROBIT")], {"x": X}, STRING),
    "trees_of_doubles": lambda: ([widened(forest("x", 5, 3, 30, ABC, base=[0.5, 0.25, 0.0]))], {"x": DOUBLES}, STRING),
    "trees_two_of_doubles": lambda: ([widened(forest("x", 5, 2, 9, ABC[:2], "LOGISTIC", ids=[0], low=-1))], {"x": DOUBLES}, STRING),
    "doubles_in_trees_of_floats": lambda: ([forest("x", 5, 3, 30, ABC, "SOFTMAX")], {"x": DOUBLES}, STRING),
    "trees_of_integers": lambda: ([forest("x", 5, 3, 30, ABC)], {"x": (X * 2).astype(np.int64)}, STRING),
    "words_and_linear": words_and_linear,
    "categories_and_forest": categories_and_forest,
    "categories_of_integers": categories_of_integers,
    "linear_nan": lambda: ([linear("x", W3, B3, ABC, "NONE")], {"x": WITH_NAN}, STRING),
    "linear_probit": lambda: ([linear("x", W3, B3, ABC, "PROBIT")], {"x": X}, STRING),
    "linear_softmax_zero": lambda: ([linear("x", W3, [0.0, 0.0, 0.0], ABC, "SOFTMAX_ZERO")], {"x": np.maximum(X, 0) * (X[:, :1] > 0)}, STRING),
}  # fmt: skip


@pytest.mark.parametrize("form", ["static", "free", "cpp"])
@pytest.mark.parametrize("row", ROWS)
def test_as_onnx_runtime(row, form, tmp_path):
    nodes, feeds, label = ROWS[row]()
    proto = model(nodes, feeds, label, free=form == "free")
    labels, scores = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, feeds)
    source, artefact = tmp_path / "model.onnx", tmp_path / "model.so"
    source.write_bytes(proto.SerializeToString())
    outcome = compile_model(source, artefact, ["--backend=cpp"] if form == "cpp" else [])
    assert outcome.ok, outcome.reason()
    with CompiledModel(artefact, host=True) as compiled:
        our_labels, our_scores = compiled.run(feeds)
    np.testing.assert_allclose(our_scores, scores, rtol=2e-5, atol=2e-6)
    np.testing.assert_array_equal(our_labels, labels)


def test_more_coefficients_than_columns(tmp_path):
    """As in ONNX Runtime's example logreg_iris.onnx: the first ones count."""
    feeds = {"x": np.ascontiguousarray(X[:, :2])}
    proto = model([linear("x", W3, B3, ABC, "LOGISTIC")], feeds, STRING)
    labels, scores = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, feeds)
    source, artefact = tmp_path / "model.onnx", tmp_path / "model.so"
    source.write_bytes(proto.SerializeToString())
    outcome = compile_model(source, artefact)
    assert outcome.ok, outcome.reason()
    with CompiledModel(artefact, host=True) as compiled:
        our_labels, our_scores = compiled.run(feeds)
    np.testing.assert_allclose(our_scores, scores, rtol=2e-5, atol=2e-6)
    np.testing.assert_array_equal(our_labels, labels)


def changed(name, change):
    made = forest("x", 5, 3, 3, ABC)
    attributes = {a.name: helper.get_attribute_value(a) for a in made.attribute}
    attributes[name] = change(list(attributes[name]))
    return node(made.op_type, ["x"], ["label", "scores"], **attributes, **ML)


@pytest.mark.parametrize(
    "name, change, reason",
    [
        ("nodes_truenodeids", lambda v: [0, *v[1:]], "are no tree"),
        ("nodes_truenodeids", lambda v: [10**12, *v[1:]], "a node leads nowhere"),
        ("nodes_nodeids", lambda v: [v[1], *v[1:]], "is there twice"),
        ("nodes_featureids", lambda v: [5, *v[1:]], "the trees read 6 features"),
        ("nodes_featureids", lambda v: [2**62, *v[1:]], "a node leads nowhere"),
        ("nodes_values", lambda v: v[1:], "have different lengths"),
        ("nodes_modes", lambda v: [b"BRANCH", *v[1:]], "there is no mode"),
        ("class_weights", lambda v: v[1:], "have different lengths"),
        ("class_ids", lambda v: [3, *v[1:]], "a weight belongs to no leaf"),
        ("class_nodeids", lambda v: [99, *v[1:]], "a weight belongs to no leaf"),
    ],
)
def test_broken_trees(tmp_path, name, change, reason):
    source = tmp_path / "model.onnx"
    source.write_bytes(model([changed(name, change)], {"x": X}, STRING).SerializeToString())
    outcome = compile_model(source, tmp_path / "model.so", [])
    assert outcome.code == 3 and reason in outcome.text, outcome.text


@pytest.mark.parametrize("rows", [1, 8, 70])
def test_leaves_without_votes(tmp_path, rows):
    """Trees whose leaves have no vote, one or several; and a tree that is a leaf."""
    kept = [0, 1, 2, 4, 4, 7, 8, 9, 9, 11]

    def some(values):
        return [values[i] for i in kept]

    made = forest("x", 5, 3, 11, ABC)
    attributes = {a.name: helper.get_attribute_value(a) for a in made.attribute}
    attributes |= {
        k: some(v)
        for k, v in attributes.items()
        if k in ("class_treeids", "class_nodeids", "class_ids", "class_weights")
    }
    for key, value in (("treeids", 11), ("nodeids", 0), ("featureids", 4), ("modes", b"LEAF"), ("values", 0.0), ("truenodeids", 0), ("falsenodeids", 0), ("missing_value_tracks_true", 0)):  # fmt: skip
        attributes["nodes_" + key] = [*attributes["nodes_" + key], value]
    for key, value in (("treeids", 11), ("nodeids", 0), ("ids", 2), ("weights", 0.125)):
        attributes["class_" + key] = [*attributes["class_" + key], value]
    attributes["base_values"] = [0.0, 0.0, 0.0]
    x = random.normal(size=(rows, 5)).astype(np.float32)
    proto = model([node(made.op_type, ["x"], ["label", "scores"], **attributes, **ML)], {"x": x}, STRING)
    source, artefact = tmp_path / "model.onnx", tmp_path / "model.so"
    source.write_bytes(proto.SerializeToString())
    assert compile_model(source, artefact).ok
    labels, scores = onnxruntime.InferenceSession(str(source)).run(None, {"x": x})
    with CompiledModel(artefact, host=True) as compiled:
        our_labels, our_scores = compiled.run({"x": x})
    np.testing.assert_allclose(our_scores, scores, rtol=2e-5, atol=2e-6)
    np.testing.assert_array_equal(our_labels, labels)
