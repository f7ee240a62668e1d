// Changes of layout against the definition, to the bit, in two shares; with shuffled channels.
#include "reference.h"
#include "runtime_lib/kernels/all_kernels.h"

namespace kernel_test {
namespace {

std::vector<float> shuffled(const std::vector<float>& x, int64_t n, int64_t c, int64_t pixels, int64_t groups) {
  std::vector<float> y;
  for (int64_t image = 0; image < n; ++image)
    for (int64_t to = 0; to < c; ++to)
      for (int64_t p = 0; p < pixels; ++p)
        y.push_back(x[static_cast<size_t>((image * c + to % groups * (c / groups) + to / groups) * pixels + p)]);
  return y;
}

void check_layouts(int64_t n, int64_t c, int64_t pixels, int64_t groups) {
  Random random(17);
  const auto x = random.vector(n * c * pixels);
  const auto expected = to_blocked(shuffled(x, n, c, pixels, groups), n, c, pixels, 0);
  const Guarded in(x, Guarded::Side::After);
  Guarded blocked(std::vector<float>(expected.size(), kNan), Guarded::Side::After);
  onnxc_to_blocked_f32(blocked.data(), in.data(), n, c, pixels, groups, 0, 77);
  onnxc_to_blocked_f32(blocked.data(), in.data(), n, c, pixels, groups, 77, kSlices);
  EXPECT_EQ(blocked.vector(), expected);

  const Guarded nan_padded(to_blocked(x, n, c, pixels, kNan), Guarded::Side::After);
  Guarded plain(std::vector<float>(x.size(), kNan), Guarded::Side::After);
  onnxc_to_plain_f32(plain.data(), nan_padded.data(), n, c, pixels, 0, 130);
  onnxc_to_plain_f32(plain.data(), nan_padded.data(), n, c, pixels, 130, kSlices);
  EXPECT_EQ(plain.vector(), x);
}

TEST(TransposeTest, Layouts) {
  for (int64_t c : {1, 3, 8, 16, 24, 33})
    for (int64_t pixels : {1, 3, 4, 11, 15, 16, 49, 80}) check_layouts(c == 24 ? 2 : 1, c, pixels, 1);
}

TEST(TransposeTest, ShuffledChannels) {
  check_layouts(1, 34, 49, 2);
  check_layouts(2, 12, 20, 4);
  check_layouts(1, 48, 9, 3);
}

TEST(TransposeTest, Matrices) {
  for (int64_t rows : {1, 3, 5, 16, 37})
    for (int64_t columns : {1, 4, 16, 50}) {
      Random random(19);
      const auto x = random.vector(2 * rows * columns);
      std::vector<float> expected;
      for (int64_t b = 0; b < 2; ++b)
        for (int64_t c = 0; c < columns; ++c)
          for (int64_t r = 0; r < rows; ++r) expected.push_back(x[static_cast<size_t>((b * rows + r) * columns + c)]);
      const Guarded in(x, Guarded::Side::After);
      Guarded y(std::vector<float>(x.size(), kNan), Guarded::Side::After);
      onnxc_transpose_f32(y.data(), in.data(), 2, rows, columns, 0, 101);
      onnxc_transpose_f32(y.data(), in.data(), 2, rows, columns, 101, kSlices);
      EXPECT_EQ(y.vector(), expected) << rows << " x " << columns;
    }
}

}  // namespace
}  // namespace kernel_test
