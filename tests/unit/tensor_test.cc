#include "compiler/ir/tensor.h"

#include <gtest/gtest.h>

#include <cmath>

namespace onnxc {
namespace {

TEST(Elem, NamesAndSizes) {
  for (int i = 1; i < kElemCount; ++i) {
    const Elem e = static_cast<Elem>(i);
    EXPECT_EQ(elem_from_name(elem_name(e)), e);
  }
  EXPECT_EQ(elem_name(Elem::BF16), "bf16");
  EXPECT_EQ(onnx_elem_name(Elem::F32), "float");
  EXPECT_EQ(elem_size(Elem::I4), 1u);
  EXPECT_EQ(elem_bits(Elem::I4), 4);
  EXPECT_EQ(elem_size(Elem::String), 16u);
  EXPECT_TRUE(is_float(Elem::F4E2M1));
  EXPECT_FALSE(is_int(Elem::Bool));
  EXPECT_FALSE(is_signed(Elem::U4));
  EXPECT_FALSE(elem_from_name("float").has_value());
}

TEST(Tensor, ElementsWiden) {
  EXPECT_EQ(Tensor::of<int8_t>(Elem::I8, {2}, {-3, 4}).int_at(0), -3);
  EXPECT_EQ(Tensor::of<uint8_t>(Elem::U8, {1}, {200}).int_at(0), 200);
  EXPECT_EQ(Tensor::i64({2, 1}, {5, -6}).to_ints(), (std::vector<int64_t>{5, -6}));
  EXPECT_EQ(Tensor::f32({1}, {1.5f}).float_at(0), 1.5);
  EXPECT_EQ(Tensor::of<uint64_t>(Elem::U64, {1}, {~0ull}).float_at(0), 18446744073709551616.0);
}

double narrow(Elem e, uint16_t bits) {
  return elem_size(e) == 2 ? Tensor::of<uint16_t>(e, {1}, {bits}).float_at(0)
                           : Tensor::of<uint8_t>(e, {1}, {static_cast<uint8_t>(bits)}).float_at(0);
}

TEST(Tensor, NarrowFloats) {
  EXPECT_EQ(narrow(Elem::F16, 0x3c00), 1.0);
  EXPECT_EQ(narrow(Elem::F16, 0x0001), std::ldexp(1.0, -24));
  EXPECT_EQ(narrow(Elem::F16, 0xfc00), -INFINITY);
  EXPECT_EQ(narrow(Elem::BF16, 0xc000), -2.0);
  EXPECT_EQ(narrow(Elem::F8E4M3FN, 0x7e), 448.0);
  EXPECT_TRUE(std::isnan(narrow(Elem::F8E4M3FN, 0x7f)));
  EXPECT_EQ(narrow(Elem::F8E4M3FNUZ, 0x7f), 240.0);
  EXPECT_TRUE(std::isnan(narrow(Elem::F8E4M3FNUZ, 0x80)));
  EXPECT_EQ(narrow(Elem::F8E5M2, 0x7b), 57344.0);
  EXPECT_TRUE(std::isinf(narrow(Elem::F8E5M2, 0x7c)));
  EXPECT_EQ(narrow(Elem::F8E5M2FNUZ, 0x7f), 57344.0);
  EXPECT_EQ(narrow(Elem::F4E2M1, 0x7), 6.0);
  EXPECT_EQ(narrow(Elem::F4E2M1, 0x9), -0.5);
  EXPECT_EQ(narrow(Elem::F8E8M0, 127), 1.0);
  EXPECT_EQ(narrow(Elem::F6E2M3, 0x1f), 7.5);
  EXPECT_EQ(narrow(Elem::F6E3M2, 0x1f), 28.0);
}

TEST(Tensor, EqualityIsOfBits) {
  const Tensor zero = Tensor::f32({1}, {0.0f}), minus = Tensor::f32({1}, {-0.0f}), nan = Tensor::f32({1}, {NAN});
  EXPECT_FALSE(zero.equals(minus));
  EXPECT_TRUE(nan.equals(Tensor::f32({1}, {NAN})));
  EXPECT_FALSE(zero.equals(zero.reshaped({})));
  EXPECT_NE(zero.hash(), minus.hash());
  EXPECT_EQ(nan.hash(), Tensor::f32({1}, {NAN}).hash());
  EXPECT_TRUE(Tensor::strings({1}, {"a"}).equals(Tensor::strings({1}, {"a"})));
  EXPECT_FALSE(Tensor::strings({1}, {"a"}).equals(Tensor::strings({1}, {"b"})));
}

TEST(Tensor, Numel) {
  EXPECT_EQ(checked_numel(std::vector<int64_t>{2, 3}), 6);
  EXPECT_EQ(checked_numel(std::vector<int64_t>{}), 1);
  EXPECT_EQ(checked_numel(std::vector<int64_t>{1ll << 40, 0, 1ll << 40}), 0);
  EXPECT_FALSE(checked_numel(std::vector<int64_t>{-1}).has_value());
  EXPECT_FALSE(checked_numel(std::vector<int64_t>{1ll << 32, 1ll << 32}).has_value());
  EXPECT_EQ(Tensor::zeros(Elem::I4, {3}).bytes(), 3u);
}

}  // namespace
}  // namespace onnxc
