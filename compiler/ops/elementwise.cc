// Unary and binary element-wise operators, comparisons, logic, Where, Clip, Cast and activations: rows and small
// formulas (onnx/docs/Operators.md). Tested by tests/conformance and tests/unit/ops_test.cc.
#include "compiler/ops/elementwise.h"

#include <cmath>
#include <limits>

#include "compiler/ops/graph_writer.h"
#include "compiler/ops/indexing.h"
#include "compiler/ops/legacy_broadcast.h"
#include "compiler/ops/sequence.h"
#include "compiler/ops/text.h"
#include "compiler/ops/whole_floats.h"

namespace onnxc {
namespace elementwise {

Status set_broadcast(InferContext& c, Elem elem) {
  Shape shape;
  for (size_t i = 0; i < c.node.num_inputs(); ++i) {
    if (!c.has_input(i)) continue;
    if (!c.in(i).is_tensor())
      return c.invalid("input " + std::to_string(i) + " must be a tensor, not " + c.in(i).str());
    if (!c.has_shape(i)) return c.set_unranked(0, elem), ok();
    auto merged = broadcast(shape, c.shape(i));
    if (!merged.ok() && !(is_static(shape) && is_static(c.shape(i))))
      return c.unsupported(
          "whether " + shape_str(shape) + " and " + shape_str(c.shape(i)) + " broadcast depends on dims of the run",
          "fix free dims by --dim or --shape; make inputs that give shapes constant");
    if (!merged.ok())
      return c.invalid("the shapes " + shape_str(shape) + " and " + shape_str(c.shape(i)) + " do not broadcast");
    shape = std::move(merged).value();
  }
  c.set(0, elem, std::move(shape));
  return ok();
}

Status infer_same(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  for (size_t i = 1; i < c.node.num_inputs(); ++i)
    if (c.has_input(i) && c.elem(i) != c.elem(0))
      return c.invalid("inputs 0 and " + std::to_string(i) + " have different element types, " +
                       std::string(elem_name(c.elem(0))) + " and " + std::string(elem_name(c.elem(i))));
  return set_broadcast(c, c.elem(0));
}

Status infer_bool(InferContext& c) {
  for (size_t i = 0; i < c.node.num_inputs(); ++i)
    if (!c.has_input(i)) return c.invalid("input " + std::to_string(i) + " is missing");
  if (c.node.num_inputs() == 2 && c.elem(0) != c.elem(1))
    return c.invalid("the operands have different element types, " + std::string(elem_name(c.elem(0))) + " and " +
                     std::string(elem_name(c.elem(1))));
  return set_broadcast(c, Elem::Bool);
}

std::optional<size_t> broadcast_length(std::initializer_list<size_t> lengths) {
  size_t result = 1;
  for (size_t n : lengths) {
    if (n == 1 || n == result) continue;
    if (result != 1) return std::nullopt;
    result = n;
  }
  return result;
}

void set_contents(InferContext& c, Dim (*f)(const Dim&, const Dim&)) {
  const auto &x = c.in_contents(0), &y = c.in_contents(1);
  if (!x || !y || !c.outputs[0].shape || c.outputs[0].shape->size() > 1) return;
  const auto n = broadcast_length({x->size(), y->size()});
  if (!n) return;
  Contents out;
  for (size_t i = 0; i < *n; ++i) out.push_back(f(broadcast_at(*x, i), broadcast_at(*y, i)));
  c.contents[0] = std::move(out);
}

bool is_float8(Elem e) {
  return e == Elem::F8E4M3FN || e == Elem::F8E4M3FNUZ || e == Elem::F8E5M2 || e == Elem::F8E5M2FNUZ;
}

// A store saturates, but for F8E5M2, where it gives infinity. Those without infinity have NaN for it; those with a
// largest number of even mantissa keep the tie.
Expr limit_float8(const Expr& x, Elem to, bool saturate) {
  using expr::binary, expr::constant;
  if (saturate && to == Elem::F8E5M2) {
    const Expr largest = constant(x->type, 57344), least = constant(x->type, -57344);
    return binary(ExprOp::Max, binary(ExprOp::Min, x, largest), least);
  }
  if (saturate || to == Elem::F8E5M2) return x;
  const double half_way = to == Elem::F8E4M3FN ? 464 : to == Elem::F8E4M3FNUZ ? 248 : 61440;
  const Expr size = expr::unary(ExprOp::Abs, x);
  const Expr fits = binary(to == Elem::F8E4M3FN ? ExprOp::Le : ExprOp::Lt, size, constant(x->type, half_way));
  return expr::select(fits, x, constant(x->type, std::numeric_limits<double>::quiet_NaN()));
}

}  // namespace elementwise

using namespace elementwise;
namespace {

using expr::binary, expr::unary, expr::select, expr::cast, expr::constant;
using expr::operator+, expr::operator-, expr::operator*, expr::operator/;

Dim dim_add(const Dim& a, const Dim& b) { return a + b; }
Dim dim_sub(const Dim& a, const Dim& b) { return a - b; }
Dim dim_mul(const Dim& a, const Dim& b) { return a * b; }
// ONNX divides integers towards zero; Dims floor. They agree for a >= 0, b > 0; otherwise only constants are known.
// What a division by zero gives is nobody's business, as long as it is a number.
Dim dim_div(const Dim& a, const Dim& b) {
  if (a.is_const() && b.is_const())
    return b.value() == 0 || b.value() == -1 ? (b.value() ? Dim(0) - a : Dim::overflow()) : Dim(a.value() / b.value());
  if (b.is_const() && b.value() > 0) {
    if (a.known_non_negative()) return Dim::floor_div(a, b);
    return Dim::floor_div(Dim::max(a, 0), b) - Dim::floor_div(Dim::max(Dim(0) - a, 0), b);
  }
  if (a.known_non_negative() && b.known_non_negative())
    return Dim::floor_div(a, b.known_positive() ? b : Dim::max(b, 1));
  return Dim::overflow();
}

template <Dim (*kDim)(const Dim&, const Dim&)>
Status infer_arithmetic(InferContext& c) {
  ONNXC_TRY(infer_same(c));
  if (is_int(c.elem(0)) || (is_float(c.elem(0)) && kDim != dim_div)) set_contents(c, kDim);
  return ok();
}
// A quotient of floats is a whole number only where nothing remains; a product may be a quotient.
template <Dim (*kDim)(const Dim&, const Dim&)>
Status infer_quotient(InferContext& c) {
  ONNXC_TRY(infer_arithmetic<kDim>(c));
  for (size_t i = 0; i < c.node.num_inputs(); ++i) (void)c.in_contents(i);
  if (c.contents[0] || !is_float(c.elem(0)) || (c.outputs[0].shape && c.outputs[0].shape->size() > 1)) return ok();
  c.contents[0] = quotient_contents(c.node, Rounding::None);
  return ok();
}
template <Rounding kRounding>
Status infer_rounding(InferContext& c) {
  ONNXC_TRY(infer_same(c));
  c.contents[0] = rounded_contents(c.node, 0, kRounding);
  return ok();
}

template <ExprOp kOp>
Status infer_compare(InferContext& c) {
  ONNXC_TRY(infer_bool(c));
  if (is_float(c.elem(0))) return ok();  // rounding makes different numbers equal
  set_contents(c, [](const Dim& a, const Dim& b) -> Dim {
    switch (kOp) {
      case ExprOp::Eq: return (b - a).known_positive() || (a - b).known_positive() ? Dim(0) : Dim::equals(a, b);
      case ExprOp::Lt: return Dim::less(a, b);
      case ExprOp::Le: return Dim(1) - Dim::less(b, a);
      case ExprOp::Gt: return Dim::less(b, a);
      default: return Dim(1) - Dim::less(a, b);
    }
  });
  return ok();
}

Status infer_unary_contents(InferContext& c, Dim (*f)(const Dim&)) {
  ONNXC_TRY(infer_same(c));
  const auto& in = c.in_contents(0);
  if (!in) return ok();
  Contents out;
  for (const Dim& d : *in) out.push_back(f(d));
  c.contents[0] = std::move(out);
  return ok();
}

// Variadic: Max, Min, Sum, Mean.
template <ExprOp kOp, bool kMean = false>
Result<Expr> compute_variadic(ComputeContext& c, std::span<const Expr> idx) {
  Expr e = c.load_broadcast(0, idx);
  for (size_t i = 1; i < c.node().num_inputs(); ++i) e = binary(kOp, e, c.load_broadcast(i, idx));
  if (kMean) e = e / number(e, static_cast<double>(c.node().num_inputs()));
  return e;
}

Status infer_min_max(InferContext& c, Dim (*f)(const Dim&, const Dim&)) {
  ONNXC_TRY(infer_same(c));
  if (c.node.num_inputs() == 2 && (is_int(c.elem(0)) || is_float(c.elem(0)))) set_contents(c, f);
  return ok();
}

bool integer_elem(const ComputeContext& c) { return !is_float(c.in_elem(0)); }

Result<Expr> compute_mod(ComputeContext& c, std::span<const Expr> idx) {
  const bool c_like = c.node().attr_int("fmod", 0) != 0;
  return binary(c_like ? ExprOp::Rem : ExprOp::Mod, a(c, idx), b(c, idx));
}

// Exponent of another type: computed in the base's type (integers of both kinds) or in float.
Result<Expr> compute_pow(ComputeContext& c, std::span<const Expr> idx) {
  Expr x = a(c, idx), y = b(c, idx);
  if (x->type == y->type) return binary(ExprOp::Pow, x, y);
  if (is_float(y->type) && !is_float(x->type)) {
    const Elem wide = Elem::F64;
    return cast(binary(ExprOp::Pow, cast(x, wide), cast(y, wide)), x->type);
  }
  return binary(ExprOp::Pow, x, cast(y, x->type));
}
Status infer_pow(InferContext& c) {
  if (!c.has_input(0) || !c.has_input(1)) return c.invalid("two inputs are needed");
  return set_broadcast(c, c.elem(0));
}

Result<Expr> compute_where(ComputeContext& c, std::span<const Expr> idx) {
  return select(c.load_broadcast(0, idx), c.load_broadcast(1, idx), c.load_broadcast(2, idx));
}
Status infer_where(InferContext& c) {
  for (size_t i = 0; i < 3; ++i)
    if (!c.has_input(i)) return c.invalid("input " + std::to_string(i) + " is missing");
  if (c.elem(0) != Elem::Bool) return c.invalid("the condition must be bool");
  if (c.elem(1) != c.elem(2)) return c.invalid("inputs 1 and 2 have different element types");
  ONNXC_TRY(set_broadcast(c, c.elem(1)));
  const auto &k = c.in_contents(0), &x = c.in_contents(1), &y = c.in_contents(2);
  if (!k || !x || !y || !c.outputs[0].shape || c.outputs[0].shape->size() > 1) return ok();
  const auto n = broadcast_length({k->size(), x->size(), y->size()});
  if (!n) return ok();
  Contents out;
  for (size_t i = 0; i < *n; ++i) {
    const Dim& cond = broadcast_at(*k, i);
    out.push_back(cond * broadcast_at(*x, i) + (Dim(1) - cond) * broadcast_at(*y, i));
  }
  c.contents[0] = std::move(out);
  return ok();
}

// Clip: bounds are optional scalar inputs. min applies before max (max wins where min > max).
Result<Expr> compute_clip(ComputeContext& c, std::span<const Expr> idx) {
  Expr e = a(c, idx);
  if (c.has_input(1)) e = binary(ExprOp::Max, e, c.load_broadcast(1, idx));
  if (c.has_input(2)) e = binary(ExprOp::Min, e, c.load_broadcast(2, idx));
  return e;
}
Status infer_clip(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  for (size_t i : {1, 2}) ONNXC_TRY(indexing::require_scalar(c, i));
  c.outputs[0] = c.in(0);
  return ok();
}
Value* scalar_constant(Graph& g, Elem elem, double v) {
  switch (elem) {
    case Elem::F32: return g.add_constant(Tensor::f32({}, {static_cast<float>(v)}));
    case Elem::F64: return g.add_constant(Tensor::of<double>(Elem::F64, {}, {v}));
    case Elem::F16: {
      // Only the bounds of old Clip / the like come here; they are exact or saturate.
      union {
        float f;
        uint32_t u;
      } bits{static_cast<float>(v)};
      const uint32_t sign = (bits.u >> 16) & 0x8000u;
      const int32_t exponent = static_cast<int32_t>((bits.u >> 23) & 0xff) - 127 + 15;
      uint16_t h;
      if (exponent >= 31)
        h = static_cast<uint16_t>(sign | 0x7bffu);
      else if (exponent <= 0)
        h = static_cast<uint16_t>(sign);
      else
        h = static_cast<uint16_t>(sign | (exponent << 10) | ((bits.u >> 13) & 0x3ffu));
      return g.add_constant(Tensor::of<uint16_t>(Elem::F16, {}, {h}));
    }
    default: return g.add_constant(Tensor::i64({}, {static_cast<int64_t>(v)}));
  }
}
// Clip 6 has its bounds as attributes.
Status upgrade_clip_6(Graph& g, Node& n) {
  const Elem elem = n.input(0)->type.kind == Type::Kind::Tensor ? n.input(0)->type.elem : Elem::F32;
  if (n.has("min")) n.set_input(1, scalar_constant(g, elem, n.attr_float("min", 0)));
  if (n.has("max")) n.set_input(2, scalar_constant(g, elem, n.attr_float("max", 0)));
  n.attrs.erase("min");
  n.attrs.erase("max");
  return ok();
}

Status cast_contents(InferContext& c, Elem to) {
  const auto& in = c.in_contents(0);
  const bool to_int = to == Elem::I64 || to == Elem::I32;
  if (!is_float(c.elem(0))) {
    if (to_int || is_whole_float(to)) c.contents[0] = in;
  } else if (is_whole_float(to)) {
    c.contents[0] = in;
  } else if (to_int) {
    ONNXC_ASSIGN(c.contents[0], exact_contents(c.node, 0, Rounding::Truncate));
  }
  return ok();
}
Elem cast_target(const Node& node) { return static_cast<Elem>(node.attr_int("to", 0)); }
Status infer_cast(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  const int64_t to = c.node.attr_int("to", 0);
  if (to <= 0 || to >= kElemCount) return c.invalid("attribute `to` names no element type: " + std::to_string(to));
  if (c.has_shape(0))
    c.set(0, cast_target(c.node), c.shape(0));
  else
    c.set_unranked(0, cast_target(c.node));
  return cast_contents(c, cast_target(c.node));
}
Result<Expr> compute_cast(ComputeContext& c, std::span<const Expr> idx) {
  Expr x = a(c, idx);
  const Elem to = c.out_elem();
  if (is_float(x->type) && is_int(to) && is_sub_byte(to))
    x = cast(x, Elem::I32);  // then the low bits, as for wide integers
  if (is_float8(to)) x = limit_float8(cast(x, Elem::F32), to, c.node().attr_int("saturate", 1) != 0);
  return cast(x, to);
}
Status infer_cast_like(InferContext& c) {
  if (!c.has_input(0) || !c.has_input(1)) return c.invalid("two inputs are needed");
  if (c.has_shape(0))
    c.set(0, c.elem(1), c.shape(0));
  else
    c.set_unranked(0, c.elem(1));
  return cast_contents(c, c.elem(1));
}
// The second operand gives only its type.
bool numeric_cast(const Node& n) {
  const Elem to = n.output()->type.elem;
  return n.input(0)->type.elem != Elem::String && to != Elem::String;
}

Result<Expr> compute_identity(ComputeContext& c, std::span<const Expr> idx) { return c.load(0, idx); }
bool is_tensor_identity(const Node& n) { return n.input(0)->type.is_tensor(); }
Status infer_identity(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  c.outputs[0] = c.in(0);
  c.contents[0] = c.in_contents(0);
  return ok();
}

// ---- activations with attributes (formulas: onnx/docs/Operators.md)
Expr attr(ComputeContext& c, const Expr& like, const char* name, float fallback) {
  return constant(like->type, c.node().attr_float(name, fallback));
}
Expr zero(const Expr& like) { return number(like, 0); }
Expr less_zero(const Expr& x) { return binary(ExprOp::Lt, x, zero(x)); }

Result<Expr> relu(ComputeContext& c, std::span<const Expr> idx) {
  Expr x = a(c, idx);
  return binary(ExprOp::Max, x, zero(x));
}
Result<Expr> leaky_relu(ComputeContext& c, std::span<const Expr> idx) {
  Expr x = a(c, idx);
  return select(less_zero(x), x * attr(c, x, "alpha", 0.01f), x);
}
Result<Expr> prelu(ComputeContext& c, std::span<const Expr> idx) {
  Expr x = a(c, idx);
  return select(less_zero(x), x * b(c, idx), x);
}
// Up to opset 6 a slope [C] goes with axis 1; exporters still write it so. It broadcasts nowhere else, and is reshaped
// to [C, 1, ..].
bool channel_slope(const Node& n) {
  const auto &x = n.input(0)->type.shape, &slope = n.input(1)->type.shape;
  if (!x || !slope || slope->size() != 1 || x->size() < 3) return false;
  const Dim& c = (*slope)[0];
  return c.is_const() && c.value() != 1 && c == (*x)[1] && c != x->back();
}
Status infer_prelu(InferContext& c) {
  if (!c.has_input(0) || !c.has_input(1) || !channel_slope(c.node)) return infer_same(c);
  c.outputs[0] = c.in(0);
  return ok();
}
Status decompose_prelu(Graph& graph, Node& n) {
  std::vector<int64_t> dims(n.input(0)->type.shape->size() - 1, 1);
  dims[0] = -1;
  Value* target = graph.add_constant(Tensor::i64({static_cast<int64_t>(dims.size())}, dims));
  n.set_input(1, graph.add_node("Reshape", {n.input(1), target}, 1, &n)->output());
  return ok();
}
Result<Expr> elu(ComputeContext& c, std::span<const Expr> idx) {
  Expr x = a(c, idx);
  return select(less_zero(x), attr(c, x, "alpha", 1.0f) * unary(ExprOp::Expm1, x), x);
}
Result<Expr> celu(ComputeContext& c, std::span<const Expr> idx) {
  Expr x = a(c, idx), alpha = attr(c, x, "alpha", 1.0f);
  return binary(ExprOp::Max, x, zero(x)) + binary(ExprOp::Min, alpha * unary(ExprOp::Expm1, x / alpha), zero(x));
}
Result<Expr> selu(ComputeContext& c, std::span<const Expr> idx) {
  Expr x = a(c, idx), alpha = attr(c, x, "alpha", 1.67326319217681884765625f),
       gamma = attr(c, x, "gamma", 1.05070102214813232421875f);
  return gamma * select(binary(ExprOp::Le, x, zero(x)), alpha * unary(ExprOp::Expm1, x), x);
}
Result<Expr> thresholded_relu(ComputeContext& c, std::span<const Expr> idx) {
  Expr x = a(c, idx);
  return select(binary(ExprOp::Gt, x, attr(c, x, "alpha", 1.0f)), x, zero(x));
}
Result<Expr> hard_sigmoid(ComputeContext& c, std::span<const Expr> idx) {
  Expr x = a(c, idx);
  Expr y = attr(c, x, "alpha", 0.2f) * x + attr(c, x, "beta", 0.5f);
  return binary(ExprOp::Max, zero(x), binary(ExprOp::Min, number(x, 1), y));
}
Result<Expr> hard_swish(ComputeContext& c, std::span<const Expr> idx) {
  Expr x = a(c, idx);
  Expr y = x / number(x, 6) + number(x, 0.5);
  return x * binary(ExprOp::Max, zero(x), binary(ExprOp::Min, number(x, 1), y));
}
Result<Expr> softplus(ComputeContext& c, std::span<const Expr> idx) {
  Expr x = a(c, idx);  // log(1 + e^x) without overflow
  return binary(ExprOp::Max, x, zero(x)) +
         unary(ExprOp::Log1p, unary(ExprOp::Exp, unary(ExprOp::Neg, unary(ExprOp::Abs, x))));
}
Result<Expr> softsign(ComputeContext& c, std::span<const Expr> idx) {
  Expr x = a(c, idx);
  return x / (number(x, 1) + unary(ExprOp::Abs, x));
}
Result<Expr> mish(ComputeContext& c, std::span<const Expr> idx) {
  ONNXC_ASSIGN(Expr s, softplus(c, idx));
  return a(c, idx) * unary(ExprOp::Tanh, s);
}
Result<Expr> gelu(ComputeContext& c, std::span<const Expr> idx) {
  Expr x = a(c, idx);
  if (c.node().attr_string("approximate", "none") == "tanh") {
    Expr cube = x * x * x;
    Expr inner = number(x, std::sqrt(2.0 / M_PI)) * (x + number(x, 0.044715) * cube);
    return number(x, 0.5) * x * (number(x, 1) + unary(ExprOp::Tanh, inner));
  }
  return number(x, 0.5) * x * (number(x, 1) + unary(ExprOp::Erf, x * number(x, std::sqrt(0.5))));
}
Result<Expr> swish(ComputeContext& c, std::span<const Expr> idx) {
  Expr x = a(c, idx);
  return x * unary(ExprOp::Sigmoid, attr(c, x, "alpha", 1.0f) * x);
}
Result<Expr> shrink(ComputeContext& c, std::span<const Expr> idx) {
  Expr x = a(c, idx), lambd = cast(constant(Elem::F32, c.node().attr_float("lambd", 0.5f)), x->type);
  Expr bias = cast(constant(Elem::F32, c.node().attr_float("bias", 0.0f)), x->type);
  return select(binary(ExprOp::Lt, x, unary(ExprOp::Neg, lambd)), x + bias,
                select(binary(ExprOp::Gt, x, lambd), x - bias, zero(x)));
}
Result<Expr> is_inf(ComputeContext& c, std::span<const Expr> idx) {
  Expr x = a(c, idx);
  const bool negative = c.node().attr_int("detect_negative", 1) != 0,
             positive = c.node().attr_int("detect_positive", 1) != 0;
  Expr inf = unary(ExprOp::IsInf, x);
  if (negative && positive) return inf;
  if (!negative && !positive) return expr::int_constant(Elem::Bool, 0);
  return binary(ExprOp::And, inf, binary(positive ? ExprOp::Gt : ExprOp::Lt, x, zero(x)));
}
Result<Expr> compute_not_integer_safe_reciprocal(ComputeContext& c, std::span<const Expr> idx) {
  Expr x = a(c, idx);
  return number(x, 1) / x;
}
Result<Expr> compute_round_family_guard(ComputeContext& c, std::span<const Expr> idx, ExprOp op) {
  Expr x = a(c, idx);
  return integer_elem(c) ? x : unary(op, x);
}
template <ExprOp kOp>
Result<Expr> compute_rounding(ComputeContext& c, std::span<const Expr> idx) {
  return compute_round_family_guard(c, idx, kOp);
}

template <ExprOp kLeft>
Result<Expr> compute_bit_shift(ComputeContext& c, std::span<const Expr> idx) {
  const bool left = c.node().attr_string("direction", "LEFT") == "LEFT";
  return binary(left ? kLeft : ExprOp::Shr, a(c, idx), b(c, idx));
}

OpDef with(OpDef d, std::vector<Upgrade> upgrades) {
  d.upgrades = std::move(upgrades);
  return d;
}
OpDef conditional(OpDef d, ConditionFn condition) {
  d.compute_if = condition;
  return d;
}
OpDef or_decomposed(OpDef d, DecomposeFn decompose, ConditionFn condition) {
  d.decompose = decompose;
  d.decompose_if = condition;
  return d;
}
OpDef or_lowered(OpDef d, LowerFn lower) {
  d.lower = lower;
  return d;
}
OpDef opaque(OpDef d) {
  d.layout = LayoutBehaviour::Opaque;
  return d;
}

// Dropout at inference: the identity, and a mask of ones.
Result<Expr> compute_dropout(ComputeContext& c, std::span<const Expr> idx) {
  if (c.output == 1) return expr::int_constant(Elem::Bool, 1);
  return c.load(0, idx);
}
Status infer_dropout(InferContext& c) {
  ONNXC_TRY(infer_identity(c));
  if (c.node.num_outputs() > 1) {
    c.outputs[1] = c.in(0);
    c.outputs[1].elem = Elem::Bool;
  }
  return ok();
}
// Before opset 12 a Dropout is always one at inference, whose mask the standard leaves open: it is zeros as ONNX
// Runtime has it, and before opset 10 of the input's type.
Status upgrade_dropout(Graph& g, Node& n, bool of_input_type) {
  Value *x = n.input(0), *mask = n.num_outputs() > 1 ? n.output(1) : nullptr;
  if (!x || !mask || (mask->users.empty() && !g.is_output(mask))) return ok();
  GraphWriter w(g, n);
  Value* zeros = w.add("ConstantOfShape", {w.add("Shape", {x})});
  g.replace_uses(mask, of_input_type ? w.add("CastLike", {zeros, x}) : w.cast(zeros, Elem::Bool));
  return ok();
}
Status upgrade_dropout_9(Graph& g, Node& n) { return upgrade_dropout(g, n, true); }
Status upgrade_dropout_11(Graph& g, Node& n) { return upgrade_dropout(g, n, false); }
bool dropout_at_inference(const Node& n) {
  const Value* training = n.input(2);
  if (!training) return true;
  if (training->constant && training->constant->numel() == 1 && training->constant->int_at(0) == 0) return true;
  const Value* ratio = n.input(1);
  return ratio && ratio->constant && ratio->constant->numel() == 1 && ratio->constant->float_at(0) == 0;
}

// In training: where a random number reaches the ratio the element stays, scaled. Whether it is training may be known
// only at run time.
bool dropout_in_training(const Node& n) { return !dropout_at_inference(n) && is_float(n.input(0)->type.elem); }
Status decompose_dropout(Graph& g, Node& n) {
  const auto add = [&](const char* op, std::vector<Value*> in) {
    Node* made = g.add_node(op, std::move(in), 1, &n);
    made->origins = n.origins;
    return made->output();
  };
  const auto number = [&](float v) { return g.add_constant(Tensor::f32({}, {v})); };
  const auto as_f32 = [&](Value* v) {
    Value* y = add("Cast", {v});
    y->producer->attrs["to"] = static_cast<int64_t>(Elem::F32);
    return y;
  };
  Value *x = n.input(0), *training = n.input(2);
  Value* ratio = n.input(1) ? as_f32(n.input(1)) : number(0.5f);
  ratio = add("Where", {training, ratio, number(0)});
  Value* random = add("RandomUniformLike", {x});
  random->producer->attrs["dtype"] = static_cast<int64_t>(Elem::F32);
  if (n.has("seed")) random->producer->attrs["seed"] = static_cast<float>(n.attr_int("seed", 0));
  Value* stays = add("GreaterOrEqual", {random, ratio});
  Value* scale = add("Div", {number(1), add("Sub", {number(1), ratio})});
  Value* scaled = add("Mul", {x, add("CastLike", {scale, x})});
  g.replace_uses(n.output(), add("Where", {stays, scaled, add("CastLike", {number(0), x})}));
  if (n.output(1)) g.replace_uses(n.output(1), stays);
  g.remove_node(&n);
  return ok();
}

}  // namespace

#define UNARY(name, op)         \
  extern const OpDef op_##name; \
  const OpDef op_##name = make(#name, infer_same, compute_unary<ExprOp::op>)
#define UNARY_MATH(name, op)    \
  extern const OpDef op_##name; \
  const OpDef op_##name = make(#name, infer_same, compute_unary<ExprOp::op>, Accuracy::Rounding, true)
#define BINARY(name, op, infer) \
  extern const OpDef op_##name; \
  const OpDef op_##name = with(make(#name, infer, compute_binary<ExprOp::op>), {{6, upgrade_broadcast_6}})
#define ACTIVATION(name, fn)    \
  extern const OpDef op_##name; \
  const OpDef op_##name = make(#name, infer_same, fn, Accuracy::Rounding, true)

UNARY(Abs, Abs);
OP(Neg) = make(
    "Neg", [](InferContext& c) { return infer_unary_contents(c, [](const Dim& d) { return Dim(0) - d; }); },
    compute_unary<ExprOp::Neg>);
OP(Not) = make(
    "Not", [](InferContext& c) { return infer_unary_contents(c, [](const Dim& d) { return Dim::equals(d, 0); }); },
    compute_unary<ExprOp::Not>);
UNARY(BitwiseNot, Not);
UNARY(Sign, Sign);
OP(Floor) = make("Floor", infer_rounding<Rounding::Floor>, compute_rounding<ExprOp::Floor>);
OP(Ceil) = make("Ceil", infer_rounding<Rounding::Ceil>, compute_rounding<ExprOp::Ceil>);
OP(Round) = make("Round", infer_rounding<Rounding::None>, compute_rounding<ExprOp::Round>);
UNARY(Sqrt, Sqrt);
OP(Reciprocal) = make("Reciprocal", infer_same, compute_not_integer_safe_reciprocal);
UNARY_MATH(Exp, Exp);
UNARY_MATH(Log, Log);
UNARY_MATH(Sin, Sin);
UNARY_MATH(Cos, Cos);
UNARY_MATH(Tan, Tan);
UNARY_MATH(Asin, Asin);
UNARY_MATH(Acos, Acos);
UNARY_MATH(Atan, Atan);
UNARY_MATH(Sinh, Sinh);
UNARY_MATH(Cosh, Cosh);
UNARY_MATH(Tanh, Tanh);
UNARY_MATH(Asinh, Asinh);
UNARY_MATH(Acosh, Acosh);
UNARY_MATH(Atanh, Atanh);
UNARY_MATH(Erf, Erf);
UNARY_MATH(Sigmoid, Sigmoid);
OP(IsNaN) = make("IsNaN", infer_bool, compute_unary<ExprOp::IsNan>);
OP(IsInf) = make("IsInf", infer_bool, is_inf);

BINARY(Add, Add, infer_arithmetic<dim_add>);
BINARY(Sub, Sub, infer_arithmetic<dim_sub>);
BINARY(Mul, Mul, infer_quotient<dim_mul>);
BINARY(Div, Div, infer_quotient<dim_div>);
OP(Mod) = make("Mod", infer_same, compute_mod);
OP(Pow) = with(make("Pow", infer_pow, compute_pow, Accuracy::Rounding, true), {{6, upgrade_broadcast_6}});
BINARY(And, And, infer_bool);
BINARY(Or, Or, infer_bool);
BINARY(Xor, Xor, infer_bool);
BINARY(BitwiseAnd, And, infer_same);
BINARY(BitwiseOr, Or, infer_same);
BINARY(BitwiseXor, Xor, infer_same);
OP(BitShift) = make("BitShift", infer_same, compute_bit_shift<ExprOp::Shl>);
BINARY(Equal, Eq, infer_compare<ExprOp::Eq>);
BINARY(Less, Lt, infer_compare<ExprOp::Lt>);
BINARY(LessOrEqual, Le, infer_compare<ExprOp::Le>);
BINARY(Greater, Gt, infer_compare<ExprOp::Gt>);
BINARY(GreaterOrEqual, Ge, infer_compare<ExprOp::Ge>);
OP(PRelu) = [] {
  OpDef d = with(make("PRelu", infer_prelu, prelu), {{6, upgrade_channel_slope_6}});
  d.decompose = decompose_prelu;
  d.decompose_if = channel_slope;
  return d;
}();
OP(Max) = make("Max", [](InferContext& c) { return infer_min_max(c, Dim::max); }, compute_variadic<ExprOp::Max>);
OP(Min) = make("Min", [](InferContext& c) { return infer_min_max(c, Dim::min); }, compute_variadic<ExprOp::Min>);
OP(Sum) = make("Sum", infer_same, compute_variadic<ExprOp::Add>);
OP(Mean) = make("Mean", infer_same, compute_variadic<ExprOp::Add, true>);
OP(Where) = make("Where", infer_where, compute_where);
OP(Clip) = with(make("Clip", infer_clip, compute_clip), {{10, upgrade_clip_6}});
OP(Cast) = or_lowered(conditional(make("Cast", infer_cast, compute_cast), numeric_cast), text::lower_cast);
OP(CastLike) = or_lowered(opaque(conditional(make("CastLike", infer_cast_like, compute_cast), numeric_cast)),
                          text::lower_cast);
OP(Identity) = or_lowered(conditional(make("Identity", infer_identity, compute_identity), is_tensor_identity),
                          lower_list_identity);
OP(Dropout) = [] {
  OpDef d = conditional(make("Dropout", infer_dropout, compute_dropout), dropout_at_inference);
  d.random = true;
  d.upgrades = {{9, upgrade_dropout_9}, {11, upgrade_dropout_11}};
  return or_decomposed(d, decompose_dropout, dropout_in_training);
}();

OP(Relu) = make("Relu", infer_same, relu);
OP(LeakyRelu) = make("LeakyRelu", infer_same, leaky_relu);
OP(ThresholdedRelu) = make("ThresholdedRelu", infer_same, thresholded_relu);
OP(HardSigmoid) = make("HardSigmoid", infer_same, hard_sigmoid);
OP(HardSwish) = make("HardSwish", infer_same, hard_swish, Accuracy::Accumulating);
OP(Shrink) = make("Shrink", infer_same, shrink);
ACTIVATION(Elu, elu);
ACTIVATION(Celu, celu);
ACTIVATION(Selu, selu);
ACTIVATION(Softplus, softplus);
ACTIVATION(Softsign, softsign);
ACTIVATION(Mish, mish);
ACTIVATION(Gelu, gelu);
ACTIVATION(Swish, swish);

}  // namespace onnxc
