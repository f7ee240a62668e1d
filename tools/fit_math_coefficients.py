#!/usr/bin/env python3
"""Prints the polynomial tables of runtime_lib/kernels/math_f32.h and math_f64.h.

Each polynomial interpolates its function at Chebyshev nodes in 60-digit arithmetic (within a factor of about two of the
minimax error), of the least degree whose error, as a share of the function's result, is below `target`; erf's, whose errors
count less and less as x grows, is a minimax polynomial under that weight.
Use: tools/fit_math_coefficients.py f32|f64   (needs mpmath)
"""

import sys

import mpmath as mp

mp.mp.dps = 60


def interpolate(f, a, b, degree):
    nodes = [(a + b) / 2 + (b - a) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * degree + 2)) for i in range(degree + 1)]
    table = [f(x) for x in nodes]
    for level in range(1, degree + 1):  # divided differences
        for i in range(degree, level - 1, -1):
            table[i] = (table[i] - table[i - 1]) / (nodes[i] - nodes[i - level])
    poly = [table[degree]]
    for i in range(degree - 1, -1, -1):  # Newton form to monomials
        shifted = [mp.mpf(0)] + poly
        poly = [s - nodes[i] * c for s, c in zip(shifted, poly + [mp.mpf(0)])]
        poly[0] += table[i]
    return poly


def fit(f, weight, a, b, target):
    """weight(x): by how much an error of the polynomial reaches the result, relative to it."""
    a, b = mp.mpf(a), mp.mpf(b)
    for degree in range(1, 40):
        poly = interpolate(f, a, b, degree)
        samples = [a + (b - a) * i / 200 for i in range(201)]
        worst = max(abs((mp.polyval(poly[::-1], x) - f(x)) * weight(x)) for x in samples if abs(x) > 1e-30)
        if worst < target:
            return poly, degree, worst
    raise SystemExit("no fit")


def fit_minimax(f, weight, a, b, target):
    """As fit(), by Remez' exchange on a grid."""
    grid = [mp.mpf(a) + (mp.mpf(b) - a) * i / 400 for i in range(401)]
    for degree in range(2, 40):
        picked = [round(200 - 200 * mp.cos(mp.pi * i / (degree + 1))) for i in range(degree + 2)]
        for _ in range(20):
            rows, right = mp.matrix(degree + 2, degree + 2), mp.matrix(degree + 2, 1)
            for i, x in enumerate(grid[p] for p in picked):
                for k in range(degree + 1):
                    rows[i, k] = x**k
                rows[i, degree + 1], right[i] = (-1) ** i / weight(x), f(x)
            poly = list(mp.lu_solve(rows, right))[:-1]
            errors = [(mp.polyval(poly[::-1], x) - f(x)) * weight(x) for x in grid]
            peaks = [0]  # the worst point of each stretch of one sign
            for i, e in enumerate(errors):
                if e * errors[peaks[-1]] < 0:
                    peaks.append(i)
                elif abs(e) > abs(errors[peaks[-1]]):
                    peaks[-1] = i
            if len(peaks) < degree + 2:
                break
            while len(peaks) > degree + 2:
                peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
            picked = peaks
        if max(map(abs, errors)) < target:
            return poly, degree, max(map(abs, errors))
    raise SystemExit("no fit")


def series_safe(f, limit):
    """f, with the removable singularity at 0 replaced by its limit."""
    return lambda x: mp.mpf(limit) if abs(x) < mp.mpf(10) ** -25 else f(x)


def tables(target, erf_end):
    ln2 = mp.log(2)
    r = ln2 / 2 * mp.mpf("1.001")
    q = (mp.pi / 4 * mp.mpf("1.001")) ** 2
    s = mp.mpf("0.1716") ** 2
    root = mp.sqrt

    def odd(fn, third):
        return series_safe(lambda z: (fn(root(z)) - root(z)) / root(z) ** 3, third)

    third = mp.mpf(1) / 3
    yield (
        "exp",
        "(e^r - 1 - r) / r^2",
        fit(series_safe(lambda x: (mp.expm1(x) - x) / x**2, 0.5), lambda x: x**2, -r, r, target),
    )
    yield (
        "exp2",
        "(2^r - 1) / r",
        fit(series_safe(lambda x: mp.expm1(x * ln2) / x, ln2), lambda x: x, -0.5005, 0.5005, target),
    )
    yield (
        "log",
        "(log((1+s)/(1-s)) - 2 s) / s^3, z = s^2",
        fit(
            series_safe(lambda z: 2 * (mp.atanh(root(z)) - root(z)) / root(z) ** 3, 2 * third),
            lambda z: z,
            0,
            s,
            target / 4,
        ),
    )
    yield (
        "log_precise",
        "(log((1+s)/(1-s)) - 2 s) / s^3, z = s^2, for pow",
        fit(
            series_safe(lambda z: 2 * (mp.atanh(root(z)) - root(z)) / root(z) ** 3, 2 * third),
            lambda z: z,
            0,
            s,
            target / 1000,
        ),
    )
    yield "sin", "(sin r - r) / r^3, z = r^2", fit(odd(mp.sin, -mp.mpf(1) / 6), lambda z: z, 0, q, target / 2)
    yield (
        "cos",
        "(cos r - 1 + r^2/2) / r^4, z = r^2",
        fit(
            series_safe(lambda z: (mp.cos(root(z)) - 1 + z / 2) / z**2, mp.mpf(1) / 24),
            lambda z: z**2,
            0,
            q,
            target / 2,
        ),
    )
    yield "tan", "(tan r - r) / r^3, z = r^2", fit(odd(mp.tan, third), lambda z: z, 0, q, target / 2)
    yield (
        "asin",
        "(asin x - x) / x^3, z = x^2",
        fit(odd(mp.asin, mp.mpf(1) / 6), lambda z: z, 0, mp.mpf("0.2501"), target / 2),
    )
    yield "atan", "(atan x - x) / x^3, z = x^2", fit(odd(mp.atan, -third), lambda z: z, 0, 1, target / 2)
    yield "sinh", "(sinh x - x) / x^3, z = x^2", fit(odd(mp.sinh, mp.mpf(1) / 6), lambda z: z, 0, 1, target / 2)
    yield (
        "erf",
        "log2(erfc(x)) / x",
        fit_minimax(
            series_safe(lambda x: mp.log(mp.erfc(x), 2) / x, -2 / mp.sqrt(mp.pi) / ln2),
            series_safe(lambda x: mp.erfc(x) * x / mp.erf(x) * ln2, mp.sqrt(mp.pi) / 2 * ln2),
            0,
            erf_end,
            target,
        ),
    )


def main():
    kind = sys.argv[1]
    f32 = kind == "f32"
    for name, what, (poly, degree, worst) in tables(mp.mpf(2) ** (-26 if f32 else -55.5), "3.92" if f32 else "5.93"):
        number = (
            (lambda c: mp.nstr(c, 11, min_fixed=1, max_fixed=0) + "f")
            if f32
            else (lambda c: mp.nstr(c, 19, min_fixed=1, max_fixed=0))
        )
        print(f"  // {what}; error 2^{mp.nstr(mp.log(worst, 2), 4)}")
        print("  template <class V>")
        print(
            f"  static ONNXC_INLINE V {name}(V x) {{\n    return poly(x, {', '.join(number(c) for c in poly)});\n  }}"
        )


main()
