#include "compiler/ir/winograd.h"

#include <algorithm>

namespace onnxc {
namespace {

constexpr int64_t kBlock = 16, kPanel = 32;  // output channels

// Row i of G is (1, a, a^2) / prod(a - other points), the last one (0, 0, 1). With m = 2 the first point's sign is
// changed in G and B alike.
constexpr double kG2[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
constexpr double kG4[6][3] = {{1, 0, 0},
                              {1. / 3, 1. / 3, 1. / 3},
                              {-1. / 3, 1. / 3, -1. / 3},
                              {-16. / 15, -8. / 15, -4. / 15},
                              {1. / 15, -2. / 15, 4. / 15},
                              {0, 0, 1}};

}  // namespace

std::array<float, 9> winograd_taps(const float* g, int64_t kh, int64_t kw) {
  std::array<float, 9> taps{};
  for (int64_t y = 0; y < kh; ++y)
    for (int64_t x = 0; x < kw; ++x) taps[static_cast<size_t>(y * 3 + x)] = g[y * kw + x];
  return taps;
}

void transform_winograd_weights(const float* g, int m, double* u) {
  const double(*transform)[3] = m == 4 ? kG4 : kG2;
  const int n = m + 2;
  for (int y = 0; y < n; ++y) {
    double row[3] = {};
    for (int x = 0; x < 3; ++x)
      for (int k = 0; k < 3; ++k) row[x] += transform[y][k] * static_cast<double>(g[k * 3 + x]);
    for (int x = 0; x < n; ++x)
      u[y * n + x] = row[0] * transform[x][0] + row[1] * transform[x][1] + row[2] * transform[x][2];
  }
}

int64_t winograd_elements(const std::vector<int64_t>& dims, int m) {
  return (dims[0] + kBlock - 1) / kBlock * kBlock * dims[1] * winograd_points(dims[2], m) * winograd_points(dims[3], m);
}

Tensor winograd_weights(const Tensor& weights, int m) {
  const int64_t outputs = weights.dims()[0], inputs = weights.dims()[1], kh = weights.dims()[2], kw = weights.dims()[3];
  const int64_t rows = winograd_points(kh, m), columns = winograd_points(kw, m), points = rows * columns, side = m + 2;
  const int64_t padded = (outputs + kBlock - 1) / kBlock * kBlock;
  Tensor packed = Tensor::zeros(Elem::F32, {winograd_elements(weights.dims(), m)});
  const float* g = weights.as<float>().data();
  auto* to = reinterpret_cast<float*>(const_cast<std::byte*>(packed.raw()));  // nobody else holds the bytes yet
  double u[36];
  for (int64_t o = 0; o < outputs; ++o) {
    const int64_t panel = o / kPanel * kPanel, width = std::min(kPanel, padded - panel);
    for (int64_t i = 0; i < inputs; ++i, g += kh * kw) {
      transform_winograd_weights(winograd_taps(g, kh, kw).data(), m, u);
      for (int64_t p = 0; p < points; ++p)
        to[panel * points * inputs + (p * inputs + i) * width + o - panel] =
            static_cast<float>(u[p / columns * side + p % columns]);
    }
  }
  return packed;
}

}  // namespace onnxc
