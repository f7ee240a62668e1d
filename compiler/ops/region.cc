// RoiAlign: pools regions of interest by bilinear samples (onnx/docs/Operators.md; He et al., Mask R-CNN, 2017).
// Tested by tests/conformance.
#include <limits>

#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using expr::binary;
using expr::operator+;
using expr::operator-;
using expr::operator*;
using expr::operator/;

// Before opset 16 the samples were taken without the half-pixel shift.
Status upgrade_roi_align_15(Graph&, Node& n) {
  if (!n.has("coordinate_transformation_mode"))
    n.attrs["coordinate_transformation_mode"] = std::string("output_half_pixel");
  return ok();
}

Status infer_roi_align(InferContext& c) {
  for (size_t i = 0; i < 3; ++i)
    if (!c.has_input(i)) return c.invalid("input " + std::to_string(i) + " is missing");
  if (!c.has_shape(0) || !c.has_shape(1)) return c.set_unranked(0, c.elem(0)), ok();
  if (c.shape(0).size() != 4 || c.shape(1).size() != 2)
    return c.invalid("X must have rank 4 and rois rank 2, not " + shape_str(c.shape(0)) + " and " +
                     shape_str(c.shape(1)));
  const Shape &x = c.shape(0), &rois = c.shape(1);
  const Shape out{rois[0], x[1], Dim(c.node.attr_int("output_height", 1)), Dim(c.node.attr_int("output_width", 1))};
  ONNXC_TRY(c.require_equal(rois[1], Dim(4), "a region has four coordinates"));
  if (c.has_shape(2))
    ONNXC_TRY(indexing::require_same_shape(c.node, c.shape(2), {rois[0]}, "there is not one image per region"));
  for (size_t d : {0, 2, 3})
    ONNXC_TRY(indexing::require_some(c.node, x[d], numel(out), "X " + shape_str(x) + " has no element to sample"));
  c.set(0, c.elem(0), out);
  return ok();
}

// One spatial axis of a bin: where its samples lie.
struct BinAxis {
  Expr start, size;  // of the bin, in input pixels
  int64_t samples;
};

class RoiAlign {
 public:
  explicit RoiAlign(LowerContext& c) : c_(c), elem_(c.in_elem(0)), type_(expr::arithmetic_type(elem_)) {}

  Status lower() {
    const Node& n = c_.node();
    samples_ = n.attr_int("sampling_ratio", 0);
    if (samples_ <= 0) return c_.unsupported("sampling_ratio 0 depends on the data", "set sampling_ratio");
    const std::string mode = n.attr_string("mode", "avg");
    if (mode != "avg" && mode != "max") return c_.invalid("there is no mode \"" + mode + "\"");
    max_ = mode == "max";
    scale_ = n.attr_float("spatial_scale", 1);
    half_pixel_ = n.attr_string("coordinate_transformation_mode", "half_pixel") == "half_pixel";
    ONNXC_ASSIGN(x_, c_.in(0));
    ONNXC_ASSIGN(rois_, c_.in(1));
    ONNXC_ASSIGN(batch_, c_.in(2));
    const BufferId out = c_.out(0);
    c_.emit(make_nest(c_, c_.out_shape(), [&](std::span<const Expr> idx) { return element(out, idx); }));
    return ok();
  }

 private:
  Expr num(double v) const { return expr::constant(type_, v); }
  Expr corner(const Expr& roi, int64_t which) const {
    return expr::load(rois_, elem_, {roi, expr::int_constant(Elem::I64, which)}) * num(scale_) -
           num(half_pixel_ ? 0.5 : 0);
  }
  Expr named(Block& b, const Expr& e) {
    const std::string name = c_.fresh("t");
    b.push_back(Stmt{Let{name, e}});
    return expr::let(name, e->type);
  }
  // Start and size of bin `at` along an axis with corners `low` and `high` of the roi.
  BinAxis bin(Block& b, const Expr& roi, int64_t low, int64_t high, const Expr& at, int64_t bins) {
    const Expr start = named(b, corner(roi, low));
    Expr extent = corner(roi, high) - start;
    if (!half_pixel_) extent = binary(ExprOp::Max, extent, num(1));
    const Expr size = named(b, extent / num(static_cast<double>(bins)));
    return {named(b, start + expr::cast(at, type_) * size), size, samples_};
  }
  Expr position(const BinAxis& axis, const Expr& sample) const {
    return axis.start + (expr::cast(sample, type_) + num(0.5)) * axis.size / num(static_cast<double>(axis.samples));
  }

  Block element(BufferId out, std::span<const Expr> idx) {
    Block b;
    const Shape& y = c_.out_shape();
    const Expr image =
        named(b, clamp(expr::cast(expr::load(batch_, c_.in_elem(2), {idx[0]}), Elem::I64), c_.in_shape(0)[0]));
    const BinAxis rows = bin(b, idx[0], 1, 3, idx[2], y[2].value()),
                  columns = bin(b, idx[0], 0, 2, idx[3], y[3].value());
    Reduce r{c_.fresh("r"),
             max_ ? ReduceOp::Max : ReduceOp::Add,
             {{c_.fresh("i"), Dim(samples_)}, {c_.fresh("j"), Dim(samples_)}},
             1,
             false,
             nullptr};
    const Expr i = expr::index(Dim::symbol(r.vars[0].name)), j = expr::index(Dim::symbol(r.vars[1].name));
    r.value = sample(image, idx[1], position(rows, i), position(columns, j));
    Expr value = expr::let(r.name, type_);
    b.push_back(Stmt{std::move(r)});
    if (!max_) value = value / num(static_cast<double>(samples_ * samples_));
    b.push_back(Stmt{Store{out, {idx.begin(), idx.end()}, value, nullptr}});
    return b;
  }

  static Expr clamp(const Expr& i, const Dim& extent) {
    return binary(ExprOp::Max, expr::int_constant(Elem::I64, 0), binary(ExprOp::Min, i, expr::index(extent - Dim(1))));
  }
  // The four neighbours of (row, column), weighted; nothing more than a pixel outside of the image. In mode max: the
  // largest of the weighted four.
  Expr sample(const Expr& image, const Expr& channel, const Expr& row, const Expr& column) const {
    const Dim height = c_.in_shape(0)[2], width = c_.in_shape(0)[3];
    auto extent = [&](const Dim& d) { return expr::cast(expr::index(d), type_); };
    auto within = [&](const Expr& v, const Dim& d) {
      return binary(ExprOp::And, binary(ExprOp::Ge, v, num(-1)), binary(ExprOp::Le, v, extent(d)));
    };
    auto settle = [&](const Expr& v, const Dim& d) {
      return binary(ExprOp::Min, binary(ExprOp::Max, v, num(0)), extent(d) - num(1));
    };
    const Expr r = settle(row, height), k = settle(column, width);
    const Expr r0 = expr::unary(ExprOp::Floor, r), k0 = expr::unary(ExprOp::Floor, k);
    const Expr fr = r - r0, fk = k - k0;
    auto at = [&](int64_t dr, int64_t dk) {
      const Expr i = clamp(expr::cast(r0, Elem::I64) + expr::int_constant(Elem::I64, dr), height);
      const Expr j = clamp(expr::cast(k0, Elem::I64) + expr::int_constant(Elem::I64, dk), width);
      return expr::load(x_, elem_, {image, channel, i, j}) * (dr ? fr : num(1) - fr) * (dk ? fk : num(1) - fk);
    };
    const Expr all =
        max_ ? binary(ExprOp::Max, binary(ExprOp::Max, at(0, 0), at(0, 1)), binary(ExprOp::Max, at(1, 0), at(1, 1)))
             : at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1);
    return expr::select(binary(ExprOp::And, within(row, height), within(column, width)), all, num(0));
  }

  LowerContext& c_;
  const Elem elem_, type_;
  BufferId x_ = kNoBuffer, rois_ = kNoBuffer, batch_ = kNoBuffer;
  int64_t samples_ = 0;
  double scale_ = 1;
  bool max_ = false, half_pixel_ = true;
};

Status lower_roi_align(LowerContext& c) { return RoiAlign(c).lower(); }

}  // namespace

OP(RoiAlign) = {.name = "RoiAlign",
                .infer = infer_roi_align,
                .lower = lower_roi_align,
                .upgrades = {{15, upgrade_roi_align_15}},
                .accuracy = Accuracy::Accumulating};

}  // namespace onnxc
