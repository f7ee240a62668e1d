// Pools against a naive loop; blocked ones with NaN in the pad lanes.
#include "reference.h"
#include "runtime_lib/kernels/all_kernels.h"

namespace kernel_test {
namespace {

std::vector<double> reference_pool(const Conv& c, const std::vector<float>& x, bool maximum, bool count_pad) {
  std::vector<double> y;
  for (int64_t plane = 0; plane < c.n * c.ic; ++plane)
    for (int64_t oy = 0; oy < c.oh(); ++oy)
      for (int64_t ox = 0; ox < c.ow(); ++ox) {
        double top = -INFINITY, sum = 0;
        int64_t count = 0;
        for (int64_t ky = 0; ky < c.kh; ++ky)
          for (int64_t kx = 0; kx < c.kw; ++kx) {
            const int64_t iy = oy * c.sh - c.pt + ky * c.dh, ix = ox * c.sw - c.pl + kx * c.dw;
            if (iy < 0 || ix < 0 || iy >= c.ih || ix >= c.iw) continue;
            const double v = x[(plane * c.ih + iy) * c.iw + ix];
            top = std::max(top, v);
            sum += v;
            ++count;
          }
        y.push_back(maximum ? top : sum / double(count_pad ? c.kh * c.kw : count));
      }
  return y;
}

void check(const Conv& c) {
  Random random(11);
  const auto x = random.vector(c.n * c.ic * c.ih * c.iw);
  const Guarded plain(x, Guarded::Side::After);
  Fenced<float> flat(c.n * c.ic * c.oh() * c.ow());
  for (const auto& [begin, end] : {std::pair{int64_t{0}, int64_t{77}}, {int64_t{77}, kSlices}})
    onnxc_max_pool_plain_f32(flat.data(), plain.data(), c.n, c.ic, c.ih, c.iw, c.oh(), c.ow(), c.kh, c.kw, c.sh, c.sw,
                             c.pt, c.pl, c.dh, c.dw, c.oh() > 8, begin, end);
  flat.check();
  expect_near(flat.first(c.n * c.ic * c.oh() * c.ow()), reference_pool(c, x, true, false), 0);
  const Guarded xb(to_blocked(x, c.n, c.ic, c.ih * c.iw, kNan), Guarded::Side::After);
  const int64_t hw = c.oh() * c.ow();
  std::vector<float> y(static_cast<size_t>(c.n * ((c.ic + 15) / 16) * hw * 16), kNan);
  onnxc_max_pool_blocked_f32(y.data(), xb.data(), c.n, c.ic, c.ih, c.iw, c.oh(), c.ow(), c.kh, c.kw, c.sh, c.sw, c.pt,
                             c.pl, c.dh, c.dw, 0, 0, 100);
  onnxc_max_pool_blocked_f32(y.data(), xb.data(), c.n, c.ic, c.ih, c.iw, c.oh(), c.ow(), c.kh, c.kw, c.sh, c.sw, c.pt,
                             c.pl, c.dh, c.dw, 0, 100, kSlices);
  expect_near(from_blocked(y, c.n, c.ic, hw), reference_pool(c, x, true, false), 0);
  if (c.dh != 1 || c.dw != 1) return;
  for (bool count_pad : {false, true}) {
    onnxc_avg_pool_blocked_f32(y.data(), xb.data(), c.n, c.ic, c.ih, c.iw, c.oh(), c.ow(), c.kh, c.kw, c.sh, c.sw, c.pt,
                               c.pl, count_pad, 1, 130, kSlices);
    onnxc_avg_pool_blocked_f32(y.data(), xb.data(), c.n, c.ic, c.ih, c.iw, c.oh(), c.ow(), c.kh, c.kw, c.sh, c.sw, c.pt,
                               c.pl, count_pad, 1, 0, 130);
    expect_near(from_blocked(y, c.n, c.ic, hw), reference_pool(c, x, false, count_pad), 1e-6);
  }
}

TEST(PoolTest, Windows) {
  check({1, 16, 8, 8, 16, 2, 2, 2, 2});
  check({2, 19, 9, 14, 19, 3, 3, 2, 2, 1, 1, 1, 1});
  check({1, 33, 7, 7, 33, 3, 5, 1, 1, 1, 2, 1, 2});
  check({1, 5, 12, 11, 5, 3, 3, 1, 2, 0, 0, 0, 0, 2, 3});
  check({1, 2, 5, 700, 2, 2, 3, 1, 2, 1, 1, 0, 1});      // longer than the columns that are kept at a time
  check({1, 1, 3, 640, 1, 1, 120, 1, 3, 0, 60, 0, 59});  // a window of nearly the greatest width
  check({2, 3, 1, 530, 3, 1, 2, 1, 300});                // steps longer than that
}

TEST(PoolTest, Global) {
  for (int64_t hw : {1, 3, 49, 50}) {
    Random random(13);
    const auto x = random.vector(2 * 20 * hw), xb = to_blocked(x, 2, 20, hw, kNan);
    std::vector<float> y(2 * 2 * 16, kNan);
    const Conv c{2, 20, 1, hw, 20, 1, hw};
    onnxc_global_max_pool_blocked_f32(y.data(), xb.data(), hw, 0, 3);
    onnxc_global_max_pool_blocked_f32(y.data(), xb.data(), hw, 3, 4);
    expect_near(from_blocked(y, 2, 20, 1), reference_pool(c, x, true, false), 0);
    onnxc_global_avg_pool_blocked_f32(y.data(), xb.data(), hw, 0, 4);
    expect_near(from_blocked(y, 2, 20, 1), reference_pool(c, x, false, false), 1e-6);
  }
}

TEST(PoolTest, NanWins) {
  std::vector<float> x(4 * 16, 1.0f), y(16);
  x[16 + 3] = kNan;
  onnxc_max_pool_blocked_f32(y.data(), x.data(), 1, 16, 2, 2, 1, 1, 2, 2, 2, 2, 0, 0, 1, 1, 0, 0, kSlices);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(std::isnan(y[i]), i == 3);
  onnxc_max_pool_plain_f32(y.data(), x.data(), 1, 1, 4, 16, 3, 15, 2, 2, 1, 1, 0, 0, 1, 1, 0, 0, kSlices / 3);
  for (int i = 0; i < 15; ++i) EXPECT_EQ(std::isnan(y[i]), i == 2 || i == 3);
}

}  // namespace
}  // namespace kernel_test
