#include "compiler/ir/expr.h"

#include <gtest/gtest.h>

#include <cmath>

namespace onnxc {
namespace {

using namespace expr;

Expr i(Elem e, int64_t v) { return int_constant(e, v); }
Expr f(double v) { return constant(Elem::F32, v); }
int64_t folded(const Expr& e) {
  EXPECT_EQ(e->op, ExprOp::Const);
  return e->integer;
}

TEST(Expr, IntegersWrapAndNeverTrap) {
  EXPECT_EQ(folded(i(Elem::I8, 127) + i(Elem::I8, 1)), -128);
  EXPECT_EQ(folded(i(Elem::U8, 0) - i(Elem::U8, 1)), 255);
  EXPECT_EQ(folded(i(Elem::I64, INT64_MAX) + i(Elem::I64, 1)), INT64_MIN);
  EXPECT_EQ(folded(i(Elem::I32, 7) / i(Elem::I32, 0)), 0);
  EXPECT_EQ(folded(i(Elem::I32, INT32_MIN) / i(Elem::I32, -1)), INT32_MIN);
  EXPECT_EQ(folded(i(Elem::I32, -7) / i(Elem::I32, 2)), -3);
  EXPECT_EQ(folded(binary(ExprOp::Rem, i(Elem::I32, -7), i(Elem::I32, 2))), -1);
  EXPECT_EQ(folded(binary(ExprOp::Mod, i(Elem::I32, -7), i(Elem::I32, 2))), 1);
  EXPECT_EQ(folded(binary(ExprOp::Shl, i(Elem::I32, 1), i(Elem::I32, 32))), 0);
  EXPECT_EQ(folded(binary(ExprOp::Shr, i(Elem::I32, -8), i(Elem::I32, 40))), -1);
  EXPECT_EQ(folded(i(Elem::U64, -1) / i(Elem::U64, 2)), INT64_MAX);
  EXPECT_EQ(folded(binary(ExprOp::Lt, i(Elem::U64, 1), i(Elem::U64, -1))), 1);
}

TEST(Expr, FloatsFoldExactly) {
  EXPECT_EQ((f(0.1) + f(0.2))->number, 0.1f + 0.2f);
  EXPECT_EQ((f(1) / f(0))->number, INFINITY);
  EXPECT_NE((f(0) / f(0))->op, ExprOp::Const);
  EXPECT_EQ(folded(binary(ExprOp::Lt, f(NAN), f(1))), 0);
  EXPECT_EQ(folded(unary(ExprOp::IsNan, f(NAN))), 1);
  EXPECT_NE(unary(ExprOp::Exp, f(1))->op, ExprOp::Const);
}

TEST(Expr, NeutralElements) {
  const Expr x = load(0, Elem::F32, {});
  EXPECT_EQ(x * f(1), x);
  EXPECT_EQ(x + f(-0.0), x);
  EXPECT_NE(x + f(0.0), x);  // -0.0 + 0.0 is 0.0
  EXPECT_EQ(x - f(0.0), x);
  EXPECT_NE((x * f(0))->op, ExprOp::Const);  // NaN
  EXPECT_EQ(select(i(Elem::Bool, 1), x, f(2)), x);
  EXPECT_EQ(unary(ExprOp::Neg, unary(ExprOp::Neg, x)), x);
  const Expr n = load(0, Elem::I32, {});
  EXPECT_EQ(n + i(Elem::I32, 0), n);
  EXPECT_EQ(folded(n * i(Elem::I32, 0)), 0);
}

TEST(Expr, IndicesStayAffine) {
  const Dim I = Dim::symbol("i"), J = Dim::symbol("~j");
  const Expr e = index(I) * i(Elem::I64, 4) + index(J);
  ASSERT_EQ(e->op, ExprOp::Index);
  EXPECT_EQ(e->dim, I * 4 + J);
  EXPECT_EQ((index(I * 4 + 1) / i(Elem::I64, 4))->dim, I);
  EXPECT_EQ((index(J) / i(Elem::I64, 4))->op, ExprOp::Div);  // may be negative: not floor
  EXPECT_EQ(binary(ExprOp::Mod, index(J), i(Elem::I64, 4))->op, ExprOp::Index);
  EXPECT_EQ(folded(index(I) - index(I)), 0);
}

TEST(Expr, CastsAreTotal) {
  EXPECT_EQ(folded(cast(f(300), Elem::U8)), 255);
  EXPECT_EQ(folded(cast(f(-1), Elem::U8)), 0);
  EXPECT_EQ(folded(cast(f(NAN), Elem::I32)), 0);
  EXPECT_EQ(folded(cast(f(1e30), Elem::I64)), INT64_MAX);
  EXPECT_EQ(folded(cast(f(-1e30), Elem::I64)), INT64_MIN);
  EXPECT_EQ(folded(cast(f(1e30), Elem::U64)), -1);
  EXPECT_EQ(folded(cast(f(-2.7), Elem::I32)), -2);
  EXPECT_EQ(folded(cast(i(Elem::I32, 300), Elem::I8)), 44);
  EXPECT_EQ(folded(cast(f(NAN), Elem::Bool)), 1);
  EXPECT_EQ(cast(i(Elem::U64, -1), Elem::F32)->number, 18446744073709551616.0);
  const Expr x = load(0, Elem::F16, {});
  EXPECT_EQ(x->type, Elem::F32);
  EXPECT_EQ(cast(x, Elem::F32), x);
}

TEST(Expr, NamesAndCounts) {
  for (int k = 0; k <= static_cast<int>(ExprOp::BitCast); ++k) {
    ExprOp op;
    ASSERT_TRUE(op_from_name(op_name(static_cast<ExprOp>(k)), &op));
    EXPECT_EQ(static_cast<int>(op), k);
  }
  ExprOp op;
  EXPECT_FALSE(op_from_name("frobnicate", &op));
  EXPECT_EQ(op_name(ExprOp::Popcount), "popcount");
  EXPECT_EQ(op_name(ExprOp::Select), "select");
  const Expr x = load(0, Elem::F32, {});
  EXPECT_EQ(count_nodes(x + x), 3u);
  EXPECT_TRUE(is_cheap(x + x));
  EXPECT_FALSE(is_cheap(x / x));
  EXPECT_FALSE(is_cheap(unary(ExprOp::Exp, x) + x));
  EXPECT_EQ(num_args(ExprOp::Fma), 3);
}

}  // namespace
}  // namespace onnxc
