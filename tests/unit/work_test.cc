// work_of: the arithmetic and the bytes of kernel calls and nests.
#include "compiler/plan/work.h"

#include <gtest/gtest.h>

#include "compiler/ir/program_text.h"

namespace onnxc {
namespace {

// The Work of the only operation of a Program with f32 buffers %x[8, 64], %w[64, 16], %y[8, 16] and a table %t[1000,
// 64].
std::optional<Work> work(const std::string& operation) {
  const auto program = parse_program(R"(program @main {
    buffer %x: f32[8, 64] = input(0)
    buffer %w: f32[64, 16] = arena
    buffer %t: f32[1000, 64] = arena
    buffer %y: f32[8, 16] = output(0)
    input "x": f32[8, 64] at %x
    output "y": f32[8, 16] at %y
    )" + operation + "\n}");
  EXPECT_TRUE(program.ok()) << (program.ok() ? "" : program.error().str());
  return program.ok() ? work_of(*program, program->ops.at(0)) : std::nullopt;
}

TEST(WorkOf, MatrixProduct) {
  const auto w = work("call gemm_f32(out %y, in %x, in %w, in null) {m = 8, n = 16, k = 64}");
  ASSERT_TRUE(w);
  EXPECT_EQ(w->flops, 2 * 8 * 16 * 64);
  EXPECT_EQ(w->bytes_read, 4 * (8 * 64 + 64 * 16));
  EXPECT_EQ(w->bytes_written, 4 * 8 * 16);
}

TEST(WorkOf, Convolutions) {
  const auto full =
      work("call conv_plain_f32(out %y, in %x) {n = 2, ic = 6, oc = 9, oh = 4, ow = 5, kh = 3, kw = 2, groups = 3}");
  EXPECT_EQ(full->flops, 2 * 2 * 9 * 4 * 5 * (6 / 3) * 3 * 2);
  const auto depthwise = work("call conv_depthwise_f32(out %y, in %x) {n = 1, c = 6, oh = 4, ow = 5, kh = 3, kw = 3}");
  EXPECT_EQ(depthwise->flops, 2 * 6 * 4 * 5 * 9);
}

TEST(WorkOf, WinogradCountsAsTheConvolutionThatItIs) {
  const auto w =
      work("call conv_winograd_f32(out %y, in %x) {n = 1, ic = 5, oc = 7, oh = 4, ow = 6, kh = 3, kw = 2, m = 4}");
  EXPECT_EQ(w->flops, 2 * 7 * 4 * 6 * 5 * 6);
}

TEST(WorkOf, AttentionIsTwoProducts) {
  const auto w = work(
      "call attention_f32(out %y, in %x, in null) {batches = 2, heads = 3, rows = 5, cols = 7, depth = 8, value_depth "
      "= 9}");
  EXPECT_EQ(w->flops, 2 * 2 * 3 * 5 * 7 * (8 + 9));
}

TEST(WorkOf, RecurrencesMultiplyTheState) {
  for (const auto& [kernel, gates] : {std::pair{"lstm_f32", 4}, {"gru_f32", 3}, {"rnn_f32", 1}}) {
    const auto w =
        work("call " + std::string(kernel) + "(out %y, in %x) {steps = 9, batch = 2, hidden = 8, directions = 2}");
    EXPECT_EQ(w->flops, 2 * 9 * 2 * 2 * gates * 8 * 8) << kernel;
  }
}

TEST(WorkOf, OtherKernelsOnlyMove) {
  const auto w = work("call softmax_f32(out %x, in %x) {rows = 8, cols = 64}");
  EXPECT_EQ(w->flops, 0);
  EXPECT_EQ(w->bytes_read, 4 * 8 * 64);
}

TEST(WorkOf, NestCountsEachTurn) {
  const auto w = work(R"(nest { for i in 8 { for j in 16 {
    reduce s = add lanes(8) over (k in 64) : mul(%x[i, k], %w[k, j])
    let e = exp(s)
    store %y[i, j] = add(e, e) } } })");
  ASSERT_TRUE(w);
  EXPECT_EQ(w->flops, 8 * 16 * (64 * 2 + 2));
  EXPECT_EQ(w->bytes_read, 4 * (8 * 64 + 64 * 16)) << "each buffer once, however often it is read";
}

TEST(WorkOf, ALookupReadsOnlyWhatItLooksUp) {
  const auto w = work("nest { for i in 8 { for j in 16 { store %y[i, j] = %t[i, j] } } }");
  EXPECT_EQ(w->bytes_read, 4 * 8 * 16);
  EXPECT_EQ(w->flops, 0);
}

TEST(WorkOf, KnowsNothingOfFreeDims) {
  EXPECT_FALSE(work("call gemm_f32(out %y, in %x, in %w, in null) {m = N, n = 16, k = 64}"));
}

}  // namespace
}  // namespace onnxc
