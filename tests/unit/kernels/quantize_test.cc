// The range of a tensor and its codes, against double and against divisions.
#include "reference.h"
#include "runtime_lib/kernels/all_kernels.h"

namespace kernel_test {
namespace {

TEST(QuantizeTest, Extremes) {
  for (int64_t count : {1, 15, 16, 33, 100, 1000}) {
    for (int64_t shares : {1, 3, 16}) {
      Random random(23);
      auto x = random.vector(count);
      if (count > 20) x[17] = kNan;
      const Guarded data(x, Guarded::Side::After);
      std::vector<float> pairs(2 * shares, kNan);
      onnxc_extremes_f32(pairs.data(), data.data(), count, shares, 0, 1);
      onnxc_extremes_f32(pairs.data(), data.data(), count, shares, 1, shares);
      float least = INFINITY, greatest = -INFINITY;
      for (int64_t s = 0; s < shares; ++s) {
        least = std::fmin(least, pairs[2 * s]);
        greatest = std::fmax(greatest, pairs[2 * s + 1]);
      }
      float want_least = INFINITY, want_greatest = -INFINITY;
      for (float v : x) {
        if (v < want_least) want_least = v;
        if (v > want_greatest) want_greatest = v;
      }
      EXPECT_EQ(least, want_least);
      EXPECT_EQ(greatest, want_greatest);
    }
  }
}

uint8_t code(float x, float scale, int zero) {
  const float q = std::nearbyint(x / scale);
  return std::isnan(q) ? 0 : uint8_t(std::fmin(std::fmax(q + float(zero), 0.0f), 255.0f));
}

TEST(QuantizeTest, CodesAreThoseOfTheDivision) {
  constexpr int64_t count = 5000;
  for (const float scale : {0.1f, 1.0f, 0.0123f, 3e30f, 1e-20f, 0x1p-100f, 1e-40f, 0x1.fffffep-3f, INFINITY}) {
    for (const int zero : {0, 101, 255}) {
      Random random(29);
      auto x = random.vector(count);
      for (int64_t i = 0; i < count; ++i) {
        x[i] *= 150 * scale;
        // Close to and at the middle between two codes.
        if (i % 3 == 1) x[i] = (std::floor(x[i] / scale) + 0.5f) * scale;
        if (i % 6 == 4) x[i] = std::nextafter(x[i], i % 4 ? 0.0f : INFINITY);
      }
      x[0] = kNan, x[2] = INFINITY, x[3] = -INFINITY, x[5] = 3e38f, x[6] = 1e-45f, x[8] = -0.0f;
      const Guarded data(x, Guarded::Side::After);
      std::vector<uint8_t> y(count, 77);
      const uint8_t at = uint8_t(zero);
      onnxc_quantize_u8_f32(y.data(), data.data(), &scale, &at, count, 0, 2);
      onnxc_quantize_u8_f32(y.data(), data.data(), &scale, &at, count, 2, 5);
      for (int64_t i = 0; i < count; ++i) {
        if (std::abs(x[i] / scale) == INFINITY) continue;  // never of the range that made the scale
        EXPECT_EQ(y[i], code(x[i], scale, zero)) << x[i] << " / " << scale;
      }
    }
  }
}

}  // namespace
}  // namespace kernel_test
