// Sequences as values: what is made of one leaves it as it was, however lists are shared. Held against std::vector.
#include <memory>

#include "reference.h"
#include "runtime_lib/kernels/all_kernels.h"

namespace kernel_test {
namespace {

// Memory of a run; null after `limit` pieces.
struct RunMemory {
  std::vector<std::unique_ptr<unsigned char[]>> pieces;
  size_t limit = SIZE_MAX;
  static void* allocate(void* run, int64_t bytes) {
    auto& memory = *static_cast<RunMemory*>(run);
    if (memory.pieces.size() >= memory.limit) return nullptr;
    memory.pieces.push_back(std::make_unique<unsigned char[]>(static_cast<size_t>(bytes)));
    return memory.pieces.back().get();
  }
};

constexpr int64_t kI64 = 7, kF32 = 1;

class SequenceTest : public testing::Test {
 protected:
  using Sequence = std::array<int64_t, 2>;

  int32_t insert(Sequence& out, const Sequence* in, const std::vector<int64_t>& x, const int64_t* at = nullptr) {
    return onnxc_sequence_insert(out.data(), in ? in->data() : nullptr, x.data(), at, kI64, 8, 1,
                                 static_cast<int64_t>(x.size()), 1, 1, 1, 1, 1, 1, 1, &RunMemory::allocate, &memory);
  }
  int32_t erase(Sequence& out, const Sequence& in, const int64_t* at = nullptr) {
    return onnxc_sequence_erase(out.data(), in.data(), at, &RunMemory::allocate, &memory);
  }
  std::vector<int64_t> at(const Sequence& in, int64_t position) {
    int64_t n = -1;
    EXPECT_EQ(onnxc_sequence_at_dims(&n, in.data(), &position, kI64, 1), 0);
    std::vector<int64_t> x(static_cast<size_t>(n));
    EXPECT_EQ(onnxc_sequence_at(x.data(), in.data(), &position, kI64, 8, 1, n, 1, 1, 1, 1, 1, 1, 1), 0);
    return x;
  }
  void check(const Sequence& s, const std::vector<std::vector<int64_t>>& expected) {
    ASSERT_EQ(s[0], static_cast<int64_t>(expected.size()));
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(at(s, static_cast<int64_t>(i)), expected[i]);
  }

  RunMemory memory;
};

TEST_F(SequenceTest, RandomValuesStayAsTheyWere) {
  std::vector<Sequence> made{{0, 0}};
  std::vector<std::vector<std::vector<int64_t>>> expected{{}};
  uint32_t state = 1;
  const auto next = [&](size_t below) { return (state = state * 1664525u + 1013904223u) / 65536u % below; };
  for (int64_t k = 0; k < 400; ++k) {
    const size_t from = next(4) ? made.size() - 1 : next(made.size());
    auto values = expected[from];
    const auto n = static_cast<int64_t>(values.size());
    Sequence out{};
    if (next(3) || n == 0) {
      const std::vector<int64_t> x(next(4), k);
      const int64_t place = static_cast<int64_t>(next(values.size() + 1)),
                    given = next(2) || place == n ? place : place - n;
      const bool end = next(2);
      values.insert(end ? values.end() : values.begin() + place, x);
      ASSERT_EQ(insert(out, &made[from], x, end ? nullptr : &given), 0);
    } else {
      const int64_t place = static_cast<int64_t>(next(values.size()));
      const bool end = next(2);
      values.erase(end ? values.end() - 1 : values.begin() + place);
      ASSERT_EQ(erase(out, made[from], end ? nullptr : &place), 0);
    }
    made.push_back(out);
    expected.push_back(std::move(values));
  }
  for (size_t i = 0; i < made.size(); ++i) check(made[i], expected[i]);
}

TEST_F(SequenceTest, AppendingTakesLinearMemory) {
  Sequence s{0, 0};
  for (int64_t i = 0; i < 1000; ++i) {
    Sequence longer{};
    ASSERT_EQ(insert(longer, &s, {i}), 0);
    s = longer;
  }
  EXPECT_LT(memory.pieces.size(), 1000 + 16);  // the elements, and a list for each doubling
  EXPECT_EQ(at(s, 999), std::vector<int64_t>{999});
}

TEST_F(SequenceTest, SaysWhatIsWrong) {
  Sequence s{0, 0}, out{};
  ASSERT_EQ(insert(s, nullptr, {1, 2}), 0);
  const int64_t far = 2, before = -2;
  EXPECT_EQ(insert(out, &s, {3}, &far), 1);
  EXPECT_EQ(insert(out, &s, {3}, &before), 1);
  EXPECT_EQ(erase(out, s, &far), 1);
  int64_t dims[8];
  EXPECT_EQ(onnxc_sequence_at_dims(dims, s.data(), &far, kI64, 1), 1);
  EXPECT_EQ(onnxc_sequence_at_dims(dims, s.data(), nullptr, kI64, 2), 5);
  EXPECT_EQ(onnxc_sequence_at_dims(dims, s.data(), nullptr, kF32, 1), 5);
  EXPECT_EQ(onnxc_sequence_at(dims, s.data(), nullptr, kI64, 8, 1, 3, 1, 1, 1, 1, 1, 1, 1), 5);
  memory.limit = memory.pieces.size();
  EXPECT_EQ(insert(out, &s, {3}), 2);
  const Sequence nothing{-1, 0};
  EXPECT_EQ(onnxc_optional_sequence(out.data(), nothing.data()), 6);
}

TEST_F(SequenceTest, SplitsAndJoins) {
  std::vector<int64_t> x(2 * 5 * 3);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<int64_t>(i);
  const int64_t sizes[3] = {2, 0, 3}, two = 2, wrong[2] = {2, 4};
  for (const bool even : {false, true}) {
    Sequence s{};
    const int32_t code = even ? onnxc_sequence_split_even(s.data(), x.data(), &two, 1, 1, kI64, 8, 3, 2, 5, 3, 1, 1, 1,
                                                          1, 1, &RunMemory::allocate, &memory)
                              : onnxc_sequence_split(s.data(), x.data(), sizes, 3, 1, 1, kI64, 8, 3, 2, 5, 3, 1, 1, 1,
                                                     1, 1, &RunMemory::allocate, &memory);
    ASSERT_EQ(code, 0);
    EXPECT_EQ(s[0], 3);
    int64_t dims[3];
    ASSERT_EQ(onnxc_sequence_concat_dims(dims, s.data(), nullptr, 1, 0, kI64, 3), 0);
    EXPECT_EQ(dims[1], 5);
    std::vector<int64_t> y(x.size());
    ASSERT_EQ(onnxc_sequence_concat(y.data(), s.data(), dims, 1, 0, kI64, 8, 3, 2, 5, 3, 1, 1, 1, 1, 1), 0);
    EXPECT_EQ(y, x);
  }
  Sequence out{};
  EXPECT_EQ(onnxc_sequence_split(out.data(), x.data(), wrong, 2, 1, 1, kI64, 8, 3, 2, 5, 3, 1, 1, 1, 1, 1,
                                 &RunMemory::allocate, &memory),
            7);
  // Slices without the axis, joined along a new one.
  ASSERT_EQ(onnxc_sequence_split(out.data(), x.data(), nullptr, 1, 2, 0, kI64, 8, 3, 2, 5, 3, 1, 1, 1, 1, 1,
                                 &RunMemory::allocate, &memory),
            0);
  int64_t dims[3];
  ASSERT_EQ(onnxc_sequence_concat_dims(dims, out.data(), nullptr, 2, 1, kI64, 3), 0);
  std::vector<int64_t> y(x.size());
  ASSERT_EQ(onnxc_sequence_concat(y.data(), out.data(), dims, 2, 1, kI64, 8, 3, 2, 5, 3, 1, 1, 1, 1, 1), 0);
  EXPECT_EQ(y, x);
  EXPECT_EQ(onnxc_sequence_concat_dims(dims, Sequence{0, 0}.data(), nullptr, 0, 0, kI64, 3), 1);
  const int64_t none[] = {0, 4, 5};
  EXPECT_EQ(onnxc_sequence_concat_dims(dims, Sequence{0, 0}.data(), none, 0, 1, kI64, 3), 0);
  EXPECT_EQ(std::vector<int64_t>(dims, dims + 3), (std::vector<int64_t>{0, 4, 5}));
}

}  // namespace
}  // namespace kernel_test
