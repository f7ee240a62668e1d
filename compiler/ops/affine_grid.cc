// AffineGrid (onnx/docs/Operators.md): where GridSample reads, [N, (D,) H, W, axes], from one matrix [axes, axes + 1]
// per image. Tested by tests/conformance and tests/differential.
#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;
using expr::operator+;
using expr::operator-;
using expr::operator*;

constexpr size_t kTheta = 0, kSize = 1;

Status infer_affine_grid(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 2));
  // The size of the images: [N, C, (D,) H, W].
  if (const auto rank = c.declared_rank(0)) ONNXC_TRY(c.settle_length(kSize, *rank));
  const auto& size = c.in_contents(kSize);
  if (!size) return c.unsupported("the number of entries of size is not known", "declare it");
  if (size->size() != 4 && size->size() != 5)
    return c.invalid("size must have 4 or 5 entries, not " + std::to_string(size->size()));
  const auto axes = static_cast<int64_t>(size->size()) - 2;
  if (c.has_shape(kTheta))
    ONNXC_TRY(require_same_shape(c.node, c.shape(kTheta), {(*size)[0], Dim(axes), Dim(axes + 1)},
                                 "theta is not one matrix per image"));
  Shape out{(*size)[0]};
  out.insert(out.end(), size->begin() + 2, size->end());
  out.emplace_back(axes);
  return c.set(0, c.elem(kTheta), std::move(out)), ok();
}

// The place of pixel `i` of `count`, from -1 to 1: of its centre, or, with align_corners, such that the outermost
// centres lie at the ends. A single one lies at 1 then, as in ONNX Runtime 1.32.
Expr place(const Expr& i, const Dim& count, bool align_corners, Elem type) {
  const auto num = [&](double v) { return expr::constant(type, v); };
  const Expr at = expr::cast(i, type);
  if (!align_corners) return binary(ExprOp::Div, num(2) * at + num(1), expr::cast(extent(count), type)) - num(1);
  const Expr last = expr::cast(extent(Dim::max(count - Dim(1), 1)), type);
  const Expr inside = binary(ExprOp::Div, num(2) * at, last) - num(1);
  return expr::select(binary(ExprOp::Eq, extent(count), constant(1)), num(1), inside);
}

Result<Expr> compute_affine_grid(ComputeContext& c, std::span<const Expr> idx) {
  const Elem type = expr::arithmetic_type(c.in_elem(kTheta));
  const bool align_corners = c.node().attr_int("align_corners", 0) != 0;
  const size_t axes = idx.size() - 2;
  const auto theta = [&](size_t column) {
    const std::vector<Expr> at{idx[0], idx.back(), constant(static_cast<int64_t>(column))};
    return c.load(kTheta, at);
  };
  Expr sum = theta(axes);
  for (size_t a = 0; a < axes; ++a) {  // x first: the last axis of the image
    const size_t axis = axes - a;
    sum = theta(a) * place(idx[axis], c.out_shape()[axis], align_corners, type) + sum;
  }
  return sum;
}

}  // namespace

OP(AffineGrid) = {.name = "AffineGrid",
                  .infer = infer_affine_grid,
                  .compute = compute_affine_grid,
                  .accuracy = Accuracy::Accumulating};

}  // namespace onnxc
