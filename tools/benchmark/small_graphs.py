"""--small: graphs of one operator, and loops, beside ONNX Runtime (one thread, through Python's `run`): right, and how much faster."""

import dataclasses
import re

import numpy as np
import onnx
import onnx.parser
from onnx import helper

from benchmark import artefacts, engines, free_dims, measure

HEADER = f"{'graph':24} {'onnxc ms':>9} {'ORT ms':>9} {'ratio':>6} {'error':>8}"
RANDOM = np.random.default_rng(1)


def floats(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape, dtype=np.float32)


def positive(*shape: int) -> np.ndarray:
    return np.abs(floats(*shape)) + np.float32(0.1)


def small(*shape: int) -> np.ndarray:
    """Weights of a recurrent net that is no chaos: sums of a row's products stay near 1."""
    return floats(*shape) * np.float32(shape[-1] ** -0.5)


def ints(high: int, *shape: int) -> np.ndarray:
    return RANDOM.integers(0, high, shape)


def i64(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@dataclasses.dataclass
class Row:
    """One operator. `weights` are constants of the file, the node's last inputs, or its first."""

    inputs: list[np.ndarray]
    weights: list[np.ndarray] = dataclasses.field(default_factory=list)
    attributes: dict = dataclasses.field(default_factory=dict)
    outputs: int = 1
    weights_first: bool = False

    def model(self, operator: str) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
        feed = {f"x{i}": array for i, array in enumerate(self.inputs)}
        weights = {f"w{i}": array for i, array in enumerate(self.weights)}
        constants = ["" if array is ABSENT else name for name, array in weights.items()]
        names = [*constants, *feed] if self.weights_first else [*feed, *constants]
        graph = helper.make_graph(
            [
                helper.make_node(
                    operator.split(".")[0], names, [f"y{i}" for i in range(self.outputs)], **self.attributes
                )
            ],
            operator,
            [
                helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
                for n, a in feed.items()
            ],
            [onnx.ValueInfoProto(name=f"y{i}") for i in range(self.outputs)],
            [onnx.numpy_helper.from_array(a, n) for n, a in weights.items() if n in names],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
        return onnx.shape_inference.infer_shapes(model, data_prop=True), feed


ABSENT = np.zeros(0, bool)  # an input that is left out
IMAGE = (1, 64, 56, 56)
TOKENS = (1, 128, 768)

# The operators that the real models hold most, then those that are known to be slow elsewhere; sizes as they stand there.
OPERATORS: dict[str, Row] = {
    "Add": Row([floats(*IMAGE), floats(*IMAGE)]),
    "Add.bias": Row([floats(*TOKENS)], [floats(768)]),
    "Reshape": Row([floats(*TOKENS)], [i64(1, 128, 12, 64)]),
    "Conv": Row([floats(*IMAGE)], [floats(64, 64, 3, 3)], {"pads": [1, 1, 1, 1]}),
    "Conv.depthwise": Row([floats(1, 96, 56, 56)], [floats(96, 1, 3, 3)], {"pads": [1, 1, 1, 1], "group": 96}),
    "Concat": Row([floats(*IMAGE), floats(*IMAGE)], [], {"axis": 1}),
    "Relu": Row([floats(*IMAGE)]),
    "Transpose": Row([floats(1, 128, 12, 64)], [], {"perm": [0, 2, 1, 3]}),
    "Transpose.channels": Row([floats(*IMAGE)], [], {"perm": [0, 2, 3, 1]}),
    "Mul": Row([floats(*IMAGE), floats(1, 64, 1, 1)]),
    "Unsqueeze": Row([floats(*TOKENS)], [i64(1)]),
    "Cast": Row([ints(100, *TOKENS)], [], {"to": 1}),
    "Shape": Row([floats(*TOKENS)]),
    "Sigmoid": Row([floats(*IMAGE)]),
    "Div": Row([floats(*TOKENS), positive(1, 128, 1)]),
    "Softmax": Row([floats(12, 128, 128)]),
    "MatMul": Row([floats(*TOKENS)], [floats(768, 768)]),
    "MatMul.batched": Row([floats(12, 128, 64), floats(12, 64, 128)]),
    "Slice": Row([floats(1, 4, 320, 320)], [i64(1), i64(320), i64(2), i64(2)]),
    "Gather": Row([ints(30000, 1, 128)], [floats(30000, 384)], weights_first=True),
    "MaxPool": Row([floats(1, 64, 112, 112)], [], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "Squeeze": Row([floats(1, 128, 768)], [i64(0)]),
    "ConstantOfShape": Row([i64(1, 128, 768)]),
    "Sub": Row([floats(*TOKENS), floats(1, 128, 1)]),
    "Gemm": Row([floats(32, 768)], [floats(768, 768), floats(768)]),
    "Gemm.row": Row([floats(1, 2048)], [floats(1000, 2048), floats(1000)], {"transB": 1}),
    "Sqrt": Row([positive(*TOKENS)]),
    "Identity": Row([floats(*TOKENS)]),
    "Pow": Row([floats(*TOKENS)], [np.array(2, np.float32)]),
    "BatchNormalization": Row([floats(*IMAGE)], [floats(64), floats(64), floats(64), positive(64)]),
    "ReduceMean": Row([floats(*TOKENS)], [i64(-1)]),
    "Pad": Row([floats(*IMAGE)], [i64(0, 0, 1, 1, 0, 0, 1, 1)]),
    "Clip": Row([floats(*IMAGE)], [np.array(0, np.float32), np.array(6, np.float32)]),
    "GlobalAveragePool": Row([floats(1, 512, 14, 14)]),
    "Expand": Row([floats(1, 12, 1, 128)], [i64(1, 12, 128, 128)]),
    "AveragePool": Row([floats(*IMAGE)], [], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    "Erf": Row([floats(1, 128, 3072)]),
    "Where": Row([ints(2, 1, 12, 128, 128).astype(bool), floats(1, 12, 128, 128)], [np.array(-1e9, np.float32)]),
    "Equal": Row([ints(3, *TOKENS), ints(3, *TOKENS)]),
    "ReduceSum": Row([floats(*IMAGE)], [i64(2, 3)]),
    "Max": Row([floats(*TOKENS), floats(*TOKENS)]),
    "LSTM": Row([floats(50, 1, 128)], [small(1, 512, 128), small(1, 512, 128), small(1, 1024)], {"hidden_size": 128}),
    "GRU": Row([floats(50, 1, 128)], [small(1, 384, 128), small(1, 384, 128), small(1, 768)], {"hidden_size": 128}),
    "Tanh": Row([floats(1, 128, 3072)]),
    "LayerNormalization": Row([floats(*TOKENS)], [floats(768), floats(768)]),
    "Log": Row([positive(*TOKENS)]),
    "Exp": Row([floats(*TOKENS)]),
    "Range": Row([np.array(0), np.array(1000), np.array(1)]),
    "ReduceMax": Row([floats(*IMAGE)], [i64(1)]),
    "Resize": Row([floats(1, 64, 40, 40)], [ABSENT, np.float32([1, 1, 2, 2])], {"mode": "nearest"}),
    "Resize.linear": Row([floats(1, 64, 40, 40)], [ABSENT, np.float32([1, 1, 2, 2])], {"mode": "linear"}),
    "Neg": Row([floats(*TOKENS)]),
    "HardSigmoid": Row([floats(*IMAGE)]),
    "LeakyRelu": Row([floats(*IMAGE)]),
    "GreaterOrEqual": Row([floats(*TOKENS), floats(*TOKENS)]),
    "GatherND": Row([floats(128, 768), ints(128, 64, 1)]),
    "GatherElements": Row([floats(128, 768), ints(128, 64, 768)]),
    "Flatten": Row([floats(1, 512, 7, 7)]),
    "ConvTranspose": Row([floats(1, 64, 40, 40)], [floats(64, 32, 2, 2)], {"strides": [2, 2]}),
    "Split": Row([floats(1, 128, 2304)], [i64(768, 768, 768)], {"axis": -1}, 3),
    "ScatterND": Row([floats(128, 768), ints(128, 64, 1), floats(64, 768)]),
    "ScatterElements": Row([floats(128, 768), ints(128, 64, 768), floats(64, 768)]),
    "TopK": Row([floats(1, 8400)], [i64(100)], {}, 2),
    "TopK.experts": Row([floats(128, 64)], [i64(4)], {}, 2),
    "TopK.axis": Row([floats(80, 4000)], [i64(10)], {"axis": 0, "largest": 0}, 2),
    "TopK.all": Row([floats(4, 4000)], [i64(4000)], {}, 2),
    "ArgMax": Row([floats(8400, 80)], [], {"axis": 1}),
    "ArgMax.channels": Row([floats(1, 21, 128, 128)], [], {"axis": 1}),
    "ArgMax.row": Row([floats(1, 50000)], [], {"axis": -1}),
    "CumSum": Row([floats(128, 768)], [np.array(0)]),
    "CumSum.last": Row([floats(128, 768)], [np.array(1)]),
    "Einsum": Row([floats(1, 12, 128, 64), floats(1, 12, 128, 64)], [], {"equation": "bhid,bhjd->bhij"}),
    "GridSample": Row([floats(1, 32, 64, 64), floats(1, 64, 64, 2)]),
    "GridSample.border": Row([floats(1, 3, 256, 256), floats(1, 128, 128, 2) / 2], [], {"padding_mode": "border"}),
    "GridSample.cubic": Row([floats(1, 32, 64, 64), floats(1, 64, 64, 2) / 2], [], {"mode": "cubic"}),
    "GridSample.volume": Row([floats(1, 8, 16, 32, 32), floats(1, 16, 32, 32, 3) / 2]),
    "STFT": Row([floats(1, 16000, 1)], [np.array(160), np.hanning(400).astype(np.float32)]),
    "Attention": Row([floats(1, 12, 128, 64), floats(1, 12, 128, 64), floats(1, 12, 128, 64)]),
    "InstanceNormalization": Row([floats(*IMAGE)], [floats(64), floats(64)]),
    "NonMaxSuppression": Row(
        [np.cumsum(positive(1, 1000, 4), axis=2), np.abs(floats(1, 4, 1000))],
        [i64(100), np.float32([0.5]), np.float32([0.5])],
    ),
    "NonZero": Row([ints(2, 256, 256)]),
    "Unique": Row([ints(500, 10000)]),
    "QuantizeLinear": Row([floats(*TOKENS)], [np.array(0.02, np.float32), np.array(128, np.uint8)]),
    "DequantizeLinear": Row([ints(256, *TOKENS).astype(np.uint8)], [np.array(0.02, np.float32), np.array(128, np.uint8)]),
    "DynamicQuantizeLinear": Row([floats(*TOKENS)], [], {}, 3),
    "MatMulInteger": Row([ints(256, 1, 128, 384).astype(np.uint8)], [ints(256, 384, 384).astype(np.uint8)]),
}  # fmt: skip

COUNT = 1000
# Text of the graph and feeds. A turn of these costs other engines more than its arithmetic.
LOOPS: dict[str, tuple[str, dict[str, np.ndarray]]] = {
    f"tiny_turns_x{COUNT}": (
        """agraph (float[4] x, int64 n) => (float[4] y) <float half = {0.5}, float one = {1}> {
          y = Loop (n, , x) <body = turn (int64 i, bool on, float[4] s) => (bool go, float[4] t) {
            go = Identity (on)
            a = Mul (s, half)
            b = Add (a, one)
            c = Sqrt (b)
            t = Sub (b, c)
          }>
        }""",
        {"x": floats(4), "n": np.array(COUNT)},
    ),
    "beams_that_grow": (
        """agraph (int64[B, 1] start, float[64, 64] w, int64 n) => (int64[B, L] tokens, float[B, M, 64] cache)
            <int64[1] one = {1}> {
          on = Constant <value = bool {1}> ()
          eye = EyeLike (w)
          first = Gather (eye, start)
          tokens, cache = Loop (n, on, start, first) <
              body = turn (int64 i, bool go, int64[B, L1] t, float[B, L2, 64] c) => (bool on2, int64[B, L3] t2, float[B, L4, 64] c2) {
            on2 = Identity (go)
            state = ReduceMean <keepdims = 1> (c, one)
            flat = Squeeze (state, one)
            logits = MatMul (flat, w)
            best = ArgMax <axis = 1> (logits)
            t2 = Concat <axis = 1> (t, best)
            hot = Gather (eye, best)
            bent = Tanh (hot)
            c2 = Concat <axis = 1> (c, bent)
          }>
        }""",
        {"start": ints(64, 4, 1), "w": floats(64, 64), "n": np.array(100)},
    ),
    "nested_breaks_out": (
        """agraph (float[8] x, int64 n, float limit) => (float[8] y) <float small = {1.01}, int64 inner = {20}> {
          yes = Constant <value = bool {1}> ()
          y = Loop (n, yes, x) <body = outer (int64 i, bool on, float[8] a) => (bool go, float[8] b) {
            go = Identity (on)
            b = Loop (inner, yes, a) <body = within (int64 j, bool on2, float[8] c) => (bool go2, float[8] d) {
              top = ReduceMax <keepdims = 0> (c)
              go2 = Less (top, limit)
              d = If (go2) <
                  then_branch = grow () => (float[8] e) { e = Mul (c, small) },
                  else_branch = stop () => (float[8] f) { f = Neg (c) }>
            }>
          }>
        }""",
        {"x": positive(8), "n": np.array(50), "limit": np.array(8, np.float32)},
    ),
    "scan_backwards": (
        """agraph (float[16] s, float[500, 16] x) => (float[16] y, float[500, 16] all) {
          y, all = Scan <num_scan_inputs = 1, scan_input_directions = [1], scan_output_directions = [1],
                         body = turn (float[16] old, float[16] a) => (float[16] new, float[16] row) {
            sum = Add (old, a)
            new = Tanh (sum)
            row = Identity (new)
          }> (s, x)
        }""",
        {"s": floats(16), "x": floats(500, 16)},
    ),
    "loop_over_a_sequence": (
        """agraph (float[200, 32] x, float[32] start) => (float[32] y) <int64 zero = {0}> {
          s = SplitToSequence <axis = 0, keepdims = 0> (x)
          n = SequenceLength (s)
          y = Loop (n, , start) <body = turn (int64 i, bool on, float[32] a) => (bool go, float[32] b) {
            go = Identity (on)
            row = SequenceAt (s, i)
            sum = Add (a, row)
            b = Tanh (sum)
          }>
        }""",
        {"x": floats(200, 32), "start": floats(32)},
    ),
}


def rows() -> list[str]:
    return [*OPERATORS, *LOOPS]


def measure_row(name: str, rounds: int, slice_seconds: float) -> dict:
    row: dict = {"graph": name}
    if name in LOOPS:
        text, feed = LOOPS[name]
        model = onnx.parser.parse_model('<ir_version: 10, opset_import: ["": 21]>\n' + text)
    else:
        model, feed = OPERATORS[name].model(name)
    path = artefacts.FOLDER / f"small-{re.sub('[^a-zA-Z0-9_]', '_', name)}.onnx"
    artefacts.FOLDER.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    try:
        ours = engines.runner(engines.OURS, artefacts.library(path.stem, path, []).library, 1)
        ort = engines.runner(engines.ORT, path, 1)
        row["error"] = free_dims.greatest_error(ours(feed), ort(feed))
    except Exception as error:  # of either engine: told in the table
        row["problem"] = str(error).splitlines()[0]
        return row
    times = measure.interleave({"onnxc": lambda: ours(feed), "ort": lambda: ort(feed)}, rounds, slice_seconds)
    row |= {engine: t.median for engine, t in times.items()}
    row["ratio"] = row["ort"] / row["onnxc"]
    return row


def line_of(row: dict) -> str:
    if "problem" in row:
        return f"{row['graph']:24} {row['problem']}"
    return (
        f"{row['graph']:24} {row['onnxc'] * 1e3:9.4f} {row['ort'] * 1e3:9.4f} {row['ratio']:6.2f} {row['error']:8.1e}"
    )
