// Masks and patterns over indices: Trilu, EyeLike, OneHot, ReverseSequence (onnx/docs/Operators.md). All are
// expressions. Tested by tests/conformance.
#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;
using expr::select;

// ---- Trilu

Status infer_trilu(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  if (c.has_shape(0) && c.shape(0).size() < 2) return c.invalid("the input needs at least two axes");
  ONNXC_TRY(require_scalar(c, 1));
  c.outputs[0] = c.in(0);
  return ok();
}
Result<Expr> compute_trilu(ComputeContext& c, std::span<const Expr> idx) {
  Expr k = constant(0);
  if (c.has_input(1)) {
    const std::vector<Expr> at(c.in_shape(1).size(), constant(0));
    k = to_index(c.load(1, at));
  }
  const Expr diagonal = binary(ExprOp::Add, idx[idx.size() - 2], k);
  const bool upper = c.node().attr_int("upper", 1) != 0;
  const Expr kept = binary(upper ? ExprOp::Ge : ExprOp::Le, idx.back(), diagonal);
  return select(kept, c.load(0, idx), scalar(c.in_elem(0), 0));
}

// ---- EyeLike

Status infer_eye_like(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  const Elem elem = static_cast<Elem>(c.node.attr_int("dtype", static_cast<int64_t>(c.elem(0))));
  if (!c.has_shape(0)) return c.set_unranked(0, elem), ok();
  if (c.shape(0).size() != 2) return c.invalid("the input must have two axes");
  return c.set(0, elem, c.shape(0)), ok();
}
Result<Expr> compute_eye_like(ComputeContext& c, std::span<const Expr> idx) {
  const Expr diagonal = binary(ExprOp::Add, idx[0], constant(c.node().attr_int("k", 0)));
  return select(binary(ExprOp::Eq, idx[1], diagonal), scalar(c.out_elem(), 1), scalar(c.out_elem(), 0));
}

// ---- OneHot: indices, depth, [off, on]

Status infer_one_hot(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 3));
  ONNXC_TRY(require_scalar(c, 1));
  if (c.has_shape(2)) ONNXC_TRY(require_same_shape(c.node, c.shape(2), {Dim(2)}, "the values are not off and on"));
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(2)), ok();
  Dim depth = c.unknown("depth");
  if (const auto& d = c.in_contents(1); d && d->size() == 1)
    depth = (*d)[0];
  else if (const Tensor* t = c.in_constant(1); t && t->numel() == 1)
    depth = Dim(static_cast<int64_t>(t->float_at(0)));
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node, c.node.attr_int("axis", -1), c.shape(0).size() + 1));
  Shape out = c.shape(0);
  out.insert(out.begin() + axis, depth);
  return c.set(0, c.elem(2), std::move(out)), ok();
}
Result<std::vector<std::pair<Dim, Expr>>> one_hot_dims(ComputeContext& c) {
  const size_t rank = c.out_shape().size();
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node(), c.node().attr_int("axis", -1), rank));
  const std::vector<Expr> at(c.in_shape(1).size(), constant(0));
  return std::vector{std::pair(c.out_shape()[static_cast<size_t>(axis)], to_index(c.load(1, at)))};
}
Result<Expr> compute_one_hot(ComputeContext& c, std::span<const Expr> idx) {
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node(), c.node().attr_int("axis", -1), idx.size()));
  std::vector<Expr> at = to_vector(idx);
  at.erase(at.begin() + axis);
  const Expr depth = extent(c.out_shape()[static_cast<size_t>(axis)]);
  Expr hot = to_index(c.load(0, at));
  hot = select(binary(ExprOp::Lt, hot, constant(0)), binary(ExprOp::Add, hot, depth), hot);
  const std::vector<Expr> off{constant(0)}, on{constant(1)};
  return select(binary(ExprOp::Eq, idx[static_cast<size_t>(axis)], hot), c.load(2, on), c.load(2, off));
}

// ---- ReverseSequence

Status infer_reverse_sequence(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 2));
  c.outputs[0] = c.in(0);
  if (!c.has_shape(0) || !c.has_shape(1)) return ok();
  const Shape& x = c.shape(0);
  ONNXC_ASSIGN(const int64_t batch, normal_axis(c.node, c.node.attr_int("batch_axis", 1), x.size()));
  return require_same_shape(c.node, c.shape(1), {x[static_cast<size_t>(batch)]},
                            "there is not one length per sequence");
}
Result<Expr> compute_reverse_sequence(ComputeContext& c, std::span<const Expr> idx) {
  ONNXC_ASSIGN(const int64_t batch, normal_axis(c.node(), c.node().attr_int("batch_axis", 1), idx.size()));
  ONNXC_ASSIGN(const int64_t time, normal_axis(c.node(), c.node().attr_int("time_axis", 0), idx.size()));
  const size_t t = static_cast<size_t>(time);
  const Expr length = to_index(c.load(1, idx.subspan(static_cast<size_t>(batch), 1)));
  const Expr mirrored = binary(ExprOp::Sub, binary(ExprOp::Sub, length, constant(1)), idx[t]);
  std::vector<Expr> at = to_vector(idx);
  at[t] = clamp(select(binary(ExprOp::Lt, idx[t], length), mirrored, idx[t]), c.in_shape(0)[t]);
  return c.load(0, at);
}

}  // namespace

OP(Trilu) = {.name = "Trilu", .infer = infer_trilu, .compute = compute_trilu};
OP(EyeLike) = {.name = "EyeLike", .infer = infer_eye_like, .compute = compute_eye_like};
OP(OneHot) = {.name = "OneHot", .infer = infer_one_hot, .compute = compute_one_hot, .dims = one_hot_dims};
OP(ReverseSequence) = {.name = "ReverseSequence", .infer = infer_reverse_sequence, .compute = compute_reverse_sequence};

}  // namespace onnxc
