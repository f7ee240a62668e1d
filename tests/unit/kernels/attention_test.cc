// Attention against double: shapes, distances of rows, masks, shared heads.
#include "reference.h"
#include "runtime_lib/kernels/all_kernels.h"

namespace kernel_test {
namespace {

struct Attention {
  int64_t batches, heads, kv_heads, rows, cols, depth, value_depth, block;
  bool mask = false, causal = false, zero_empty_rows = false;
  float scale = 0.5f;

  int64_t blocks(int64_t n) const { return (n + 15) / 16 * 16; }
  int64_t scratch() const { return blocks(cols) * depth + blocks(value_depth) * cols + block * (depth + blocks(cols)); }
};

// Heads side by side in a row, [batch][row][head][depth].
double score(const Attention& a, const std::vector<float>& q, const std::vector<float>& k, int64_t b, int64_t h,
             int64_t r, int64_t c) {
  double s = 0;
  const int64_t kv = h / (a.heads / a.kv_heads);
  for (int64_t d = 0; d < a.depth; ++d)
    s += double(q[((b * a.rows + r) * a.heads + h) * a.depth + d]) *
         k[((b * a.cols + c) * a.kv_heads + kv) * a.depth + d];
  return s * a.scale;
}

std::vector<double> reference(const Attention& a, const std::vector<float>& q, const std::vector<float>& k,
                              const std::vector<float>& v, const std::vector<float>& mask) {
  std::vector<double> y(static_cast<size_t>(a.batches * a.rows * a.heads * a.value_depth));
  for (int64_t b = 0; b < a.batches; ++b)
    for (int64_t h = 0; h < a.heads; ++h)
      for (int64_t r = 0; r < a.rows; ++r) {
        std::vector<double> p;
        double top = -INFINITY, sum = 0;
        for (int64_t c = 0; c < (a.causal ? std::min(a.cols, r + 1) : a.cols); ++c) {
          p.push_back(score(a, q, k, b, h, r, c) + (a.mask ? mask[r * a.cols + c] : 0));
          top = std::max(top, p.back());
        }
        for (double& x : p) sum += x = std::exp(x - top);
        for (int64_t d = 0; d < a.value_depth; ++d) {
          double s = 0;
          for (size_t c = 0; c < p.size(); ++c)
            s += p[c] / sum *
                 v[((b * a.cols + int64_t(c)) * a.kv_heads + h / (a.heads / a.kv_heads)) * a.value_depth + d];
          y[((b * a.rows + r) * a.heads + h) * a.value_depth + d] = s;
        }
      }
  return y;
}

void run(const Attention& a, float* y, const float* q, const float* k, const float* v, const float* mask) {
  // The first group alone, then the others.
  const int64_t groups = a.batches * a.kv_heads;
  const Guarded scratch(std::vector<float>(static_cast<size_t>(groups * a.scratch()), kNan), Guarded::Side::After);
  for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 1}, {1, groups}})
    onnxc_attention_f32(y, q, k, v, mask, scratch.data(), a.batches, a.heads, a.kv_heads, a.rows, a.cols, a.depth,
                        a.value_depth, a.block, a.rows * a.heads * a.value_depth, a.value_depth,
                        a.heads * a.value_depth, a.rows * a.heads * a.depth, a.depth, a.heads * a.depth,
                        a.cols * a.kv_heads * a.depth, a.depth, a.kv_heads * a.depth,
                        a.cols * a.kv_heads * a.value_depth, a.value_depth, a.kv_heads * a.value_depth, 0, 0, a.cols,
                        a.scale, a.causal, a.zero_empty_rows, begin, end);
}

TEST(AttentionTest, AgainstDouble) {
  const Attention cases[] = {
      {1, 1, 1, 1, 1, 1, 1, 1},
      {1, 2, 2, 5, 7, 3, 4, 2},
      {2, 3, 3, 33, 17, 16, 8, 14},
      {1, 4, 2, 9, 40, 64, 64, 4, true},
      {1, 2, 1, 20, 20, 20, 33, 6, false, true},
      {1, 1, 1, 30, 257, 64, 64, 28},
      {2, 2, 1, 12, 5, 8, 16, 12, true, true},
  };
  for (const Attention& a : cases) {
    Random random(23);
    const auto q = random.vector(a.batches * a.rows * a.heads * a.depth),
               k = random.vector(a.batches * a.cols * a.kv_heads * a.depth),
               v = random.vector(a.batches * a.cols * a.kv_heads * a.value_depth);
    auto mask = random.vector(a.rows * a.cols);
    if (a.cols > 2) mask[1] = -INFINITY;
    const auto want = reference(a, q, k, v, mask);
    for (auto side : {Guarded::Side::Before, Guarded::Side::After}) {
      const Guarded gq(q, side), gk(k, side), gv(v, side), gm(mask, side),
          gy(std::vector<float>(want.size(), kNan), side);
      run(a, gy.data(), gq.data(), gk.data(), gv.data(), a.mask ? gm.data() : nullptr);
      expect_near(gy.vector(), want, 2e-6);
    }
  }
}

TEST(AttentionTest, RowsThatSeeNothing) {
  Attention a{1, 1, 1, 2, 3, 4, 4, 2, true};
  const std::vector<float> ones(16, 1.0f);
  const std::vector<float> mask = {-INFINITY, -INFINITY, -INFINITY, 0, 0, 0};
  std::vector<float> y(8);
  run(a, y.data(), ones.data(), ones.data(), ones.data(), mask.data());
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_EQ(y[4], 1.0f);
  a.zero_empty_rows = true;
  run(a, y.data(), ones.data(), ones.data(), ones.data(), mask.data());
  EXPECT_EQ(y[0], 0.0f);
  EXPECT_EQ(y[4], 1.0f);
  const std::vector<float> with_nan = {-INFINITY, NAN, -INFINITY, 0, 0, 0};
  run(a, y.data(), ones.data(), ones.data(), ones.data(), with_nan.data());
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_EQ(y[4], 1.0f);
}

}  // namespace
}  // namespace kernel_test
