// The transform of weights for Winograd's convolutions: by its meaning, not by its matrices.
#include "compiler/ir/winograd.h"

#include <gtest/gtest.h>

#include <random>

#include "compiler/plan/make_plan.h"
#include "compiler/plan/weights_blob.h"
#include "runtime_lib/kernels/conv_winograd.h"

namespace onnxc {
namespace {

std::vector<float> random_values(size_t count) {
  std::mt19937 random(5);
  std::vector<float> values(count);
  for (float& v : values) v = static_cast<float>(static_cast<int>(random() % 2001) - 1000) / 1000;
  return values;
}

// A tile of outputs from a tile of inputs, by the kernel's own transforms in double.
template <int M>
void expect_convolution() {
  constexpr int N = M + 2;
  const std::vector<float> g = random_values(9), d = random_values(N * N);
  double u[N * N];
  transform_winograd_weights(g.data(), M, u);
  using Transform = onnxc_kernels::WinogradTransform<M>;
  double half[N * N], line[N], out[N];
  for (int x = 0; x < N; ++x) {
    for (int y = 0; y < N; ++y) line[y] = d[y * N + x];
    Transform::input(line, out);
    for (int y = 0; y < N; ++y) half[y * N + x] = out[y];
  }
  double products[N * N];
  for (int y = 0; y < N; ++y) {
    Transform::input(half + y * N, out);
    for (int x = 0; x < N; ++x) products[y * N + x] = out[x] * u[y * N + x];
  }
  for (int y = 0; y < N; ++y) {
    Transform::output(products + y * N, out);
    for (int x = 0; x < M; ++x) half[x * N + y] = out[x];
  }
  for (int x = 0; x < M; ++x) {
    Transform::output(half + x * N, out);
    for (int y = 0; y < M; ++y) {
      double want = 0;
      for (int k = 0; k < 9; ++k) want += static_cast<double>(d[(y + k / 3) * N + x + k % 3]) * g[k];
      EXPECT_NEAR(out[y], want, 1e-13) << "F(" << M << ",3), output " << y << ", " << x;
    }
  }
}

TEST(Winograd, ATileIsTheConvolution) {
  expect_convolution<2>();
  expect_convolution<4>();
}

// 40 output channels: a panel of 32 and one of 16, of which 8 are padding.
TEST(Winograd, PackingHoldsPanels) {
  const int64_t oc = 40, ic = 3;
  const Tensor weights = Tensor::f32({oc, ic, 3, 3}, random_values(static_cast<size_t>(oc * ic * 9)));
  for (int m : {2, 4}) {
    const int64_t points = (m + 2) * (m + 2);
    const Packing packing{{}, {}, m};
    const Tensor packed = pack_constant({"w", weights, packing});
    EXPECT_EQ(packing.packed_dims(weights.dims()), (std::vector<int64_t>{48 * ic * points}));
    ASSERT_EQ(packed.numel(), 48 * ic * points);
    EXPECT_EQ(packed_bytes({"w", weights, packing}), packed.bytes());
    for (int64_t o = 0; o < 48; ++o)
      for (int64_t i = 0; i < ic; ++i) {
        double u[36] = {};
        if (o < oc) transform_winograd_weights(weights.as<float>().data() + (o * ic + i) * 9, m, u);
        for (int64_t p = 0; p < points; ++p) {
          const int64_t at = o < 32 ? (p * ic + i) * 32 + o : 32 * points * ic + (p * ic + i) * 16 + o - 32;
          ASSERT_EQ(packed.as<float>()[static_cast<size_t>(at)], static_cast<float>(u[p])) << o << " " << i << " " << p;
        }
      }
  }
}

// With 2 taps the products at infinity are 0 and not in the packed weights.
TEST(Winograd, PackingLeavesOutWhatIsZero) {
  const int64_t ic = 3;
  const Tensor weights = Tensor::f32({16, ic, 2, 3}, random_values(static_cast<size_t>(16 * ic * 6)));
  for (int m : {2, 4}) {
    const int64_t rows = m + 1, columns = m + 2;
    const Tensor packed = pack_constant({"w", weights, Packing{{}, {}, m}});
    ASSERT_EQ(packed.numel(), rows * columns * ic * 16);
    for (int64_t o = 0; o < 16; ++o)
      for (int64_t i = 0; i < ic; ++i) {
        double u[36] = {};
        float taps[9] = {};
        std::copy_n(weights.as<float>().data() + (o * ic + i) * 6, 6, taps);
        transform_winograd_weights(taps, m, u);
        for (int64_t p = 0; p < columns * columns; ++p) {
          const double want = u[p];
          if (p / columns == rows)
            ASSERT_EQ(want, 0) << o << " " << i << " " << p;
          else
            ASSERT_EQ(packed.as<float>()[static_cast<size_t>((p * ic + i) * 16 + o)], static_cast<float>(want))
                << o << " " << i << " " << p;
        }
      }
  }
}

}  // namespace
}  // namespace onnxc
