// Convolutions against a naive sum in double, at awkward shapes, with NaN in the pad lanes of inputs.
#include "reference.h"
#include "runtime_lib/kernels/all_kernels.h"

namespace kernel_test {
namespace {

// [ceil(O/16)][I/in_block][KH][KW][in_block][16]
std::vector<float> pack_weights(const std::vector<float>& w, int64_t o, int64_t i, int64_t taps, int64_t in_block) {
  const int64_t blocks = (i + in_block - 1) / in_block;
  std::vector<float> p(static_cast<size_t>((o + 15) / 16 * blocks * taps * in_block * 16), 0.0f);
  for (int64_t a = 0; a < o; ++a)
    for (int64_t b = 0; b < i; ++b)
      for (int64_t t = 0; t < taps; ++t)
        p[((((a / 16) * blocks + b / in_block) * taps + t) * in_block + b % in_block) * 16 + a % 16] =
            w[(a * i + b) * taps + t];
  return p;
}

enum class Form { Blocked, First, Depthwise, Plain };

void run(const Conv& c, Form form, float* y, const float* x, const float* w, const float* bias, const float* residual,
         int64_t by_rows, int64_t begin, int64_t end) {
  switch (form) {
    case Form::Blocked:
      return onnxc_conv_blocked_f32(y, x, w, bias, residual, c.n, c.ic, c.ih, c.iw, c.oc, c.oh(), c.ow(), c.kh, c.kw,
                                    c.sh, c.sw, c.pt, c.pl, c.dh, c.dw, c.activation, c.alpha, c.beta, by_rows, begin,
                                    end);
    case Form::First:
      return onnxc_conv_first_f32(y, x, w, bias, residual, c.n, c.ic, c.ih, c.iw, c.oc, c.oh(), c.ow(), c.kh, c.kw,
                                  c.sh, c.sw, c.pt, c.pl, c.dh, c.dw, c.activation, c.alpha, c.beta, by_rows, begin,
                                  end);
    case Form::Depthwise:
      return onnxc_conv_depthwise_f32(y, x, w, bias, residual, c.n, c.ic, c.ih, c.iw, c.oh(), c.ow(), c.kh, c.kw, c.sh,
                                      c.sw, c.pt, c.pl, c.dh, c.dw, c.activation, c.alpha, c.beta, by_rows, begin, end);
    case Form::Plain:
      return onnxc_conv_plain_f32(y, x, w, bias, residual, c.n, c.ic, c.ih, c.iw, c.oc, c.oh(), c.ow(), c.kh, c.kw,
                                  c.sh, c.sw, c.pt, c.pl, c.dh, c.dw, c.groups, c.activation, c.alpha, c.beta, begin,
                                  end);
  }
}

void check(const Conv& c, Form form) {
  Random random(7);
  const int64_t icg = c.ic / c.groups, out = c.n * c.oc * c.oh() * c.ow(), hw = c.oh() * c.ow();
  const auto x = random.vector(c.n * c.ic * c.ih * c.iw), w = random.vector(c.oc * icg * c.kh * c.kw),
             bias = random.vector(c.oc), residual = random.vector(out);
  const auto want = reference(c, x, w, bias, residual);
  const auto padded = pad_bias(bias), blocked_residual = to_blocked(residual, c.n, c.oc, hw, kNan);
  const auto xb = to_blocked(x, c.n, c.ic, c.ih * c.iw, kNan);
  const bool plain = form == Form::Plain, in_blocks = form == Form::Blocked || form == Form::Depthwise;
  const auto packed = plain ? w : pack_weights(w, c.oc, icg, c.kh * c.kw, form == Form::Blocked ? 16 : 1);
  SCOPED_TRACE(testing::Message() << "ic " << c.ic << " oc " << c.oc << " map " << c.ih << "x" << c.iw << " window "
                                  << c.kh << "x" << c.kw << " stride " << c.sh << " form " << int(form));
  for (auto side : {Guarded::Side::Before, Guarded::Side::After}) {
    const Guarded gx(in_blocks ? xb : x, side), gw(packed, side), gb(plain ? bias : padded, side),
        gr(plain ? residual : blocked_residual, side),
        gy(std::vector<float>(plain ? residual.size() : blocked_residual.size(), kNan), side);
    const float *b = c.bias ? gb.data() : nullptr, *r = c.residual ? gr.data() : nullptr;
    run(c, form, gy.data(), gx.data(), gw.data(), b, r, 0, 0, kSlices);
    expect_near(plain ? gy.vector() : from_blocked(gy.vector(), c.n, c.oc, hw), want,
                1e-5 * std::sqrt(double(icg * c.kh * c.kw)));
    // However the work is cut, the bits are the same.
    const auto whole = gy.vector();
    for (int64_t by_rows : {0, 1})
      for (const std::vector<int64_t>& cuts : kCuts) {
        std::fill(gy.data(), gy.data() + whole.size(), kNan);
        for (size_t i = cuts.size() - 1; i > 0; --i)
          run(c, form, gy.data(), gx.data(), gw.data(), b, r, by_rows, cuts[i - 1], cuts[i]);
        EXPECT_EQ(std::memcmp(gy.vector().data(), whole.data(), whole.size() * sizeof(float)), 0);
      }
  }
}

// One group; the same geometries for three kernels.
const Conv kDense[] = {
    {1, 16, 7, 7, 32, 3, 3, 1, 1, 1, 1, 1, 1},
    {1, 64, 14, 14, 48, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
    {2, 20, 9, 13, 35, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, -0.5f, 0.5f, true, true},
    {1, 33, 10, 29, 16, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 2, 0.1f, 0, true, true},
    {1, 40, 5, 5, 70, 1, 1},
    {1, 16, 15, 16, 32, 1, 1, 2, 2},
    {1, 24, 17, 31, 17, 5, 3, 2, 1, 2, 1, 0, 3, 1, 2, 1, 4},
    {1, 16, 4, 3, 16, 7, 7, 1, 1, 3, 3, 3, 3, 1, 1, 1, 5},
    {1, 3, 33, 41, 24, 7, 7, 2, 2, 3, 3, 3, 3, 1, 1, 1, 1},
    {2, 1, 20, 20, 16, 3, 3, 2, 2, 0, 0, 1, 1, 1, 1, 1, 7},
    {1, 3, 9, 300, 8, 1, 9, 1, 1, 0, 4, 0, 4, 1, 1, 1, 6, 0, 0, false, false},
    {1, 2, 3, 400, 5, 1, 5, 1, 3, 0, 130, 0, 130, 1, 65, 1, 9},
    {1, 5, 1, 1, 40, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 10, 0.5f, 0},
    {1, 18, 2, 26, 33, 2, 2, 1, 1, 0, 0, 0, 0, 1, 1, 1, 8, 0.2f, 0.5f},
    {1, 17, 6, 6, 33, 3, 3, 3, 3, 2, 2, 2, 2},
};

TEST(ConvTest, Blocked) {
  for (const Conv& c : kDense) check(c, Form::Blocked);
  // Several steps of input channels, several groups of pixels.
  const Conv deep[] = {
      {1, 540, 10, 17, 40, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 6, 0, 0, true, true},
      {2, 300, 13, 14, 33, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, true, true},
      {1, 530, 9, 40, 16, 1, 1, 2, 2, 0, 0, 0, 0, 1, 1, 1, 9, 0, 0, false, false},
      {1, 70, 8, 7, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, -1, 1, true, true},
  };
  for (const Conv& c : deep) check(c, Form::Blocked);
}
// Pixels spread over a larger map have the bits of those side by side; between them nothing is written.
TEST(ConvTest, Spread) {
  for (const Conv& c : kDense) {
    Random random(9);
    const auto w = random.vector(c.oc * c.ic * c.kh * c.kw);
    const auto x = to_blocked(random.vector(c.n * c.ic * c.ih * c.iw), c.n, c.ic, c.ih * c.iw, kNan);
    const auto packed = pack_weights(w, c.oc, c.ic, c.kh * c.kw, 16), bias = pad_bias(random.vector(c.oc));
    const int64_t planes = c.n * ((c.oc + 15) / 16), map_h = 2 * c.oh() + 1, map_w = 3 * c.ow() + 2;
    std::vector<float> dense(planes * c.oh() * c.ow() * 16, kNan), spread(planes * map_h * map_w * 16, kNan),
        want = spread;
    run(c, Form::Blocked, dense.data(), x.data(), packed.data(), bias.data(), nullptr, 0, 0, kSlices);
    for (int64_t p = 0; p < planes; ++p)
      for (int64_t i = 0; i < c.oh(); ++i)
        for (int64_t j = 0; j < c.ow(); ++j)
          std::memcpy(&want[((p * map_h + 2 * i + 1) * map_w + 3 * j + 2) * 16],
                      &dense[((p * c.oh() + i) * c.ow() + j) * 16], 64);
    const auto part = [&](int64_t begin, int64_t end) {
      onnxc_conv_spread_f32(spread.data(), x.data(), packed.data(), bias.data(), c.n, c.ic, c.ih, c.iw, c.oc, c.oh(),
                            c.ow(), c.kh, c.kw, c.sh, c.sw, c.pt, c.pl, c.dh, c.dw, c.activation, c.alpha, c.beta, 2, 3,
                            1, 2, map_h, map_w, 1, begin, end);
    };
    part(100, kSlices);
    part(0, 100);
    EXPECT_EQ(std::memcmp(spread.data(), want.data(), want.size() * sizeof(float)), 0);
  }
}
TEST(ConvTest, First) {
  for (const Conv& c : kDense) check(c, Form::First);
}
TEST(ConvTest, Plain) {
  for (const Conv& c : kDense) check(c, Form::Plain);
  for (int64_t groups : {2, 3, 6}) {
    Conv c{1, 12, 11, 40, 18, 3, 3, 1, 1, 1, 1, 1, 1};
    c.groups = groups;
    c.residual = true;
    check(c, Form::Plain);
    c.sh = c.sw = 2;
    check(c, Form::Plain);
  }
  // Rows of whole, moved and narrow vectors; sums of several chains; taps in phases; windows too wide to be copied.
  const Conv rows[] = {
      {2, 300, 7, 7, 10, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 2, 7, 0, 0, true, true},
      {1, 68, 14, 14, 68, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 4, 1, 0, 0, true, true},
      {1, 18, 6, 11, 27, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 3, 4},
      {1, 1, 1, 700, 1, 1, 256, 1, 2},
      {1, 3, 5, 120, 1, 3, 3, 1, 1, 1, 1, 1, 1},
      {1, 40, 4, 37, 8, 3, 7, 1, 1, 1, 0, 1, 0, 1, 1, 1, 3, -1, 1, true, true},
      {1, 4, 4, 90, 6, 1, 5, 1, 3, 0, 5, 0, 5, 1, 2, 2, 4},
      {1, 2, 1, 2400, 2, 1, 3, 1, 1, 0, 0, 0, 0, 1, 1000, 1, 1},
  };
  for (const Conv& c : rows) check(c, Form::Plain);
}
TEST(ConvTest, Depthwise) {
  const Conv cases[] = {
      {1, 16, 14, 14, 16, 3, 3, 1, 1, 1, 1, 1, 1},
      {2, 20, 9, 13, 20, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1, 7, 0, 0, true, true},
      {1, 40, 7, 30, 40, 5, 5, 1, 1, 2, 2, 2, 2, 1, 1, 1, 3, 0, 6},
      {1, 16, 8, 8, 16, 5, 5, 2, 2, 2, 2, 1, 1},
      {1, 33, 6, 19, 33, 3, 3, 1, 1, 2, 2, 2, 2, 2, 2, 1, 1, 0, 0, false, false},
      {1, 7, 2, 2, 7, 3, 3, 1, 1, 1, 1, 1, 1},
      {1, 16, 1, 50, 16, 1, 7, 1, 3, 0, 0, 0, 0},
  };
  for (Conv c : cases) {
    c.groups = c.ic;
    check(c, Form::Depthwise);
  }
}

}  // namespace
}  // namespace kernel_test
