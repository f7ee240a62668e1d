"""Operators of strings against ONNX Runtime: both back ends, fixed and free dims, constants, movement, casts."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from support.c_abi import CompiledModel
from support.compiler import compile_model

WORDS = ["", "a", "Ab", "monday", "Monday ", "  x y  ", "ÄÖü", "ß", "日本語", "naïve café", "a,b,,c", "😀", "İı"]


def text(*shape, seed=0):
    random = np.random.default_rng(seed)
    return random.choice(np.array(WORDS, object), shape)


def model(nodes, inputs, outputs, constants=(), free=False, ml=4):
    def info(name, array):
        elem = TensorProto.STRING if array.dtype == object else helper.np_dtype_to_tensor_dtype(array.dtype)
        return helper.make_tensor_value_info(name, elem, [None] * array.ndim if free else array.shape)

    graph = helper.make_graph(
        nodes,
        "g",
        [info(name, array) for name, array in inputs.items()],
        [helper.make_tensor_value_info(name, elem, None) for name, elem in outputs.items()],
        [onnx.numpy_helper.from_array(array, name) for name, array in dict(constants).items()],
    )
    opsets = [helper.make_opsetid(*row) for row in (("", 21), ("ai.onnx.ml", ml), ("com.microsoft", 1))]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


STRING, I64, F32, BOOL = TensorProto.STRING, TensorProto.INT64, TensorProto.FLOAT, TensorProto.BOOL
node = helper.make_node
X = text(4, 3)
ML = {"domain": "ai.onnx.ml"}

TOKENS = {
    "letters": {"tokenexp": "[a-zA-Z0-9_]+"},
    "words": {"tokenexp": r"\w+", "mincharnum": 2},
    "all but": {"tokenexp": r"[^\s,b-]+", "mincharnum": 2},
    "separators": {"separators": [" ", ",", r"\."], "pad_value": "#ß"},
}


def tokens(mincharnum=1, pad_value="", **attributes):
    attributes |= {"mincharnum": mincharnum, "pad_value": pad_value, "mark": 0, "domain": "com.microsoft"}
    texts = np.array([["a b-c, dd.", "naïve café", ""], ["日本 語語,x", "_1 2-", "   "]], object)
    return [node("Tokenizer", ["x"], ["y"], **attributes)], {"x": texts}, {"y": STRING}, {}


ROWS = {
    "equal": ([node("Equal", ["x", "y"], ["z"])], {"x": X, "y": text(3, seed=1)}, {"z": BOOL}, {}),
    "concat": ([node("StringConcat", ["x", "y"], ["z"])], {"x": X, "y": text(4, 1, seed=2)}, {"z": STRING}, {}),
    "split": (
        [node("StringSplit", ["x"], ["y", "n"], delimiter=","), node("Identity", ["n"], ["m"])],
        {
            "x": np.array(["a,b,,c", "x", ",", "é,"], object)
        },  # of an empty text it makes no part, other than onnx and numpy
        {"y": STRING, "m": I64},
        {},
    ),
    "split_space": ([node("StringSplit", ["x"], ["y", "n"], maxsplit=1)], {"x": X}, {"y": STRING, "n": I64}, {}),
    **{f"tokens of {name}": tokens(**attributes) for name, attributes in TOKENS.items()},
    "upper": (
        [node("StringNormalizer", ["x"], ["y"], case_change_action="UPPER", locale="C.UTF-8")],
        {"x": text(9)},
        {"y": STRING},
        {},
    ),
    "stop_words": (
        [
            node(
                "StringNormalizer",
                ["x"],
                ["y"],
                case_change_action="LOWER",
                locale="C.UTF-8",
                stopwords=["MONDAY", "äöü", "a"],
            )
        ],
        {"x": text(1, 20)},
        {"y": STRING},
        {},
    ),
    "movement": (
        [
            node("Transpose", ["x"], ["t"], perm=[1, 0]),
            node("Concat", ["t", "c"], ["w"], axis=0),
            node("Gather", ["w", "i"], ["g"], axis=1),
            node("Slice", ["g", "b", "e"], ["y"]),
        ],
        {"x": X, "i": np.array([[3, 0], [1, -1]])},
        {"y": STRING},
        {"c": text(2, 4, seed=3), "b": np.array([0]), "e": np.array([2])},
    ),
    "where": (
        [node("Equal", ["x", "c"], ["e"]), node("Where", ["e", "c", "x"], ["y"])],
        {"x": X},
        {"y": STRING},
        {"c": text(4, 1, seed=4)},
    ),
    "concat_of_constants": (
        [node("StringConcat", ["c", "c"], ["d"]), node("StringConcat", ["d", "x"], ["y"])],
        {"x": X},
        {"y": STRING},
        {"c": text(3, seed=5)},
    ),
    "constant_output": (
        [node("Identity", ["c"], ["y"]), node("Identity", ["x"], ["z"])],
        {"x": X},
        {"y": STRING, "z": STRING},
        {"c": X},
    ),
    "number_to_text": (
        [node("Cast", ["x"], ["y"], to=STRING)],
        {"x": np.float32([1.5, -0.0, 1e-7, 1e20, np.nan, -np.inf, 3.14159274, 1e-45, 99999999])},
        {"y": STRING},
        {},
    ),
    "double_to_text": (
        [node("Cast", ["x"], ["y"], to=STRING)],
        {"x": np.float64([1.5, 0.1, 1e17, 5e-324, np.pi])},
        {"y": STRING},
        {},
    ),
    "int_to_text": ([node("Cast", ["x"], ["y"], to=STRING)], {"x": np.int8([-128, 0, 7])}, {"y": STRING}, {}),
    "bool_to_text": ([node("Cast", ["x"], ["y"], to=STRING)], {"x": np.array([True, False])}, {"y": STRING}, {}),
    "text_to_float": (
        [node("Cast", ["x"], ["y"], to=F32)],
        {"x": np.array(["1.5", " -2e3x", "inf", "nan", ".5", "1e39"], object)},
        {"y": F32},
        {},
    ),
    "text_to_int": (
        [node("Cast", ["x"], ["y"], to=TensorProto.INT32)],
        {"x": np.array(["12", "-7.9", " +3"], object)},
        {"y": TensorProto.INT32},
        {},
    ),
    "label_texts_to_ints": (
        [
            node(
                "LabelEncoder",
                ["x"],
                ["y"],
                keys_strings=WORDS[1:5] + ["a"],
                values_int64s=[5, 6, 7, 8, 9],
                default_int64=-3,
                **ML,
            )
        ],
        {"x": X},
        {"y": I64},
        {},
    ),
    "label_ints_to_texts": (
        [node("LabelEncoder", ["x"], ["y"], keys_int64s=[2, 1, -7], values_strings=["two", "", "日"], **ML)],
        {"x": np.array([[1, 2], [3, -7]])},
        {"y": STRING},
        {},
    ),
    "label_texts_to_texts": (
        [
            node(
                "LabelEncoder",
                ["x"],
                ["y"],
                keys_strings=WORDS[:6],
                values_strings=WORDS[6:12],
                default_string="?",
                **ML,
            )
        ],
        {"x": X},
        {"y": STRING},
        {},
    ),
    "label_floats_to_texts": (
        [
            node(
                "LabelEncoder",
                ["x"],
                ["y"],
                keys_floats=[0.0, float("nan"), 1.5],
                values_strings=["zero", "nan", "b"],
                **ML,
            )
        ],
        {"x": np.float32([-0.0, np.nan, 1.5, 2])},
        {"y": STRING},
        {},
    ),
    "categories": (
        [
            node("CategoryMapper", ["x"], ["y"], cats_strings=WORDS[1:4], cats_int64s=[10, 20, 30], **ML),
            node("CategoryMapper", ["y"], ["z"], cats_strings=WORDS[1:4], cats_int64s=[10, 20, 30], **ML),
        ],
        {"x": X},
        {"y": I64, "z": STRING},
        {},
    ),
    "tfidf": (
        [
            node(
                "TfIdfVectorizer",
                ["x"],
                ["y"],
                mode="TFIDF",
                min_gram_length=1,
                max_gram_length=2,
                max_skip_count=1,
                ngram_counts=[0, 4],
                ngram_indexes=[0, 1, 2, 3, 5, 4],
                weights=[1.0, 2.0, 3.0, 0.5, 1.5, 2.5],
                pool_strings=["a", "Ab", "ß", "", "a", "Ab", "ß", "a"],
            )
        ],
        {"x": text(5, 12)},
        {"y": F32},
        {},
    ),
}


@pytest.mark.parametrize("form", ["static", "free", "cpp"])
@pytest.mark.parametrize("row", ROWS)
def test_as_onnx_runtime(row, form, tmp_path):
    nodes, inputs, outputs, constants = ROWS[row]
    if row == "stop_words" and form == "free":
        pytest.skip("ONNX Runtime wants to know the first dim")
    proto = model(nodes, inputs, outputs, constants, free=form == "free")
    expected = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, inputs)
    source, artefact = tmp_path / "model.onnx", tmp_path / "model.so"
    source.write_bytes(proto.SerializeToString())
    compile_model(source, artefact, ["--backend=cpp"] if form == "cpp" else [])
    with CompiledModel(artefact, host=True) as compiled:
        for actual, wanted in zip(compiled.run(inputs), expected, strict=True):
            np.testing.assert_array_equal(actual, wanted)
            assert actual.dtype == wanted.dtype


# Patterns in RE2's syntax, which ONNX Runtime hands to RE2; two that it refuses are in tests/unit/regex_test.cc.
PATTERNS = [
    "", "a*", "[a-c]+", "[^a]*", ".", "..", ".*", "(?s).*", "a|b|", "(a|b)*c", "a{2}", "a{2,}", "a{1,3}?b", "x{,3}", "a{", "a??b",
    r"\d+", r"\D*", r"\w+@\w+\.com", r"\s*\S+\s*", r"[\w.]+", r"[^\d\s]*", "[[:alpha:]]+", "[[:^alpha:]]*", "[]a]+", "[a-]+", "[-a]+",
    "(?i)monday", "(?i:M)onday", "(?i)ÄÖÜ", "(?i)[k-m]+", "(?i)[^k]+", "(?i)straße", "(?-i:a)B", "(?P<name>a+)b", "(?<name>a+)b",
    "^a$", r"\Aab\z", "a^b", "(?m)a$\\n^b", r"\bfoo\b.*", r"foo\Bbar", r".*\b", r"\Qa.b\E+", r"\x41\x{1F600}", r"\101", r"\t|\n|\a|\f|\v|\r",
    "日本.", "[ぁ-ん一-龥]+", "[^\\x00-\\x7F]+", r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.|$)){4}", "(a*)*b", "((a|b)?){3}", "(|a)+", r"[\]\-\\]+",
    r"\C", r"\C\C", "(?U)a+", "(?i)K", "(?i)s+", r"[+--]+", "^*a", "(?:)", r"[[:word:][:space:]]*", "[a-z&&b]+", r"\.|\/|\@|\ ",
]  # fmt: skip
TEXTS = [
    *WORDS, "b", "ab", "aab", "aaab", "aaa", "abc", "aBc", "Ab.", "a\nb", "\n", "\t", "foo bar", "foobar", "foo", "x{,3}", "xxx", "a{", "MONDAY",
    "mOnDaY", "äöü", "kLm", "K", "STRASSE", "STRAßE", "straſſe", "a.b", "a.bb", "A😀", "A", "日本人", "漢字かな", "192.168.1.255", "256.1.1.1",
    "user@example.com", "12345", "١٢", "]a]", "--a", "\\", "\v", "\r\n", ".", "/", "@", " ", "&", "ſ", "S", "+,-", "é", "e\u0301",
]  # fmt: skip


@pytest.mark.parametrize("part", range(4))
def test_patterns(part, tmp_path):
    patterns = PATTERNS[part::4]
    feed = np.array(TEXTS, object)
    outputs = {f"y{i}": BOOL for i in range(len(patterns))}
    nodes = [node("RegexFullMatch", ["x"], [f"y{i}"], pattern=p) for i, p in enumerate(patterns)]
    m = model(nodes, {"x": feed}, outputs)
    onnx.save(m, tmp_path / "m.onnx")
    outcome = compile_model(tmp_path / "m.onnx", tmp_path / "m.so")
    assert outcome.ok, outcome.reason()
    expected = onnxruntime.InferenceSession(m.SerializeToString()).run(None, {"x": feed})
    with CompiledModel(tmp_path / "m.so", host=True) as compiled:
        actual = compiled.run({"x": feed})
    for pattern, got, want in zip(patterns, actual, expected, strict=True):
        assert got.tolist() == want.tolist(), (pattern, [t for t, a, b in zip(TEXTS, got, want) if a != b])
