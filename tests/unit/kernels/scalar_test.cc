// Integer operations and conversions: exhaustive where the type is small.
#include <cmath>
#include <cstring>

#include "reference.h"
#include "runtime_lib/kernels/convert.h"
#include "runtime_lib/kernels/integer.h"

namespace kernel_test {
namespace {

TEST(IntegerTest, TotalDivision) {
  for (int a = -128; a < 128; ++a)
    for (int b = -128; b < 128; ++b) {
      const auto x = int8_t(a), y = int8_t(b);
      EXPECT_EQ(onnxc_div_i8(x, y), b == 0 ? 0 : int8_t(a / b));
      EXPECT_EQ(onnxc_rem_i8(x, y), b == 0 ? 0 : int8_t(a % b));
      const int r = b == 0 ? 0 : a % b;
      EXPECT_EQ(onnxc_mod_i8(x, y), r != 0 && (r < 0) != (b < 0) ? r + b : r);
      EXPECT_EQ(onnxc_mod_u8(uint8_t(x), uint8_t(y)), b == 0 ? 0 : uint8_t(x) % uint8_t(y));
    }
  EXPECT_EQ(onnxc_div_i32(INT32_MIN, -1), INT32_MIN);
  EXPECT_EQ(onnxc_div_i64(INT64_MIN, -1), INT64_MIN);
  EXPECT_EQ(onnxc_rem_i64(INT64_MIN, -1), 0);
  EXPECT_EQ(onnxc_div_u64(~0ull, 2), ~0ull / 2);
  EXPECT_EQ(onnxc_abs_i32(INT32_MIN), INT32_MIN);
  EXPECT_EQ(onnxc_abs_u8(200), 200);
  EXPECT_EQ(onnxc_sign_i16(-5), -1);
  EXPECT_EQ(onnxc_sign_u64(5), 1u);
}

TEST(IntegerTest, PowersAndShifts) {
  EXPECT_EQ(onnxc_pow_i32(3, 4), 81);
  EXPECT_EQ(onnxc_pow_i32(-2, 31), INT32_MIN);
  EXPECT_EQ(onnxc_pow_i64(2, 64), 0);
  EXPECT_EQ(onnxc_pow_i64(7, 0), 1);
  EXPECT_EQ(onnxc_pow_i32(2, -1), 0);
  EXPECT_EQ(onnxc_pow_i32(-1, -3), -1);
  EXPECT_EQ(onnxc_pow_u8(16, 2), 0);
  EXPECT_EQ(onnxc_shl_u8(3, 7), 128);
  EXPECT_EQ(onnxc_shl_u8(3, 8), 0);
  EXPECT_EQ(onnxc_shr_u32(~0u, 32), 0u);
  EXPECT_EQ(onnxc_shr_i32(-8, 1), -4);
  EXPECT_EQ(onnxc_shr_i32(-8, 40), -1);
  EXPECT_EQ(onnxc_shl_i64(1, 64), 0);
  EXPECT_EQ(onnxc_popcount_i8(-1), 8);
  EXPECT_EQ(onnxc_popcount_u64(~0ull), 64u);
}

TEST(IntegerTest, MulShiftRound) {
  EXPECT_EQ(onnxc_mul_shift_round_i32(3, 1, 1), 2);
  EXPECT_EQ(onnxc_mul_shift_round_i32(-3, 1, 1), -2);
  EXPECT_EQ(onnxc_mul_shift_round_i32(1000, 1 << 30, 31), 500);
  EXPECT_EQ(onnxc_mul_shift_round_i32(7, 5, 0), 35);
}

// Every code goes to float and back.
template <class Bits, class Widen, class Narrow>
void round_trip(int bits, Widen widen, Narrow narrow) {
  for (int code = 0; code < (1 << bits); ++code) {
    const float f = widen(Bits(code));
    if (!std::isnan(f)) {
      EXPECT_EQ(int(narrow(f)), code) << f;
    }
  }
}
TEST(ConvertTest, RoundTrips) {
  round_trip<uint16_t>(16, onnxc_f16_to_f32, onnxc_f32_to_f16);
  round_trip<uint16_t>(16, onnxc_bf16_to_f32, onnxc_f32_to_bf16);
  round_trip<uint8_t>(8, onnxc_f8e4m3fn_to_f32, onnxc_f32_to_f8e4m3fn);
  round_trip<uint8_t>(8, onnxc_f8e4m3fnuz_to_f32, onnxc_f32_to_f8e4m3fnuz);
  round_trip<uint8_t>(8, onnxc_f8e5m2_to_f32, onnxc_f32_to_f8e5m2_unsaturated);
  round_trip<uint8_t>(8, onnxc_f8e5m2fnuz_to_f32, onnxc_f32_to_f8e5m2fnuz);
  round_trip<uint8_t>(8, onnxc_f8e8m0_to_f32, onnxc_f32_to_f8e8m0_down);
  round_trip<uint8_t>(6, onnxc_f6e2m3_to_f32, onnxc_f32_to_f6e2m3);
  round_trip<uint8_t>(6, onnxc_f6e3m2_to_f32, onnxc_f32_to_f6e3m2);
  round_trip<uint8_t>(4, onnxc_f4e2m1_to_f32, onnxc_f32_to_f4e2m1);
}

// Between two neighbouring codes the nearer one is taken, the even one half-way.
template <class Bits, class Widen, class Narrow>
void nearest(int codes, Widen widen, Narrow narrow) {
  for (int code = 0; code + 1 < codes; ++code) {
    const float low = widen(Bits(code)), high = widen(Bits(code + 1)), middle = (low + high) / 2;
    if (!(high < INFINITY)) break;
    EXPECT_EQ(int(narrow(middle)), code + (code & 1));
    EXPECT_EQ(int(narrow(std::nextafter(middle, 0.0f))), code);
    EXPECT_EQ(int(narrow(std::nextafter(middle, INFINITY))), code + 1);
  }
}
TEST(ConvertTest, RoundsHalfToEven) {
  nearest<uint16_t>(0x7c00, onnxc_f16_to_f32, onnxc_f32_to_f16);
  nearest<uint16_t>(0x7f00, onnxc_bf16_to_f32, onnxc_f32_to_bf16);
  nearest<uint8_t>(0x7f, onnxc_f8e4m3fn_to_f32, onnxc_f32_to_f8e4m3fn);
  nearest<uint8_t>(0x80, onnxc_f8e4m3fnuz_to_f32, onnxc_f32_to_f8e4m3fnuz);
  nearest<uint8_t>(0x7c, onnxc_f8e5m2_to_f32, onnxc_f32_to_f8e5m2);
  nearest<uint8_t>(0x80, onnxc_f8e5m2fnuz_to_f32, onnxc_f32_to_f8e5m2fnuz);
  nearest<uint8_t>(8, onnxc_f4e2m1_to_f32, onnxc_f32_to_f4e2m1);
  nearest<uint8_t>(32, onnxc_f6e2m3_to_f32, onnxc_f32_to_f6e2m3);
  nearest<uint8_t>(32, onnxc_f6e3m2_to_f32, onnxc_f32_to_f6e3m2);
}

TEST(ConvertTest, SpecialValues) {
  EXPECT_EQ(onnxc_f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(onnxc_f32_to_f16(65519.0f), 0x7bff);
  EXPECT_EQ(onnxc_f32_to_f16(-INFINITY), 0xfc00);
  EXPECT_TRUE(std::isnan(onnxc_f16_to_f32(onnxc_f32_to_f16(kNan))));
  EXPECT_TRUE(std::isnan(onnxc_bf16_to_f32(onnxc_f32_to_bf16(kNan))));
  EXPECT_EQ(onnxc_f32_to_f8e4m3fn(1e9f), 0x7e);
  EXPECT_EQ(onnxc_f32_to_f8e4m3fn(-INFINITY), 0xfe);
  EXPECT_EQ(onnxc_f32_to_f8e4m3fn_unsaturated(1e9f), 0x7f);
  EXPECT_EQ(onnxc_f32_to_f8e5m2(INFINITY), 0x7b);
  EXPECT_EQ(onnxc_f32_to_f8e5m2_unsaturated(-INFINITY), 0xfc);
  EXPECT_EQ(onnxc_f32_to_f8e4m3fnuz(kNan), 0x80);
  EXPECT_EQ(onnxc_f32_to_f8e4m3fnuz(-0.0f), 0);
  EXPECT_EQ(onnxc_f32_to_f8e5m2fnuz_unsaturated(-1e9f), 0x80);
  EXPECT_EQ(onnxc_f32_to_f4e2m1(100.0f), 7);
  EXPECT_EQ(onnxc_f32_to_f8e8m0(3.0f), 129);
  EXPECT_EQ(onnxc_f32_to_f8e8m0_down(3.0f), 128);
  EXPECT_EQ(onnxc_f32_to_f8e8m0_nearest(2.9f), 128);
}

TEST(ConvertTest, SaturatingCasts) {
  EXPECT_EQ(onnxc_cast_f32_i32(3e9f), INT32_MAX);
  EXPECT_EQ(onnxc_cast_f32_i32(-3e9f), INT32_MIN);
  EXPECT_EQ(onnxc_cast_f32_i32(kNan), 0);
  EXPECT_EQ(onnxc_cast_f32_i32(-1.9f), -1);
  EXPECT_EQ(onnxc_cast_f32_u8(300.0f), 255);
  EXPECT_EQ(onnxc_cast_f32_u8(-3.0f), 0);
  EXPECT_EQ(onnxc_cast_f32_i8(-128.9f), -128);
  EXPECT_EQ(onnxc_cast_f32_i8(127.9f), 127);
  EXPECT_EQ(onnxc_cast_f64_i64(1e19), INT64_MAX);
  EXPECT_EQ(onnxc_cast_f64_i64(-INFINITY), INT64_MIN);
  EXPECT_EQ(onnxc_cast_f64_u64(1.5e19), 15000000000000000000ull);
  EXPECT_EQ(onnxc_cast_f32_u64(1e20f), ~0ull);
  EXPECT_EQ(onnxc_cast_f64_i32(2147483647.5), INT32_MAX);
  EXPECT_EQ(onnxc_cast_f32_i4(-9.0f), -8);
  EXPECT_EQ(onnxc_cast_f32_u4(99.0f), 15);
  EXPECT_EQ(onnxc_cast_f32_bool(-0.0f), 0);
  EXPECT_EQ(onnxc_cast_f32_bool(kNan), 1);
  EXPECT_EQ(onnxc_wrap_i4(8), -8);
  EXPECT_EQ(onnxc_wrap_i4(-9), 7);
  EXPECT_EQ(onnxc_wrap_u4(-1), 15);
  EXPECT_EQ(onnxc_wrap_i2(2), -2);
}

}  // namespace
}  // namespace kernel_test
