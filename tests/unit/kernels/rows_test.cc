// Softmax and normalisations against double.
#include "reference.h"
#include "runtime_lib/kernels/all_kernels.h"

namespace kernel_test {
namespace {

constexpr int64_t kRows = 3;

TEST(RowsTest, Softmax) {
  for (int64_t cols : {1, 5, 16, 17, 100, 1000}) {
    Random random(17);
    auto x = random.vector(kRows * cols);
    for (float& v : x) v *= 30;
    if (cols > 4) x[2] = -INFINITY;
    std::vector<double> plain, logs;
    for (int64_t r = 0; r < kRows; ++r) {
      double top = -INFINITY, sum = 0;
      for (int64_t i = 0; i < cols; ++i) top = std::max(top, double(x[r * cols + i]));
      for (int64_t i = 0; i < cols; ++i) sum += std::exp(x[r * cols + i] - top);
      for (int64_t i = 0; i < cols; ++i) {
        plain.push_back(std::exp(x[r * cols + i] - top) / sum);
        logs.push_back(std::max(-1e30, x[r * cols + i] - top - std::log(sum)));
      }
    }
    std::vector<float> y(x.size(), kNan);
    onnxc_log_softmax_f32(y.data(), x.data(), cols, 0, 1);
    onnxc_log_softmax_f32(y.data(), x.data(), cols, 1, kRows);
    for (float& v : y) v = std::max(v, -1e30f);
    expect_near(y, logs, 2e-6);
    onnxc_softmax_f32(x.data(), x.data(), cols, 0, kRows);  // in place
    expect_near(x, plain, 5e-7);
  }
}

TEST(RowsTest, SoftmaxOfNan) {
  std::vector<float> x(20, 1.0f), y(20);
  x[18] = kNan;
  onnxc_softmax_f32(y.data(), x.data(), 20, 0, 1);
  for (float v : y) EXPECT_TRUE(std::isnan(v));
}

TEST(RowsTest, Normalisation) {
  for (int64_t cols : {1, 7, 16, 33, 384}) {
    Random random(19);
    const auto x = random.vector(kRows * cols), scale = random.vector(cols), bias = random.vector(cols);
    std::vector<double> layer, rms;
    for (int64_t r = 0; r < kRows; ++r) {
      double mean = 0, variance = 0, square = 0;
      for (int64_t i = 0; i < cols; ++i) mean += x[r * cols + i] / double(cols);
      for (int64_t i = 0; i < cols; ++i) variance += std::pow(x[r * cols + i] - mean, 2) / double(cols);
      for (int64_t i = 0; i < cols; ++i) square += std::pow(double(x[r * cols + i]), 2) / double(cols);
      for (int64_t i = 0; i < cols; ++i) {
        layer.push_back((x[r * cols + i] - mean) / std::sqrt(variance + 1e-5) * scale[i] + bias[i]);
        rms.push_back(x[r * cols + i] / std::sqrt(square + 1e-5) * scale[i]);
      }
    }
    std::vector<float> y(x.size(), kNan);
    const Guarded gx(x, Guarded::Side::After), gs(scale, Guarded::Side::After), gb(bias, Guarded::Side::After);
    onnxc_layer_norm_f32(y.data(), gx.data(), gs.data(), gb.data(), cols, 1e-5f, 0, 1);
    onnxc_layer_norm_f32(y.data(), gx.data(), gs.data(), gb.data(), cols, 1e-5f, 1, kRows);
    expect_near(y, layer, 3e-6);
    onnxc_rms_norm_f32(y.data(), x.data(), scale.data(), cols, 1e-5f, 0, kRows);
    expect_near(y, rms, 3e-6);
  }
}

}  // namespace
}  // namespace kernel_test
