// Elementary functions without libm, for a scalar or vector V of float or double: the algorithms; the polynomials stand
// in math_f32.h and math_f64.h. Without branches (but for huge arguments of sin, cos, tan), so that loops over them
// vectorise. IEEE special values as in C's Annex F. Greatest errors: README.md. Tested in
// tests/unit/kernels/math_test.cc.
#ifndef ONNXC_KERNELS_MATH_H
#define ONNXC_KERNELS_MATH_H

#include "kernel.h"

namespace onnxc_kernels {

template <class T>
struct Coefficients;  // the polynomials
template <class T>
struct Format;
template <>
struct Format<float> {
  using Int = int32_t;
  using Uint = uint32_t;
  static constexpr int mantissa = 23, bias = 127;
  static constexpr float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  static constexpr float min_normal = 1.17549435e-38f;
  static constexpr float ln2_hi = 0.693359375f, ln2_lo = -2.12194440e-4f;  // few bits in hi: n * hi is exact
  static constexpr float exp_max = 90.0f, exp_min = -105.0f, expm1_min = -18.0f, expm1_max = 89.0f, tanh_max = 10.0f;
  static constexpr float exp2_max = 129.0f, exp2_min = -151.0f, big = 1e8f;
  static constexpr float splitter = 4097.0f;
  static constexpr float erf_end = 3.92f;
  static constexpr float pi_2_parts[4] = {1.5703125f, 4.83751297e-4f, 7.54953362e-8f, 2.56334406e-12f};
  static constexpr float reduce_limit = 8192.0f;
  static constexpr float pi_2_lo = -4.37113883e-8f;
};
template <>
struct Format<double> {
  using Int = int64_t;
  using Uint = uint64_t;
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr double magic = 6755399441055744.0;
  static constexpr double min_normal = 2.2250738585072014e-308;
  static constexpr double ln2_hi = 6.93147180369123816490e-01, ln2_lo = 1.90821492927058770002e-10;
  static constexpr double exp_max = 711.0, exp_min = -746.0, expm1_min = -38.0, expm1_max = 709.9, tanh_max = 20.0;
  static constexpr double exp2_max = 1025.0, exp2_min = -1076.0, big = 1e16;
  static constexpr double splitter = 134217729.0;
  static constexpr double erf_end = 5.93;
  static constexpr double pi_2_parts[4] = {1.57079632673412561417, 6.07710050630396597660e-11,
                                           2.02226624871116645580e-21, 8.47842766036889956997e-32};
  static constexpr double reduce_limit = 524288.0;
  static constexpr double pi_2_lo = 6.123233995736766036e-17;
};
template <class T>
inline constexpr T kPi2 = T(1.57079632679489661923);
template <class T>
inline constexpr T kLn2 = T(0.693147180559945309417);

// n, the integer nearest to x * factor, also as a float. |x * factor| < 2^(mantissa - 2). What wants the bits of n +
// Offset has them in one operation.
template <int Offset = 0, class V>
ONNXC_INLINE IntVec<V> nearest(V x, Elem<V> factor, V* as_float) {
  using F = Format<Elem<V>>;
  constexpr Elem<V> magic = F::magic + Offset;
  const V t = madd(x, factor, magic);
  *as_float = t - magic;
  return bits_as<IntVec<V>>(bits_as<UintVec<V>>(t) - bits_as<UintVec<V>>(splat<V>(magic)));
}
template <class V>
ONNXC_INLINE V int_to_float(IntVec<V> n) {  // |n| < 2^(mantissa - 2)
  using F = Format<Elem<V>>;
  return bits_as<V>(n + bits_as<IntVec<V>>(splat<V>(F::magic))) - F::magic;
}
// 2^n for the n of normal numbers.
template <class V>
ONNXC_INLINE V power_of_two(IntVec<V> n) {
  using F = Format<Elem<V>>;
  return bits_as<V>((bits_as<UintVec<V>>(n) + F::bias) << F::mantissa);
}
// x * 2^n in two steps, so that n may be twice as large: wants the bits of n + kTwoBiases.
template <class T>
inline constexpr int kTwoBiases = 2 * Format<T>::bias;
template <class V>
ONNXC_INLINE V scale(V x, IntVec<V> n) {
  using F = Format<Elem<V>>;
  using U = typename F::Uint;
  const UintVec<V> e = bits_as<UintVec<V>>(n) + kTwoBiases<Elem<V>>;
  const UintVec<V> half = (e << (F::mantissa - 1)) & (~U(0) >> 1 >> F::mantissa << F::mantissa);
  return x * bits_as<V>(half) * bits_as<V>((e << F::mantissa) - half);
}
template <class V>
ONNXC_INLINE V clamp_keep_nan(V x, Elem<V> low, Elem<V> high) {
  x = select(x > high, high, x);
  return select(x < low, low, x);
}

// ---- exponentials
// x = n ln 2 + r: gives r. n by the rules of `nearest`.
template <int Offset, class V>
ONNXC_INLINE V exp_reduce(V x, IntVec<V>* n) {
  using F = Format<Elem<V>>;
  V nf;
  *n = nearest<Offset>(x, Elem<V>(1.44269504088896340736), &nf);
  return madd(nf, Elem<V>(-F::ln2_lo), madd(nf, Elem<V>(-F::ln2_hi), x));
}
// x = n ln 2 + r: gives e^r.
template <int Offset, class V>
ONNXC_INLINE V exp_reduced(V x, IntVec<V>* n) {
  const V r = exp_reduce<Offset>(x, n);
  const V slope = madd(r, Coefficients<Elem<V>>::exp(r), splat<V>(1));
  return madd(r, slope, splat<V>(1));
}
// e^r - 1
template <int Offset, class V>
ONNXC_INLINE V expm1_reduced(V x, IntVec<V>* n) {
  const V r = exp_reduce<Offset>(x, n);
  return madd(r * r, Coefficients<Elem<V>>::exp(r), r);
}
// e^x * 2^extra
template <class V>
ONNXC_INLINE V exp_scaled(V x, int extra) {
  using F = Format<Elem<V>>;
  IntVec<V> n;
  const V p = exp_reduced<kTwoBiases<Elem<V>>>(clamp_keep_nan<V>(x, F::exp_min, F::exp_max), &n);
  return scale<V>(p, n + extra);
}
#if defined(ONNXC_BITCODE) && ONNXC_LEVEL == 4
#define ONNXC_SCALE_IS_CALLED 1
// x * 2^n for a whole n. In loops the compiler has AVX-512's instruction for it: compiler/emit/llvm/vector_forms.h.
extern "C" __attribute__((noinline, const, visibility("hidden"))) float onnxc_scale_f32(float x, float n) {
  float same;
  return scale<float>(x, nearest<kTwoBiases<float>>(n, 1.0f, &same));
}
#else
#define ONNXC_SCALE_IS_CALLED 0
#endif
template <class V>
ONNXC_INLINE V exp(V x) {
#if ONNXC_SCALE_IS_CALLED
  if constexpr (kLanesOf<V> == 1 && sizeof(V) == sizeof(float)) {
    int32_t n;
    const float p = exp_reduced<0>(clamp_keep_nan<float>(x, Format<float>::exp_min, Format<float>::exp_max), &n);
    return onnxc_scale_f32(p, int_to_float<float>(n));
  }
#endif
  return exp_scaled<V>(x, 0);
}
// e^x for x in [-87, 88] ([-708, 709]) or below, where it is 0; the fast form for softmax and gates.
template <class V>
ONNXC_INLINE V exp_of_negative(V x) {
  using F = Format<Elem<V>>;
  constexpr Elem<V> low = Elem<V>(sizeof(Elem<V>) == 4 ? -87.3 : -708.3);
  IntVec<V> n;
  const V p = exp_reduced<F::bias>(x, &n);
  return select(x < low, Elem<V>(0), p * power_of_two<V>(n));
}
template <class V>
ONNXC_INLINE V exp2(V x) {
  using F = Format<Elem<V>>;
  x = clamp_keep_nan<V>(x, F::exp2_min, F::exp2_max);
  V nf;
  const IntVec<V> n = nearest<kTwoBiases<Elem<V>>>(x, Elem<V>(1), &nf);
  const V r = x - nf;
  return scale<V>(madd(r, Coefficients<Elem<V>>::exp2(r), splat<V>(1)), n);
}
// e^x - 1 for x up to 80 (700)
template <class V>
ONNXC_INLINE V expm1_small(V x) {
  IntVec<V> n;
  const V p = expm1_reduced<Format<Elem<V>>::bias>(x, &n);
  const V s = power_of_two<V>(n);
  return madd(s, p, s - Elem<V>(1));
}
template <class V>
ONNXC_INLINE V expm1(V x) {
  using F = Format<Elem<V>>;
  IntVec<V> n;
  const V p = expm1_reduced<F::bias - 1>(clamp_keep_nan<V>(x, F::expm1_min, F::expm1_max), &n);
  const V s = power_of_two<V>(n - 1);
  const V r = madd(s, p, s - Elem<V>(0.5)) * Elem<V>(2);
  return select(abs(x) < Elem<V>(1e-30), x, r);
}
// e^x for x <= 0: tiny results in two steps, of which the second is the same for all.
template <class V>
ONNXC_INLINE V exp_not_above_one(V x) {
  using F = Format<Elem<V>>;
  constexpr int most = F::bias / 2;
  IntVec<V> n;
  const V p = exp_reduced<F::bias + most>(select(x < F::exp_min, F::exp_min, x), &n);
  return p * power_of_two<V>(n + most) * power_of_two<V>(IntVec<V>{} - most);
}
template <class V>
ONNXC_INLINE V sigmoid(V x) {
  const V e = exp_not_above_one<V>(-abs(x));
  return select(x < Elem<V>(0), e, splat<V>(1)) / (e + Elem<V>(1));
}
// x sigmoid(x) as x / (1 + e^-x), for activations: where e^-x overflows (below -88.4, or -709.4) it is -0.
template <class V>
ONNXC_INLINE V silu(V x) {
  using T = Elem<V>;
  constexpr bool single = sizeof(T) == 4;
  IntVec<V> n;
  const V p =
      exp_reduced<Format<T>::bias>(clamp_keep_nan<V>(-x, T(single ? -87.3 : -708.3), T(single ? 88.8 : 710.0)), &n);
  return x / madd(p, power_of_two<V>(n), splat<V>(1));  // the power may be infinite
}
template <class V>
ONNXC_INLINE V tanh(V x) {
  using F = Format<Elem<V>>;
  const V a = abs(x);
  const V e = expm1_small<V>(select(a > F::tanh_max, F::tanh_max, a) * Elem<V>(2));
  return copysign<V>(e / (e + Elem<V>(2)), x);
}
template <class V>
ONNXC_INLINE V sinh(V x) {
  using T = Elem<V>;
  const V a = abs(x), z = a * a;
  const V e = exp_scaled<V>(a, -1);
  const V small = madd(a * z, Coefficients<T>::sinh(z), a);
  return copysign<V>(select(a < T(1), small, e - T(0.25) / e), x);
}
template <class V>
ONNXC_INLINE V cosh(V x) {
  const V e = exp_scaled<V>(abs(x), -1);
  return e + Elem<V>(0.25) / e;
}

// ---- logarithms
// x = 2^e m with m in [sqrt 1/2, sqrt 2), x positive and normal.
template <class V>
ONNXC_INLINE V log_reduce(V x, IntVec<V>* e) {
  using F = Format<Elem<V>>;
  const IntVec<V> bits = bits_as<IntVec<V>>(x);
  *e = (bits - bits_as<IntVec<V>>(splat<V>(Elem<V>(0.70710678118654752440)))) >> F::mantissa;
  return bits_as<V>(bits_as<UintVec<V>>(bits) - (bits_as<UintVec<V>>(*e) << F::mantissa));
}
// log(2^e (1 + f)) + low, f in [sqrt 1/2 - 1, sqrt 2 - 1]
template <class V>
ONNXC_INLINE V log_sum(V e, V f, V low) {
  using T = Elem<V>;
  using F = Format<T>;
  const V s = f / (f + T(2)), z = s * s;
  const V half_square = f * f * T(0.5);
  const V tail = madd(s, madd(z, Coefficients<T>::log(z), half_square), madd(e, T(F::ln2_lo), low));
  return madd(e, T(F::ln2_hi), f - (half_square - tail));
}
// log with the special values: `result` for positive finite x, else what C says.
template <class V>
ONNXC_INLINE V log_special(V x, V result) {
  using T = Elem<V>;
  result = select(x < kInfinity<T>, result, x);
  result = select(x == T(0), -kInfinity<T>, result);
  return select(x < T(0), kNan<T>, result);
}
template <class V>
ONNXC_INLINE V log(V x) {
  using T = Elem<V>;
  using F = Format<T>;
  const auto tiny = x < F::min_normal;
  IntVec<V> e;
  const V m = log_reduce<V>(select(tiny, x * T(uint64_t(1) << F::mantissa), x), &e);
  const V ef = int_to_float<V>(e) - select(tiny, T(F::mantissa), splat<V>(0));
  return log_special<V>(x, log_sum<V>(ef, m - T(1), splat<V>(0)));
}
template <class V>
ONNXC_INLINE V log1p(V x) {
  using T = Elem<V>;
  const V u = x + T(1);
  const V lost = select(abs(x) < T(1), x - (u - T(1)), T(1) - (u - x));
  IntVec<V> e;
  const V m = log_reduce<V>(u, &e);
  const V r = log_special<V>(u, log_sum<V>(int_to_float<V>(e), m - T(1), lost / u));
  return select(abs(x) < T(1e-30), x, r);
}
template <class V>
ONNXC_INLINE V sqrt(V x);
template <class V>
ONNXC_INLINE V asinh(V x) {
  using T = Elem<V>;
  const V a = abs(x), z = a * a;
  const V small = log1p<V>(a + z / (sqrt<V>(z + T(1)) + T(1)));
  const V large = log<V>(a) + kLn2<T>;
  return copysign<V>(select(a < Format<T>::big, small, large), x);
}
template <class V>
ONNXC_INLINE V acosh(V x) {
  using T = Elem<V>;
  const V t = x - T(1);
  const V small = log1p<V>(t + sqrt<V>(t * (t + T(2))));
  return select(x < T(1), kNan<T>, select(x > Format<T>::big, log<V>(x) + kLn2<T>, small));
}
template <class V>
ONNXC_INLINE V atanh(V x) {
  using T = Elem<V>;
  const V a = abs(x);
  return copysign<V>(T(0.5) * log1p<V>((a + a) / (T(1) - a)), x);
}

// ---- rounding and roots
template <class V>
ONNXC_INLINE V round_even(V x) {
  using T = Elem<V>;
  const V limit = splat<V>(T(uint64_t(1) << Format<T>::mantissa));
  const V a = abs(x);
  const V r = (a + limit) - limit;
  return copysign<V>(select(a < limit, r, x), x);
}
template <class V>
ONNXC_INLINE V trunc(V x) {
  using T = Elem<V>;
  const V a = abs(x), r = abs(round_even<V>(x));
  return copysign<V>(select(r > a, r - T(1), select(x == x, r, x)), x);
}
template <class V>
ONNXC_INLINE V floor(V x) {
  const V r = round_even<V>(x);
  return copysign<V>(select(r > x, r - Elem<V>(1), r), x);
}
template <class V>
ONNXC_INLINE V ceil(V x) {
  const V r = round_even<V>(x);
  return copysign<V>(select(r < x, r + Elem<V>(1), r), x);
}
// The square root digit by digit, for machines whose FPU has none: exact to the last bit.
template <class T>
ONNXC_INLINE T sqrt_by_digits(T x) {
  using F = Format<T>;
  using U = typename F::Uint;
  if (!(x > T(0)) || x == kInfinity<T>) return x < T(0) ? kNan<T> : x;
  int e = 0;
  if (x < F::min_normal) {
    x *= T(uint64_t(1) << (F::mantissa + 1));
    e = -(F::mantissa + 1);
  }
  U bits = bits_as<U>(x);
  e += int(bits >> F::mantissa) - F::bias;
  U m = (bits & ((U(1) << F::mantissa) - 1)) | (U(1) << F::mantissa);
  if (e & 1) m <<= 1;
  m <<= 1;  // root has mantissa + 2 bits, the last one for rounding
  U root = 0, sum = 0;
  for (U bit = U(1) << (F::mantissa + 1); bit != 0; bit >>= 1) {
    const U t = sum + bit;
    if (t <= m) {
      sum = t + bit;
      m -= t;
      root += bit;
    }
    m <<= 1;
  }
  root = (root + (root & 1)) >> 1;
  return bits_as<T>(root + (U((e >> 1) + F::bias - 1) << F::mantissa));
}
template <class T>
ONNXC_INLINE T sqrt_scalar(T x) {
#if defined(__SSE2__) || defined(__aarch64__)
  return sizeof(T) == 4 ? T(__builtin_sqrtf(float(x))) : T(__builtin_sqrt(double(x)));
#else
#if defined(__ARM_FP) && (__ARM_FP & 4)
  if constexpr (sizeof(T) == 4) {
    float r;
    __asm__("vsqrt.f32 %0, %1" : "=t"(r) : "t"(float(x)));
    return r;
  }
#endif
  return sqrt_by_digits(x);
#endif
}
template <class V>
ONNXC_INLINE V sqrt(V x) {
  if constexpr (kLanesOf<V> == 1) {
    return sqrt_scalar(x);
  } else {
#if defined(__clang__)
    return __builtin_elementwise_sqrt(x);
#else
    V r;
    ONNXC_UNROLL
    for (int i = 0; i < kLanesOf<V>; ++i) r[i] = sqrt_scalar(x[i]);
    return r;
#endif
  }
}
template <class V>
ONNXC_INLINE V rsqrt(V x) {
  return Elem<V>(1) / sqrt<V>(x);
}
template <class V>
ONNXC_INLINE V reciprocal(V x) {
  return Elem<V>(1) / x;
}

// ---- inverse circular functions
template <class V>
ONNXC_INLINE V asin_small(V x) {  // |x| <= 0.5
  const V z = x * x;
  return madd(x * z, Coefficients<Elem<V>>::asin(z), x);
}
template <class V>
ONNXC_INLINE V asin(V x) {
  using T = Elem<V>;
  const V a = abs(x);
  const auto small = a <= T(0.5);
  const V p = asin_small<V>(select(small, a, sqrt<V>((T(1) - a) * T(0.5))));
  return copysign<V>(select(small, p, kPi2<T> - (p + p - Format<T>::pi_2_lo)), x);
}
template <class V>
ONNXC_INLINE V acos(V x) {
  using T = Elem<V>;
  const V a = abs(x);
  const V p = asin_small<V>(select(a <= T(0.5), x, sqrt<V>((T(1) - a) * T(0.5))));
  const V large = select(x < T(0), T(2) * kPi2<T> - (p + p - T(2) * Format<T>::pi_2_lo), p + p);
  return select(a <= T(0.5), kPi2<T> - (p - Format<T>::pi_2_lo), large);
}
// atan(n / d) for 0 <= n <= d
template <class V>
ONNXC_INLINE V atan_ratio(V n, V d) {
  const V t = n / d, z = t * t;
  return madd(t * z, Coefficients<Elem<V>>::atan(z), t);
}
template <class V>
ONNXC_INLINE V atan(V x) {
  using T = Elem<V>;
  const V a = abs(x), one = splat<V>(1);
  const auto steep = a > T(1);
  const V p = atan_ratio<V>(select(steep, one, a), select(steep, a, one));
  return copysign<V>(select(steep, kPi2<T> - (p - Format<T>::pi_2_lo), p), x);
}
template <class V>
ONNXC_INLINE V atan2(V y, V x) {
  using T = Elem<V>;
  const V ay = abs(y), ax = abs(x);
  const auto steep = ay > ax;
  const V n = select(steep, ax, ay), d = select(steep, ay, ax);
  V p = atan_ratio<V>(n, d);
  p = select(n == d, T(0.78539816339744830962), p);  // also inf / inf
  p = select(d == T(0), T(0), p);
  p = select(steep, kPi2<T> - (p - Format<T>::pi_2_lo), p);
  // x negative (or -0)
  p = select(copysign<V>(splat<V>(1), x) < T(0), T(2) * kPi2<T> - (p - T(2) * Format<T>::pi_2_lo), p);
  p = select(x != x, x, p);
  return select(y != y, y, copysign<V>(p, y));
}

// ---- error function
// 1 - 2^q with q = log2(erfc(|x|)): one polynomial for all x, no division. 2^q - 1 = s p + (s - 1), s = 2^n, keeps its
// last bits where q is small.
template <class V>
ONNXC_INLINE V erf(V x) {
  using T = Elem<V>;
  const V a = abs(x);
  const V b = select(a > Format<T>::erf_end, Format<T>::erf_end, a);
  const V q = b * Coefficients<T>::erf(b);
  V nf;
  const IntVec<V> n = nearest<Format<T>::bias>(q, T(1), &nf);
  const V r = q - nf, s = power_of_two<V>(n);
  return copysign<V>(madd(s, r * Coefficients<T>::exp2(r), s - T(1)), x);
}

}  // namespace onnxc_kernels

#endif
