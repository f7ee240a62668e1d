"""Rows of random_rows.py's table for operators of the domain com.microsoft, held against ONNX Runtime. STEPS: those whose
quantised results may be one step from its ones, which multiplies scales before it rounds."""

import numpy as np
from differential.random_rows import ROWS, Single, dims, floats, integers, maybe

STEPS = set()


def contrib(*names, step=False):
    def add(function):
        for name in names:
            key = f"com.microsoft.{name}"

            def make(r, name=name):
                single = function(r, name.split("-")[0])
                while single.inputs and single.inputs[-1] is None:
                    single.inputs.pop()
                single.domain = "com.microsoft"
                return single

            ROWS[key] = make
            if step:
                STEPS.add(key)
        return function

    return add


@contrib("FusedMatMul")
def fused_matmul(r, op):
    batch = dims(r, int(r.integers(0, 3)), empty=False)
    m, k, n = dims(r, 3, empty=False)
    a, b = floats(r, [*batch, m, k]), floats(r, [*batch, k, n])
    attributes = {"alpha": float(r.choice([1, 0.25, -2]))}
    for name, which in (("A", 0), ("B", 1)):
        x = (a, b)[which]
        if r.random() < 0.4:
            attributes[f"trans{name}"], x = 1, np.swapaxes(x, -1, -2)
        if batch and r.random() < 0.3:
            attributes[f"transBatch{name}"], x = 1, np.moveaxis(x, -2, 0)
        a, b = (x, b) if which == 0 else (a, x)
    return Single(op, [np.ascontiguousarray(a), np.ascontiguousarray(b)], attributes)


def activation(r):
    name = str(r.choice(["Relu", "Tanh", "Sigmoid", "LeakyRelu", "HardSigmoid", "Clip"]))
    return name, {"LeakyRelu": [0.2], "HardSigmoid": [0.3, 0.4], "Clip": [-0.5, 1.5]}.get(name, [])


@contrib("FusedGemm")
def fused_gemm(r, op):
    m, k, n = dims(r, 3, empty=False)
    name, parameters = activation(r)
    if name in ("HardSigmoid", "Clip"):
        name, parameters = "LeakyRelu", [0.1]
    attributes = {"activation": name, "alpha": 0.5, "beta": 2.0, "transB": int(r.integers(2))}
    attributes |= {"activation_alpha": parameters[0]} if parameters else {}
    b = floats(r, [n, k] if attributes["transB"] else [k, n])
    return Single(op, [floats(r, [m, k]), b, floats(r, [n])], attributes, constant=(1,) if r.random() < 0.5 else ())


@contrib("FusedConv")
def fused_conv(r, op):
    cin, cout, size = int(r.choice([1, 3, 16, 17])), int(r.choice([1, 5, 16])), int(r.integers(3, 9))
    name, parameters = activation(r)
    attributes = {"activation": name, "kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    attributes |= {"activation_params": parameters} if parameters else {}
    inputs = [floats(r, [2, cin, size, size]), floats(r, [cout, cin, 3, 3], scale=0.1), floats(r, [cout])]
    if r.random() < 0.5:
        inputs.append(floats(r, [2, cout, size, size]))
    return Single(op, inputs, attributes, constant=(1, 2))


@contrib("Gelu", "BiasGelu", "FastGelu", "QuickGelu")
def gelus(r, op):
    shape = dims(r, low=1, empty=False)
    x, bias = floats(r, shape), floats(r, shape[-1:])
    inputs = {"BiasGelu": [x, bias], "FastGelu": [x, maybe(r, bias)]}.get(op, [x])
    return Single(op, inputs, {"alpha": float(r.choice([1.702, 1]))} if op == "QuickGelu" else {})


@contrib("SkipLayerNormalization", "SkipSimplifiedLayerNormalization")
def skip_norm(r, op):
    b, s, h = dims(r, 3, empty=False)
    x, skip, gamma = floats(r, [b, s, h]), floats(r, [b, s, h]), floats(r, [h])
    rest = [maybe(r, floats(r, [h]))]
    if op == "SkipLayerNormalization":
        rest = [floats(r, [h]), *rest]
    return Single(op, [x, skip, gamma, *rest], {"epsilon": 1e-3})


@contrib("EmbedLayerNormalization")
def embed_norm(r, op):
    b, s, h, words = int(r.integers(1, 4)), int(r.integers(1, 9)), int(r.choice([4, 16, 33])), 11
    segments = r.random() < 0.5
    inputs = [
        r.integers(0, words, [b, s], dtype=np.int32),
        r.integers(0, 2, [b, s], dtype=np.int32) if segments else None,
        floats(r, [words, h]),
        floats(r, [12, h]),
        floats(r, [2, h]) if segments else None,
        floats(r, [h]),
        floats(r, [h]),
        (np.arange(s) < r.integers(1, s + 1, [b, 1])).astype(np.int32) if r.random() < 0.5 else None,
    ]
    return Single(op, inputs, {"epsilon": 1e-3}, outputs=2, constant=(2, 3, 4))


@contrib("RotaryEmbedding")
def rotary(r, op):
    b, s, heads, half = int(r.integers(1, 4)), int(r.integers(1, 8)), int(r.integers(1, 4)), int(r.choice([2, 4, 8]))
    shape = [b, s, heads * half * 2] if r.random() < 0.5 else [b, heads, s, half * 2]
    angles = np.asarray(r.random([20, half]) * 6, np.float32)
    ids = r.integers(0, 12, [b, s]) if r.random() < 0.5 else np.array([int(r.integers(0, 12))])
    attributes = {"interleaved": int(r.integers(2))}
    return Single(op, [floats(r, shape), ids.astype(np.int64), np.cos(angles), np.sin(angles)], attributes)


@contrib("MultiHeadAttention")
def multi_head_attention(r, op):
    b, s, heads, depth = int(r.integers(1, 4)), int(r.integers(1, 9)), int(r.integers(1, 4)), int(r.choice([4, 8, 16]))
    past = int(r.integers(1, 5)) if r.random() < 0.4 else 0
    keys = s if past or r.random() < 0.5 else int(r.integers(1, 9))
    hidden, total = heads * depth, keys + past
    attributes = {"num_heads": heads}
    if keys == s and r.random() < 0.4:
        attributes["unidirectional"] = 1
    mask = (np.arange(total) < r.integers(1, total + 1, [b, 1])).astype(np.int32) if r.random() < 0.4 else None
    inputs = [
        floats(r, [b, s, hidden]),
        floats(r, [b, keys, hidden]),
        floats(r, [b, keys, hidden]),
        maybe(r, floats(r, [3 * hidden])),
        mask,
        floats(r, [1, heads, s, total]) if r.random() < 0.3 else None,
        floats(r, [b, heads, past, depth]) if past else None,
        floats(r, [b, heads, past, depth]) if past else None,
    ]
    return Single(op, inputs, attributes, outputs=3 if past else 1)


@contrib("Attention")
def attention(r, op):
    b, s, heads, depth = int(r.integers(1, 4)), int(r.integers(1, 9)), int(r.integers(1, 4)), int(r.choice([4, 8, 16]))
    hidden, width = heads * depth, int(r.choice([5, 16]))
    past = int(r.integers(1, 5)) if r.random() < 0.4 else 0
    total = s + past
    mask = None
    if r.random() < 0.5:
        mask = (np.arange(total) < r.integers(1, total + 1, [b, 1])).astype(np.int32)
    elif r.random() < 0.3:
        mask = r.integers(1, total + 1, [b]).astype(np.int32)
    inputs = [
        floats(r, [b, s, width]),
        floats(r, [width, 3 * hidden], scale=0.5),
        floats(r, [3 * hidden]),
        mask,
        floats(r, [2, b, heads, past, depth]) if past else None,
    ]
    attributes = {"num_heads": heads, "unidirectional": int(r.integers(2))}
    return Single(op, inputs, attributes, outputs=2 if past else 1, constant=(1, 2))


def scale(r):
    return np.float32(r.choice([0.01, 0.05, 0.1]))


def quantised(r, shape, dtype):
    """Tensor, scale, zero point."""
    return [integers(r, shape, dtype), scale(r), integers(r, [], dtype, small=True)]


@contrib("QLinearAdd", "QLinearMul", step=True)
def qlinear_binary(r, op):
    dtype = r.choice([np.int8, np.uint8])
    shape = dims(r, low=1, empty=False)
    other = shape if r.random() < 0.7 else [shape[-1]]
    return Single(
        op,
        quantised(r, shape, dtype) + quantised(r, other, dtype) + quantised(r, [], dtype)[1:],
        constant=(1, 2, 4, 5, 6, 7),
    )


@contrib("QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax", step=True)
def qlinear_unary(r, op):
    dtype = r.choice([np.int8, np.uint8])
    shape = dims(r, low=1, empty=False)
    attributes = {}
    out = quantised(r, [], dtype)[1:]
    if op == "QLinearLeakyRelu":
        attributes = {"alpha": 0.2}
    if op == "QLinearSoftmax":
        attributes = {"axis": int(r.integers(-len(shape), len(shape))), "opset": int(r.choice([11, 13]))}
        out = [np.float32(1 / 256), np.zeros([], dtype) if dtype == np.uint8 else np.int8(-128)]
    return Single(op, quantised(r, shape, dtype) + out, attributes, constant=(1, 2, 3, 4))


@contrib("QLinearConcat", step=True)
def qlinear_concat(r, op):
    dtype = r.choice([np.int8, np.uint8])
    shape = dims(r, 3, empty=False)
    axis = int(r.integers(-3, 3))
    inputs = quantised(r, [], dtype)[1:]
    for _ in range(int(r.integers(1, 4))):
        own = list(shape)
        own[axis] = int(r.integers(1, 5))
        inputs += quantised(r, own, dtype)
    constant = tuple(i for i in range(len(inputs)) if i < 2 or i % 3 != 2)
    return Single(op, inputs, {"axis": axis}, constant=constant)


@contrib("QLinearAveragePool", "QLinearGlobalAveragePool", step=True)
def qlinear_pool(r, op):
    last = int(r.integers(2))
    c, h, w = int(r.choice([1, 3, 16, 17])), int(r.integers(3, 9)), int(r.integers(3, 9))
    shape = [2, h, w, c] if last else [2, c, h, w]
    attributes = {"channels_last": last}
    if op == "QLinearAveragePool":
        attributes |= {
            "kernel_shape": [2, 3],
            "strides": [1, 2],
            "pads": [1, 1, 0, 1],
            "count_include_pad": int(r.integers(2)),
        }
    return Single(op, quantised(r, shape, np.uint8) + quantised(r, [], np.uint8)[1:], attributes, constant=(1, 2, 3, 4))


@contrib("NhwcMaxPool")
def nhwc_max_pool(r, op):
    shape = [2, int(r.integers(3, 9)), int(r.integers(3, 9)), int(r.choice([1, 3, 16, 17]))]
    attributes = {"kernel_shape": [2, 3], "strides": [1, 2], "pads": [1, 1, 0, 1]}
    return Single(op, [integers(r, shape, r.choice([np.int8, np.uint8]))], attributes)


@contrib("MatMulIntegerToFloat", "DynamicQuantizeMatMul")
def matmul_to_float(r, op):
    m, k, n = dims(r, 3, empty=False)
    per_column = r.random() < 0.5
    b_dtype = r.choice([np.int8, np.uint8])
    b = integers(r, [k, n], b_dtype)
    b_scale = np.asarray(r.random([n] if per_column else []) * 0.1 + 0.01, np.float32)
    b_zero = maybe(r, integers(r, [n] if per_column else [], b_dtype, small=True))
    bias = maybe(r, floats(r, [n]))
    if op == "DynamicQuantizeMatMul":
        return Single(op, [floats(r, [m, k]), b, b_scale, b_zero, bias], constant=(1, 2, 3))
    inputs = [integers(r, [m, k], np.uint8), b, scale(r), b_scale, np.uint8(r.integers(256)), b_zero, bias]
    return Single(op, inputs, constant=(1, 3, 5))


@contrib("QGemm", step=True)
def qgemm(r, op):
    m, k, n = dims(r, 3, empty=False)
    dtype = r.choice([np.int8, np.uint8])
    b = quantised(r, [n, k], dtype)
    inputs = quantised(r, [m, k], dtype) + b + [maybe(r, integers(r, [n], np.int32, small=True))]
    if r.random() < 0.7:
        inputs += [np.float32(0.5), integers(r, [], dtype, small=True)]
    attributes = {"transB": 1, "alpha": float(r.choice([1, 0.5]))}
    return Single(op, inputs, attributes, constant=tuple(i for i in (1, 2, 3, 4, 5, 6, 7, 8) if i < len(inputs)))


@contrib("MatMulNBits")
def matmul_nbits(r, op):
    m, n, k, block = (
        int(r.integers(1, 9)),
        int(r.choice([1, 8, 17])),
        int(r.choice([16, 40, 64])),
        int(r.choice([16, 32])),
    )
    blocks = (k + block - 1) // block
    inputs = [
        floats(r, [m, k]),
        integers(r, [n, blocks, block // 2], np.uint8),
        floats(r, [n * blocks], scale=0.1),
        integers(r, [n * ((blocks + 1) // 2)], np.uint8) if r.random() < 0.5 else None,
    ]
    return Single(op, inputs, {"K": k, "N": n, "bits": 4, "block_size": block}, constant=(1, 2, 3))


@contrib("GroupQueryAttention")
def group_query_attention(r, op):
    b, s, kv, depth = int(r.integers(1, 4)), int(r.integers(1, 7)), int(r.integers(1, 3)), int(r.choice([16, 32]))
    heads = kv * int(r.integers(1, 4))
    past = int(r.integers(1, 6)) if r.random() < 0.6 else 0
    s = 1 if past and r.random() < 0.5 else s
    b = 1 if past and s > 1 else b  # as ONNX Runtime wants it
    attributes = {"num_heads": heads, "kv_num_heads": kv}
    rotary = r.random() < 0.5
    if rotary:
        attributes |= {"do_rotary": 1, "rotary_interleaved": int(r.integers(2))}
    if r.random() < 0.3:
        attributes["local_window_size"] = int(r.integers(1, 5))
    angles = np.asarray(r.random([20, depth // 2]) * 6, np.float32)
    parts = [floats(r, [b, s, n * depth]) for n in (heads, kv, kv)]
    if r.random() < 0.3:
        parts = [np.concatenate(parts, axis=-1), None, None]
    inputs = [
        *parts,
        floats(r, [b, kv, past, depth]),
        floats(r, [b, kv, past, depth]),
        np.full([b], past + s - 1, np.int32),
        np.array(past + s, np.int32),
        np.cos(angles) if rotary else None,
        np.sin(angles) if rotary else None,
    ]
    return Single(op, inputs, attributes, outputs=3, constant=(6,) if r.random() < 0.5 else ())
