"""Loops whose turns are loops of the compiled model, too, held against ONNX Runtime: counted, conditional, nested, over free
dims, with carried values that change places."""

import numpy as np
import onnx
import onnx.parser
import pytest
from support.c_abi import CompiledModel
from support.compiler import compile_model

HEAD = '<ir_version: 10, opset_import: ["": 21]>\n'

# A body that is long enough for its turns not to be unrolled.
MANY = "\n".join(["s1 = {op}({start})", *(f"s{i + 1} = {{op}}(s{i})" for i in range(1, 40))])
LONG = "\n".join(f"s{i + 1} = Tanh(s{i})" for i in range(9))

MODELS = {
    "counted_loop_with_scan_output": (
        f"""agraph (float[3] x) => (float[3] y, float[T, 3] all) <int64 n = {{100}}> {{
          y, all = Loop (n, , x) <body = turn (int64 i, bool on, float[3] s0) => (bool go, float[3] next, float[3] row) {{
            go = Identity(on)
            {LONG}
            f = Cast <to = 1> (i)
            scaled = Mul(s9, f)
            next = Add(s9, x)
            row = Sub(scaled, next)
          }}>
        }}""",
        {"x": np.float32([1, -2, 0.5])},
        {},
    ),
    "values_change_places": (
        """agraph (int64[2] a, int64[2] b) => (int64[2] p, int64[2] q, int64[2] r) <int64 n = {300}> {
          p, q, r = Loop (n, , a, b, a) <body = turn (int64 i, bool on, int64[2] x, int64[2] y, int64[2] z)
              => (bool go, int64[2] y1, int64[2] x1, int64[2] sum) {
            go = Identity(on)
            y1 = Identity(y)
            x1 = Identity(x)
            sum = Add(z, y)
          }>
        }""",
        {"a": np.int64([1, 2]), "b": np.int64([5, -7])},
        {},
    ),
    "fibonacci": (
        """agraph (int64[1] a, int64[1] b) => (int64[1] p, int64[1] q) <int64 n = {400}> {
          p, q = Loop (n, , a, b) <body = turn (int64 i, bool on, int64[1] x, int64[1] y) => (bool go, int64[1] u, int64[1] v) {
            go = Identity(on)
            v = Add(x, y)
            u = Identity(y)
          }>
        }""",
        {"a": np.int64([1]), "b": np.int64([1])},
        {},
    ),
    "condition_of_the_run": (
        """agraph (float[2] x, float limit, bool first) => (float[2] y, int64 turns)
            <int64 n = {9223372036854775807}, int64 zero = {0}, float factor = {1.5}, int64[1] axes = {0}> {
          y, turns = Loop (n, first, x, zero) <body = turn (int64 i, bool on, float[2] s, int64 c) => (bool go, float[2] t, int64 d) {
            t = Mul(s, factor)
            top = ReduceMax <keepdims = 0> (t, axes)
            go = Less(top, limit)
            one = Constant <value_int = 1> ()
            d = Add(i, one)
          }>
        }""",
        {"x": np.float32([1, 2]), "limit": np.array(50, np.float32), "first": np.array(True)},
        {},
    ),
    "count_of_the_run": (
        """agraph (float[2] x, int64 n, bool first) => (float[2] y) <float one = {1}> {
          y = Loop (n, first, x) <body = turn (int64 i, bool on, float[2] s) => (bool go, float[2] t) {
            go = Identity(on)
            t = Add(s, one)
          }>
        }""",
        {"x": np.float32([1, 2]), "n": np.array(37), "first": np.array(True)},
        {},
    ),
    "count_of_the_run_with_scan_output": (
        """agraph (float[2] x, int64 n) => (float[2] y, float[T, 2] all) <float one = {1}> {
          y, all = Loop (n, , x) <body = turn (int64 i, bool on, float[2] s) => (bool go, float[2] t, float[2] old) {
            go = Identity(on)
            t = Add(s, one)
            old = Identity(s)
          }>
        }""",
        {"x": np.float32([1, 2]), "n": np.array(37)},
        {},
    ),
    "stops_early_with_scan_outputs": (
        """agraph (float[2] x, float limit) => (float[2] y, float[T, 2] all, int64[T] numbers, float[2] sum)
            <int64 n = {100}, float factor = {1.5}, int64[1] axes = {0}> {
          y, all, numbers = Loop (n, , x) <body = turn (int64 i, bool on, float[2] s)
              => (bool go, float[2] t, float[2] old, int64 j) {
            t = Mul(s, factor)
            old = Identity(s)
            j = Identity(i)
            top = ReduceMax <keepdims = 0> (t, axes)
            go = Less(top, limit)
          }>
          sum = ReduceSum <keepdims = 0> (all, axes)
        }""",
        {"x": np.float32([1, 2]), "limit": np.array(50, np.float32)},
        {},
    ),
    "branch_within_a_loop": (
        f"""agraph (float[3] x, bool which) => (float[3] y, float[3] z) <int64 n = {{200}}, float zero = {{0}}, int64[1] axes = {{0}}> {{
          y = Loop (n, , x) <body = turn (int64 i, bool on, float[3] s) => (bool go, float[3] t) {{
            go = Identity(on)
            sum = ReduceSum <keepdims = 0> (s, axes)
            up = Greater(sum, zero)
            t = If (up) <then_branch = first () => (float[3] a) {{
              {MANY.format(op="Tanh", start="s")}
              a = Sub(s40, x)
            }}, else_branch = second () => (float[3] b) {{
              {MANY.format(op="Sin", start="s")}
              b = Add(s40, x)
            }}>
          }}>
          z = If (which) <then_branch = third () => (float[3] c) {{ c = Identity(x) }},
                          else_branch = fourth () => (float[3] d) {{
            {MANY.format(op="Tanh", start="y")}
            {MANY.format(op="Sin", start="y").replace("s", "r")}
            d = Add(s40, r40)
          }}>
        }}""",
        {"x": np.float32([1, -0.5, 0.3]), "which": np.array(False)},
        {},
    ),
    "no_turn": (
        """agraph (float[2] x, int64 n, bool first) => (float[2] y) <float one = {1}> {
          y = Loop (n, first, x) <body = turn (int64 i, bool on, float[2] s) => (bool go, float[2] t) {
            go = Identity(on)
            t = Add(s, one)
          }>
        }""",
        {"x": np.float32([1, 2]), "n": np.array(-5), "first": np.array(True)},
        {},
    ),
    "count_from_a_dim": (
        """agraph (float[N, 3] x) => (float[3] y, int64[T] squares) <float[3] zero = {0, 0, 0}, int64[1] first = {0}> {
          shape = Shape <start = 0, end = 1> (x)
          n = Squeeze(shape, first)
          y, squares = Loop (n, , zero) <body = turn (int64 i, bool on, float[3] s) => (bool go, float[3] t, int64 square) {
            go = Identity(on)
            row = Gather(x, i)
            t = Add(s, row)
            square = Mul(i, i)
          }>
        }""",
        {"x": np.arange(33, dtype=np.float32).reshape(11, 3)},
        {"N": [1, 11]},
    ),
    "scan_both_ways_along_other_axes": (
        """agraph (float[4] s, float[3, N] x, float[N, 4] w) => (float[4] y, float[4, N] up, float[N, 3] down) {
          y, up, down = Scan <num_scan_inputs = 2, scan_input_axes = [1, 0], scan_input_directions = [0, 1],
                              scan_output_axes = [1, 0], scan_output_directions = [0, 1],
                              body = turn (float[4] old, float[3] a, float[4] b) => (float[4] new, float[4] o, float[3] q) {
            sum = ReduceSum <keepdims = 1> (a)
            part = Mul(b, sum)
            new = Add(old, part)
            o = Tanh(new)
            q = Neg(a)
          }> (s, x, w)
        }""",
        {
            "s": np.float32([0, 1, 2, 3]),
            "x": np.sin(np.arange(21, dtype=np.float32)).reshape(3, 7),
            "w": np.cos(np.arange(28, dtype=np.float32)).reshape(7, 4),
        },
        {"N": [1, 7]},
    ),
    "loop_within_a_loop": (
        """agraph (float[2, 8] x) => (float[2, 8] y) <int64 many = {50}, int64 few = {30}, float small = {0.01}> {
          y = Loop (many, , x) <body = outer (int64 i, bool on, float[2, 8] a) => (bool go, float[2, 8] b) {
            go = Identity(on)
            half = Mul(a, small)
            b = Loop (few, , a) <body = inner (int64 j, bool on2, float[2, 8] c) => (bool go2, float[2, 8] d) {
              go2 = Identity(on2)
              e = Sin(c)
              d = Add(e, half)
            }>
          }>
        }""",
        {"x": np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8)},
        {},
    ),
    "products_and_views_within": (
        """agraph (float[1, 6] h, float[6, 12] w) => (float[1, 6] y, float[1, 60, 2, 3] all)
            <int64 n = {60}, int64[2] parts = {6, 6}, int64[4] shape = {1, 1, 2, 3}> {
          y, rows = Loop (n, , h) <body = turn (int64 i, bool on, float[1, 6] s) => (bool go, float[1, 6] t, float[1, 1, 2, 3] r) {
            go = Identity(on)
            w2 = Transpose(w)
            gates = MatMul(s, w)
            a, b = Split <axis = 1> (gates, parts)
            left = Tanh(a)
            right = Sigmoid(b)
            mixed = Mul(left, right)
            joined = Concat <axis = 1> (mixed, s)
            both = MatMul(joined, w2)
            sum = Add(both, s)
            t = Tanh(sum)
            r = Reshape(t, shape)
          }>
          flat = Constant <value_ints = [1, 60, 2, 3]> ()
          all = Reshape(rows, flat)
        }""",
        {
            "h": np.float32([[0.1, -0.2, 0.3, 0.5, 1, -1]]),
            "w": np.sin(np.arange(72, dtype=np.float32)).reshape(6, 12) / 4,
        },
        {},
    ),
}


def parsed(name):
    text, feeds, dims = MODELS[name]
    return onnx.parser.parse_model(HEAD + text), feeds, dims


def reference(model, feeds):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(
        None, feeds
    )


def check(path, model, feeds):
    with CompiledModel(path, host=True) as compiled:
        actual = compiled.run(feeds)
    for got, want in zip(actual, reference(model, feeds)):
        want = np.asarray(want)
        assert got.shape == want.shape and got.dtype == want.dtype
        if want.dtype.kind == "f":
            np.testing.assert_allclose(got, want, rtol=2e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    "flags", [[], ["--debug-plan"], ["--thread-grain=0"], ["-O0"], ["--backend=cpp"]], ids=lambda f: "".join(f)
)
@pytest.mark.parametrize("name", MODELS)
def test_loops(tmp_path, name, flags):
    model, feeds, dims = parsed(name)
    onnx.save(model, tmp_path / "m.onnx")
    fixed = bool({"--debug-plan", "--backend=cpp"} & set(flags))  # which know no free dims
    if fixed and "float[T, 2]" in MODELS[name][0]:
        pytest.skip("its outputs have dims that only a run knows")
    if fixed and dims:
        flags = [*flags, *(f"--dim={n}={sizes[-1]}" for n, sizes in dims.items())]
    outcome = compile_model(tmp_path / "m.onnx", tmp_path / "m.so", flags)
    assert outcome.ok, outcome.reason()
    check(tmp_path / "m.so", model, feeds)
    for n in [] if fixed else dims.get("N", []):
        cut = {
            k: np.take(v, range(n), axis=[d.dim_param for d in i.type.tensor_type.shape.dim].index("N"))
            for (k, v), i in zip(feeds.items(), model.graph.input)
            if "N" in [d.dim_param for d in i.type.tensor_type.shape.dim]
        }
        check(tmp_path / "m.so", model, feeds | cut)
