// sin, cos, tan, pow and remainders: the functions that need more than working precision inside. Same rules as math.h.
// Tested in tests/unit/kernels/math_test.cc.
#ifndef ONNXC_KERNELS_MATH_MORE_H
#define ONNXC_KERNELS_MATH_MORE_H

#include "math.h"

namespace onnxc_kernels {

// ---- circular functions (scalars only): x = q pi/2 + r, |r| <= pi/4.
template <class T>
struct Reduced {
  T r;
  int32_t q;
};

// The 96 or 160 bits of 2/pi that matter for m * 2^k, times m, modulo 4: 2 bits of quadrant, 64 bits of fraction.
// Payne and Hanek, "Radian reduction for trigonometric functions", 1983.
ONNXC_INLINE Reduced<float> quadrant_and_fraction(uint32_t top, uint32_t middle, uint32_t low) {
  const uint64_t fraction = (uint64_t(top << 2 | middle >> 30) << 32) | (middle << 2 | low >> 30);
  const int64_t centred = int64_t(fraction), coarse = centred & ~((int64_t(1) << 40) - 1);
  constexpr float unit = 5.42101086e-20f;  // 2^-64
  const float high = float(coarse) * unit, rest = float(centred - coarse) * unit;
  return {madd(high, kPi2<float>, madd(rest, kPi2<float>, high * Format<float>::pi_2_lo)),
          int32_t((top + 0x20000000u) >> 30)};
}
ONNXC_INLINE Reduced<float> reduce_huge(float x) {
  const uint32_t bits = bits_as<uint32_t>(x);
  const uint32_t m = (bits & 0x7fffffu) | 0x800000u;
  const int32_t at = int32_t(bits >> 23 & 0xff) - 150 + 30;  // bit of {0, 2/pi} where the window begins
  const int32_t word = at >> 5, shift = at & 31;
  // No table: loads under a condition would keep loops from vectorising.
  constexpr uint32_t w0 = 0, w1 = 0xa2f9836e, w2 = 0x4e441529, w3 = 0xfc2757d1, w4 = 0xf534ddc0, w5 = 0xdb629599,
                     w6 = 0x3c439041, w7 = 0xfe5163ab;
  const auto pick = [word](uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t e) {
    return word == 0 ? a : word == 1 ? b : word == 2 ? c : word == 3 ? d : e;
  };
  const uint32_t a = pick(w0, w1, w2, w3, w4), b = pick(w1, w2, w3, w4, w5), c = pick(w2, w3, w4, w5, w6),
                 d = pick(w3, w4, w5, w6, w7);
  const auto window = [shift](uint32_t high, uint32_t low) {
    return uint32_t((uint64_t(high) << 32 | low) << shift >> 32);
  };
  const uint64_t p0 = uint64_t(m) * window(c, d);
  const uint64_t p1 = uint64_t(m) * window(b, c) + (p0 >> 32);
  const uint64_t p2 = uint64_t(m) * window(a, b) + (p1 >> 32);
  return quadrant_and_fraction(uint32_t(p2), uint32_t(p1), uint32_t(p0));
}
ONNXC_INLINE Reduced<double> reduce_huge(double x) {
  static constexpr uint32_t table[44] = {0,           0,           0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u,
                                         0xdb629599u, 0x3c439041u, 0xfe5163abu, 0xdebbc561u, 0xb7246e3au, 0x424dd2e0u,
                                         0x06492eeau, 0x09d1921cu, 0xfe1deb1cu, 0xb129a73eu, 0xe88235f5u, 0x2ebb4484u,
                                         0xe99c7026u, 0xb45f7e41u, 0x3991d639u, 0x835339f4u, 0x9c845f8bu, 0xbdf9283bu,
                                         0x1ff897ffu, 0xde05980fu, 0xef2f118bu, 0x5a0a6d1fu, 0x6d367ecfu, 0x27cb09b7u,
                                         0x4f463f66u, 0x9e5fea2du, 0x7527bac7u, 0xebe5f17bu, 0x3d0739f7u, 0x8a5292eau,
                                         0x6bfb5fb1u, 0x1f8d5d08u, 0x56033046u, 0xfc7b6babu, 0xf0cfbc20u, 0x9af4361du};
  const uint64_t bits = bits_as<uint64_t>(x);
  const uint64_t m = (bits & ((uint64_t(1) << 52) - 1)) | (uint64_t(1) << 52);
  const int32_t at = int32_t(bits >> 52 & 0x7ff) - 1075 + 62;
  const int32_t word = (at >> 5) > 37 ? 37 : at >> 5, shift = at & 31;
  uint32_t sum[6] = {0, 0, 0, 0, 0, 0};  // the product modulo 4, most significant word first; the last one guards
  for (int half = 0; half < 2; ++half) {
    const uint64_t factor = half ? m >> 32 : m & 0xffffffffu;
    uint64_t carry = 0;
    for (int i = 5; i >= 0; --i) {
      const uint64_t pair = uint64_t(table[word + i]) << 32 | table[word + i + 1];
      const int place = i - half;
      const uint64_t p = factor * uint32_t(pair << shift >> 32) + carry + (place >= 0 ? sum[place] : 0);
      if (place >= 0) sum[place] = uint32_t(p);
      carry = p >> 32;
    }
  }
  const uint64_t top = uint64_t(sum[0]) << 32 | sum[1], rest = uint64_t(sum[2]) << 32 | sum[3];
  const int64_t high = int64_t(top << 2 | rest >> 62);
  const uint64_t low = rest << 2;
  constexpr double unit = 5.42101086242752217e-20;  // 2^-64
  const int64_t coarse = high & ~((int64_t(1) << 11) - 1);
  const double first = double(coarse) * unit;
  const double second = double(high - coarse) * unit + double(low >> 11) * (unit * unit * 2048.0);
  const double r = madd(first, kPi2<double>, madd(second, kPi2<double>, first * Format<double>::pi_2_lo));
  return {r, int32_t((sum[0] + 0x20000000u) >> 30)};
}
template <class T>
ONNXC_INLINE Reduced<T> reduce_circular(T x) {
  using F = Format<T>;
  const T a = abs(x);
  if (__builtin_expect(a > F::reduce_limit, 0)) {
    Reduced<T> huge = reduce_huge(a);
    if (!(a < kInfinity<T>)) huge.r = kNan<T>;
    if (x < T(0)) return {-huge.r, -huge.q};
    return huge;
  }
  T nf;
  const auto n = nearest(x, T(1) / kPi2<T>, &nf);
  T r = madd(nf, -F::pi_2_parts[0], x);
  r = madd(nf, -F::pi_2_parts[1], r);
  r = madd(nf, -F::pi_2_parts[2], r);
  return {madd(nf, -F::pi_2_parts[3], r), int32_t(n)};
}
template <class T>
ONNXC_INLINE T sin_reduced(T r) {
  const T z = r * r;
  return madd(r * z, Coefficients<T>::sin(z), r);
}
template <class T>
ONNXC_INLINE T cos_reduced(T r) {
  const T z = r * r, half = z * T(0.5), one_less = T(1) - half;
  return one_less + madd(z * z, Coefficients<T>::cos(z), (T(1) - one_less) - half);
}
template <class T>
ONNXC_INLINE T sin_quarter(Reduced<T> x, int32_t q) {
  const T v = q & 1 ? cos_reduced(x.r) : sin_reduced(x.r);
  return q & 2 ? -v : v;
}
template <class T>
ONNXC_INLINE T sin(T x) {
  const Reduced<T> reduced = reduce_circular(x);
  const T v = sin_quarter(reduced, reduced.q);
  return x == T(0) ? x : v;
}
template <class T>
ONNXC_INLINE T cos(T x) {
  const Reduced<T> reduced = reduce_circular(x);
  return sin_quarter(reduced, reduced.q + 1);
}
template <class T>
ONNXC_INLINE T tan(T x) {
  const Reduced<T> reduced = reduce_circular(x);
  const T z = reduced.r * reduced.r;
  const T t = madd(reduced.r * z, Coefficients<T>::tan(z), reduced.r);
  const T v = reduced.q & 1 ? T(-1) / t : t;
  return x == T(0) ? x : v;
}

// ---- sums of two numbers, high + low
template <class V>
struct Pair {
  V high, low;
};
template <class V>
ONNXC_INLINE Pair<V> two_sum(V a, V b) {  // exact
  const V s = a + b, t = s - a;
  return {s, (a - (s - t)) + (b - t)};
}
template <class V>
ONNXC_INLINE Pair<V> two_product(V a, V b) {  // exact (Dekker) unless it overflows
  const V p = a * b;
  if constexpr (kHasFma<V>) {
    return {p, madd<V>(a, b, -p)};
  } else {
    constexpr Elem<V> splitter = Format<Elem<V>>::splitter;
    const V ta = a * splitter, tb = b * splitter;
    const V ah = ta - (ta - a), al = a - ah, bh = tb - (tb - b), bl = b - bh;
    return {p, ((ah * bh - p) + ah * bl + al * bh) + al * bl};
  }
}

// log x in about 1.5 times the working precision; x positive, finite.
template <class V>
ONNXC_INLINE Pair<V> log_pair(V x) {
  using T = Elem<V>;
  using F = Format<T>;
  const auto tiny = x < F::min_normal;
  IntVec<V> ei;
  const V m = log_reduce<V>(select(tiny, x * T(uint64_t(1) << F::mantissa), x), &ei);
  const V e = int_to_float<V>(ei) - select(tiny, T(F::mantissa), splat<V>(0));
  // s = f / (2 + f) as a pair, log(1 + f) = 2 s + s^3 Q(s^2)
  const V f = m - T(1);
  const Pair<V> d = two_sum<V>(splat<V>(2), f);
  const V s = f / d.high;
  const Pair<V> sd = two_product<V>(s, d.high);
  const V s_low = (((f - sd.high) - sd.low) - s * d.low) / d.high;
  const V z = s * s;
  const V tail = madd(s * z, Coefficients<T>::log_precise(z), s_low + s_low);
  const Pair<V> a = two_sum<V>(e * T(F::ln2_hi), s + s);
  const V low = madd(e, T(F::ln2_lo), a.low);
  // tail and e * ln2_lo are the next order: keep their sum exact too.
  const Pair<V> b = two_sum<V>(a.high, tail + low);
  return b;
}
template <class V>
ONNXC_INLINE V exp_pair(Pair<V> x) {  // e^(high + low)
  using T = Elem<V>;
  using F = Format<T>;
  const V h = clamp_keep_nan<V>(x.high, F::exp_min, F::exp_max);
  const V low = select(h == x.high, x.low, T(0));
  IntVec<V> n;
  const V p = expm1_reduced<kTwoBiases<T>>(h, &n);
  return scale<V>(T(1) + (p + madd(p, low, low)), n);
}
// C's pow.
template <class V>
ONNXC_INLINE V pow(V x, V y) {
  using T = Elem<V>;
  const V ax = abs(x), ay = abs(y);
  const V huge = splat<V>(T(uint64_t(1) << 40) * T(sizeof(T) == 4 ? 1 : 1 << 30));
  const V yc = copysign<V>(select(ay > huge, huge, ay), y);
  const Pair<V> l = log_pair<V>(select(ax > T(0), select(ax < kInfinity<T>, ax, splat<V>(1)), splat<V>(1)));
  const Pair<V> p = two_product<V>(l.high, yc);
  V r = exp_pair<V>({p.high, madd(l.low, yc, p.low)});
  // 0 and infinity
  const V zero = splat<V>(0), inf = splat<V>(kInfinity<T>);
  r = select(ax == T(0), select(y < T(0), inf, zero), r);
  r = select(ax == kInfinity<T>, select(y < T(0), zero, inf), r);
  r = select(ay == kInfinity<T>, select(ax == T(1), splat<V>(1), select((ax > T(1)) == (y > T(0)), inf, zero)), r);
  // negative bases: only integers y, odd ones negate. From 2^(mantissa+1) on every y is even.
  const V limit = splat<V>(T(uint64_t(2) << Format<T>::mantissa));
  const V rounded = round_even<V>(y), half = yc * T(0.5);
  const auto odd =
      select(ay < limit, select(rounded == y, select(round_even<V>(half) == half, zero, splat<V>(1)), zero), zero);
  const V sign = copysign<V>(splat<V>(1), x);
  const V negated = select(odd == T(1), copysign<V>(r, x), r);
  r = select(sign < T(0), negated, r);
  const V integer_y = select(rounded == y, splat<V>(1), zero);
  r = select(x < T(0), select(integer_y == T(0), select(ax < kInfinity<T>, splat<V>(kNan<T>), r), r), r);
  r = select(x != x, x, r);
  r = select(y != y, y, r);
  r = select(y == T(0), T(1), r);
  return select(x == T(1), T(1), r);
}

// C's fmod, exactly, by long division on the bits (scalars only).
template <class T>
ONNXC_INLINE T remainder_toward_zero(T x, T y) {
  using F = Format<T>;
  using U = typename F::Uint;
  const T a = abs(x), b = abs(y);
  if (!(a < kInfinity<T>) || b == T(0) || b != b) return kNan<T>;
  if (a < b || a == T(0)) return x;
  constexpr U hidden = U(1) << F::mantissa;
  const auto split = [](T v, int* e) {  // v = m 2^e with m in [hidden, 2 hidden)
    U m = bits_as<U>(v);
    *e = int(m >> F::mantissa);
    m &= hidden - 1;
    if (*e != 0) return m | hidden;
    *e = 1;
    while (m < hidden) {
      m <<= 1;
      --*e;
    }
    return m;
  };
  int ea, e;
  U ma = split(a, &ea);
  const U mb = split(b, &e);
  for (int i = ea - e; i > 0; --i) {
    if (ma >= mb) ma -= mb;
    ma <<= 1;
  }
  if (ma >= mb) ma -= mb;
  if (ma == 0) return copysign(T(0), x);
  while (ma < hidden) {
    ma <<= 1;
    --e;
  }
  const U bits = e < 1 ? ma >> (1 - e) : (ma - hidden) | (U(e) << F::mantissa);
  return copysign(bits_as<T>(bits), x);
}
template <class T>
ONNXC_INLINE T modulo(T x, T y) {  // sign of y, as Python's %
  const T r = remainder_toward_zero(x, y);
  if (r == T(0)) return copysign(T(0), y);
  return (r < T(0)) != (y < T(0)) ? r + y : r;
}

}  // namespace onnxc_kernels

// The C functions of one element type: what back ends call for expressions.
#define ONNXC_MATH_1(elem, T, name, expression) \
  ONNXC_KERNEL T onnxc_##name##_##elem(T x) { return expression; }
#define ONNXC_MATH_2(elem, T, name, expression) \
  ONNXC_KERNEL T onnxc_##name##_##elem(T x, T y) { return expression; }
#define ONNXC_MATH_FUNCTIONS(elem, T)                                                 \
  ONNXC_MATH_1(elem, T, floor, onnxc_kernels::floor<T>(x))                            \
  ONNXC_MATH_1(elem, T, ceil, onnxc_kernels::ceil<T>(x))                              \
  ONNXC_MATH_1(elem, T, round, onnxc_kernels::round_even<T>(x))                       \
  ONNXC_MATH_1(elem, T, trunc, onnxc_kernels::trunc<T>(x))                            \
  ONNXC_MATH_1(elem, T, abs, onnxc_kernels::abs<T>(x))                                \
  ONNXC_MATH_1(elem, T, sign, x > T(0) ? T(1) : x < T(0) ? T(-1) : x)                 \
  ONNXC_MATH_1(elem, T, sqrt, onnxc_kernels::sqrt<T>(x))                              \
  ONNXC_MATH_1(elem, T, rsqrt, onnxc_kernels::rsqrt<T>(x))                            \
  ONNXC_MATH_1(elem, T, reciprocal, onnxc_kernels::reciprocal<T>(x))                  \
  ONNXC_MATH_1(elem, T, exp, onnxc_kernels::exp<T>(x))                                \
  ONNXC_MATH_1(elem, T, exp2, onnxc_kernels::exp2<T>(x))                              \
  ONNXC_MATH_1(elem, T, expm1, onnxc_kernels::expm1<T>(x))                            \
  ONNXC_MATH_1(elem, T, log, onnxc_kernels::log<T>(x))                                \
  ONNXC_MATH_1(elem, T, log1p, onnxc_kernels::log1p<T>(x))                            \
  ONNXC_MATH_1(elem, T, sin, onnxc_kernels::sin<T>(x))                                \
  ONNXC_MATH_1(elem, T, cos, onnxc_kernels::cos<T>(x))                                \
  ONNXC_MATH_1(elem, T, tan, onnxc_kernels::tan<T>(x))                                \
  ONNXC_MATH_1(elem, T, asin, onnxc_kernels::asin<T>(x))                              \
  ONNXC_MATH_1(elem, T, acos, onnxc_kernels::acos<T>(x))                              \
  ONNXC_MATH_1(elem, T, atan, onnxc_kernels::atan<T>(x))                              \
  ONNXC_MATH_1(elem, T, sinh, onnxc_kernels::sinh<T>(x))                              \
  ONNXC_MATH_1(elem, T, cosh, onnxc_kernels::cosh<T>(x))                              \
  ONNXC_MATH_1(elem, T, tanh, onnxc_kernels::tanh<T>(x))                              \
  ONNXC_MATH_1(elem, T, asinh, onnxc_kernels::asinh<T>(x))                            \
  ONNXC_MATH_1(elem, T, acosh, onnxc_kernels::acosh<T>(x))                            \
  ONNXC_MATH_1(elem, T, atanh, onnxc_kernels::atanh<T>(x))                            \
  ONNXC_MATH_1(elem, T, erf, onnxc_kernels::erf<T>(x))                                \
  ONNXC_MATH_1(elem, T, sigmoid, onnxc_kernels::sigmoid<T>(x))                        \
  ONNXC_MATH_2(elem, T, pow, onnxc_kernels::pow<T>(x, y))                             \
  ONNXC_MATH_2(elem, T, atan2, onnxc_kernels::atan2<T>(x, y)) /* x is the ordinate */ \
  ONNXC_MATH_2(elem, T, rem, onnxc_kernels::remainder_toward_zero<T>(x, y))           \
  ONNXC_MATH_2(elem, T, mod, onnxc_kernels::modulo<T>(x, y))                          \
  ONNXC_MATH_2(elem, T, min, onnxc_kernels::min<T>(x, y))                             \
  ONNXC_MATH_2(elem, T, max, onnxc_kernels::max<T>(x, y))                             \
  ONNXC_KERNEL T onnxc_fma_##elem(T x, T y, T z) { return onnxc_kernels::madd(x, y, z); }

#endif
