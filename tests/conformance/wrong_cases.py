"""Cases of onnx.backend.test that are wrong themselves, each with the proof: what the operator's definition gives, computed in float64
from the case's own inputs, is not what the case expects within its own limits. tests/api/test_support.py checks each proof."""

import numpy as np


def inverse_dft(x, *_):
    """DFT, inverse, along axis 1: [.., n, .., 2] -> the same."""
    z = np.fft.ifft(x[..., 0].astype(np.float64) + 1j * x[..., 1].astype(np.float64), axis=1)
    return [np.stack([z.real, z.imag], axis=-1)]


def interpolate(row, position, cubic):
    """`row` (its last axis) at `position`, by the definition of linear and of cubic (A = -0.75) interpolation."""
    base, n = int(np.floor(position)), row.shape[-1]
    t = position - base

    def weight(distance, a=-0.75):
        d = abs(distance)
        if not cubic:
            return max(0.0, 1 - d)
        if d <= 1:
            return ((a + 2) * d - (a + 3)) * d * d + 1
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a if d < 2 else 0.0

    taps = range(-1, 3) if cubic else range(2)
    return sum(row[..., min(max(base + k, 0), n - 1)] * weight(k - t) for k in taps)


def resize(cubic):
    """Resize with align_corners: x_original = x_resized * (length_original - 1) / (length_resized - 1), where length_resized is
    the length of the result, floor(length_original * scale); 0 where that is 1 (onnx/docs/Operators.md; ONNX Runtime 1.32 agrees)."""

    def exact(x, scales):
        y = x.astype(np.float64)
        for axis in (2, 3):
            length = x.shape[axis]
            resized = int(np.floor(length * np.float64(scales[axis])))
            at = [k * (length - 1) / (resized - 1) if resized > 1 else 0.0 for k in range(resized)]
            moved = np.moveaxis(y, axis, -1)
            y = np.moveaxis(np.stack([interpolate(moved, p, cubic) for p in at], axis=-1), -1, axis)
        return [y]

    return exact


SPECTRUM = "the expected zeros are rounding noise of up to 1.5e-6, more than the limit of 1e-7"
CORNERS = "expects (length_original * scale - 1) for (length_resized - 1), so that the last pixels do not meet"

# Name of the case: what is wrong, and its right outputs from its inputs.
WRONG = {
    "test_dft_inverse": (SPECTRUM, inverse_dft),
    "test_dft_inverse_opset19": (SPECTRUM, inverse_dft),
    "test_resize_downsample_scales_cubic_align_corners": (CORNERS, resize(True)),
    "test_resize_downsample_scales_linear_align_corners": (CORNERS, resize(False)),
}
