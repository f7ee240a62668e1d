// Col2Im (onnx/docs/Operators.md): each pixel of the image is the sum of the elements that the blocks over it hold for
// it. Tested by tests/conformance and tests/differential.
#include "compiler/ops/indexing.h"
#include "compiler/ops/window.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;

Status infer_col2im(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 3));
  c.set_unranked(0, c.elem(0));
  if (!c.has_shape(0)) return ok();
  const Shape& columns = c.shape(0);
  if (columns.size() != 3) return c.invalid("the columns " + shape_str(columns) + " must have rank 3");
  if (const auto rank = c.declared_rank(0); rank && *rank >= 2)
    for (size_t i : {1, 2}) ONNXC_TRY(c.settle_length(i, *rank - 2));
  const auto& image = c.in_contents(1);
  const auto& block = c.in_contents(2);
  if (!image || !block) return c.unsupported("the number of spatial axes is not known", "declare it");
  const Dim taps = numel(*block);
  ONNXC_ASSIGN(const Window w, make_window(c.node, *image, *block));
  Shape out{columns[0], Dim::floor_div(columns[1], taps)};
  ONNXC_TRY(c.require_equal(out[1] * taps, columns[1],
                            "the rows of the columns are no multiple of a block's " + taps.str() + " elements"));
  ONNXC_TRY(c.require_equal(numel(w.out), columns[2],
                            "the image " + shape_str(*image) + " has not the blocks of the columns"));
  out.insert(out.end(), image->begin(), image->end());
  return c.set(0, c.elem(0), std::move(out)), ok();
}

Status lower_col2im(LowerContext& c) {
  if (c.in_elem(0) == Elem::Bool) return c.unsupported("truth values have no sum");
  const Shape image(c.out_shape().begin() + 2, c.out_shape().end());
  ONNXC_ASSIGN(const Window w, make_window(c.node(), image, *contents_of(c.node().input(2))));
  const BufferId out = c.out(0);
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    Reduce sum{c.fresh("sum"), ReduceOp::Add, {}, 1, false, nullptr};
    Dim row = idx[1]->dim, column(0);
    Expr covers;
    for (size_t a = 0; a < w.axes(); ++a) {
      const std::string tap = c.fresh("k");
      sum.vars.push_back({tap, w.kernel[a]});
      row = row * w.kernel[a] + Dim::symbol(tap);
      // The block whose element `tap` lies on the pixel, if there is one.
      const Dim first = idx[2 + a]->dim + w.pads_begin[a] - Dim::symbol(tap) * Dim(w.dilations[a]);
      const Dim stride(w.strides[a]), at = Dim::floor_div(first, stride);
      for (const Expr& condition : {binary(ExprOp::Ge, expr::index(first), constant(0)),
                                    binary(ExprOp::Lt, expr::index(at), expr::index(w.out[a])),
                                    binary(ExprOp::Eq, expr::index(Dim::mod(first, stride)), constant(0))})
        covers = covers ? binary(ExprOp::And, covers, condition) : condition;
      column = column * w.out[a] + Dim::max(Dim(0), Dim::min(at, w.out[a] - Dim(1)));
    }
    const std::vector<Expr> at{idx[0], expr::index(row), expr::index(column)};
    const Expr value = c.load(0, at);
    sum.value = covers ? expr::select(covers, value, scalar(c.in_elem(0), 0)) : value;
    const Expr total = expr::let(sum.name, value->type);
    Block b;
    b.push_back(Stmt{std::move(sum)});
    b.push_back(Stmt{Store{out, to_vector(idx), total, nullptr}});
    return b;
  }));
  return ok();
}

}  // namespace

OP(Col2Im) = {.name = "Col2Im", .infer = infer_col2im, .lower = lower_col2im, .accuracy = Accuracy::Accumulating};

}  // namespace onnxc
