"""Rows of random_rows.py's table for quantisation and products of integers."""

import numpy as np
from differential.random_rows import ODD, Single, dims, floats, integers, maybe, row, window_attributes, window_sizes


@row("MatMulInteger")
def matmul_integer(r, op):
    m, k, n = (int(r.choice(ODD + [48, 65, 130])) for _ in range(3))
    batch = dims(r, high=2, empty=False)
    own = batch if r.random() < 0.3 else []
    a, b = (r.choice([np.int8, np.uint8]) for _ in range(2))
    zeros = [[], [1], [n]][r.integers(3)]
    inputs = [integers(r, [*batch, m, k], a), integers(r, [*own, k, n], b)]
    inputs += [maybe(r, integers(r, [], a)), maybe(r, integers(r, zeros, b, small=r.random() < 0.5))]
    return Single(op, inputs, constant=[(), (1,), (1, 3)][r.integers(3)])


@row("ConvInteger")
def conv_integer(r, op):
    n = int(r.choice([1, 2, 2, 3]))
    size, kernel = window_sizes(r, n)
    group = int(r.choice([1, 1, 2]))
    cin, cout = group * int(r.choice([1, 3, 16, 17])), group * int(r.choice([1, 4, 16, 19]))
    x, w = (r.choice([np.int8, np.uint8]) for _ in range(2))
    inputs = [integers(r, [int(r.integers(1, 3)), cin, *size], x), integers(r, [cout, cin // group, *kernel], w)]
    inputs += [maybe(r, integers(r, [], x)), maybe(r, integers(r, [[], [cout]][r.integers(2)], w))]
    return Single(
        op, inputs, {"group": group, **window_attributes(r, n, size, kernel)}, constant=[(), (1, 3)][r.integers(2)]
    )


@row("QuantizeLinear")
def quantize_linear(r, op):
    shape = dims(r, low=1)
    axis = int(r.integers(len(shape)))
    own = [shape[axis]] if r.random() < 0.5 else []
    scales = np.asarray(r.random(own) * 0.1 + 0.01, np.float32)
    zeros = integers(r, own, r.choice([np.int8, np.uint8, np.int16, np.uint16]))
    return Single(op, [floats(r, shape, scale=10), scales, zeros], {"axis": axis})


@row("DynamicQuantizeLinear")
def dynamic_quantize_linear(r, op):
    return Single(op, [floats(r, dims(r, empty=False))], outputs=3)
