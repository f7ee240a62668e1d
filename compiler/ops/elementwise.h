// Helpers for operators that work element by element with broadcasting. A row of a table is enough for such an
// operator.
#pragma once

#include <initializer_list>
#include <optional>

#include "compiler/ops/op.h"

namespace onnxc::elementwise {

// Output 0: the broadcast shape of all inputs, element type of input 0.
Status infer_same(InferContext& c);
// The same with element type Bool.
Status infer_bool(InferContext& c);
// Broadcast shape of all present inputs; unranked when one is.
Status set_broadcast(InferContext& c, Elem elem);
// Lists of contents broadcast as one-dimensional tensors: the length of the result (nothing where they do not fit), and
// the operand of element i.
std::optional<size_t> broadcast_length(std::initializer_list<size_t> lengths);
inline const Dim& broadcast_at(const Contents& list, size_t i) { return list[list.size() == 1 ? 0 : i]; }
// Contents of an integer operator: applies f where both operands' contents are known.
void set_contents(InferContext& c, Dim (*f)(const Dim&, const Dim&));

// All inputs at `idx`, broadcast.
inline Expr a(ComputeContext& c, std::span<const Expr> idx) { return c.load_broadcast(0, idx); }
inline Expr b(ComputeContext& c, std::span<const Expr> idx) { return c.load_broadcast(1, idx); }
inline Expr number(const Expr& like, double v) {
  return is_float(like->type) ? expr::constant(like->type, v) : expr::int_constant(like->type, static_cast<int64_t>(v));
}

// The 8-bit floats with a sign and a mantissa, to which `saturate` of Cast and QuantizeLinear applies.
bool is_float8(Elem e);
// `x` (f32 or f64) such that storing it as `to` gives what Cast does, with saturation or without.
Expr limit_float8(const Expr& x, Elem to, bool saturate);

template <ExprOp kOp>
Result<Expr> compute_unary(ComputeContext& c, std::span<const Expr> idx) {
  return expr::unary(kOp, a(c, idx));
}
template <ExprOp kOp>
Result<Expr> compute_binary(ComputeContext& c, std::span<const Expr> idx) {
  return expr::binary(kOp, a(c, idx), b(c, idx));
}

inline OpDef make(std::string_view name, InferFn infer, ComputeFn compute, Accuracy accuracy = Accuracy::Exact,
                  bool expensive = false) {
  OpDef d;
  d.name = name;
  d.infer = infer;
  d.compute = compute;
  d.layout = LayoutBehaviour::Agnostic;
  d.accuracy = accuracy;
  d.expensive = expensive;
  return d;
}

}  // namespace onnxc::elementwise
