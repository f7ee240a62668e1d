"""Rows of random_ops.py for operators that select, count along an axis or sample (see random_rows.py)."""

import numpy as np
from differential.random_rows import ODD, Single, axis_of, dims, floats, integers, row


@row("ArgMax", "ArgMin")
def arg(r, op):
    shape = dims(r, low=1, empty=False)
    if r.random() < 0.3:  # longer than what is compared side by side
        shape = [int(r.choice([3, 40, 150])), int(r.choice([1, 21, 70, 150]))]
    kind = r.choice([np.float32, np.float64, np.float16, np.int32, np.int8, np.uint8])
    x = floats(r, shape).astype(kind) if np.dtype(kind).kind == "f" else integers(r, shape, kind, small=True)
    return Single(
        op,
        [x],
        {"axis": axis_of(r, len(shape)), "keepdims": int(r.integers(2)), "select_last_index": int(r.integers(2))},
    )


@row("CumSum")
def cumsum(r, op):
    shape = dims(r, low=1) if r.random() < 0.7 else [int(r.choice([9, 30])), int(r.choice([1, 20, 150]))]
    x = floats(r, shape) if r.random() < 0.6 else integers(r, shape, r.choice([np.int32, np.int64]), small=True)
    return Single(
        op,
        [x, np.asarray(axis_of(r, len(shape)), np.int64)],
        {"exclusive": int(r.integers(2)), "reverse": int(r.integers(2))},
        constant=(1,) if r.random() < 0.7 else (),
    )


@row("TopK")
def top_k(r, op):
    shape = dims(r, low=1, empty=False) if r.random() < 0.6 else [int(r.integers(1, 9)), int(r.choice([70, 300, 2000]))]
    axis = axis_of(r, len(shape))
    k = int(r.integers(0, shape[axis] + 1))
    x = floats(r, shape) if r.random() < 0.7 else integers(r, shape, r.choice([np.int32, np.int64]), small=True)
    if x.dtype == np.float32 and r.random() < 0.2:  # equal ones
        x = np.round(x)
    return Single(
        op,
        [x, np.array([k], np.int64)],
        {"axis": axis, "largest": int(r.integers(2)), "sorted": 1},
        outputs=2,
        constant=(1,),
    )


@row("GridSample")
def grid_sample(r, op):
    axes = int(r.choice([2, 2, 3]))
    mode = str(r.choice(["nearest", "linear", "cubic"] if axes == 2 else ["nearest", "linear"]))
    # ONNX Runtime cuts taps to the border where onnx's reference evaluator (and we) cut the coordinate.
    padding = str(r.choice(["zeros", "border", "reflection"] if mode != "cubic" else ["zeros", "reflection"]))
    n, size, points = int(r.integers(1, 3)), r.integers(1, 9, axes), r.choice(ODD, axes)
    grid = np.round(r.uniform(-1.6, 1.6, [n, *points, axes]) * 64) / 64 + 0.003  # away from where a rounding decides
    return Single(
        op,
        [floats(r, [n, int(r.integers(1, 5)), *size], special=False), grid.astype(np.float32)],
        {
            "mode": mode,
            "padding_mode": padding,
            "align_corners": int(r.integers(2)),
        },
    )


@row("NonMaxSuppression")
def non_max_suppression(r, op):
    batches, classes, n = int(r.integers(1, 3)), int(r.integers(1, 4)), int(r.choice([1, 5, 16, 60]))
    corner, size = r.random([batches, n, 2]) * 4, r.random([batches, n, 2])
    centred = int(r.integers(2))
    pair = [corner, size] if centred else [corner, corner + size]
    boxes = np.concatenate(pair if r.random() < 0.7 or centred else pair[::-1], axis=-1).astype(np.float32)
    scores = (r.integers(0, 20, [batches, classes, n]) / 20).astype(np.float32)
    inputs = [boxes, scores, np.array([int(r.choice([0, 1, 3, 100]))], np.int64)]
    if r.random() < 0.8:
        inputs.append(np.array([float(r.choice([0, 0.1, 0.5, 1]))], np.float32))
        if r.random() < 0.7:
            inputs.append(np.array([float(r.choice([-1, 0.25, 0.5]))], np.float32))
    constant = tuple(i for i in range(2, len(inputs)) if r.random() < 0.5)
    return Single(op, inputs, {"center_point_box": centred}, constant=constant)
