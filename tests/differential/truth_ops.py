"""Operators for the float64 truth, where onnx's reference evaluator is slow or wrong: Conv, ConvTranspose, pools, Resize,
Erf, GlobalMaxPool, LSTM. Each follows ONNX's newest definition, in numpy, in the element type of its input, and is
checked against ONNX Runtime in test_truth.py."""

import math

import numpy as np
from onnx.reference.op_run import OpRun


def spatial_pads(auto_pad, pads, size, kernel, strides, dilations):
    """[(before, after)] per spatial axis."""
    n = len(size)
    if auto_pad in (None, b"", "", "NOTSET"):
        pads = list(pads) if pads else [0] * (2 * n)
        return [(pads[k], pads[k + n]) for k in range(n)]
    if auto_pad == "VALID":
        return [(0, 0)] * n
    result = []
    for k in range(n):
        need = max((math.ceil(size[k] / strides[k]) - 1) * strides[k] + (kernel[k] - 1) * dilations[k] + 1 - size[k], 0)
        small, large = need // 2, need - need // 2
        result.append((small, large) if auto_pad == "SAME_UPPER" else (large, small))
    return result


def windows(x, kernel, strides, dilations, out):
    """A view of shape x.shape[:2] + out + kernel on the already padded x."""
    step = x.strides
    shape = x.shape[:2] + tuple(out) + tuple(kernel)
    strides_ = (
        step[:2] + tuple(s * t for s, t in zip(step[2:], strides)) + tuple(s * d for s, d in zip(step[2:], dilations))
    )
    return np.lib.stride_tricks.as_strided(x, shape, strides_, writeable=False)


def out_size(size, pad, kernel, stride, dilation, ceil_mode=0):
    span = size + pad[0] + pad[1] - (kernel - 1) * dilation - 1
    out = (-(-span // stride) if ceil_mode else span // stride) + 1
    if ceil_mode and (out - 1) * stride >= size + pad[0]:
        out -= 1  # the last window must begin inside the input or its leading padding
    return out


class Conv(OpRun):
    def _run(self, x, w, b=None, auto_pad=None, dilations=None, group=None, kernel_shape=None, pads=None, strides=None):
        n = x.ndim - 2
        kernel, group = w.shape[2:], group or 1
        strides, dilations = strides or [1] * n, dilations or [1] * n
        pad = spatial_pads(auto_pad, pads, x.shape[2:], kernel, strides, dilations)
        out = [out_size(x.shape[2 + k], pad[k], kernel[k], strides[k], dilations[k]) for k in range(n)]
        padded = np.pad(x, [(0, 0), (0, 0), *pad])
        view = windows(padded, kernel, strides, dilations, out)
        batch, per_in, per_out = x.shape[0], w.shape[1], w.shape[0] // group
        y = np.empty((batch, w.shape[0], *out), x.dtype)
        axes = [0, *range(2, 2 + n), 1, *range(2 + n, 2 + 2 * n)]
        if per_in == 1 and per_out == 1:  # depthwise
            wide = w.reshape(1, w.shape[0], *[1] * n, *kernel)
            y[...] = (view * wide).sum(axis=tuple(range(2 + n, 2 + 2 * n)))
        else:
            for g in range(group):
                part = view[:, g * per_in : (g + 1) * per_in].transpose(axes).reshape(batch * math.prod(out), -1)
                product = part @ w[g * per_out : (g + 1) * per_out].reshape(per_out, -1).T
                y[:, g * per_out : (g + 1) * per_out] = np.moveaxis(product.reshape(batch, *out, per_out), -1, 1)
        return (y if b is None else y + b.reshape(1, -1, *[1] * n),)


class ConvTranspose(OpRun):
    def _run(
        self,
        x,
        w,
        b=None,
        auto_pad=None,
        dilations=None,
        group=None,
        kernel_shape=None,
        output_padding=None,
        output_shape=None,
        pads=None,
        strides=None,
    ):
        n, group = x.ndim - 2, group or 1
        kernel, strides, dilations = w.shape[2:], strides or [1] * n, dilations or [1] * n
        extra = output_padding or [0] * n
        full = [(x.shape[2 + k] - 1) * strides[k] + extra[k] + (kernel[k] - 1) * dilations[k] + 1 for k in range(n)]
        if output_shape or auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            goal = list(output_shape)[-n:] if output_shape else [x.shape[2 + k] * strides[k] for k in range(n)]
            total = [max(full[k] - goal[k], 0) for k in range(n)]
            halves = [(t // 2, t - t // 2) if auto_pad == "SAME_UPPER" else (t - t // 2, t // 2) for t in total]
        else:
            halves = spatial_pads(auto_pad, pads, full, kernel, strides, dilations)
        per_in, per_out = x.shape[1] // group, w.shape[1]
        grown = np.zeros((x.shape[0], per_out * group, *full), x.dtype)
        for g in range(group):
            part = x[:, g * per_in : (g + 1) * per_in]
            for at in np.ndindex(*kernel):
                place = tuple(
                    slice(
                        at[k] * dilations[k], at[k] * dilations[k] + (x.shape[2 + k] - 1) * strides[k] + 1, strides[k]
                    )
                    for k in range(n)
                )
                weights = w[(slice(g * per_in, (g + 1) * per_in), slice(None), *at)]
                grown[(slice(None), slice(g * per_out, (g + 1) * per_out), *place)] += np.moveaxis(
                    np.tensordot(part, weights, (1, 0)), -1, 1
                )
        y = grown[(slice(None), slice(None), *[slice(h[0], full[k] - h[1]) for k, h in enumerate(halves)])]
        return (y if b is None else y + b.reshape(1, -1, *[1] * n),)


def pool_view(x, fill, auto_pad, kernel, pads, strides, dilations, ceil_mode):
    n = x.ndim - 2
    strides, dilations = strides or [1] * n, dilations or [1] * n
    pad = spatial_pads(auto_pad, pads, x.shape[2:], kernel, strides, dilations)
    out = [out_size(x.shape[2 + k], pad[k], kernel[k], strides[k], dilations[k], ceil_mode or 0) for k in range(n)]
    reach = [(out[k] - 1) * strides[k] + (kernel[k] - 1) * dilations[k] + 1 for k in range(n)]
    more = [(pad[k][0], max(pad[k][1], reach[k] - x.shape[2 + k] - pad[k][0])) for k in range(n)]
    padded = np.pad(x, [(0, 0), (0, 0), *more], constant_values=fill)
    return windows(padded, kernel, strides, dilations, out), pad, more, out, strides, dilations


class MaxPool(OpRun):
    def _run(
        self,
        x,
        auto_pad=None,
        ceil_mode=None,
        dilations=None,
        kernel_shape=None,
        pads=None,
        storage_order=None,
        strides=None,
    ):
        fill = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        n = x.ndim - 2
        view = pool_view(x, fill, auto_pad, kernel_shape, pads, strides, dilations, ceil_mode)[0]
        return (view.max(axis=tuple(range(2 + n, 2 + 2 * n))),)


class AveragePool(OpRun):
    def _run(
        self,
        x,
        auto_pad=None,
        ceil_mode=None,
        count_include_pad=None,
        dilations=None,
        kernel_shape=None,
        pads=None,
        strides=None,
    ):
        n = x.ndim - 2
        axes = tuple(range(2 + n, 2 + 2 * n))
        view, pad, more, out, strides, dilations = pool_view(
            x, 0, auto_pad, kernel_shape, pads, strides, dilations, ceil_mode
        )
        ones = np.ones((1, 1, *x.shape[2:]), x.dtype)
        ones = np.pad(ones, [(0, 0), (0, 0), *pad], constant_values=1 if count_include_pad else 0)
        ones = np.pad(ones, [(0, 0), (0, 0), *[(0, m[1] - p[1]) for m, p in zip(more, pad)]])
        count = windows(ones, kernel_shape, strides, dilations, out).sum(axis=axes)
        return (view.sum(axis=axes) / count,)


class GlobalMaxPool(OpRun):
    def _run(self, x):
        return (x.max(axis=tuple(range(2, x.ndim)), keepdims=True),)


class GlobalAveragePool(OpRun):
    def _run(self, x):
        return (x.mean(axis=tuple(range(2, x.ndim)), keepdims=True),)


class Erf(OpRun):
    def _run(self, x):
        return (np.frompyfunc(math.erf, 1, 1)(x).astype(x.dtype) if x.size else x,)


def source_position(mode, i, size, out, scale, roi):
    """Where output index i lies in the input, by coordinate_transformation_mode."""
    if mode == "asymmetric":
        return i / scale
    if mode == "align_corners":
        return i * (size - 1) / (out - 1) if out > 1 else np.zeros_like(i)
    if mode == "pytorch_half_pixel":
        return (i + 0.5) / scale - 0.5 if out > 1 else np.zeros_like(i)
    if mode == "half_pixel_symmetric":
        middle = size / 2
        return middle * (1 - out / (scale * size)) + (i + 0.5) / scale - 0.5
    if mode == "tf_half_pixel_for_nn":
        return (i + 0.5) / scale
    if mode == "half_pixel":
        return (i + 0.5) / scale - 0.5
    raise NotImplementedError(f"Resize: coordinate_transformation_mode {mode}")


def nearest_index(position, how):
    if how == "round_prefer_ceil":
        return np.floor(position + 0.5)
    if how == "floor":
        return np.floor(position)
    if how == "ceil":
        return np.ceil(position)
    return np.ceil(position - 0.5)  # round_prefer_floor


def cubic_taps(r, a):
    """(offset, weight) of the four neighbours (Keys 1981) at distance r from the second one."""
    a = -0.75 if a is None else a
    near = lambda d: ((a + 2) * d - (a + 3)) * d * d + 1  # noqa: E731
    far = lambda d: ((a * d - 5 * a) * d + 8 * a) * d - 4 * a  # noqa: E731
    return [(-1, far(1 + r)), (0, near(r)), (1, near(1 - r)), (2, far(2 - r))]


class Resize(OpRun):
    """nearest, linear and cubic, along the axes that change; no antialias, no roi, no exclude_outside."""

    def _run(
        self,
        x,
        roi=None,
        scales=None,
        sizes=None,
        antialias=None,
        axes=None,
        coordinate_transformation_mode=None,
        cubic_coeff_a=None,
        exclude_outside=None,
        extrapolation_value=None,
        keep_aspect_ratio_policy=None,
        mode=None,
        nearest_mode=None,
    ):
        if (
            antialias
            or exclude_outside
            or coordinate_transformation_mode == "tf_crop_and_resize"
            or keep_aspect_ratio_policy not in (None, "stretch")
        ):
            raise NotImplementedError(f"Resize: mode {mode}")
        axes = list(range(x.ndim)) if axes is None else list(axes)
        for k, axis in enumerate(axes):
            size = x.shape[axis]
            scale = float(scales[k]) if scales is not None and len(scales) else int(sizes[k]) / size
            out = int(np.floor(size * scale)) if scales is not None and len(scales) else int(sizes[k])
            if out == size and scale == 1:
                continue
            position = source_position(
                coordinate_transformation_mode or "half_pixel", np.arange(out, dtype=np.float64), size, out, scale, roi
            )
            if mode == "nearest":
                x = np.take(x, np.clip(nearest_index(position, nearest_mode), 0, size - 1).astype(int), axis)
                continue
            low = np.floor(position)
            ratio = (position - low).reshape([-1 if a == axis else 1 for a in range(x.ndim)])
            taps = cubic_taps(ratio, cubic_coeff_a) if mode == "cubic" else [(0, 1 - ratio), (1, ratio)]
            x = sum(np.take(x, np.clip(low + d, 0, size - 1).astype(int), axis) * weight for d, weight in taps)
        return (x,)


class LSTM(OpRun):
    """Default activations, no clip, layout 0: forward, reverse, bidirectional; with peepholes."""

    def _run(
        self,
        X,
        W,
        R,
        B=None,
        sequence_lens=None,
        initial_h=None,
        initial_c=None,
        P=None,
        activation_alpha=None,
        activation_beta=None,
        activations=None,
        clip=None,
        direction=None,
        hidden_size=None,
        input_forget=None,
        layout=None,
    ):
        if (
            clip
            or layout
            or input_forget
            or (activations and [a.lower() for a in activations[:3]] != ["sigmoid", "tanh", "tanh"])
        ):
            raise NotImplementedError("LSTM: attributes other than the defaults")
        steps, batch, _ = X.shape
        directions, hidden = W.shape[0], R.shape[2]
        y = np.zeros((steps, directions, batch, hidden), X.dtype)
        last_h = np.zeros((directions, batch, hidden), X.dtype)
        last_c = np.zeros_like(last_h)
        for d in range(directions):
            backwards = d == 1 or direction == "reverse"
            h = np.zeros((batch, hidden), X.dtype) if initial_h is None else initial_h[d]
            c = np.zeros((batch, hidden), X.dtype) if initial_c is None else initial_c[d]
            bias = 0 if B is None else B[d, : 4 * hidden] + B[d, 4 * hidden :]
            p = np.zeros((3, hidden)) if P is None else P[d].reshape(3, hidden)
            for t in reversed(range(steps)) if backwards else range(steps):
                i, o, f, g = np.split(X[t] @ W[d].T + h @ R[d].T + bias, 4, axis=1)
                i, f, g = sigmoid(i + p[0] * c), sigmoid(f + p[2] * c), np.tanh(g)
                live = (
                    np.ones((batch, 1), bool)
                    if sequence_lens is None
                    else (t < np.asarray(sequence_lens)).reshape(-1, 1)
                )
                new_c = f * c + i * g
                new_h = sigmoid(o + p[1] * new_c) * np.tanh(new_c)
                h, c = np.where(live, new_h, h), np.where(live, new_c, c)
                y[t, d] = np.where(live, new_h, 0)
            last_h[d], last_c[d] = h, c
        return y, last_h, last_c


def sigmoid(x):
    return 0.5 * (1 + np.tanh(0.5 * x))


TRUTH_OPS = [Conv, ConvTranspose, MaxPool, AveragePool, GlobalMaxPool, GlobalAveragePool, Erf, Resize, LSTM]
