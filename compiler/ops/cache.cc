// TensorScatter: writes an update into a cache of keys or values, at a place per batch element
// (onnx/docs/Operators.md). Tested by tests/conformance.
#include "compiler/ops/axes.h"

namespace onnxc {
namespace {

using expr::binary;
using expr::operator-;

Status infer_tensor_scatter(InferContext& c) {
  if (!c.has_input(0) || !c.has_input(1)) return c.invalid("cache and update are needed");
  if (c.elem(0) != c.elem(1)) return c.invalid("cache and update have different element types");
  c.outputs[0] = c.in(0);
  if (!c.has_shape(0) || !c.has_shape(1)) return ok();
  if (c.shape(0).size() != c.shape(1).size())
    return c.invalid("cache " + shape_str(c.shape(0)) + " and update " + shape_str(c.shape(1)) +
                     " have different ranks");
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node, c.node.attr_int("axis", -2), c.shape(0).size()));
  if (axis == 0) return c.invalid("the axis must not be the batch's");
  return ok();
}

// Element i along the axis comes from the update where i - start (modulo the extent when circular) lies within it.
Result<Expr> compute_tensor_scatter(ComputeContext& c, std::span<const Expr> idx) {
  const Shape &cache = c.in_shape(0), &update = c.in_shape(1);
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node(), c.node().attr_int("axis", -2), cache.size()));
  auto number = [](int64_t v) { return expr::int_constant(Elem::I64, v); };
  const Expr extent = expr::index(cache[axis]), length = expr::index(update[axis]);
  const Expr batch[] = {idx[0]};
  Expr from = idx[axis];
  if (c.has_input(2)) from = from - expr::cast(c.load(2, batch), Elem::I64);
  if (c.node().attr_string("mode", "linear") == "circular") from = binary(ExprOp::Mod, from, extent);
  const Expr inside = binary(ExprOp::And, binary(ExprOp::Ge, from, number(0)), binary(ExprOp::Lt, from, length));
  std::vector<Expr> at(idx.begin(), idx.end());
  at[axis] = binary(ExprOp::Max, number(0), binary(ExprOp::Min, from, length - number(1)));
  return expr::select(inside, c.load(1, at), c.load(0, idx));
}

}  // namespace

OP(TensorScatter) = {.name = "TensorScatter", .infer = infer_tensor_scatter, .compute = compute_tensor_scatter};

}  // namespace onnxc
