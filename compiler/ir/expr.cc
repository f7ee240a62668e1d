// Building and folding of scalar expressions. Folding never changes a bit of any result. Tested in
// tests/unit/expr_test.cc.
#include "compiler/ir/expr.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <type_traits>

namespace onnxc {
namespace expr {
namespace {

struct OpRow {
  std::string_view name;
  int args;
  bool cheap;
};

// In the order of ExprOp.
constexpr std::array kOps = {
    OpRow{"const", 0, true},
    OpRow{"index", 0, true},
    OpRow{"let", 0, true},
    OpRow{"load", -1, true},
    OpRow{"neg", 1, true},
    OpRow{"abs", 1, true},
    OpRow{"not", 1, true},
    OpRow{"floor", 1, true},
    OpRow{"ceil", 1, true},
    OpRow{"round", 1, true},
    OpRow{"trunc", 1, true},
    OpRow{"sqrt", 1, false},
    OpRow{"rsqrt", 1, false},
    OpRow{"reciprocal", 1, false},
    OpRow{"exp", 1, false},
    OpRow{"exp2", 1, false},
    OpRow{"log", 1, false},
    OpRow{"log1p", 1, false},
    OpRow{"expm1", 1, false},
    OpRow{"sin", 1, false},
    OpRow{"cos", 1, false},
    OpRow{"tan", 1, false},
    OpRow{"asin", 1, false},
    OpRow{"acos", 1, false},
    OpRow{"atan", 1, false},
    OpRow{"sinh", 1, false},
    OpRow{"cosh", 1, false},
    OpRow{"tanh", 1, false},
    OpRow{"asinh", 1, false},
    OpRow{"acosh", 1, false},
    OpRow{"atanh", 1, false},
    OpRow{"erf", 1, false},
    OpRow{"sigmoid", 1, false},
    OpRow{"isnan", 1, true},
    OpRow{"isinf", 1, true},
    OpRow{"sign", 1, true},
    OpRow{"popcount", 1, true},
    OpRow{"add", 2, true},
    OpRow{"sub", 2, true},
    OpRow{"mul", 2, true},
    OpRow{"div", 2, false},
    OpRow{"rem", 2, false},
    OpRow{"mod", 2, false},
    OpRow{"pow", 2, false},
    OpRow{"min", 2, true},
    OpRow{"max", 2, true},
    OpRow{"atan2", 2, false},
    OpRow{"and", 2, true},
    OpRow{"or", 2, true},
    OpRow{"xor", 2, true},
    OpRow{"shl", 2, true},
    OpRow{"shr", 2, true},
    OpRow{"eq", 2, true},
    OpRow{"ne", 2, true},
    OpRow{"lt", 2, true},
    OpRow{"le", 2, true},
    OpRow{"gt", 2, true},
    OpRow{"ge", 2, true},
    OpRow{"select", 3, true},
    OpRow{"fma", 3, true},
    OpRow{"mul_shift_round", 3, true},
    OpRow{"cast", 1, true},
    OpRow{"bitcast", 1, true},
};
static_assert(kOps.size() == static_cast<size_t>(ExprOp::BitCast) + 1);

const OpRow& row(ExprOp op) { return kOps[static_cast<size_t>(op)]; }

bool is_const(const Expr& e) { return e->op == ExprOp::Const; }
bool is_foldable_float(Elem e) { return e == Elem::F32 || e == Elem::F64; }
bool is_integer_like(Elem e) { return is_int(e) || e == Elem::Bool; }
bool is_comparison(ExprOp op) { return op >= ExprOp::Eq && op <= ExprOp::Ge; }

Expr make(ExprOp op, Elem type, std::vector<Expr> args) {
  auto n = std::make_shared<ExprNode>();
  n->op = op;
  n->type = type;
  n->args = std::move(args);
  return n;
}

// The 64 bits `v` as a value of the type: wrapped to its width, then widened by its sign.
int64_t wrap(Elem type, uint64_t v) {
  if (type == Elem::Bool) return v != 0;
  const int bits = elem_bits(type);
  if (bits >= 64) return static_cast<int64_t>(v);
  const uint64_t mask = (uint64_t(1) << bits) - 1;
  v &= mask;
  if (is_signed(type) && (v >> (bits - 1))) v |= ~mask;
  return static_cast<int64_t>(v);
}

// The affine form of an I64 expression that is one: an Index, or a constant.
std::optional<Dim> as_dim(const Expr& e) {
  if (e->op == ExprOp::Index) return e->dim;
  if (is_const(e) && e->type == Elem::I64) return Dim(e->integer);
  return std::nullopt;
}

template <class T>
std::optional<bool> compare(ExprOp op, T a, T b) {
  switch (op) {
    case ExprOp::Eq: return a == b;
    case ExprOp::Ne: return a != b;
    case ExprOp::Lt: return a < b;
    case ExprOp::Le: return a <= b;
    case ExprOp::Gt: return a > b;
    case ExprOp::Ge: return a >= b;
    default: return std::nullopt;
  }
}

template <class T>
T shifted(ExprOp op, T a, T by, int bits) {
  const bool over = static_cast<uint64_t>(by) >= static_cast<uint64_t>(bits);  // negative amounts count as huge ones
  if (op == ExprOp::Shl) return over ? T(0) : static_cast<T>(static_cast<uint64_t>(a) << by);
  if (over) return std::is_signed_v<T> && a < 0 ? T(-1) : T(0);
  return a >> by;
}

// T is int64_t or uint64_t; the result is wrapped afterwards.
template <class T>
std::optional<T> fold_int(ExprOp op, Elem type, T a, T b) {
  const uint64_t x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
  const bool negative_one = std::is_signed_v<T> && b == T(-1);
  switch (op) {
    case ExprOp::Add: return static_cast<T>(x + y);
    case ExprOp::Sub: return static_cast<T>(x - y);
    case ExprOp::Mul: return static_cast<T>(x * y);
    case ExprOp::Div: return b == 0 ? T(0) : negative_one ? static_cast<T>(0 - x) : static_cast<T>(a / b);
    case ExprOp::Rem: return b == 0 || negative_one ? T(0) : static_cast<T>(a % b);
    case ExprOp::Mod: {
      if (b == 0 || negative_one) return T(0);
      const T r = a % b;
      return r != 0 && ((r < 0) != (b < 0)) ? static_cast<T>(r + b) : r;
    }
    case ExprOp::Min: return a < b ? a : b;
    case ExprOp::Max: return a > b ? a : b;
    case ExprOp::And: return a & b;
    case ExprOp::Or: return a | b;
    case ExprOp::Xor: return a ^ b;
    case ExprOp::Shl:
    case ExprOp::Shr: return shifted<T>(op, a, b, elem_bits(type));
    default: return std::nullopt;
  }
}

// One correctly rounded operation in T.
template <class T>
std::optional<T> fold_float(ExprOp op, T a, T b) {
  switch (op) {
    case ExprOp::Add: return a + b;
    case ExprOp::Sub: return a - b;
    case ExprOp::Mul: return a * b;
    case ExprOp::Div: return a / b;
    default: return std::nullopt;
  }
}

Expr fold_binary(ExprOp op, const Expr& a, const Expr& b) {
  if (!is_const(a) || !is_const(b)) return nullptr;
  const Elem t = a->type;
  if (is_integer_like(t)) {
    const bool unsigned64 = t == Elem::U64;
    if (is_comparison(op)) {
      const auto r =
          unsigned64 ? compare<uint64_t>(op, a->integer, b->integer) : compare<int64_t>(op, a->integer, b->integer);
      return int_constant(Elem::Bool, *r);
    }
    if (unsigned64) {
      const auto r = fold_int<uint64_t>(op, t, a->integer, b->integer);
      return r ? int_constant(t, static_cast<int64_t>(*r)) : nullptr;
    }
    const auto r = fold_int<int64_t>(op, t, a->integer, b->integer);
    return r ? int_constant(t, *r) : nullptr;
  }
  if (!is_foldable_float(t)) return nullptr;
  if (is_comparison(op)) return int_constant(Elem::Bool, *compare<double>(op, a->number, b->number));
  if (std::isnan(a->number) || std::isnan(b->number)) return nullptr;
  std::optional<double> r;
  if (t == Elem::F64) {
    r = fold_float<double>(op, a->number, b->number);
  } else {
    r = fold_float<float>(op, static_cast<float>(a->number), static_cast<float>(b->number));
  }
  return r && !std::isnan(*r) ? constant(t, *r) : nullptr;
}

// Index op Index stays Index, where the polynomial says the same as the operation.
Expr fold_index(ExprOp op, const Expr& a, const Expr& b) {
  if (a->op != ExprOp::Index && b->op != ExprOp::Index) return nullptr;
  const auto x = as_dim(a), y = as_dim(b);
  if (!x || !y) return nullptr;
  const bool positive_divisor = y->is_const() && y->value() > 0;
  std::optional<Dim> r;
  switch (op) {
    case ExprOp::Add: r = *x + *y; break;
    case ExprOp::Sub: r = *x - *y; break;
    case ExprOp::Mul: r = *x * *y; break;
    case ExprOp::Min: r = Dim::min(*x, *y); break;
    case ExprOp::Max: r = Dim::max(*x, *y); break;
    case ExprOp::Div:  // towards zero: equal to floor only from 0 up
      if (positive_divisor && (*x + Dim(1)).known_positive()) r = Dim::floor_div(*x, *y);
      break;
    case ExprOp::Rem:
      if (positive_divisor && (*x + Dim(1)).known_positive()) r = Dim::mod(*x, *y);
      break;
    case ExprOp::Mod:
      if (positive_divisor) r = Dim::mod(*x, *y);
      break;
    default: break;
  }
  return r && !r->is_overflow() ? index(*r) : nullptr;
}

bool is_int_const(const Expr& e, int64_t v) { return is_const(e) && is_int(e->type) && e->integer == v; }
// The float constant v, sign of zero included.
bool is_float_const(const Expr& e, double v) {
  return is_const(e) && is_float(e->type) && e->number == v && std::signbit(e->number) == std::signbit(v);
}

// x op neutral element = x, to the bit.
Expr drop_neutral(ExprOp op, const Expr& a, const Expr& b) {
  switch (op) {
    case ExprOp::Add:  // x + -0.0 == x for every x; x + 0.0 turns -0.0 into 0.0
      if (is_int_const(b, 0) || is_float_const(b, -0.0)) return a;
      if (is_int_const(a, 0) || is_float_const(a, -0.0)) return b;
      return nullptr;
    case ExprOp::Sub: return is_int_const(b, 0) || is_float_const(b, 0.0) ? a : nullptr;
    case ExprOp::Mul:
      if (is_int_const(b, 1) || is_float_const(b, 1) || is_int_const(a, 0)) return a;
      if (is_int_const(a, 1) || is_float_const(a, 1) || is_int_const(b, 0)) return b;
      return nullptr;
    case ExprOp::Div: return is_int_const(b, 1) || is_float_const(b, 1) ? a : nullptr;
    case ExprOp::And:
      if (a->type != Elem::Bool) return nullptr;
      if (is_const(a)) return a->integer ? b : a;
      if (is_const(b)) return b->integer ? a : b;
      return nullptr;
    case ExprOp::Or:
      if (a->type != Elem::Bool) return nullptr;
      if (is_const(a)) return a->integer ? a : b;
      if (is_const(b)) return b->integer ? b : a;
      return nullptr;
    default: return nullptr;
  }
}

Expr fold_unary(ExprOp op, const Expr& a) {
  if (!is_const(a)) return nullptr;
  if (is_integer_like(a->type)) {
    switch (op) {
      case ExprOp::Neg: return int_constant(a->type, wrap(a->type, 0 - static_cast<uint64_t>(a->integer)));
      case ExprOp::Not: return int_constant(a->type, a->type == Elem::Bool ? !a->integer : wrap(a->type, ~a->integer));
      case ExprOp::Abs:
        if (!is_signed(a->type) || a->integer >= 0) return a;
        return int_constant(a->type, wrap(a->type, 0 - static_cast<uint64_t>(a->integer)));
      default: return nullptr;
    }
  }
  if (!is_foldable_float(a->type)) return nullptr;
  const double v = a->number;
  if (op == ExprOp::IsNan) return int_constant(Elem::Bool, std::isnan(v));
  if (op == ExprOp::IsInf) return int_constant(Elem::Bool, std::isinf(v));
  if (std::isnan(v)) return nullptr;
  switch (op) {
    case ExprOp::Neg: return constant(a->type, -v);
    case ExprOp::Abs: return constant(a->type, std::fabs(v));
    case ExprOp::Floor: return constant(a->type, std::floor(v));
    case ExprOp::Ceil: return constant(a->type, std::ceil(v));
    case ExprOp::Trunc: return constant(a->type, std::trunc(v));
    case ExprOp::Sqrt:
      if (v < 0) return nullptr;
      return constant(a->type, a->type == Elem::F32 ? std::sqrt(static_cast<float>(v)) : std::sqrt(v));
    default: return nullptr;
  }
}

Expr fold_cast(const Expr& a, Elem to) {
  if (!is_const(a)) return nullptr;
  if (is_integer_like(a->type)) {
    if (is_integer_like(to)) return int_constant(to, wrap(to, static_cast<uint64_t>(a->integer)));
    if (!is_foldable_float(to)) return nullptr;
    const bool u = a->type == Elem::U64;
    const uint64_t bits = static_cast<uint64_t>(a->integer);
    if (to == Elem::F32) return constant(to, u ? static_cast<float>(bits) : static_cast<float>(a->integer));
    return constant(to, u ? static_cast<double>(bits) : static_cast<double>(a->integer));
  }
  if (!is_foldable_float(a->type)) return nullptr;
  const double v = a->number;
  if (to == Elem::Bool) return int_constant(to, v != 0);
  if (is_foldable_float(to)) return std::isnan(v) ? nullptr : constant(to, v);
  if (!is_int(to)) return nullptr;
  if (std::isnan(v)) return int_constant(to, 0);
  const int bits = elem_bits(to) - is_signed(to);
  const double end = std::ldexp(1.0, bits), low = is_signed(to) ? -end : 0.0;
  const uint64_t most = bits == 64 ? ~uint64_t(0) : (uint64_t(1) << bits) - 1;
  if (v >= end) return int_constant(to, static_cast<int64_t>(most));
  if (v <= low) return int_constant(to, is_signed(to) ? -static_cast<int64_t>(most) - 1 : 0);
  return int_constant(to, to == Elem::U64 ? static_cast<int64_t>(static_cast<uint64_t>(v)) : static_cast<int64_t>(v));
}

}  // namespace

std::string narrowing_function(Elem e) {
  return "onnxc_f32_to_" + std::string(elem_name(e)) + (e == Elem::F8E5M2 ? "_unsaturated" : "");
}

Elem arithmetic_type(Elem e) {
  if (is_float(e) && e != Elem::F64) return Elem::F32;
  if (is_sub_byte(e)) return is_signed(e) ? Elem::I32 : Elem::U32;
  return e;
}

Expr constant(Elem type, double value) {
  if (is_integer_like(type)) return int_constant(type, static_cast<int64_t>(value));
  auto n = std::make_shared<ExprNode>();
  n->type = type;
  n->number = type == Elem::F64 ? value : static_cast<float>(value);
  return n;
}

Expr int_constant(Elem type, int64_t value) {
  if (!is_integer_like(type)) return constant(type, static_cast<double>(value));
  auto n = std::make_shared<ExprNode>();
  n->type = type;
  n->integer = wrap(type, static_cast<uint64_t>(value));
  return n;
}

Expr index(Dim dim) {
  if (dim.is_const()) return int_constant(Elem::I64, dim.value());
  auto n = std::make_shared<ExprNode>();
  n->op = ExprOp::Index;
  n->type = Elem::I64;
  n->dim = std::move(dim);
  return n;
}

Expr let(std::string name, Elem type) {
  auto n = std::make_shared<ExprNode>();
  n->op = ExprOp::Let;
  n->type = type;
  n->name = std::move(name);
  return n;
}

Expr load(BufferId buffer, Elem buffer_elem, std::vector<Expr> at) {
  auto n = std::make_shared<ExprNode>();
  n->op = ExprOp::Load;
  n->type = arithmetic_type(buffer_elem);
  n->buffer = buffer;
  n->args = std::move(at);
  return n;
}

Expr unary(ExprOp op, Expr a) {
  if (Expr folded = fold_unary(op, a)) return folded;
  if (op == ExprOp::Neg && a->op == ExprOp::Index) {
    const Dim d = Dim(-1) * a->dim;
    if (!d.is_overflow()) return index(d);
  }
  if (op == ExprOp::Not && a->op == ExprOp::Not) return a->args[0];
  if (op == ExprOp::Neg && a->op == ExprOp::Neg) return a->args[0];
  const bool to_bool = op == ExprOp::IsNan || op == ExprOp::IsInf;
  const Elem type = to_bool ? Elem::Bool : a->type;
  return make(op, type, {std::move(a)});
}

Expr binary(ExprOp op, Expr a, Expr b) {
  if (Expr folded = fold_binary(op, a, b)) return folded;
  if (Expr folded = fold_index(op, a, b)) return folded;
  if (Expr folded = drop_neutral(op, a, b)) return folded;
  const Elem type = is_comparison(op) ? Elem::Bool : a->type;
  return make(op, type, {std::move(a), std::move(b)});
}

Expr select(Expr condition, Expr then, Expr otherwise) {
  if (is_const(condition)) return condition->integer ? then : otherwise;
  if (then == otherwise) return then;
  const Elem type = then->type;
  return make(ExprOp::Select, type, {std::move(condition), std::move(then), std::move(otherwise)});
}

Expr fma(Expr a, Expr b, Expr c) {
  const Elem type = a->type;
  return make(ExprOp::Fma, type, {std::move(a), std::move(b), std::move(c)});
}

Expr mul_shift_round(Expr value, Expr multiplier, Expr shift) {
  return make(ExprOp::MulShiftRound, Elem::I32, {std::move(value), std::move(multiplier), std::move(shift)});
}

Expr cast(Expr a, Elem type) {
  if (a->type == type) return a;
  if (Expr folded = fold_cast(a, type)) return folded;
  return make(ExprOp::Cast, type, {std::move(a)});
}

Expr bit_cast(Expr a, Elem type) {
  if (a->type == type) return a;
  return make(ExprOp::BitCast, type, {std::move(a)});
}

int num_args(ExprOp op) { return row(op).args; }
std::string_view op_name(ExprOp op) { return row(op).name; }

bool op_from_name(std::string_view name, ExprOp* op) {
  for (size_t i = 0; i < kOps.size(); ++i) {
    if (kOps[i].name == name) return *op = static_cast<ExprOp>(i), true;
  }
  return false;
}

size_t count_nodes(const Expr& e) {
  size_t n = 1;
  for (const Expr& a : e->args) n += count_nodes(a);
  return n;
}

bool depends_on(const Expr& e, const std::string& symbol) {
  std::set<std::string> symbols;
  e->dim.collect_symbols(symbols);
  return symbols.contains(symbol) ||
         std::any_of(e->args.begin(), e->args.end(), [&](const Expr& a) { return depends_on(a, symbol); });
}

bool is_cheap(const Expr& e) {
  if (e->op == ExprOp::Load) return true;  // its indices are integers
  const bool integer_division = row(e->op).args == 2 && is_integer_like(e->type);
  if (!row(e->op).cheap && !integer_division) return false;
  for (const Expr& a : e->args) {
    if (!is_cheap(a)) return false;
  }
  return true;
}

}  // namespace expr
}  // namespace onnxc
