// gemm_i8, gemm_u8 and their packing against a plain loop, with the extremes of every operand.
#include "reference.h"
#include "runtime_lib/kernels/all_kernels.h"

namespace kernel_test {
namespace {

void pack(int8_t* to, const int8_t* b, int64_t k, int64_t n, int64_t rows, int64_t columns) {
  onnxc_pack_b_i8(to, b, k, n, rows, columns);
}
void pack(uint8_t* to, const uint8_t* b, int64_t k, int64_t n, int64_t rows, int64_t columns) {
  onnxc_pack_b_u8(to, b, k, n, rows, columns);
}

template <class B>
struct Product {
  int64_t m, n, k, lda, ldy;
  int32_t* y;
  const int16_t* a;
  const B* b;
  const int32_t *row_sums, *zeros;
  void run(int64_t begin, int64_t end) const {
    if constexpr (std::is_signed_v<B>)
      onnxc_gemm_i8(y, a, b, row_sums, zeros, m, n, k, lda, ldy, begin, end);
    else
      onnxc_gemm_u8(y, a, b, row_sums, zeros, m, n, k, lda, ldy, begin, end);
  }
};

// Memory whose bytes are those of `from`, a multiple of four.
template <class T>
Guarded guarded(const std::vector<T>& from) {
  std::vector<float> words(from.size() * sizeof(T) / sizeof(float));
  std::memcpy(words.data(), from.data(), words.size() * sizeof(float));
  return Guarded(words, Guarded::Side::After);
}

template <class B>
B operand(std::mt19937& random) {
  using Limits = std::numeric_limits<B>;
  const auto choice = random() % 4;
  return choice == 0 ? Limits::min() : choice == 1 ? Limits::max() : B(random());
}

template <class B>
void check(int64_t m, int64_t n, int64_t k, bool with_zeros, bool transposed) {
  std::mt19937 random(7);
  const int64_t lda = (k + 1) / 2 * 2, ldy = n + 3, blocks = (n + 15) / 16;
  std::vector<int16_t> a(m * lda, INT16_MIN);  // after an odd k there may be anything
  std::vector<B> b(k * n), packed(blocks * 16 * lda, B(77));
  std::vector<int32_t> sums(m), zeros(blocks * 16, INT32_MIN), y((m - 1) * ldy + n, 77), want(y);
  for (B& v : b) v = operand<B>(random);
  for (int64_t j = 0; j < n; ++j) zeros[j] = operand<B>(random);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t p = 0; p < k; ++p) {
      const auto choice = random() % 4;
      const int value = choice == 0 ? 255 : choice == 1 ? -255 : int(random() % 511) - 255;
      a[i * lda + p] = int16_t(value);
      sums[i] += value;
    }
  const int64_t rows = transposed ? 1 : n, columns = transposed ? k : 1;
  pack(packed.data(), b.data(), k, n, rows, columns);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      int32_t sum = 0;
      for (int64_t p = 0; p < k; ++p) sum += a[i * lda + p] * (b[p * rows + j * columns] - (with_zeros ? zeros[j] : 0));
      want[i * ldy + j] = sum;
    }
  const Guarded ga = guarded(a), gb = guarded(packed), gsums = guarded(sums), gzeros = guarded(zeros), gy = guarded(y);
  const auto ints = [](const Guarded& g) { return reinterpret_cast<int32_t*>(g.data()); };
  const Product<B> product{m,
                           n,
                           k,
                           lda,
                           ldy,
                           ints(gy),
                           reinterpret_cast<int16_t*>(ga.data()),
                           reinterpret_cast<B*>(gb.data()),
                           with_zeros ? ints(gsums) : nullptr,
                           with_zeros ? ints(gzeros) : nullptr};
  SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k << " zeros " << with_zeros);
  product.run(0, kSlices);
  EXPECT_EQ(std::vector<int32_t>(product.y, product.y + y.size()), want);
  for (const std::vector<int64_t>& cuts : kCuts) {  // each element is some share's
    for (int64_t i = 0; i < m; ++i) std::fill_n(product.y + i * ldy, n, 78);
    for (size_t i = cuts.size() - 1; i > 0; --i) product.run(cuts[i - 1], cuts[i]);
    EXPECT_EQ(std::vector<int32_t>(product.y, product.y + y.size()), want);
  }
}

TEST(IntegerGemmTest, AwkwardShapes) {
  for (int64_t m : {1, 2, 5, 8, 13, 25})
    for (int64_t n : {1, 15, 16, 17, 33, 48, 65})
      for (int64_t k : {1, 2, 7, 64}) {
        check<int8_t>(m, n, k, (m + n) % 2 == 0, n % 3 == 0);
        check<uint8_t>(m, n, k, (m + n) % 2 != 0, n % 3 == 0);
      }
}
// The greatest sums of pairs there are, and sums that wrap around.
TEST(IntegerGemmTest, Extremes) {
  for (const int64_t k : {2, 40000}) {
    const std::vector<int16_t> a(k, -255);
    const std::vector<uint8_t> b(k, 255);
    std::vector<uint8_t> packed(k * 16);
    int32_t y = 0;
    onnxc_pack_b_u8(packed.data(), b.data(), k, 1, 1, 1);
    onnxc_gemm_u8(&y, a.data(), packed.data(), nullptr, nullptr, 1, 1, k, k, 1, 0, kSlices);
    EXPECT_EQ(y, int32_t(uint32_t(-255 * 255 * k)));
  }
}
TEST(IntegerGemmTest, EmptySumIsZero) {
  int32_t y[3] = {7, 7, 7};
  onnxc_gemm_i8(y, nullptr, nullptr, nullptr, nullptr, 1, 3, 0, 0, 3, 0, kSlices);
  EXPECT_EQ(y[0] | y[1] | y[2], 0);
}

}  // namespace
}  // namespace kernel_test
