// gemm and pack_b against a naive product in double.
#include "reference.h"
#include "runtime_lib/kernels/all_kernels.h"

namespace kernel_test {
namespace {

void check(int64_t m, int64_t n, int64_t k, bool bias, bool residual, int activation) {
  Random random(3);
  const int64_t lda = k + 3, ldy = n + 5;
  const auto a = random.vector(m * lda), b = random.vector(k * n), add = random.vector(n),
             rest = random.vector(m * ldy);
  std::vector<float> packed(static_cast<size_t>((n + 15) / 16 * k * 16), kNan);
  std::vector<float> y(static_cast<size_t>(m * ldy), 77.0f);
  onnxc_pack_b_f32(packed.data(), b.data(), k, n, n, 1);
  // The last rows of a and y have no gap behind them.
  const auto trim = [](std::vector<float> v, int64_t rows, int64_t ld, int64_t used) {
    v.resize(static_cast<size_t>(rows == 0 ? 0 : (rows - 1) * ld + used));
    return v;
  };
  const Guarded ga(trim(a, m, lda, k), Guarded::Side::After), gb(packed, Guarded::Side::After),
      gbias(add, Guarded::Side::After), gr(trim(rest, m, ldy, n), Guarded::Side::After),
      gy(trim(y, m, ldy, n), Guarded::Side::After);
  onnxc_gemm_f32(gy.data(), ga.data(), gb.data(), bias ? gbias.data() : nullptr, residual ? gr.data() : nullptr, m, n,
                 k, lda, ldy, activation, 0.1f, 0.5f, 0, kSlices);
  y = gy.vector();
  for (const std::vector<int64_t>& cuts : kCuts) {  // however the work is cut, the bits are the same
    for (int64_t i = 0; i < m; ++i) std::fill_n(gy.data() + i * ldy, n, kNan);
    for (size_t i = cuts.size() - 1; i > 0; --i)
      onnxc_gemm_f32(gy.data(), ga.data(), gb.data(), bias ? gbias.data() : nullptr, residual ? gr.data() : nullptr, m,
                     n, k, lda, ldy, activation, 0.1f, 0.5f, cuts[i - 1], cuts[i]);
    EXPECT_EQ(std::memcmp(gy.vector().data(), y.data(), y.size() * sizeof(float)), 0);
  }
  y.resize(static_cast<size_t>(m * ldy), 77.0f);
  std::vector<double> want(y.size(), 77.0);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double s = 0;
      for (int64_t p = 0; p < k; ++p) s += double(a[i * lda + p]) * b[p * n + j];
      if (bias) s += add[j];
      if (residual) s += rest[i * ldy + j];
      want[i * ldy + j] = activate(s, activation, 0.1f, 0.5f);
    }
  SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k << " activation " << activation);
  expect_near(y, want, 1e-5 * std::sqrt(double(k)));
}

TEST(GemmTest, AwkwardShapes) {
  for (int64_t m : {1, 2, 3, 6, 7, 13, 14, 15, 29})
    for (int64_t n : {1, 15, 16, 17, 31, 33, 48, 64, 65, 130})
      for (int64_t k : {1, 7, 64}) check(m, n, k, (m + n) % 2 == 0, n % 3 == 0, 0);
}
TEST(GemmTest, Activations) {
  for (int activation = 0; activation <= 10; ++activation) check(5, 37, 20, true, true, activation);
}
TEST(GemmTest, NothingToDo) {
  onnxc_gemm_f32(nullptr, nullptr, nullptr, nullptr, nullptr, 0, 5, 5, 5, 5, 0, 0, 0, 0, kSlices);
}
TEST(GemmTest, EmptySumIsBias) { check(3, 20, 0, true, false, 0); }

TEST(GemmTest, PackTransposed) {
  Random random(5);
  const auto b = random.vector(20 * 37);  // [n 37][k 20]
  std::vector<float> packed(3 * 20 * 16, kNan);
  onnxc_pack_b_f32(packed.data(), b.data(), 20, 37, 1, 20);
  for (int64_t c = 0; c < 48; ++c)
    for (int64_t r = 0; r < 20; ++r) EXPECT_EQ(packed[(c / 16 * 20 + r) * 16 + c % 16], c < 37 ? b[c * 20 + r] : 0.0f);
}

TEST(GemmTest, Double) {
  Random random(9);
  const int64_t m = 9, n = 21, k = 33;
  std::vector<double> a(m * k), b(k * n), packed(2 * k * 16), y(m * n);
  for (double& v : a) v = random.next();
  for (double& v : b) v = random.next();
  onnxc_pack_b_f64(packed.data(), b.data(), k, n, n, 1);
  onnxc_gemm_f64(y.data(), a.data(), packed.data(), nullptr, nullptr, m, n, k, k, n, 0, 0, 0, 0, kSlices);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double s = 0;
      for (int64_t p = 0; p < k; ++p) s += a[i * k + p] * b[p * n + j];
      EXPECT_NEAR(y[i * n + j], s, 1e-14 * k);
    }
}

}  // namespace
}  // namespace kernel_test
