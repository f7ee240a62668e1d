"""Compares outputs with the suite's: element type and shape exactly, numbers within |a - e| <= atol + rtol |e|."""

import numpy as np


class Mismatch(Exception):
    """What differs, in one line."""


def compare(actual, expected, rtol, atol, shape_only=False, where="output"):
    if isinstance(expected, (list, tuple)):
        if not isinstance(actual, (list, tuple)) or len(actual) != len(expected):
            raise Mismatch(f"{where}: a sequence of {len(expected)} expected")
        for k, (a, e) in enumerate(zip(actual, expected)):
            compare(a, e, rtol, atol, shape_only, f"{where}[{k}]")
        return
    if actual is None or expected is None:
        if actual is not expected:
            raise Mismatch(
                f"{where}: {'a value' if expected is None else 'nothing'} instead of {'nothing' if expected is None else 'a value'}"
            )
        return
    expected = np.asarray(expected)
    if actual.shape != expected.shape:
        raise Mismatch(f"{where}: wrong shape {actual.shape} instead of {expected.shape}")
    if expected.dtype == object or expected.dtype.kind in "US":
        if not np.array_equal(actual.astype(str), expected.astype(str)):
            raise Mismatch(f"{where}: wrong strings")
        return
    if actual.dtype != expected.dtype:
        raise Mismatch(f"{where}: wrong type {actual.dtype} instead of {expected.dtype}")
    if not shape_only:
        compare_numbers(actual, expected, rtol, atol, where)


def compare_numbers(actual, expected, rtol, atol, where):
    if expected.dtype.name == "bfloat16":
        rtol = max(rtol, 2.0**-6)  # two units in the last place
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    if expected.dtype.kind in "iub" and expected.dtype.itemsize == 8:
        bad = actual != expected if rtol == 0 else ~within(actual.astype(wide), expected.astype(wide), rtol, atol)
    else:
        bad = ~within(actual.astype(wide), expected.astype(wide), rtol, atol)
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        raise Mismatch(
            f"{where}: wrong values ({int(bad.sum())} of {bad.size}; at {list(at)} {actual[at]!s} instead of {expected[at]!s})"
        )


def within(actual, expected, rtol, atol):
    with np.errstate(invalid="ignore"):
        close = np.abs(actual - expected) <= atol + rtol * np.abs(expected)
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    return np.where(np.isfinite(actual) & np.isfinite(expected), close, same)
