// Integer operations of expressions, made total: arithmetic wraps, x / 0 == 0, MIN / -1 == MIN, a shift by the width or
// more gives 0 (or the sign, for >> on signed types). onnxc_<op>_<elem>. Tested in tests/unit/kernels/scalar_test.cc.
#ifndef ONNXC_KERNELS_INTEGER_H
#define ONNXC_KERNELS_INTEGER_H

#include "kernel.h"

namespace onnxc_kernels {

template <class T>
inline constexpr bool kSigned = T(-1) < T(0);
template <class T>
struct Unsigned;
template <>
struct Unsigned<int8_t> {
  using type = uint8_t;
};
template <>
struct Unsigned<int16_t> {
  using type = uint16_t;
};
template <>
struct Unsigned<int32_t> {
  using type = uint32_t;
};
template <>
struct Unsigned<int64_t> {
  using type = uint64_t;
};
template <>
struct Unsigned<uint8_t> {
  using type = uint8_t;
};
template <>
struct Unsigned<uint16_t> {
  using type = uint16_t;
};
template <>
struct Unsigned<uint32_t> {
  using type = uint32_t;
};
template <>
struct Unsigned<uint64_t> {
  using type = uint64_t;
};

template <class T>
ONNXC_INLINE bool negative(T a) {
  if constexpr (kSigned<T>) return a < 0;
  return false;
}
// Products in a type that neither overflows nor promotes to a signed one.
template <class T>
ONNXC_INLINE T wrapping_multiply(T a, T b) {
  return T(uint64_t(a) * uint64_t(b));
}
template <class T>
ONNXC_INLINE T wrapping_negate(T a) {
  return T(uint64_t(0) - uint64_t(a));
}
template <class T>
ONNXC_INLINE T divide(T a, T b) {
  const bool overflow = kSigned<T> && b == T(-1);
  const T safe = (b == 0 || overflow) ? T(1) : b;
  return b == 0 ? T(0) : overflow ? wrapping_negate(a) : T(a / safe);
}
template <class T>
ONNXC_INLINE T remainder(T a, T b) {  // sign of a; 0 for b == 0
  const bool trivial = b == 0 || (kSigned<T> && b == T(-1));
  return trivial ? T(0) : T(a % (trivial ? T(1) : b));
}
template <class T>
ONNXC_INLINE T modulo_integer(T a, T b) {  // sign of b
  const T r = remainder(a, b);
  return r != 0 && negative(r) != negative(b) ? T(r + b) : r;
}
// a^b wrapped; negative exponents as if exact and cut: 1, -1 or 0 (0 for base 0 too).
template <class T>
ONNXC_INLINE T power(T a, T b) {
  if (negative(b)) return a == T(1) ? T(1) : a == T(-1) ? (b & 1 ? T(-1) : T(1)) : T(0);
  T r = 1;
  for (uint64_t n = uint64_t(b); n != 0; n >>= 1) {
    if (n & 1) r = wrapping_multiply(r, a);
    a = wrapping_multiply(a, a);
  }
  return r;
}
// The amount is read as unsigned: negative ones are too large.
template <class T>
ONNXC_INLINE T shift_left(T a, T b) {
  using U = typename Unsigned<T>::type;
  constexpr U width = U(sizeof(T) * 8);
  return U(b) >= width ? T(0) : T(uint64_t(a) << (U(b) & (width - 1)));
}
template <class T>
ONNXC_INLINE T shift_right(T a, T b) {
  using U = typename Unsigned<T>::type;
  constexpr U width = U(sizeof(T) * 8);
  const T last = negative(a) ? T(-1) : T(0);
  return U(b) >= width ? last : T(a >> (U(b) & (width - 1)));
}
template <class T>
ONNXC_INLINE T popcount(T a) {
  uint64_t v = uint64_t(typename Unsigned<T>::type(a));
  v -= (v >> 1) & 0x5555555555555555u;
  v = (v & 0x3333333333333333u) + ((v >> 2) & 0x3333333333333333u);
  v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu;
  return T(v * 0x0101010101010101u >> 56);
}

}  // namespace onnxc_kernels

#define ONNXC_INTEGER_FUNCTIONS(elem, T)                                                       \
  ONNXC_KERNEL T onnxc_div_##elem(T x, T y) { return onnxc_kernels::divide<T>(x, y); }         \
  ONNXC_KERNEL T onnxc_rem_##elem(T x, T y) { return onnxc_kernels::remainder<T>(x, y); }      \
  ONNXC_KERNEL T onnxc_mod_##elem(T x, T y) { return onnxc_kernels::modulo_integer<T>(x, y); } \
  ONNXC_KERNEL T onnxc_pow_##elem(T x, T y) { return onnxc_kernels::power<T>(x, y); }          \
  ONNXC_KERNEL T onnxc_shl_##elem(T x, T y) { return onnxc_kernels::shift_left<T>(x, y); }     \
  ONNXC_KERNEL T onnxc_shr_##elem(T x, T y) { return onnxc_kernels::shift_right<T>(x, y); }    \
  ONNXC_KERNEL T onnxc_popcount_##elem(T x) { return onnxc_kernels::popcount<T>(x); }          \
  ONNXC_KERNEL T onnxc_abs_##elem(T x) {                                                       \
    return onnxc_kernels::negative<T>(x) ? onnxc_kernels::wrapping_negate<T>(x) : x;           \
  }                                                                                            \
  ONNXC_KERNEL T onnxc_sign_##elem(T x) { return onnxc_kernels::negative<T>(x) ? T(-1) : T(x != T(0)); }

ONNXC_INTEGER_FUNCTIONS(i8, int8_t)
ONNXC_INTEGER_FUNCTIONS(i16, int16_t)
ONNXC_INTEGER_FUNCTIONS(i32, int32_t)
ONNXC_INTEGER_FUNCTIONS(i64, int64_t)
ONNXC_INTEGER_FUNCTIONS(u8, uint8_t)
ONNXC_INTEGER_FUNCTIONS(u16, uint16_t)
ONNXC_INTEGER_FUNCTIONS(u32, uint32_t)
ONNXC_INTEGER_FUNCTIONS(u64, uint64_t)

// x * multiplier / 2^shift through 64 bits, halves away from zero; wraps. shift 0 .. 62, others act as the nearest of
// these.
ONNXC_KERNEL int32_t onnxc_mul_shift_round_i32(int32_t x, int32_t multiplier, int32_t shift) {
  const int32_t s = shift < 0 ? 0 : shift > 62 ? 62 : shift;
  const int64_t p = int64_t(x) * multiplier;
  const int64_t half = s == 0 ? 0 : int64_t(1) << (s - 1);
  const int64_t magnitude = p < 0 ? -p : p;  // |p| <= 2^62
  const int64_t r = int64_t((uint64_t(magnitude) + uint64_t(half)) >> s);
  return int32_t(uint32_t(uint64_t(p < 0 ? -r : r)));
}

#endif
