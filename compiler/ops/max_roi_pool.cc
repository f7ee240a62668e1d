// MaxRoiPool (onnx/docs/Operators.md): the greatest element of each bin of each region; 0 where a bin has none. Along
// one axis first, then along the other. Bins as in ONNX Runtime 1.32. Tested by tests/differential/random_ops.py.
#include <functional>

#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;
using expr::select;
using expr::operator+;
using expr::operator-;
using expr::operator*;

constexpr size_t kX = 0, kRois = 1;  // [N, C, H, W] and [R, 5]: the image, x and y of the first and of the last pixel

Status infer_max_roi_pool(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 2));
  const auto pooled = c.node.attr_ints("pooled_shape");
  if (pooled.size() != 2 || pooled[0] < 1 || pooled[1] < 1)
    return c.invalid("pooled_shape must be two positive numbers");
  if (!c.has_shape(kX) || !c.has_shape(kRois)) return c.set_unranked(0, c.elem(kX)), ok();
  const Shape &x = c.shape(kX), &rois = c.shape(kRois);
  if (x.size() != 4 || rois.size() != 2)
    return c.invalid("the input and the regions must have ranks 4 and 2, not " + shape_str(x) + " and " +
                     shape_str(rois));
  ONNXC_TRY(c.require_equal(rois[1], 5, "a region has 5 numbers"));
  for (size_t d : {0, 2, 3}) ONNXC_TRY(require_some(c.node, x[d], rois[0], "the input " + shape_str(x) + " is empty"));
  return c.set(0, c.elem(kX), {rois[0], x[1], Dim(pooled[0]), Dim(pooled[1])}), ok();
}

Expr floor_of(const Expr& x) { return expr::unary(ExprOp::Floor, x); }
Expr number(const Expr& like, double v) { return expr::constant(like->type, v); }

// The first pixel of bin `bin` of `bins` of a region along an axis of `extent` pixels, and the one after the last.
std::pair<Expr, Expr> bin_of(LowerContext& c, const Expr& region, int64_t first_column, const Expr& bin, int64_t bins,
                             const Dim& extent) {
  const auto scale = static_cast<double>(c.node().attr_float("spatial_scale", 1));
  const auto edge = [&](int64_t column) {  // rounded, halves away from zero
    const std::vector<Expr> at{region, constant(column)};
    const Expr given = c.load(kRois, at), x = given * number(given, scale), half = number(x, 0.5);
    return select(binary(ExprOp::Lt, x, number(x, 0)), expr::unary(ExprOp::Neg, floor_of(half - x)),
                  floor_of(x + half));
  };
  const Expr from = edge(first_column), to = edge(first_column + 2);
  const Expr length = binary(ExprOp::Max, to - from + number(from, 1), number(from, 1));
  const Expr size = binary(ExprOp::Div, length, number(length, static_cast<double>(bins)));
  const Expr place = expr::cast(bin, from->type), next = place + number(place, 1);
  const Expr last = expr::cast(indexing::extent(extent), from->type);
  const auto within = [&](const Expr& x) {
    return to_index(binary(ExprOp::Max, binary(ExprOp::Min, x + from, last), number(x, 0)));
  };
  const Expr after = expr::unary(ExprOp::Ceil, next * size);
  return {within(floor_of(place * size)), within(after)};
}

// max over `axis_extent` of `value` where the pixel lies in the bin; `none` where no pixel does.
Expr max_in_bin(LowerContext& c, Block& block, const std::pair<Expr, Expr>& bin, const Dim& axis_extent,
                const std::function<Expr(const Expr&)>& value, const Expr& least) {
  const std::string name = c.fresh("p");
  const Expr p = expr::index(Dim::symbol(name));
  const Expr inside = binary(ExprOp::And, binary(ExprOp::Ge, p, bin.first), binary(ExprOp::Lt, p, bin.second));
  Reduce best{c.fresh("best"), ReduceOp::Max, {{name, axis_extent}}, 1, false, select(inside, value(p), least)};
  const Expr result = expr::let(best.name, least->type);
  block.push_back(Stmt{std::move(best)});
  return result;
}

Status lower_max_roi_pool(LowerContext& c) {
  const Shape &x = c.in_shape(kX), &y = c.out_shape();
  const int64_t rows = y[2].value(), columns = y[3].value();
  const Elem elem = c.in_elem(kX), type = expr::arithmetic_type(elem);
  const Expr least = lowest(elem);
  const BufferId strips = c.temporary(elem, {y[0], y[1], x[2], y[3]}), out = c.out();
  c.emit(make_nest(c, {y[0], y[1], x[2], y[3]}, [&](std::span<const Expr> idx) {
    Block b;
    const std::vector<Expr> at{idx[0], constant(0)};
    const Expr image = clamp(to_index(c.load(kRois, at)), x[0]);
    const Expr best = max_in_bin(
        c, b, bin_of(c, idx[0], 1, idx[3], columns, x[3]), x[3],
        [&](const Expr& p) {
          const std::vector<Expr> pixel{image, idx[1], idx[2], p};
          return c.load(kX, pixel);
        },
        least);
    b.push_back(Stmt{Store{strips, to_vector(idx), best, nullptr}});
    return b;
  }));
  c.emit(make_nest(c, y, [&](std::span<const Expr> idx) {
    Block b;
    const auto down = bin_of(c, idx[0], 2, idx[2], rows, x[2]), across = bin_of(c, idx[0], 1, idx[3], columns, x[3]);
    const Expr best = max_in_bin(
        c, b, down, x[2], [&](const Expr& p) { return expr::load(strips, type, {idx[0], idx[1], p, idx[3]}); }, least);
    const Expr some = binary(ExprOp::And, binary(ExprOp::Lt, down.first, down.second),
                             binary(ExprOp::Lt, across.first, across.second));
    b.push_back(Stmt{Store{out, to_vector(idx), select(some, best, scalar(elem, 0)), nullptr}});
    return b;
  }));
  return ok();
}

}  // namespace

OP(MaxRoiPool) = {.name = "MaxRoiPool", .infer = infer_max_roi_pool, .lower = lower_max_roi_pool};

}  // namespace onnxc
