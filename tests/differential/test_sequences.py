"""Sequences and optionals held against ONNX Runtime, in both back ends: those that the compiler takes apart, those that only a
run knows, and what a run refuses."""

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from onnx import TensorProto, helper
from support.c_abi import CompiledModel, ModelError
from support.compiler import compile_model

HEAD = '<ir_version: 10, opset_import: ["": 21]>\n'

ROWS = np.arange(24, dtype=np.float32).reshape(6, 4)
RAGGED = [np.float32([[1, 2, 3, 4]]), np.float32([[5, 6, 7, 8], [9, 10, 11, 12]]), np.zeros((0, 4), np.float32)]

MODELS = {
    "built_and_taken_apart": (
        """agraph (float[2, 3] a, float[1, 3] b) => (float[3, 3] y, float[2, 3] second, int64 n)
            <int64 zero = {0}, int64 last = {-1}> {
          s = SequenceConstruct (a, b)
          t = SequenceInsert (s, a, zero)
          u = SequenceErase (t, zero)
          y = ConcatFromSequence <axis = 0> (u)
          second = SequenceAt (t, zero)
          n = SequenceLength (t)
        }""",
        {"a": ROWS[:2, :3], "b": ROWS[2:3, :3]},
    ),
    "output_of_listed_elements": (
        """agraph (float[6, 4] x) => (seq(float[2, 4]) s, float[2, 4] y) <int64 two = {2}, int64 one = {1}> {
          s = SplitToSequence <axis = 0> (x, two)
          first = SequenceAt (s, one)
          y = Neg (first)
        }""",
        {"x": ROWS},
    ),
    "position_of_the_run": (
        """agraph (float[2, 3] a, float[1, 3] b, int64 at) => (float[k, 3] y, seq(float[k, 3]) rest) {
          s = SequenceConstruct (a, b, a)
          x = SequenceAt (s, at)
          y = Exp (x)
          rest = SequenceErase (s, at)
        }""",
        {"a": ROWS[:2, :3], "b": ROWS[2:3, :3], "at": np.array(-2)},
    ),
    "sequence_of_the_caller": (
        """agraph (seq(float[N, 4]) s, float[4] x, int64 at) => (float[M, 4] y, int64 n, seq(float[N, 4]) longer) {
          row = Unsqueeze (x, zero)
          longer = SequenceInsert (s, row, at)
          y = ConcatFromSequence <axis = 0> (longer)
          n = SequenceLength (longer)
        }""",
        {"s": RAGGED, "x": ROWS[5], "at": np.array(1)},
    ),
    "parts_of_the_run": (
        """agraph (float[6, 4] x, int64[3] parts) => (seq(float[K, 4]) s, float[6, 4] y, int64 n) {
          s = SplitToSequence <axis = 0> (x, parts)
          y = ConcatFromSequence <axis = 0> (s)
          n = SequenceLength (s)
        }""",
        {"x": ROWS, "parts": np.int64([1, 0, 5])},
    ),
    "size_of_parts_of_the_run": (
        """agraph (float[6, 4] x, int64 size) => (seq(float[6, K]) s) {
          s = SplitToSequence <axis = -1> (x, size)
        }""",
        {"x": ROWS, "size": np.array(3)},
    ),
    "stacked_along_a_new_axis": (
        """agraph (seq(float[2, 3]) s) => (float[2, K, 3] y) {
          y = ConcatFromSequence <axis = 1, new_axis = 1> (s)
        }""",
        {"s": [ROWS[:2, :3], ROWS[2:4, :3], ROWS[4:, :3]]},
    ),
    "branches_of_the_run": (
        """agraph (bool c, float[2, 3] a, float[1, 3] b) => (seq(float[K, 3]) s, float[L, 3] y) {
          s = If (c) <
            then_branch = yes () => (seq(float[K, 3]) t) { t = SequenceConstruct (a, b, a) },
            else_branch = no () => (seq(float[K, 3]) e) { e = SequenceConstruct (b) }>
          y = ConcatFromSequence <axis = 0> (s)
        }""",
        {"a": ROWS[:2, :3], "b": ROWS[2:3, :3], "c": np.array(True)},
    ),
    "loop_that_appends": (
        """agraph (float[3] x, int64 n) => (float[T, 3] y, seq(float[3]) s) <bool on = {1}> {
          none = SequenceEmpty ()
          s, last = Loop (n, on, none, x) <body = turn (int64 i, bool c, seq(float[3]) before, float[3] h)
              => (bool go, seq(float[3]) after, float[3] next) {
            go = Identity (c)
            half = Constant <value_float = 0.5> ()
            less = Mul (h, half)
            next = Add (less, x)
            after = SequenceInsert (before, next)
          }>
          y = ConcatFromSequence <axis = 0, new_axis = 1> (s)
        }""",
        {"x": np.float32([1, -2, 0.5]), "n": np.array(70)},
    ),
    "loop_that_appends_and_is_unrolled": (
        """agraph (float[3] x) => (float[4, 3] y) <bool on = {1}, int64 n = {4}> {
          none = SequenceEmpty ()
          s, last = Loop (n, on, none, x) <body = turn (int64 i, bool c, seq(float[3]) before, float[3] h)
              => (bool go, seq(float[3]) after, float[3] next) {
            go = Identity (c)
            next = Add (h, x)
            after = SequenceInsert (before, next)
          }>
          y = ConcatFromSequence <axis = 0, new_axis = 1> (s)
        }""",
        {"x": np.float32([1, -2, 0.5])},
    ),
    "elements_of_other_dims_in_each_turn": (
        """agraph (seq(float[N, 4]) s, float[1, 4] w) => (seq(float[N, 4]) t, float[M, 4] all) {
          n = SequenceLength (s)
          none = SequenceEmpty ()
          t = Loop (n, , none) <body = turn (int64 i, bool c, seq(float[K, 4]) before) => (bool go, seq(float[K, 4]) after) {
            go = Identity (c)
            x = SequenceAt (s, i)
            soft = Softmax <axis = 1> (x)
            y = Mul (soft, w)
            after = SequenceInsert (before, y)
          }>
          all = ConcatFromSequence <axis = 0> (t)
        }""",
        {"s": [ROWS[:k] / 8 for k in (3, 1, 0, 6, 2)], "w": ROWS[1:2]},
    ),
    "longer_slices_in_each_turn": (
        """agraph (float[6, 4] x, int64 n) => (seq(float[N, 4]) t) <int64[1] zero = {0}, int64[1] one = {1}> {
          none = SequenceEmpty ()
          t = Loop (n, , none) <body = turn (int64 i, bool c, seq(float[K, 4]) before) => (bool go, seq(float[K, 4]) after) {
            go = Identity (c)
            at = Reshape (i, one)
            end = Add (at, one)
            part = Slice (x, zero, end, zero)
            y = Neg (part)
            after = SequenceInsert (before, y)
          }>
        }""",
        {"x": ROWS, "n": np.array(5)},
    ),
    "a_map": (
        """agraph (seq(float[N, 4]) s, float[4] w) => (seq(float[N]) t, seq(int64[2]) shapes) {
          t, shapes = SequenceMap (s, w) <body = each (float[K, 4] x, float[4] v) => (float[K] y, int64[2] shape) {
            y = MatMul (x, v)
            shape = Shape (x)
          }>
        }""",
        {"s": RAGGED[:2], "w": ROWS[2]},
    ),
    "a_sum_in_each_turn": (
        """agraph (seq(float[N, K]) s, seq(float[M, L]) u) => (seq(float[O, P]) t) {
          t = SequenceMap (s, u) <body = each (float[N, K] x, float[M, L] y) => (float[O, P] z) { z = Add (x, y) }>
        }""",
        {"s": [ROWS[:2], ROWS[3:5]], "u": [ROWS[1:3], ROWS[4:5]]},
    ),
    "a_map_of_listed_elements": (
        """agraph (float[6, 4] x) => (seq(float[2]) t) <int64 two = {2}> {
          s = SplitToSequence <axis = 0> (x, two)
          t = SequenceMap (s) <body = each (float[K, 4] x) => (float[K] y) {
            one = Constant <value_ints = [1]> ()
            y = ReduceMax <keepdims = 0> (x, one)
          }>
        }""",
        {"x": ROWS},
    ),
    "kept_rows_in_each_turn": (
        """agraph (seq(float[N, 4]) s, float[4] x) => (float[4] y, seq(int64[1, M]) where) {
          n = SequenceLength (s)
          none = SequenceEmpty <dtype = 7> ()
          y, where = Loop (n, , x, none) <body = turn (int64 i, bool c, float[4] h, seq(int64[1, K]) before)
              => (bool go, float[4] next, seq(int64[1, K]) after) {
            go = Identity (c)
            zero = Constant <value_ints = [0]> ()
            rows = SequenceAt (s, i)
            sums = ReduceSum <keepdims = 0> (rows, zero)
            next = Sub (sums, h)
            limit = Constant <value_float = 8.0> ()
            large = Greater (next, limit)
            places = NonZero (large)
            after = SequenceInsert (before, places)
          }>
        }""",
        {"s": [ROWS[:k] for k in (3, 1, 0, 6, 2)], "x": ROWS[1]},
    ),
    "optional_sequence_of_branches": (
        """agraph (bool c, float[2] a) => (bool has, optional(seq(float[2])) o) {
          o = If (c) <
            then_branch = yes () => (optional(seq(float[2])) t) { l = SequenceConstruct (a, a)  t = Optional (l) },
            else_branch = no () => (optional(seq(float[2])) e) { k = SequenceConstruct (a)  e = Optional (k) }>
          has = OptionalHasElement (o)
        }""",
        {"a": np.float32([1, 2]), "c": np.array(False)},
    ),
}


def parsed(name):
    text, feeds = MODELS[name]
    model = onnx.parser.parse_model(HEAD + text)
    if name == "sequence_of_the_caller":
        model.graph.initializer.append(helper.make_tensor("zero", TensorProto.INT64, [1], [0]))
    return model, feeds


def reference(model, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def same(got, want):
    if isinstance(want, list):
        assert isinstance(got, list) and len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            same(g, w)
        return
    want = np.asarray(want)
    assert got.shape == want.shape and got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=2e-6)


def compiled(model, tmp_path, flags=()):
    onnx.save(model, tmp_path / "m.onnx")
    outcome = compile_model(tmp_path / "m.onnx", tmp_path / "m.so", list(flags))
    assert outcome.ok, outcome.reason()
    return CompiledModel(tmp_path / "m.so", host=True)


@pytest.mark.parametrize("flags", [[], ["-O0"], ["--thread-grain=0"], ["--backend=cpp"]], ids=lambda f: "".join(f))
@pytest.mark.parametrize("name", MODELS)
def test_sequences(tmp_path, name, flags):
    model, feeds = parsed(name)
    with compiled(model, tmp_path, flags) as run:
        for got, want in zip(run.run(feeds), reference(model, feeds), strict=True):
            same(got, want)
        assert not run.host.held  # all memory came back


class RandomProgram:
    """A chain of operators on one sequence, at positions that are constants or inputs."""

    def __init__(self, seed, known):
        self.random = np.random.default_rng(seed)
        self.known = known
        self.nodes, self.inputs, self.initializers, self.feeds = [], [], [], {}
        self.length, self.sequence = 0, ""

    def tensor(self):
        name = f"x{len(self.feeds)}"
        array = self.random.standard_normal((self.random.integers(0, 4), 3)).astype(np.float32)
        self.feeds[name] = array
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape))
        return name

    def position(self, places):
        at = int(self.random.integers(-self.length, places)) if self.length else 0
        name = f"p{len(self.feeds) + len(self.initializers)}"
        if self.known or self.random.integers(2):
            self.initializers.append(helper.make_tensor(name, TensorProto.INT64, [], [at]))
        else:
            self.feeds[name] = np.array(at, np.int64)
            self.inputs.append(helper.make_tensor_value_info(name, TensorProto.INT64, []))
        return name

    def step(self, op, inputs, change):
        out = f"s{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [out]))
        self.sequence, self.length = out, self.length + change

    def model(self, steps=12):
        first = [self.tensor() for _ in range(self.random.integers(1, 4))]
        self.step("SequenceConstruct", first, len(first))
        for _ in range(steps):
            if self.length == 0 or self.random.random() < 0.6:
                end = [] if self.random.integers(2) else [self.position(self.length + 1)]
                self.step("SequenceInsert", [self.sequence, self.tensor(), *end], 1)
            else:
                end = [] if self.random.integers(2) else [self.position(self.length)]
                self.step("SequenceErase", [self.sequence, *end], -1)
        if self.length == 0:
            self.step("SequenceInsert", [self.sequence, self.tensor()], 1)
        at = self.position(self.length)
        self.nodes += [
            helper.make_node("SequenceAt", [self.sequence, at], ["at"]),
            helper.make_node("Neg", ["at"], ["one"]),
            helper.make_node("SequenceLength", [self.sequence], ["n"]),
            helper.make_node("ConcatFromSequence", [self.sequence], ["all"], axis=0),
            helper.make_node("Identity", [self.sequence], ["s"]),
        ]
        rows = helper.make_tensor_type_proto(TensorProto.FLOAT, [None, 3])
        outputs = [
            helper.make_tensor_value_info("one", TensorProto.FLOAT, [None, 3]),
            helper.make_tensor_value_info("n", TensorProto.INT64, []),
            helper.make_tensor_value_info("all", TensorProto.FLOAT, [None, 3]),
            helper.make_value_info("s", helper.make_sequence_type_proto(rows)),
        ]
        graph = helper.make_graph(self.nodes, "g", self.inputs, outputs, self.initializers)
        return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)]), self.feeds


@pytest.mark.parametrize("known", [True, False], ids=["known", "run"])
@pytest.mark.parametrize("seed", range(12))
def test_random_programs(tmp_path, seed, known):
    model, feeds = RandomProgram(seed, known).model()
    with compiled(model, tmp_path) as run:
        for got, want in zip(run.run(feeds), reference(model, feeds), strict=True):
            same(got, want)
        assert not run.host.held


@pytest.mark.parametrize(
    ("name", "change", "text"),
    [
        ("position_of_the_run", {"at": np.array(3)}, "SequenceAt.*index is out of range"),
        ("parts_of_the_run", {"parts": np.int64([1, 2, 4])}, "the parts are not the whole"),
        ("size_of_parts_of_the_run", {"size": np.array(0)}, "the parts are not the whole"),
        ("sequence_of_the_caller", {"s": [ROWS[:, :3]]}, r"input 's': element 0 has the shape"),
        ("sequence_of_the_caller", {"s": [ROWS.astype(np.float64)]}, r"input 's': element 0 has elements of type"),
        ("stacked_along_a_new_axis", {"s": []}, "index is out of range"),
        ("a_sum_in_each_turn", {"u": [ROWS[:2], ROWS[:1, :2]]}, "does not broadcast"),
        ("a_sum_in_each_turn", {"u": [ROWS[:2]]}, "index is out of range"),
    ],
)
def test_a_run_refuses(tmp_path, name, change, text):
    model, feeds = parsed(name)
    with compiled(model, tmp_path) as run:
        with pytest.raises(ModelError, match=text):
            run.run(feeds | change)
        assert not run.host.held
        for got, want in zip(run.run(feeds), reference(model, feeds), strict=True):  # the session goes on
            same(got, want)
