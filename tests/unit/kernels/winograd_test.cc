// Winograd convolutions against a naive sum in double: awkward shapes, NaN in the pad lanes of inputs and in scratch,
// guard pages around every operand, and any number of shares giving the same bits.
#include "reference.h"
#include "runtime_lib/kernels/all_kernels.h"

namespace kernel_test {
namespace {

// G of F(m,3) for the Toom-Cook points of conv_winograd.h: row i is (1, a, a^2) / prod(a - other points); infinity is
// (0, 0, 1). F(2,3) has the signs of its first row and column changed in G and B alike.
std::vector<double> weight_transform(int64_t m) {
  const std::vector<double> points = m == 4 ? std::vector<double>{0, 1, -1, 0.5, -2} : std::vector<double>{0, 1, -1};
  std::vector<double> g;
  for (double a : points) {
    double product = m == 2 && a == 0 ? -1 : 1;
    for (double other : points) product *= other == a ? 1 : a - other;
    for (double power : {1.0, a, a * a}) g.push_back(power / product);
  }
  g.insert(g.end(), {0, 0, 1});
  return g;
}

std::vector<float> transform_weights(const std::vector<float>& w, int64_t oc, int64_t ic, int64_t kh, int64_t kw,
                                     int64_t m) {
  const int64_t padded = (oc + 15) / 16 * 16, rows = m + kh - 1, columns = m + kw - 1;
  const auto g = weight_transform(m);
  std::vector<float> u(static_cast<size_t>(padded * ic * rows * columns), 0.0f);
  for (int64_t o = 0; o < oc; ++o)
    for (int64_t i = 0; i < ic; ++i)
      for (int64_t y = 0; y < rows; ++y)
        for (int64_t x = 0; x < columns; ++x) {
          double sum = 0;
          for (int64_t ky = 0; ky < kh; ++ky)
            for (int64_t kx = 0; kx < kw; ++kx)
              sum += g[y * 3 + ky] * g[x * 3 + kx] * w[((o * ic + i) * kh + ky) * kw + kx];
          const int64_t panel = o / 32 * 32, width = std::min<int64_t>(32, padded - panel);
          u[panel * rows * columns * ic + ((y * columns + x) * ic + i) * width + o - panel] = float(sum);
        }
  return u;
}

struct Case {
  Conv conv;
  int64_t block = 28;
};

void check(const Case& which, int64_t m, int64_t shares) {
  const Conv& c = which.conv;
  Random random(7);
  const int64_t hw = c.oh() * c.ow(), out = c.n * c.oc * hw, n = m + 2;
  const int64_t tiles = c.n * ((c.oh() + m - 1) / m) * ((c.ow() + m - 1) / m),
                blocks = (tiles + which.block - 1) / which.block, most = (tiles + blocks - 1) / blocks;
  const auto x = random.vector(c.n * c.ic * c.ih * c.iw), w = random.vector(c.oc * c.ic * c.kh * c.kw),
             bias = random.vector(c.oc), residual = random.vector(out);
  const auto want = reference(c, x, w, bias, residual);
  const auto xb = to_blocked(x, c.n, c.ic, c.ih * c.iw, kNan), u = transform_weights(w, c.oc, c.ic, c.kh, c.kw, m);
  const auto residual_b = to_blocked(residual, c.n, c.oc, hw, kNan);
  const std::vector<float> scratch(shares * n * n * (most * ((c.ic + 15) / 16 * 16 + 32) + 32), kNan);
  SCOPED_TRACE(testing::Message() << "F(" << m << ",3) taps " << c.kh << "x" << c.kw << " ic " << c.ic << " oc " << c.oc
                                  << " map " << c.ih << "x" << c.iw << " pads " << c.pt << "," << c.pl << " shares "
                                  << shares);
  for (auto side : {Guarded::Side::Before, Guarded::Side::After}) {
    const Guarded gx(xb, side), gu(u, side), gb(pad_bias(bias), side),
        gy(c.residual ? residual_b : std::vector<float>(residual_b.size(), kNan), side);
    const Guarded gs(scratch, side);
    for (int64_t share = 0; share < shares; ++share)
      onnxc_conv_winograd_f32(gy.data(), gx.data(), gu.data(), c.bias ? gb.data() : nullptr,
                              c.residual ? gy.data() : nullptr, gs.data(), c.n, c.ic, c.ih, c.iw, c.oc, c.oh(), c.ow(),
                              c.kh, c.kw, c.pt, c.pl, m, which.block, shares, c.activation, c.alpha, c.beta, share,
                              share + 1);
    expect_near(from_blocked(gy.vector(), c.n, c.oc, hw), want, (m == 4 ? 6e-6 : 3e-6) * std::sqrt(double(c.ic * 9)));
  }
}

const Case kCases[] = {
    {{1, 16, 8, 8, 32, 3, 3, 1, 1, 1, 1, 1, 1}},
    {{1, 64, 14, 14, 48, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 14},
    {{3, 20, 9, 13, 35, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, -0.5f, 0.5f, true, true}, 14},
    {{1, 150, 7, 7, 70, 3, 3, 1, 1, 1, 1, 1, 1}},
    {{1, 5, 1, 1, 40, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 10, 0.5f, 0}},
    {{2, 24, 6, 19, 17, 3, 3, 1, 1, 0, 0, 0, 0, 1, 1, 1, 4}, 14},
    {{1, 40, 3, 5, 16, 3, 3, 1, 1, 0, 2, 2, 0, 1, 1, 1, 6, 0, 0, false, true}},
    {{1, 1, 4, 30, 3, 3, 3, 1, 1, 2, 0, 0, 1, 1, 1, 1, 2, 0.1f, 0}},
    {{1, 40, 13, 11, 48, 2, 2, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1}, 14},
    {{2, 70, 6, 9, 35, 2, 3, 1, 1, 1, 1, 0, 1, 1, 1, 1, 3, -0.5f, 0.5f, true, true}},
    {{1, 20, 8, 7, 16, 3, 2, 1, 1, -1, 1, 1, -1, 1, 1}},
    {{1, 280, 6, 6, 33, 3, 3, 1, 1, 4, 4, 4, 4, 1, 1, 1, 0, 0, 0, true, true}},
};

TEST(WinogradTest, AgreesWithTheSumInDouble) {
  for (const Case& c : kCases)
    for (int64_t m : {2, 4}) check(c, m, 1);
}
TEST(WinogradTest, SharesTogether) {
  for (const Case& c : kCases)
    for (int64_t m : {2, 4}) check(c, m, 3);  // of some cases, more than there are pairs
}

// However many calls share the work, the bits are the same.
TEST(WinogradTest, SharesDoNotChangeBits) {
  Random random(3);
  const int64_t ic = 40, oc = 80, size = 21, block = 14, shares = 8;  // 36 tiles in 3 blocks, 3 panels
  const auto x = to_blocked(random.vector(ic * size * size), 1, ic, size * size, kNan),
             u = transform_weights(random.vector(oc * ic * 9), oc, ic, 3, 3, 4);
  std::vector<float> scratch(shares * 36 * (12 * (48 + 32) + 32), kNan), whole(oc * size * size, kNan);
  const auto run = [&](std::vector<float>& y, int64_t begin, int64_t end) {
    onnxc_conv_winograd_f32(y.data(), x.data(), u.data(), nullptr, nullptr, scratch.data(), 1, ic, size, size, oc, size,
                            size, 3, 3, 1, 1, 4, block, shares, 1, 0, 0, begin, end);
  };
  run(whole, 0, shares);
  for (int64_t calls : {2, 3, 8}) {
    std::vector<float> parts(whole.size(), kNan);
    for (int64_t i = calls; i-- > 0;) run(parts, shares * i / calls, shares * (i + 1) / calls);
    EXPECT_EQ(whole, parts) << calls;
  }
}

}  // namespace
}  // namespace kernel_test
