"""The table behind random_ops.py: for each operator a function of a random generator that makes one case.

Shapes are odd on purpose (1, primes, just off multiples of 16, sometimes 0), axes are negative as often as not, floats hold
NaN, infinities, signed zeros and denormals where the operator's answer is defined for them, integers their extremes."""

import dataclasses

import numpy as np

ODD = [1, 1, 2, 3, 5, 7, 8, 13, 15, 16, 17, 31, 33]
FLOATS = [np.float32, np.float64, np.float16]
INTS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40, 3.4e38, 0.5, -0.5, 1.5, 2.5, 1.0, -1.0]


@dataclasses.dataclass
class Single:
    """One node. inputs: arrays that are fed; constants: index -> array, initializers in between; None: absent."""

    op: str
    inputs: list
    attributes: dict = dataclasses.field(default_factory=dict)
    outputs: int = 1
    constant: tuple = ()  # which inputs are initializers
    domain: str = ""


ROWS = {}


def row(*names):
    def add(function):
        for name in names:
            ROWS[name] = lambda r, name=name: function(r, name)
        return function

    return add


def dims(r, rank=None, low=0, high=4, empty=True):
    rank = int(r.integers(low, high + 1)) if rank is None else rank
    shape = [int(r.choice(ODD)) for _ in range(rank)]
    while np.prod(shape, dtype=float) > 20000:
        shape[int(r.integers(rank))] = 1
    if empty and rank and r.random() < 0.2:
        shape[int(r.integers(rank))] = 0
    return shape


def floats(r, shape, dtype=np.float32, scale=2.0, special=False):
    x = np.asarray(r.standard_normal(shape) * scale)
    if special and x.size:
        with np.errstate(over="ignore"):
            where = r.random(x.shape) < 0.2
            x = np.where(where, r.choice(SPECIAL, x.shape), x)
    with np.errstate(over="ignore"):
        return np.asarray(x, dtype)


def maybe(r, value):
    return value if r.random() < 0.5 else None


def integers(r, shape, dtype, extremes=True, small=False):
    info = np.iinfo(dtype)
    low, high = (max(info.min, -100), min(info.max, 100)) if small else (info.min, info.max)
    x = r.integers(low, high, shape, dtype=dtype, endpoint=True)
    if extremes and not small:
        where = r.random(np.shape(x)) < 0.2
        x = np.where(where, r.choice(np.array([info.min, info.max, 0, 1], dtype), np.shape(x)), x).astype(dtype)
    return np.asarray(x)


def broadcast_pair(r):
    full = dims(r)

    def part():
        cut = full[int(r.integers(0, len(full) + 1)) :] if r.random() < 0.4 else list(full)
        return [1 if r.random() < 0.25 else d for d in cut]

    return part(), part()


def axis_of(r, rank):
    return int(r.integers(-rank, rank))


UNARY = (
    "Abs Neg Floor Ceil Round Sqrt Exp Log Sin Cos Tan Asin Acos Atan Sinh Cosh Tanh Asinh Acosh Atanh Erf Sigmoid Relu Elu Selu "
    "Softplus Softsign Reciprocal LeakyRelu HardSigmoid HardSwish ThresholdedRelu Celu Mish Sign IsNaN IsInf"
).split()


@row(*UNARY)
def unary(r, op):
    return Single(op, [floats(r, dims(r), np.float32, 3.0, special=op not in ("Sin", "Cos", "Tan", "Mish"))])


@row("Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu", "Pow")
def arithmetic(r, op):
    a, b = broadcast_pair(r)
    if op in ("Add", "Sub", "Mul") and r.random() < 0.4:
        t = r.choice(INTS[2:4] + INTS[6:])
        return Single(op, [integers(r, a, t), integers(r, b, t)])
    if op in ("Max", "Min") and r.random() < 0.4:
        t = r.choice(INTS)
        return Single(op, [integers(r, a, t), integers(r, b, t)])
    if op == "Pow":
        return Single(op, [np.abs(floats(r, a)), floats(r, b, scale=1.5)])
    if op == "PRelu":
        full = dims(r, low=1)
        return Single(op, [floats(r, full), floats(r, [1 if r.random() < 0.3 else d for d in full])])
    t = r.choice(FLOATS[:2])
    return Single(op, [floats(r, a, t, special=True), floats(r, b, t, special=True)])


@row("Mod")
def modulus(r, op):
    a, b = broadcast_pair(r)
    t = r.choice(INTS)
    divisor = integers(r, b, t)
    return Single(
        op,
        [
            integers(r, a, t),
            np.where((divisor == 0) | (divisor == t(0) - t(1) if np.iinfo(t).min < 0 else False), t(3), divisor).astype(
                t
            ),
        ],
        {"fmod": int(r.integers(2))},
    )


@row("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")
def comparison(r, op):
    a, b = broadcast_pair(r)
    if r.random() < 0.5:
        t = r.choice([np.int32, np.int64])
        return Single(op, [integers(r, a, t), integers(r, b, t)])
    return Single(op, [floats(r, a, special=True), floats(r, b, special=True)])


@row("And", "Or", "Xor")
def logic(r, op):
    a, b = broadcast_pair(r)
    return Single(op, [np.asarray(r.random(a) < 0.5), np.asarray(r.random(b) < 0.5)])


@row("BitwiseAnd", "BitwiseOr", "BitwiseXor")
def bits(r, op):
    a, b = broadcast_pair(r)
    t = r.choice(INTS)
    return Single(op, [integers(r, a, t), integers(r, b, t)])


@row("Where")
def where(r, op):
    a, b = broadcast_pair(r)
    return Single(op, [np.asarray(r.random(a) < 0.5), floats(r, b, special=True), floats(r, a, special=True)])


@row("Clip")
def clip(r, op):
    t = r.choice([np.float32, np.int32, np.int64, np.uint8])
    x = floats(r, dims(r), special=True) if t is np.float32 else integers(r, dims(r), t)
    return Single(
        op,
        [x, np.asarray(-1 if t is not np.uint8 else 3, t), np.asarray(100, t)],
        constant=(1, 2) if r.random() < 0.5 else (),
    )


@row("Cast")
def cast(r, op):
    from support.elements import ELEM

    kinds = [np.float32, np.float64, np.float16, np.int32, np.int64, np.uint8, np.int8, np.bool_]
    source, target = kinds[r.integers(len(kinds))], kinds[r.integers(len(kinds))]
    shape = dims(r)
    if source is np.bool_:
        x = np.asarray(r.random(shape) < 0.5)
    elif np.dtype(source).kind == "f":
        x = floats(r, shape, source, 30 if np.dtype(target).kind != "u" else 1)
        x = np.abs(x) if np.dtype(target).kind == "u" else x
    else:
        x = integers(r, shape, source, small=True)
        x = np.abs(x).astype(source) if np.dtype(target).kind == "u" else x
    return Single(op, [x], {"to": int(ELEM[np.dtype(target)])})


REDUCTIONS = "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum ReduceLogSumExp".split()


@row(*REDUCTIONS)
def reduction(r, op):
    shape = dims(r, low=1, empty=False)
    if r.random() < 0.2:  # longer than what is reduced side by side
        shape = [int(r.integers(1, 20)), int(r.choice([64, 70, 150]))]
    x = floats(r, shape, scale=1.0)
    if op in ("ReduceLogSum", "ReduceProd"):
        x = np.abs(x) * 0.2 + 0.9
    inputs, constant = [x], ()
    if r.random() < 0.8:
        count = int(r.integers(1, len(shape) + 1))
        axes = r.permutation(len(shape))[:count]
        inputs.append(np.array([a - len(shape) if r.random() < 0.5 else a for a in axes], np.int64))
        constant = (1,)
    return Single(op, inputs, {"keepdims": int(r.integers(2))}, constant=constant)


@row("Softmax", "LogSoftmax", "Hardmax")
def softmax(r, op):
    shape = dims(r, low=1, empty=False)
    return Single(op, [floats(r, shape, scale=5.0)], {"axis": axis_of(r, len(shape))})


@row("MatMul")
def matmul(r, op):
    m, k, n = (int(r.choice([*ODD, 48, 65, 130, 0])) for _ in range(3))
    batch = dims(r, high=2, empty=False)
    a = [*[1 if r.random() < 0.3 else d for d in batch], m, k]
    b = [*[1 if r.random() < 0.3 else d for d in batch][int(r.integers(0, len(batch) + 1)) :], k, n]
    if r.random() < 0.1:
        a = [k]
    elif r.random() < 0.1:
        b = [k]
    return Single(op, [floats(r, a), floats(r, b)], constant=(1,) if r.random() < 0.5 else ())


@row("Gemm")
def gemm(r, op):
    m, k, n = (int(r.choice([*ODD, 48, 65, 130, 0])) for _ in range(3))
    ta, tb = int(r.integers(2)), int(r.integers(2))
    c = [[], [n], [1, n], [m, 1], [m, n], [1]][r.integers(6)]
    return Single(
        op,
        [floats(r, [k, m] if ta else [m, k]), floats(r, [n, k] if tb else [k, n]), floats(r, c)],
        {"transA": ta, "transB": tb, "alpha": float(r.choice([1, 0.5])), "beta": float(r.choice([1, 2]))},
        constant=(1, 2) if r.random() < 0.6 else (),
    )


def window_attributes(r, n, size, kernel, dilate=True):
    strides = [int(r.integers(1, 4)) for _ in range(n)]
    dilations = [int(r.integers(1, 3)) if dilate and (kernel[k] - 1) * 2 < size[k] else 1 for k in range(n)]
    attributes = {"kernel_shape": kernel, "strides": strides, "dilations": dilations}
    if r.random() < 0.25 and max(dilations) == 1:
        attributes["auto_pad"] = str(r.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    else:
        attributes["pads"] = [int(r.integers(0, kernel[k % n])) for k in range(2 * n)]
    return attributes


def window_sizes(r, n):
    limit = 40 if n == 1 else 17 if n == 2 else 8
    size = [int(r.integers(3, limit)) for _ in range(n)]
    return size, [int(r.integers(1, min(s, 5) + 1)) for s in size]


@row("Conv")
def conv(r, op):
    n = int(r.choice([1, 2, 2, 2, 3]))
    size, kernel = window_sizes(r, n)
    if n == 2 and r.random() < 0.1:  # a row, standing
        size[1] = kernel[1] = 1
    kind = r.integers(3)
    group = int(r.integers(1, 4)) if kind == 1 else 1
    cin, cout = group * int(r.choice([1, 3, 5, 16, 17])), group * int(r.choice([1, 4, 16, 19]))
    if kind == 2:  # depthwise
        group = cin = cout = int(r.choice([1, 3, 16, 20, 33]))
    x, w = floats(r, [int(r.integers(1, 3)), cin, *size], scale=1), floats(r, [cout, cin // group, *kernel], scale=1)
    inputs = [x, w] + ([floats(r, [cout])] if r.random() < 0.6 else [])
    return Single(
        op,
        inputs,
        {"group": group, **window_attributes(r, n, size, kernel)},
        constant=(1, 2)[: len(inputs) - 1] if r.random() < 0.8 else (),
    )


@row("ConvTranspose")
def conv_transpose(r, op):
    n = int(r.choice([1, 2, 2]))
    size, kernel = window_sizes(r, n)
    group = int(r.integers(1, 3))
    cin, cout = group * int(r.choice([1, 3, 16])), int(r.choice([1, 4, 17]))
    strides = [int(r.integers(1, 4)) for _ in range(n)]
    attributes = {
        "group": group,
        "strides": strides,
        "dilations": [int(r.choice([1, 1, 2])) for _ in range(n)],
        "pads": [int(r.integers(0, (kernel[k % n] + 1) // 2)) for k in range(2 * n)],
        "output_padding": [int(r.integers(0, s)) for s in strides],
    }
    return Single(
        op,
        [floats(r, [1, cin, *size]), floats(r, [cin, cout, *kernel]), floats(r, [cout * group])],
        attributes,
        constant=(1, 2),
    )


@row("MaxPool", "AveragePool")
def pool(r, op):
    n = int(r.choice([1, 2, 2, 2, 3]))
    size, kernel = window_sizes(r, n)
    attributes = window_attributes(r, n, size, kernel, dilate=op == "MaxPool")
    if op == "AveragePool":
        attributes.pop("dilations")
        attributes["count_include_pad"] = int(r.integers(2))
    if "auto_pad" not in attributes:
        attributes["ceil_mode"] = int(r.integers(2)) if op == "MaxPool" else 0
    return Single(op, [floats(r, [int(r.integers(1, 3)), int(r.choice([1, 3, 16, 17, 32])), *size])], attributes)


@row("GlobalAveragePool", "GlobalMaxPool")
def global_pool(r, op):
    return Single(op, [floats(r, [2, int(r.choice([1, 3, 16, 19])), *dims(r, int(r.integers(1, 4)), empty=False)])])


@row("BatchNormalization")
def batch_norm(r, op):
    c = int(r.choice([1, 3, 16, 19]))
    x = floats(r, [2, c, *dims(r, int(r.integers(0, 3)), empty=False)])
    return Single(
        op,
        [x, floats(r, [c]), floats(r, [c]), floats(r, [c]), np.abs(floats(r, [c])) + np.float32(0.1)],
        {"epsilon": 1e-3},
        constant=(1, 2, 3, 4),
    )


@row("LayerNormalization")
def layer_norm(r, op):
    shape = dims(r, low=1, empty=False)
    axis = axis_of(r, len(shape))
    part = shape[axis:]
    return Single(op, [floats(r, shape), floats(r, part), floats(r, part)], {"axis": axis}, constant=(1, 2))


@row("InstanceNormalization")
def instance_norm(r, op):
    c = int(r.choice([1, 3, 16]))
    return Single(op, [floats(r, [2, c, 7, 5]), floats(r, [c]), floats(r, [c])])


@row("LpNormalization")
def lp_norm(r, op):
    shape = dims(r, low=1, empty=False)
    return Single(op, [floats(r, shape) + 3], {"axis": axis_of(r, len(shape)), "p": int(r.integers(1, 3))})


@row("Transpose")
def transpose(r, op):
    shape = dims(r, low=1)
    return Single(op, [any_values(r, shape)], {"perm": [int(p) for p in r.permutation(len(shape))]})


def any_values(r, shape):
    t = [np.float32, np.int64, np.uint8, np.float16, np.bool_, np.float64][r.integers(6)]
    return (
        np.asarray(r.random(shape) < 0.5)
        if t is np.bool_
        else floats(r, shape, t)
        if np.dtype(t).kind == "f"
        else integers(r, shape, t)
    )


@row("Concat")
def concat(r, op):
    shape = dims(r, low=1)
    axis = axis_of(r, len(shape))
    parts = []
    for _ in range(int(r.integers(1, 5))):
        part = list(shape)
        part[axis] = int(r.choice(ODD))
        parts.append(floats(r, part))
    return Single(op, parts, {"axis": axis})


@row("Split")
def split(r, op):
    shape = dims(r, low=1, empty=False)
    axis = axis_of(r, len(shape))
    parts = [int(r.integers(1, 5)) for _ in range(int(r.integers(1, 4)))]
    shape[axis] = sum(parts)
    return Single(
        op, [any_values(r, shape), np.array(parts, np.int64)], {"axis": axis}, outputs=len(parts), constant=(1,)
    )


@row("Slice")
def slicing(r, op):
    shape = dims(r, low=1)
    count = int(r.integers(1, len(shape) + 1))
    axes = [int(a) for a in r.permutation(len(shape))[:count]]
    starts = [int(r.integers(-shape[a] - 2, shape[a] + 3)) for a in axes]
    steps = [int(r.choice([1, 1, 2, 3, -1, -2])) for _ in axes]
    # Beyond the far end only: ONNX Runtime takes the largest integer as "to the end" even when it walks backwards.
    far = [[2**31 - 1, 2**63 - 1] if step > 0 else [-(2**31), -(2**63) + 1] for step in steps]
    ends = [int(r.choice([int(r.integers(-shape[a] - 2, shape[a] + 3)), *f])) for a, f in zip(axes, far)]
    axes = [a - len(shape) if r.random() < 0.5 else a for a in axes]
    return Single(
        op, [any_values(r, shape), *(np.array(v, np.int64) for v in (starts, ends, axes, steps))], constant=(1, 2, 3, 4)
    )


@row("Pad")
def pad(r, op):
    mode = str(r.choice(["constant", "edge", "reflect"]))
    shape = dims(r, low=1, high=4, empty=False)
    low = [int(r.integers(0, d)) if mode == "reflect" else int(r.integers(0, 4)) for d in shape * 2]
    if mode == "constant" and r.random() < 0.3:
        low = [p - 1 if shape[k % len(shape)] > 3 else p for k, p in enumerate(low)]
    inputs = [floats(r, shape), np.array(low, np.int64)] + ([np.asarray(1.5, np.float32)] if mode == "constant" else [])
    return Single(op, inputs, {"mode": mode}, constant=tuple(range(1, len(inputs))))


@row("Tile")
def tile(r, op):
    shape = dims(r, low=1)
    return Single(op, [any_values(r, shape), r.integers(1, 4, len(shape))], constant=(1,))


@row("Expand")
def expand(r, op):
    a, b = broadcast_pair(r)
    return Single(op, [floats(r, a), np.array(b, np.int64)], constant=(1,))


@row("Reshape")
def reshape(r, op):
    shape = dims(r, empty=False)
    flat = int(np.prod(shape))
    divisors = [d for d in range(1, flat + 1) if flat % d == 0]
    first = int(r.choice(divisors))
    return Single(
        op,
        [any_values(r, shape), np.array([first, -1] if r.random() < 0.5 else [first, 1, flat // first], np.int64)],
        constant=(1,),
    )


@row("Gather")
def gather(r, op):
    shape = dims(r, low=1, empty=False)
    axis = axis_of(r, len(shape))
    index = r.integers(-shape[axis], shape[axis], dims(r, high=2, empty=False)).astype(r.choice([np.int64, np.int32]))
    return Single(
        op, [any_values(r, shape), np.asarray(index)], {"axis": axis}, constant=(1,) if r.random() < 0.5 else ()
    )


@row("GatherElements")
def gather_elements(r, op):
    shape = dims(r, low=1, empty=False)
    axis = axis_of(r, len(shape))
    chosen = list(shape)
    chosen[axis] = int(r.choice(ODD))
    return Single(op, [floats(r, shape), r.integers(-shape[axis], shape[axis], chosen)], {"axis": axis})


@row("GatherND")
def gather_nd(r, op):
    shape = dims(r, low=2, empty=False)
    depth = int(r.integers(1, len(shape) + 1))
    rows = dims(r, high=2, empty=False)
    index = np.stack([r.integers(-shape[k], shape[k], rows) for k in range(depth)], -1).astype(np.int64)
    return Single(op, [floats(r, shape), index])


@row("ScatterND")
def scatter_nd(r, op):
    shape = dims(r, low=1, empty=False)
    rows = r.permutation(shape[0])[: max(1, shape[0] // 2)].reshape(-1, 1).astype(np.int64)
    return Single(op, [floats(r, shape), rows, floats(r, [len(rows), *shape[1:]])])


@row("ScatterElements")
def scatter_elements(r, op):
    shape = dims(r, low=1, empty=False)
    axis = axis_of(r, len(shape))
    chosen = list(shape)
    chosen[axis] = max(1, shape[axis] // 2)
    index = np.argsort(r.random(shape), axis=axis).take(range(chosen[axis]), axis=axis).astype(np.int64)
    return Single(op, [floats(r, shape), index, floats(r, chosen)], {"axis": axis})


@row("OneHot")
def one_hot(r, op):
    index = r.integers(-5, 5, dims(r, high=3, empty=False))
    rank = index.ndim
    return Single(
        op,
        [np.asarray(index, np.int64), np.asarray(5, np.int64), np.array([0, 2], np.float32)],
        {"axis": axis_of(r, rank + 1)},
        constant=(1, 2),
    )


@row("Resize")
def resize(r, op):
    size = [int(r.integers(1, 9)) for _ in range(2)]
    mode = str(r.choice(["nearest", "linear", "cubic"]))
    where = str(r.choice(["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]))
    attributes = {"mode": mode, "coordinate_transformation_mode": where}
    if mode == "nearest":
        attributes["nearest_mode"] = str(r.choice(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]))
    scales = np.array([1, 1, *r.choice([0.5, 1, 1.5, 2, 3], 2)], np.float32)
    x = floats(r, [1, int(r.choice([1, 3, 16])), *size])
    if any(int(s * k) == 0 for s, k in zip(size, scales[2:])):
        scales[2:] = 2
    return Single(op, [x, None, scales], attributes, constant=(2,))


@row("DepthToSpace", "SpaceToDepth")
def depth_space(r, op):
    b, c, h, w = int(r.integers(2, 4)), int(r.choice([1, 3, 5])), int(r.integers(1, 6)), int(r.integers(1, 6))
    if op == "SpaceToDepth":
        return Single(op, [floats(r, [1, c, h * b, w * b])], {"blocksize": b})
    return Single(op, [floats(r, [1, c * b * b, h, w])], {"blocksize": b, "mode": str(r.choice(["DCR", "CRD"]))})


@row("Trilu")
def trilu(r, op):
    shape = dims(r, low=2)
    return Single(
        op,
        [floats(r, shape), np.asarray(int(r.integers(-4, 5)), np.int64)],
        {"upper": int(r.integers(2))},
        constant=(1,),
    )


@row("LSTM", "GRU", "RNN")
def recurrent(r, op):
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    steps, batch, inputs, hidden = (
        int(r.integers(1, 6)),
        int(r.choice([1, 2, 3, 7])),
        int(r.choice([1, 5, 16])),
        int(r.choice([1, 3, 16, 40, 150])),
    )
    direction = str(r.choice(["forward", "reverse", "bidirectional"]))
    d = 2 if direction == "bidirectional" else 1
    scale = 0.5 if hidden < 20 else 0.1
    arrays = [
        floats(r, [steps, batch, inputs], scale=1),
        floats(r, [d, gates * hidden, inputs], scale=scale),
        floats(r, [d, gates * hidden, hidden], scale=scale),
        floats(r, [d, 2 * gates * hidden], scale=scale) if r.integers(3) else None,
    ]
    attributes = {"hidden_size": hidden, "direction": direction}
    if op == "GRU":
        attributes["linear_before_reset"] = int(r.integers(2))
    if r.integers(3) == 0:
        attributes["clip"] = 0.5
    if r.integers(2):  # lengths, initial states, peepholes
        arrays.append(r.integers(1, steps + 1, batch).astype(np.int32) if r.integers(2) else None)
        arrays.append(floats(r, [d, batch, hidden], scale=1))
        if op == "LSTM":
            arrays.append(floats(r, [d, batch, hidden], scale=1))
            arrays.append(floats(r, [d, 3 * hidden], scale=scale))
    constant = (1, 2, 3, 7) if r.integers(4) else (1,)  # kernels, or nests
    return Single(op, arrays, attributes, outputs=3 if op == "LSTM" else 2, constant=constant)


@row("Col2Im")
def col2im(r, op):
    n = 2  # elsewhere ONNX Runtime and onnx's evaluator disagree
    image = [int(r.integers(2, 9)) for _ in range(n)]
    block = [int(r.integers(1, min(d, 3) + 1)) for d in image]
    attributes = {
        "strides": [int(r.integers(1, 4)) for _ in range(n)],
        "dilations": [int(r.integers(1, 3)) if (b - 1) * 2 < d else 1 for b, d in zip(block, image)],
        "pads": [int(r.integers(0, 3)) for _ in range(2 * n)],
    }
    blocks = [
        (image[a] + attributes["pads"][a] + attributes["pads"][n + a] - attributes["dilations"][a] * (block[a] - 1) - 1)
        // attributes["strides"][a]
        + 1
        for a in range(n)
    ]
    rows = int(r.integers(1, 4)) * int(np.prod(block))
    x = floats(r, [int(r.integers(1, 3)), rows, int(np.prod(blocks))], r.choice(FLOATS[:2]))
    constant = (1, 2) if r.integers(2) else ()
    return Single(op, [x, np.array(image, np.int64), np.array(block, np.int64)], attributes, constant=constant)


@row("AffineGrid")
def affine_grid(r, op):
    axes = int(r.choice([2, 3]))
    images = int(r.integers(1, 4))
    size = [images, int(r.integers(1, 4)), *(int(r.integers(1, 8)) for _ in range(axes))]
    theta = floats(r, [images, axes, axes + 1], scale=1)
    constant = (1,) if r.integers(2) else ()
    return Single(op, [theta, np.array(size, np.int64)], {"align_corners": int(r.integers(2))}, constant=constant)


@row("MaxRoiPool")
def max_roi_pool(r, op):
    shape = [int(r.integers(1, 3)), int(r.integers(1, 4)), int(r.integers(1, 12)), int(r.integers(1, 12))]
    scale = float(r.choice([1, 0.5, 0.0625]))
    regions = int(r.integers(0, 5))
    corners = r.uniform(-3, 15, (regions, 4)) / scale  # some beyond the image, some upside down
    rois = np.concatenate([r.integers(0, shape[0], (regions, 1)), corners], axis=1).astype(np.float32)
    attributes = {"pooled_shape": [int(r.integers(1, 5)), int(r.integers(1, 5))], "spatial_scale": scale}
    return Single(op, [floats(r, shape), rois], attributes)


@row("Det")
def determinant(r, op):
    n = int(r.choice([1, 2, 3, 5, 8]))
    x = floats(r, [*dims(r, high=2, empty=False), n, n], scale=1)
    if n > 1 and r.random() < 0.3:
        x[..., 0, 0] = 0
    return Single(op, [x])


@row("MaxUnpool")
def max_unpool(r, op):
    n = int(r.integers(1, 4))
    size = [int(r.integers(1, 5)) for _ in range(n)]
    kernel = [int(r.integers(1, 4)) for _ in range(n)]
    strides = [int(r.integers(1, 4)) for _ in range(n)]
    shape = [int(r.integers(1, 3)), int(r.integers(1, 4)), *size]
    whole = shape[:2] + [(d - 1) * s + k for d, s, k in zip(size, strides, kernel)]
    index = r.permutation(int(np.prod(whole)))[: int(np.prod(shape))] if np.prod(whole) >= np.prod(shape) else None
    if index is None:
        index = np.zeros(int(np.prod(shape)), np.int64)
    return Single(
        op, [floats(r, shape), index.reshape(shape).astype(np.int64)], {"kernel_shape": kernel, "strides": strides}
    )


@row("MelWeightMatrix")
def mel_weights(r, op):
    rate = int(r.choice([8000, 16000, 44100]))
    low = float(r.uniform(0, rate / 8))
    inputs = [
        np.asarray(int(r.integers(1, 20)), np.int64),
        np.asarray(int(r.choice([16, 63, 256, 400])), np.int64),
        np.asarray(rate, np.int64),
        np.asarray(low, np.float32),
        np.asarray(low + float(r.uniform(rate / 16, rate / 3)), np.float32),
    ]
    return Single(op, inputs, constant=tuple(range(5)) if r.random() < 0.5 else (0, 1))


@row("BatchNormalization-training")
def batch_norm_in_training(r, op):
    c = int(r.choice([1, 3, 16, 19]))
    x = floats(r, [3, c, *dims(r, int(r.integers(0, 3)), empty=False)])
    return Single(
        "BatchNormalization",
        [x, floats(r, [c]), floats(r, [c]), floats(r, [c]), np.abs(floats(r, [c])) + np.float32(0.1)],
        {"epsilon": 1e-2, "momentum": float(r.choice([0.9, 0.5])), "training_mode": 1},
        outputs=3,
    )


@row("DeformConv")
def deform_conv(r, op):
    size = [int(r.integers(3, 9)) for _ in range(2)]
    kernel = [int(r.integers(1, 4)) for _ in range(2)]
    strides = [int(r.integers(1, 3)) for _ in range(2)]
    pads = [int(r.integers(0, 2)) for _ in range(4)]
    out = [(size[a] + pads[a] + pads[2 + a] - kernel[a]) // strides[a] + 1 for a in range(2)]
    group, offset_group, n = int(r.integers(1, 3)), int(r.integers(1, 3)), int(r.integers(1, 3))
    cin, cout, taps = 2 * int(r.integers(1, 3)), group * int(r.integers(1, 4)), kernel[0] * kernel[1]
    inputs = [
        floats(r, [n, cin, *size], scale=1),
        floats(r, [cout, cin // group, *kernel], scale=1),
        floats(r, [n, offset_group * taps * 2, *out], scale=1),
        floats(r, [cout]) if r.random() < 0.5 else None,
        floats(r, [n, offset_group * taps, *out], scale=1) if r.random() < 0.5 else None,
    ]
    while inputs[-1] is None:
        inputs.pop()
    attributes = {"strides": strides, "pads": pads, "group": group, "offset_group": offset_group}
    return Single(op, inputs, {"kernel_shape": kernel, **attributes}, constant=(1,) if r.random() < 0.5 else ())


@row("TfIdfVectorizer")
def tf_idf(r, op):
    least = int(r.integers(1, 3))
    most = int(r.integers(least, 4))
    pool, starts, total = [], [], 0
    for size in range(1, most + 1):
        starts.append(len(pool))
        grams = {tuple(int(v) for v in r.integers(0, 5, size)) for _ in range(int(r.integers(1, 5)))}
        total += len(grams)
        pool += [v for gram in sorted(grams) for v in gram]
    attributes = {
        "min_gram_length": least,
        "max_gram_length": most,
        "max_skip_count": int(r.integers(0, 4)),
        "mode": str(r.choice(["TF", "IDF", "TFIDF"])),
        "ngram_counts": starts,
        "ngram_indexes": [int(i) for i in r.permutation(total)],
        "pool_int64s": pool,
    }
    if r.random() < 0.5:
        attributes["weights"] = [float(w) for w in r.integers(1, 9, total)]
    shape = [int(r.integers(1, 4)), int(r.integers(1, 12))] if r.random() < 0.7 else [int(r.integers(1, 12))]
    return Single(op, [r.integers(0, 5, shape).astype(r.choice([np.int32, np.int64]))], attributes)


@row("LabelEncoder")
def label_encoder(r, op):
    n = int(r.integers(1, 9))
    kinds = {"int64s": np.int64, "floats": np.float32}
    key, value = (str(r.choice(list(kinds))) for _ in range(2))
    keys, values = r.permutation(20)[:n], r.integers(-50, 50, n)
    default = {"default_int64": 7} if value == "int64s" else {"default_float": 0.5}
    attributes = {f"keys_{key}": keys.astype(kinds[key]), f"values_{value}": values.astype(kinds[value])}
    x = r.integers(0, 20, dims(r)).astype(kinds[key])
    return Single(op, [x], {**attributes, **(default if r.random() < 0.5 else {})}, domain="ai.onnx.ml")


@row("NonZero")
def nonzero(r, op):
    shape, dtype = dims(r, low=1), r.choice([np.float32, np.int32, np.int64, np.uint8, np.bool_])
    x = floats(r, shape, special=True) if dtype == np.float32 else r.integers(0, 2, shape).astype(dtype)
    return Single(op, [np.where(r.random(x.shape) < 0.5, np.zeros([], x.dtype), x)])


@row("Unique")
def unique(r, op):
    shape = dims(r, low=1)
    dtype = r.choice([np.float32, np.float64, np.int64, np.int8])
    x = r.integers(-3, 4, shape).astype(dtype) if r.random() < 0.8 else r.integers(-100, 100, shape).astype(dtype)
    attributes = {"sorted": int(r.integers(2))}
    if r.random() < 0.5 and x.size:
        attributes["axis"] = int(r.integers(-len(shape), len(shape)))
    return Single(op, [x], attributes, outputs=4)


@row("Compress")
def compress(r, op):
    x = floats(r, dims(r, low=1))
    attributes = {"axis": int(r.integers(-x.ndim, x.ndim))} if r.random() < 0.6 else {}
    n = x.shape[attributes["axis"]] if attributes else x.size
    return Single(op, [x, r.random(int(r.integers(0, n + 1))) < 0.5], attributes)
