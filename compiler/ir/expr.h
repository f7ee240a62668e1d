// Expr: scalar expressions of loop nests. Immutable trees, typed by Elem (arithmetic on f16 and narrower floats is done
// in F32: loads widen and stores round; bool is Elem::Bool). Both printers (emit/llvm, emit/cpp) give each operation
// the meaning that is written here; none may trap. Tested in tests/unit/expr_test.cc.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compiler/ir/dim.h"
#include "compiler/ir/elem.h"

namespace onnxc {

using BufferId = uint32_t;
inline constexpr BufferId kNoBuffer = ~0u;

enum class ExprOp : uint8_t {
  Const,  // `number` (floats) or `integer` (integers, bool); of strings the empty one
  Index,  // I64: `dim`, over scalars of the Program and variables of the enclosing loops
  Let,    // the value of the enclosing Let or Reduce statement called `name`
  Load,   // element of `buffer` at args (I64 each, one per dim of the buffer); result widened as said above
  // One argument.
  Neg,
  Abs,
  Not /* bitwise; logical on Bool */,
  Floor,
  Ceil,
  Round /* half to even */,
  Trunc,
  Sqrt,
  Rsqrt,
  Reciprocal,
  Exp,
  Exp2,
  Log,
  Log1p,
  Expm1,
  Sin,
  Cos,
  Tan,
  Asin,
  Acos,
  Atan,
  Sinh,
  Cosh,
  Tanh,
  Asinh,
  Acosh,
  Atanh,
  Erf,
  Sigmoid,
  IsNan,
  IsInf,
  Sign,
  Popcount,
  // Two arguments of one type. Integer arithmetic wraps; x / 0 == 0 and MIN / -1 == MIN for integers (no trap).
  Add,
  Sub,
  Mul,
  Div,  // integers: towards zero
  Rem,  // sign of the dividend (C's %, fmod)
  Mod,  // sign of the divisor (Python's %); integers and floats
  Pow,
  Min /* NaN if either is */,
  Max /* NaN if either is */,
  Atan2,
  And,
  Or,
  Xor,
  Shl,
  Shr,  // shifts by >= the width give 0 (or the sign, Shr on signed)
  Eq,
  Ne,
  Lt,
  Le,
  Gt,
  Ge,  // -> Bool; strings are only equal or not
  // Three.
  Select,         // args[0] Bool
  Fma,            // args[0] * args[1] + args[2]: madd() of the kernels (one rounding where the level has FMA, else two)
  MulShiftRound,  // I32 x I32 multiplier, right shift (I32): fixed-point requantisation, round half away, via I64
  // One argument, another type.
  Cast,     // C conversion made total: float -> int saturates, NaN -> 0; to Bool: != 0
  BitCast,  // same width
};

struct ExprNode;
using Expr = std::shared_ptr<const ExprNode>;

struct ExprNode {
  ExprOp op = ExprOp::Const;
  Elem type = Elem::F32;
  std::vector<Expr> args;
  double number = 0;            // Const of a float type
  int64_t integer = 0;          // Const of an integer type or Bool (U64: the same bits)
  Dim dim;                      // Index
  std::string name;             // Let
  BufferId buffer = kNoBuffer;  // Load
};

namespace expr {
// The type that arithmetic on elements of `e` is done in: F32 for narrow floats, I32/U32 for sub-byte ints ..., else
// `e`.
Elem arithmetic_type(Elem e);
// What rounds F32 to a narrow float in a store (runtime_lib/kernels/convert.h): the nearest number; beyond the largest
// one infinity, or, in types without it, the largest.
std::string narrowing_function(Elem e);
Expr constant(Elem type, double value);
Expr int_constant(Elem type, int64_t value);
Expr index(Dim dim);
Expr let(std::string name, Elem type);
Expr load(BufferId buffer, Elem buffer_elem, std::vector<Expr> at);
// Build with light folding: constants are folded exactly (never NaN-changing float rules), Index op Index stays Index.
Expr unary(ExprOp op, Expr a);
Expr binary(ExprOp op, Expr a, Expr b);
Expr select(Expr condition, Expr then, Expr otherwise);
Expr fma(Expr a, Expr b, Expr c);
Expr mul_shift_round(Expr value, Expr multiplier, Expr shift);
Expr cast(Expr a, Elem type);  // no-op when the type is the same
Expr bit_cast(Expr a, Elem type);

inline Expr operator+(const Expr& a, const Expr& b) { return binary(ExprOp::Add, a, b); }
inline Expr operator-(const Expr& a, const Expr& b) { return binary(ExprOp::Sub, a, b); }
inline Expr operator*(const Expr& a, const Expr& b) { return binary(ExprOp::Mul, a, b); }
inline Expr operator/(const Expr& a, const Expr& b) { return binary(ExprOp::Div, a, b); }

int num_args(ExprOp op);              // -1: any number (Load)
std::string_view op_name(ExprOp op);  // "add", "exp", "select" ...
bool op_from_name(std::string_view name, ExprOp* op);
size_t count_nodes(const Expr& e);
// Whether a symbol stands in it, Lets not followed.
bool depends_on(const Expr& e, const std::string& symbol);
bool is_cheap(const Expr& e);  // no transcendental function, no division of floats
}  // namespace expr

}  // namespace onnxc
