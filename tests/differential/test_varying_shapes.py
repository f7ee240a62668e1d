"""Loops and branches whose tensors do not keep one shape, held against ONNX Runtime: growing and shrinking carried values, turns
whose number nothing bounds, branches of different shapes and ranks, breaking out of a nested loop."""

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from support.c_abi import CompiledModel
from support.compiler import compile_model

HEAD = '<ir_version: 10, opset_import: ["": 21]>\n'
ROWS = np.sin(np.arange(48, dtype=np.float32)).reshape(6, 8)

# Text of the graph, and feeds for one compiled model.
MODELS = {
    # Beams are rows; each turn appends the best next token to each beam and its state to a cache.
    "beam_search": (
        """agraph (int64[B, 1] start, float[8, 8] w, int64 n) => (int64[B, L] tokens, float[B, L, 8] cache, float[B] score)
            <int64[1] last = {-1}, int64[1] one = {1}> {
          on = Constant <value = bool {1}> ()
          eye = EyeLike (w)
          first = Gather (eye, start)
          b = Shape <start = 0, end = 1> (start)
          zero = ConstantOfShape (b)
          tokens, cache, score = Loop (n, on, start, first, zero) <
              body = turn (int64 i, bool go, int64[B, L1] t, float[B, L2, 8] c, float[B] s)
                  => (bool on2, int64[B, L3] t2, float[B, L4, 8] c2, float[B] s2) {
            on2 = Identity (go)
            state = ReduceMean <keepdims = 1> (c, one)
            flat = Squeeze (state, one)
            logits = MatMul (flat, w)
            p = LogSoftmax (logits)
            best = ArgMax <axis = 1> (p)
            top = ReduceMax <keepdims = 0> (p, last)
            s2 = Add (s, top)
            t2 = Concat <axis = 1> (t, best)
            hot = Gather (eye, best)
            bent = Tanh (hot)
            c2 = Concat <axis = 1> (c, bent)
          }>
        }""",
        [
            {
                "start": np.int64([[1], [5], [7]]),
                "w": np.sin(np.arange(64, dtype=np.float32) ** 2).reshape(8, 8),
                "n": np.array(n),
            }
            for n in (6, 0, 1, 40)
        ],
    ),
    "grows_until_it_is_long_enough": (
        """agraph (float[N] x, int64 enough) => (float[M] y, int64 turns) <int64 none = {0}, int64 one = {1}> {
          on = Constant <value = bool {1}> ()
          y, turns = Loop (, on, x, none) <body = turn (int64 i, bool go, float[K] s, int64 c) => (bool more, float[K2] t, int64 c2) {
            half = Mul (s, s)
            t = Concat <axis = 0> (s, half)
            size = Size (t)
            more = Less (size, enough)
            c2 = Add (c, one)
          }>
        }""",
        [{"x": np.float32([0.5, -1, 2][:n]), "enough": np.array(e)} for n, e in ((3, 100), (1, 2), (2, 1), (3, 3000))],
    ),
    "stack_of_unknown_length": (
        """agraph (float[3] x, float limit) => (float[3] y, float[T, 3] all, int64[T] numbers) {
          on = Constant <value = bool {1}> ()
          y, all, numbers = Loop (, on, x) <body = turn (int64 i, bool go, float[3] s) => (bool more, float[3] t, float[3] u, int64 j) {
            t = Add (s, s)
            top = ReduceMax <keepdims = 0> (t)
            more = Less (top, limit)
            u = Identity (t)
            j = Mul (i, i)
          }>
        }""",
        [{"x": np.float32([1, 0.5, -3]), "limit": np.array(v, np.float32)} for v in (1000, 0, 1e30)],
    ),
    "stack_without_a_turn": (
        """agraph (float[3] x, bool on) => (float[3] y, float[T, 3] all) {
          y, all = Loop (, on, x) <body = turn (int64 i, bool go, float[3] s) => (bool more, float[3] t, float[3] u) {
            t = Add (s, s)
            u = Identity (t)
            top = ReduceMax <keepdims = 0> (t)
            hundred = Constant <value_float = 100.0> ()
            more = Less (top, hundred)
          }>
        }""",
        [{"x": np.float32([1, 0.5, -3]), "on": np.array(on)} for on in (True, False)],
    ),
    "stacked_shape_of_the_run": (
        """agraph (float[6, 8] x, int64 n, int64[1] rows) => (float[T, R, 8] all) <int64[1] zero = {0}> {
          on = Constant <value = bool {1}> ()
          all = Loop (n, on) <body = turn (int64 i, bool go) => (bool more, float[R, 8] part) {
            more = Identity (go)
            head = Slice (x, zero, rows)
            f = Cast <to = 1> (i)
            part = Add (head, f)
          }>
        }""",
        [{"x": ROWS, "n": np.array(n), "rows": np.int64([r])} for n, r in ((3, 2), (5, 6), (1, 0))],
    ),
    "placeholder_of_another_rank": (
        """agraph (float[3] x) => (float[] y, float[T, 3] all) <int64 turns = {300}, float none = {0}, int64[1] zero = {0}> {
          on = Constant <value = bool {1}> ()
          s, y, all = Loop (turns, on, x, none) <
              body = turn (int64 i, bool go, float[3] s, float[] p) => (bool more, float[3] t, float[1, 3] q, float[3] u) {
            more = Identity (go)
            t = Add (s, x)
            f = Cast <to = 1> (i)
            u = Sub (t, f)
            q = Unsqueeze (u, zero)
          }>
        }""",
        [{"x": np.float32([1, 0.5, -3])}],
    ),
    "weights_that_are_passed_on": (
        """agraph (float[3] x, int64 n) => (float[3] y, float[3] last, float[3, 3] w) {
          on = Constant <value = bool {1}> ()
          one = Constant <value_float = 1.0> ()
          v = Constant <value = float[3, 3] {0.5, 0, 1, -0.25, 0.5, 0, 0, 0.125, -0.5}> ()
          y, w, last = Loop (n, on, x, v, x) <
              body = turn (int64 i, bool go, float[3] s, float[3, 3] a, float[3] b) => (bool more, float[3] t, float[3, 3] c, float[3] b) {
            more = Identity (go)
            p = MatMul (s, a)
            t = Add (p, b)
            c = Identity (a)
          }>
        }""",
        [{"x": np.float32([1, 0.5, -3]), "n": np.array(n)} for n in (3, 0, 300)],
    ),
    "names_of_values_around": (
        """agraph (float[3] x, int64 n) => (float[3] y) {
          on = Constant <value = bool {1}> ()
          s = Neg (x)
          y = Loop (n, on, s) <body = turn (int64 i, bool go, float[3] x) => (bool more, float[3] t) {
            more = Identity (go)
            t = Add (x, x)
          }>
        }""",
        [{"x": np.float32([1, 0.5, -3]), "n": np.array(n)} for n in (3, 0)],
    ),
    "rank_that_a_branch_changes": (
        """agraph (float[3] x, float limit) => (float[3] y, bool[] done) <bool no = {0}, int64[1] nothing = {0}, int64 most = {999}> {
          on = Constant <value = bool {1}> ()
          y, done = Loop (most, on, x, no) <
              body = turn (int64 i, bool go, float[3] s, bool[] before) => (bool[] more, float[3] t, bool[] after) {
            t = Add (s, x)
            top = ReduceMax <keepdims = 0> (t)
            large = Greater (top, limit)
            either = If (large) <
              then_branch = end () => (bool a) { a = Constant <value = bool {1}> () },
              else_branch = on () => (bool[] b) { n = Cast <to = 7> (before) m = Add (n, nothing) b = Cast <to = 9> (m) }>
            number = Cast <to = 7> (either)
            padded = Add (number, nothing)
            after = Cast <to = 9> (padded)
            more = Not (after)
          }>
        }""",
        [{"x": np.float32([1, 0.5, -3]), "limit": np.array(v, np.float32)} for v in (10, 0.5, 1e9)],
    ),
    "shrinks": (
        """agraph (float[N, 8] x, float limit) => (float[M, 8] y) <int64[1] one = {1}, int64[1] end = {1000}> {
          on = Constant <value = bool {1}> ()
          y = Loop (, on, x) <body = turn (int64 i, bool go, float[K, 8] s) => (bool more, float[K2, 8] t) {
            t = Slice (s, one, end)
            size = Size (t)
            sixteen = Constant <value_int = 16> ()
            more = Greater (size, sixteen)
          }>
          unused = Identity (limit)
        }""",
        [{"x": ROWS[:n], "limit": np.array(1, np.float32)} for n in (6, 3, 1)],
    ),
    "nested_with_an_if_that_breaks_out": (
        """agraph (float[N] x, float limit) => (float[M] y, int64 outer, int64 inner) <int64 none = {0}, int64 one = {1}, int64 three = {3}> {
          on = Constant <value = bool {1}> ()
          y, outer, inner = Loop (, on, x, none, none) <
              body = turn (int64 i, bool go, float[K] s, int64 o, int64 n) => (bool more, float[K2] t, int64 o2, int64 n2) {
            o2 = Add (o, one)
            t, n2 = Loop (three, on, s, n) <
                body = within (int64 j, bool go2, float[K3] p, int64 m) => (bool more2, float[K4] q, int64 m2) {
              m2 = Add (m, one)
              sum = ReduceSum <keepdims = 0> (p)
              small = Less (sum, limit)
              q, more2 = If (small) <
                  then_branch = longer () => (float[A] a, bool yes) {
                    two = Add (p, p)
                    a = Concat <axis = 0> (p, two)
                    yes = Identity (on)
                  },
                  else_branch = stop () => (float[B] b, bool no) {
                    b = Identity (p)
                    no = Not (on)
                  }>
            }>
            total = ReduceSum <keepdims = 0> (t)
            more = Less (total, limit)
          }>
        }""",
        [{"x": np.float32([0.5, 1]), "limit": np.array(v, np.float32)} for v in (50, 1, 1e4)],
    ),
    "branches_of_two_shapes": (
        """agraph (float[N, 8] x, bool which) => (float[A, B] y, float[A, 1] sums) <int64[1] last = {1}> {
          z = If (which) <
              then_branch = turned () => (float[8, N] t) { t = Transpose (x) },
              else_branch = as_it_is () => (float[N, 8] u) { u = Neg (x) }>
          y = Exp (z)
          sums = ReduceSum <keepdims = 1> (y, last)
        }""",
        [{"x": ROWS[:n], "which": np.array(w)} for n in (6, 2) for w in (True, False)],
    ),
    "branches_of_two_ranks": (
        """agraph (float[4] x, bool which) => (float[4] y, float[4] w) <float one = {1}> {
          s = If (which) <
              then_branch = number () => (float a) { a = Constant <value_float = 2.5> () },
              else_branch = list () => (float[1] b) { b = Constant <value_floats = [-3.0]> () }>
          y = Mul (x, s)
          t = Add (s, one)
          u = Neg (t)
          w = Sub (y, u)
        }""",
        [{"x": np.float32([1, 2, 3, 4]), "which": np.array(w)} for w in (True, False)],
    ),
    "branches_of_two_lengths": (
        """agraph (int64[N] x, bool which) => (int64[M] y) <int64[2] more = {7, 8}> {
          z = If (which) <
              then_branch = both () => (int64[A] a) { a = Concat <axis = 0> (x, more) },
              else_branch = one () => (int64[B] b) { b = Identity (x) }>
          y = Mul (z, z)
        }""",
        [{"x": np.arange(n), "which": np.array(w)} for n in (3, 0) for w in (True, False)],
    ),
}


def compiled_text(tmp_path, text, flags):
    (tmp_path / "m.onnx").write_bytes(onnx.parser.parse_model(HEAD + text).SerializeToString())
    outcome = compile_model(tmp_path / "m.onnx", tmp_path / "m.so", flags)
    assert outcome.ok, outcome.reason()
    return CompiledModel(tmp_path / "m.so", host=True)


@pytest.mark.parametrize("flags", [[], ["--thread-grain=0"], ["-O0"]], ids=lambda f: "".join(f))
@pytest.mark.parametrize("name", MODELS)
def test_varying_shapes(tmp_path, name, flags):
    text, feeds = MODELS[name]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    source = onnx.parser.parse_model(HEAD + text).SerializeToString()
    reference = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    with compiled_text(tmp_path, text, flags) as compiled:
        for feed in feeds:
            for got, want in zip(compiled.run(feed), reference.run(None, feed), strict=True):
                want = np.asarray(want)
                assert got.shape == want.shape and got.dtype == want.dtype
                np.testing.assert_allclose(got, want, rtol=2e-5, atol=1e-5)


CANNOT_RUN = """agraph (float[2, 3] x, bool which) => (float[2, 2] y)
    <float[3, 2] fits = {1, 2, 3, 4, 5, 6}, float[4, 2] not = {1, 2, 3, 4, 5, 6, 7, 8}> {
  z = If (which) <
      then_branch = good () => (float[2, 2] a) { a = MatMul (x, fits) },
      else_branch = bad () => (float[2, 2] b) {
        c = MatMul (x, not)
        b = Relu (c)
      }>
  y = Neg (z)
}"""


@pytest.mark.parametrize("flags", [[], ["-O0"]], ids=lambda f: "".join(f))
def test_a_branch_that_cannot_run_refuses_the_run(tmp_path, flags):
    x = ROWS[:2, :3]
    with compiled_text(tmp_path, CANNOT_RUN, flags) as compiled:
        [y] = compiled.run({"x": x, "which": np.array(True)})
        np.testing.assert_allclose(y, -(x @ np.float32([[1, 2], [3, 4], [5, 6]])), rtol=1e-6)
        with pytest.raises(RuntimeError, match="else_branch cannot run.*MatMul"):
            compiled.run({"x": x, "which": np.array(False)})


ASKS_WHEN_TAKEN = """agraph (float[N, M] x, bool which) => (float[N, 2] y)
    <float[3, 2] w = {1, 2, 3, 4, 5, 6}, int64[2] first = {0, 1}> {
  y = If (which) <
      then_branch = product () => (float[N, 2] a) { a = MatMul (x, w) },
      else_branch = columns () => (float[N, 2] b) { b = Gather <axis = 1> (x, first) }>
}"""


@pytest.mark.parametrize("flags", [[], ["-O0"]], ids=lambda f: "".join(f))
def test_a_branch_asks_something_of_the_inputs_only_when_it_is_taken(tmp_path, flags):
    with compiled_text(tmp_path, ASKS_WHEN_TAKEN, flags) as compiled:
        for columns in (3, 5):
            x = ROWS[:, :columns]
            [y] = compiled.run({"x": np.ascontiguousarray(x), "which": np.array(False)})
            np.testing.assert_array_equal(y, x[:, :2])
        [y] = compiled.run({"x": np.ascontiguousarray(ROWS[:, :3]), "which": np.array(True)})
        np.testing.assert_allclose(y, ROWS[:, :3] @ np.float32([[1, 2], [3, 4], [5, 6]]), rtol=1e-5)
        with pytest.raises(RuntimeError, match="MatMul"):
            compiled.run({"x": np.ascontiguousarray(ROWS[:, :5]), "which": np.array(True)})


TWO_RANKS = """agraph (float[N] x, bool which) => (float[M] y) <int64[1] one = {1}> {
  y = If (which) <
      then_branch = same () => (float[A] a) { a = Neg (x) },
      else_branch = more () => (float[B, C] b) { b = Unsqueeze (x, one) }>
}"""


def test_a_branch_of_another_rank_than_declared_refuses_the_run(tmp_path):
    with compiled_text(tmp_path, TWO_RANKS, []) as compiled:
        [y] = compiled.run({"x": ROWS[0], "which": np.array(True)})
        np.testing.assert_array_equal(y, -ROWS[0])
        with pytest.raises(RuntimeError, match="else_branch cannot run.*declares a rank of 1"):
            compiled.run({"x": ROWS[0], "which": np.array(False)})
