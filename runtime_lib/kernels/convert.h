// Conversions between element types: narrow floats (f16, bf16, f8*, f6*, f4, e8m0; round half to even) to and from
// float, and the saturating casts of floats to integers (NaN -> 0). A narrow float is held in the low bits of a
// uint16_t or uint8_t.
//   onnxc_f32_to_<narrow>(float), onnxc_<narrow>_to_f32(bits); where ONNX's Cast has saturate = 0:
//   onnxc_f32_to_<f8>_unsaturated onnxc_f32_to_f8e8m0 (rounds up, Cast's default), ..._nearest, ..._down
//   onnxc_cast_{f32,f64}_<integer>, onnxc_cast_{f32,f64}_bool; onnxc_wrap_{i4,u4,i2,u2}(int64_t): ONNX's integer ->
//   small
// Codes of special values follow ONNX's Cast tables. Tested in tests/unit/kernels/scalar_test.cc.
#ifndef ONNXC_KERNELS_CONVERT_H
#define ONNXC_KERNELS_CONVERT_H

#include "kernel.h"

namespace onnxc_kernels {

// A binary format of E exponent and M mantissa bits below a sign bit.
template <int E, int M, int Bias>
struct NarrowFloat {
  static constexpr uint32_t sign = 1u << (E + M);

  // Magnitude |x| rounded to even, in units of the code; exact up to and past the last code (x: not NaN).
  static ONNXC_INLINE uint32_t round(float magnitude) {
    constexpr uint32_t least = uint32_t(128 - Bias);                    // biased f32 exponent of subnormal numbers
    constexpr float top = float(uint64_t(1) << ((1 << E) - Bias)) * 2;  // beyond every code
    const float a = magnitude > top ? top : magnitude;
    const uint32_t field = bits_as<uint32_t>(a) >> 23;
    const uint32_t e = field < least ? least : field;
    const uint32_t anchor =
        ((e + 23 - M) << 23) | 0x400000u;  // 1.5 * 2^(e + 23 - M): adding it drops what does not fit
    const uint32_t k = bits_as<uint32_t>(a + bits_as<float>(anchor)) - anchor;
    return ((e - least) << M) + k;
  }
  static ONNXC_INLINE float widen(uint32_t code) {
    constexpr float factor = Bias <= 63 ? float(uint64_t(1) << 63) * float(uint64_t(1) << (64 - Bias)) : 1.0f;
    const float a = bits_as<float>((code & (sign - 1)) << (23 - M)) * factor;
    return bits_as<float>(bits_as<uint32_t>(a) | ((code & sign) << (31 - E - M)));
  }
  static ONNXC_INLINE uint32_t sign_of(float x) { return bits_as<uint32_t>(x) >> 31 << (E + M); }
};

ONNXC_INLINE float magnitude_of(float x) { return bits_as<float>(bits_as<uint32_t>(x) & 0x7fffffffu); }

// Formats whose largest finite code is Max; what lies beyond becomes Max (saturate) or Overflow; NaN becomes Nan.
// Zero: has -0 (else 0 for both).
template <class Format, uint32_t Max, uint32_t Overflow, uint32_t Nan, bool NegativeZero>
ONNXC_INLINE uint8_t to_float8(float x, bool saturate) {
  const uint32_t code = Format::round(magnitude_of(x));
  const uint32_t limited = code > Max ? (saturate ? Max : Overflow) : code;
  const uint32_t sign = !NegativeZero && (limited == 0 || limited == Nan) ? 0 : Format::sign_of(x);
  const uint32_t nan = NegativeZero ? Nan | Format::sign_of(x) : Nan;
  return uint8_t(x != x ? nan : limited | sign);
}
// Formats without infinity and NaN (f4, f6); NaN becomes a zero of the other sign, as in ml_dtypes.
template <class Format, uint32_t Max>
ONNXC_INLINE uint8_t to_finite(float x) {
  const uint32_t code = Format::round(magnitude_of(x));
  const uint32_t sign = Format::sign_of(x);
  return uint8_t(x != x ? sign ^ Format::sign : (code > Max ? Max : code) | sign);
}

using F8E4M3 = NarrowFloat<4, 3, 7>;
using F8E4M3Z = NarrowFloat<4, 3, 8>;
using F8E5M2 = NarrowFloat<5, 2, 15>;
using F8E5M2Z = NarrowFloat<5, 2, 16>;
using F6E2M3 = NarrowFloat<2, 3, 1>;
using F6E3M2 = NarrowFloat<3, 2, 3>;
using F4E2M1 = NarrowFloat<2, 1, 1>;
using F16 = NarrowFloat<5, 10, 15>;

// To integers of T from floats of F: low and high are the first floats that do not fit.
template <class T, class F>
ONNXC_INLINE T saturating_cast(F x) {
  constexpr bool is_signed = T(-1) < T(0);
  constexpr F high = F(uint64_t(1) << (sizeof(T) * 8 - 1)) * (is_signed ? 1 : 2);
  constexpr F low = is_signed ? -high : F(0);
  constexpr T maximum = is_signed ? T((uint64_t(1) << (sizeof(T) * 8 - 1)) - 1) : T(-1);
  constexpr T minimum = is_signed ? T(uint64_t(1) << (sizeof(T) * 8 - 1)) : T(0);
  const bool inside = x > low && x < high;  // false for NaN
  const T value = T(inside ? x : F(0));
  return x >= high ? maximum : x <= low ? minimum : value;
}
// The same to Bits of at most 16: limited as a float, so that compilers make vectors of it.
template <int Bits, bool Signed, class F>
ONNXC_INLINE int32_t saturating_small(F x) {
  constexpr int32_t high = Signed ? (1 << (Bits - 1)) - 1 : (1 << Bits) - 1, low = Signed ? -(1 << (Bits - 1)) : 0;
  const F limited = x > F(low) ? (x < F(high) ? x : F(high)) : F(low);  // NaN: low
  const int32_t value = int32_t(limited);
  return Signed && __builtin_isnan(x) ? 0 : value;
}

// mode 0: up, 1: nearest, 2: down. Zero and what is below the range becomes 2^-127; sign is dropped; inf becomes NaN.
ONNXC_INLINE uint8_t to_e8m0(float x, int mode) {
  const uint32_t bits = bits_as<uint32_t>(x), e = bits >> 23 & 0xff, m = bits & 0x7fffffu;
  const uint32_t half_up = m > 0x400000u || (m == 0x400000u && e > 0) ? 1u : 0u;
  const uint32_t up = mode == 0 ? (m != 0 ? 1u : 0u) : mode == 1 ? half_up : 0u;
  return uint8_t(e == 0xff ? 0xff : e == 0xfe ? 0xfe : e + up);
}

}  // namespace onnxc_kernels

// ---- f16 and bf16
ONNXC_KERNEL uint16_t onnxc_f32_to_f16(float x) {
#if defined(__F16C__) && defined(__FLT16_MANT_DIG__)
  return __builtin_bit_cast(uint16_t, _Float16(x));
#else
  using F = onnxc_kernels::F16;
  const uint32_t code = F::round(onnxc_kernels::magnitude_of(x));
  const uint32_t nan = 0x7e00u | (onnxc_kernels::bits_as<uint32_t>(x) >> 13 & 0x3ffu);
  return uint16_t((x != x ? nan : code > 0x7c00u ? 0x7c00u : code) | F::sign_of(x));
#endif
}
ONNXC_KERNEL float onnxc_f16_to_f32(uint16_t bits) {
#if defined(__F16C__) && defined(__FLT16_MANT_DIG__)
  return float(__builtin_bit_cast(_Float16, bits));
#else
  using onnxc_kernels::bits_as;
  const uint32_t finite = bits_as<uint32_t>(onnxc_kernels::F16::widen(bits));
  const uint32_t special = (bits & 0x3ffu) != 0 ? 0x7fc00000u : 0x7f800000u;
  return bits_as<float>((bits & 0x7c00u) == 0x7c00u ? finite | special : finite);
#endif
}
ONNXC_KERNEL uint16_t onnxc_f32_to_bf16(float x) {
  const uint32_t bits = onnxc_kernels::bits_as<uint32_t>(x);
  return uint16_t(x != x ? bits >> 16 | 0x40u : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
ONNXC_KERNEL float onnxc_bf16_to_f32(uint16_t bits) { return onnxc_kernels::bits_as<float>(uint32_t(bits) << 16); }

// ---- f8
#define ONNXC_FLOAT8(name, Format, max, overflow, nan, negative_zero)      \
  ONNXC_KERNEL uint8_t onnxc_f32_to_##name(float x) {                      \
    using namespace onnxc_kernels;                                         \
    return to_float8<Format, max, overflow, nan, negative_zero>(x, true);  \
  }                                                                        \
  ONNXC_KERNEL uint8_t onnxc_f32_to_##name##_unsaturated(float x) {        \
    using namespace onnxc_kernels;                                         \
    return to_float8<Format, max, overflow, nan, negative_zero>(x, false); \
  }
ONNXC_FLOAT8(f8e4m3fn, F8E4M3, 0x7e, 0x7f, 0x7f, true)
ONNXC_FLOAT8(f8e4m3fnuz, F8E4M3Z, 0x7f, 0x80, 0x80, false)
ONNXC_FLOAT8(f8e5m2, F8E5M2, 0x7b, 0x7c, 0x7e, true)
ONNXC_FLOAT8(f8e5m2fnuz, F8E5M2Z, 0x7f, 0x80, 0x80, false)
#undef ONNXC_FLOAT8

ONNXC_KERNEL float onnxc_f8e4m3fn_to_f32(uint8_t bits) {
  return (bits & 0x7f) == 0x7f ? onnxc_kernels::kNan<float> : onnxc_kernels::F8E4M3::widen(bits);
}
ONNXC_KERNEL float onnxc_f8e4m3fnuz_to_f32(uint8_t bits) {
  return bits == 0x80 ? onnxc_kernels::kNan<float> : onnxc_kernels::F8E4M3Z::widen(bits);
}
ONNXC_KERNEL float onnxc_f8e5m2_to_f32(uint8_t bits) { return onnxc_f16_to_f32(uint16_t(uint16_t(bits) << 8)); }
ONNXC_KERNEL float onnxc_f8e5m2fnuz_to_f32(uint8_t bits) {
  return bits == 0x80 ? onnxc_kernels::kNan<float> : onnxc_kernels::F8E5M2Z::widen(bits);
}
ONNXC_KERNEL uint8_t onnxc_f32_to_f8e8m0(float x) { return onnxc_kernels::to_e8m0(x, 0); }
ONNXC_KERNEL uint8_t onnxc_f32_to_f8e8m0_nearest(float x) { return onnxc_kernels::to_e8m0(x, 1); }
ONNXC_KERNEL uint8_t onnxc_f32_to_f8e8m0_down(float x) { return onnxc_kernels::to_e8m0(x, 2); }
ONNXC_KERNEL float onnxc_f8e8m0_to_f32(uint8_t bits) {
  const uint32_t normal = bits == 0xff ? 0x7fc00000u : uint32_t(bits) << 23;
  return onnxc_kernels::bits_as<float>(bits == 0 ? 0x00400000u : normal);  // code 0 is 2^-127, a subnormal float
}

// ---- f6 and f4
ONNXC_KERNEL uint8_t onnxc_f32_to_f6e2m3(float x) { return onnxc_kernels::to_finite<onnxc_kernels::F6E2M3, 31>(x); }
ONNXC_KERNEL uint8_t onnxc_f32_to_f6e3m2(float x) { return onnxc_kernels::to_finite<onnxc_kernels::F6E3M2, 31>(x); }
ONNXC_KERNEL uint8_t onnxc_f32_to_f4e2m1(float x) { return onnxc_kernels::to_finite<onnxc_kernels::F4E2M1, 7>(x); }
ONNXC_KERNEL float onnxc_f6e2m3_to_f32(uint8_t bits) { return onnxc_kernels::F6E2M3::widen(bits); }
ONNXC_KERNEL float onnxc_f6e3m2_to_f32(uint8_t bits) { return onnxc_kernels::F6E3M2::widen(bits); }
ONNXC_KERNEL float onnxc_f4e2m1_to_f32(uint8_t bits) { return onnxc_kernels::F4E2M1::widen(bits); }

// ---- floats to integers; i4, u4, i2, u2 are one per byte
#define ONNXC_CASTS(from, F)                                                                                         \
  ONNXC_KERNEL int8_t onnxc_cast_##from##_i8(F x) { return int8_t(onnxc_kernels::saturating_small<8, true, F>(x)); } \
  ONNXC_KERNEL int16_t onnxc_cast_##from##_i16(F x) {                                                                \
    return int16_t(onnxc_kernels::saturating_small<16, true, F>(x));                                                 \
  }                                                                                                                  \
  ONNXC_KERNEL int32_t onnxc_cast_##from##_i32(F x) { return onnxc_kernels::saturating_cast<int32_t, F>(x); }        \
  ONNXC_KERNEL int64_t onnxc_cast_##from##_i64(F x) { return onnxc_kernels::saturating_cast<int64_t, F>(x); }        \
  ONNXC_KERNEL uint8_t onnxc_cast_##from##_u8(F x) {                                                                 \
    return uint8_t(onnxc_kernels::saturating_small<8, false, F>(x));                                                 \
  }                                                                                                                  \
  ONNXC_KERNEL uint16_t onnxc_cast_##from##_u16(F x) {                                                               \
    return uint16_t(onnxc_kernels::saturating_small<16, false, F>(x));                                               \
  }                                                                                                                  \
  ONNXC_KERNEL uint32_t onnxc_cast_##from##_u32(F x) { return onnxc_kernels::saturating_cast<uint32_t, F>(x); }      \
  ONNXC_KERNEL uint64_t onnxc_cast_##from##_u64(F x) { return onnxc_kernels::saturating_cast<uint64_t, F>(x); }      \
  ONNXC_KERNEL int8_t onnxc_cast_##from##_i4(F x) { return int8_t(onnxc_kernels::saturating_small<4, true, F>(x)); } \
  ONNXC_KERNEL uint8_t onnxc_cast_##from##_u4(F x) {                                                                 \
    return uint8_t(onnxc_kernels::saturating_small<4, false, F>(x));                                                 \
  }                                                                                                                  \
  ONNXC_KERNEL int8_t onnxc_cast_##from##_i2(F x) { return int8_t(onnxc_kernels::saturating_small<2, true, F>(x)); } \
  ONNXC_KERNEL uint8_t onnxc_cast_##from##_u2(F x) {                                                                 \
    return uint8_t(onnxc_kernels::saturating_small<2, false, F>(x));                                                 \
  }                                                                                                                  \
  ONNXC_KERNEL uint8_t onnxc_cast_##from##_bool(F x) { return x != F(0); }
ONNXC_CASTS(f32, float)
ONNXC_CASTS(f64, double)
#undef ONNXC_CASTS

// ---- integers to sub-byte integers: the low bits, sign extended where signed
ONNXC_KERNEL int8_t onnxc_wrap_i4(int64_t x) { return int8_t(int8_t(uint8_t(uint64_t(x) << 4)) >> 4); }
ONNXC_KERNEL uint8_t onnxc_wrap_u4(int64_t x) { return uint8_t(x & 15); }
ONNXC_KERNEL int8_t onnxc_wrap_i2(int64_t x) { return int8_t(int8_t(uint8_t(uint64_t(x) << 6)) >> 6); }
ONNXC_KERNEL uint8_t onnxc_wrap_u2(int64_t x) { return uint8_t(x & 3); }

#endif
