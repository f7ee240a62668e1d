// Resize and Upsample (onnx/docs/Operators.md, Resize 19; formulas of onnx's reference op_resize). Every mode becomes,
// per resized axis, a table of taps (input index, weight) made at compile time; the output is the weighted sum over the
// taps of all axes. Works on the blocked layout as it is when only space is resized. Tested by tests/conformance.
#include <cmath>

#include "compiler/ops/axes.h"

namespace onnxc {
namespace {

using expr::operator*;
using expr::operator+;

// Resize 10 and Upsample: coordinates are output / scale; nearest rounds down (up when shrinking).
Status upgrade_resize_10(Graph&, Node& n) {
  Value* scales = n.input(1);
  n.resize_inputs(3);
  n.set_input(1, nullptr);
  n.set_input(2, scales);
  n.attrs["coordinate_transformation_mode"] = std::string("asymmetric");
  n.attrs["nearest_mode"] = std::string("simple");
  return ok();
}
Status upgrade_upsample_8(Graph& g, Node& n) {
  const auto scales = n.attr_floats("scales");
  n.set_input(1, g.add_constant(Tensor::f32({static_cast<int64_t>(scales.size())}, scales)));
  n.attrs.erase("scales");
  return ok();
}
// Has the form of Resize 10, whose own row goes on from here.
Status upgrade_upsample_9(Graph&, Node& n) {
  n.op = "Resize";
  return ok();
}

// What is known of one axis before the run.
struct Axis {
  bool resized = false;
  double scale = 1, roi_begin = 0, roi_end = 1;
  Dim out;
};

bool present(const Value* v) {
  if (!v) return false;
  return !(v->type.shape && v->type.shape->size() == 1 && (*v->type.shape)[0].is_const() &&
           (*v->type.shape)[0].value() == 0);
}

// k where the one is k times the other whatever their symbols; 0: there is none.
double whole_factor(const Dim& in, const Dim& out) {
  for (int64_t k = 2; k <= 64; ++k)
    if (in * Dim(k) == out) return static_cast<double>(k);
  return 0;
}

Result<std::optional<std::vector<Axis>>> resize_axes(const Node& n) {
  using Found = std::optional<std::vector<Axis>>;
  const Shape& x = *n.input(0)->type.shape;
  std::vector<Axis> out(x.size());
  for (size_t d = 0; d < x.size(); ++d) out[d].out = x[d];
  std::vector<int64_t> axes = n.attr_ints("axes");
  if (axes.empty())
    for (size_t d = 0; d < x.size(); ++d) axes.push_back(static_cast<int64_t>(d));
  for (int64_t& a : axes) {
    ONNXC_ASSIGN(a, normal_axis(n, a, x.size()));
  }
  const Value *roi = n.input(1), *scales = n.input(2), *sizes = n.input(3);
  auto bad_length = [&](const char* what) {
    return Error(ErrorKind::InvalidModel, std::string(what) + " does not have one entry per axis", n.where());
  };
  if (present(roi) && roi->constant) {
    if (roi->constant->numel() != static_cast<int64_t>(2 * axes.size())) return bad_length("roi");
    for (size_t i = 0; i < axes.size(); ++i) {
      out[axes[i]].roi_begin = roi->constant->float_at(static_cast<int64_t>(i));
      out[axes[i]].roi_end = roi->constant->float_at(static_cast<int64_t>(i + axes.size()));
    }
  } else if (present(roi) && n.attr_string("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize") {
    return Found();
  }
  const bool crop = n.attr_string("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize";
  if (present(sizes)) {
    if (!sizes->contents) {
      if (!sizes->constant) return Found();
    }
    Contents wanted;
    if (sizes->contents)
      wanted = *sizes->contents;
    else
      for (int64_t v : sizes->constant->to_ints()) wanted.emplace_back(v);
    if (wanted.size() != axes.size()) return bad_length("sizes");
    const std::string policy = n.attr_string("keep_aspect_ratio_policy", "stretch");
    double common = 0;
    for (size_t i = 0; i < axes.size(); ++i) {
      Axis& a = out[axes[i]];
      a.out = wanted[i];
      a.resized = !(a.out == x[axes[i]]) || crop;
      if (!a.out.is_const() || !x[axes[i]].is_const()) {
        if (!a.resized) continue;
        if (policy != "stretch") return Found();
        a.scale = whole_factor(x[axes[i]], a.out);
        continue;
      }
      a.scale = static_cast<float>(a.out.value()) / static_cast<float>(x[axes[i]].value());
      common = i == 0 ? a.scale : policy == "not_larger" ? std::min(common, a.scale) : std::max(common, a.scale);
    }
    if (policy != "stretch")
      for (int64_t d : axes) {
        out[d].scale = common;
        out[d].out = Dim(static_cast<int64_t>(std::floor(common * static_cast<double>(x[d].value()) + 0.5)));
        out[d].resized = !(out[d].out == x[d]) || crop;
      }
    return Found(out);
  }
  if (!present(scales)) return Error(ErrorKind::InvalidModel, "neither scales nor sizes is given", n.where());
  if (!scales->constant) return Found();
  if (scales->constant->numel() != static_cast<int64_t>(axes.size())) return bad_length("scales");
  for (size_t i = 0; i < axes.size(); ++i) {
    Axis& a = out[axes[i]];
    a.scale = scales->constant->float_at(static_cast<int64_t>(i));
    if (!(a.scale > 0)) return Error(ErrorKind::InvalidModel, "a scale is not positive", n.where());
    a.resized = a.scale != 1 || crop;
    if (!a.resized) continue;
    if (x[axes[i]].is_const()) {
      const double span = crop ? a.roi_end - a.roi_begin : 1.0;
      a.out = Dim(static_cast<int64_t>(std::floor(static_cast<double>(x[axes[i]].value()) * span * a.scale)));
    } else if (a.scale == std::floor(a.scale)) {
      a.out = x[axes[i]] * Dim(static_cast<int64_t>(a.scale));
    } else {
      return Found();
    }
  }
  return Found(out);
}

Status infer_resize(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  (void)c.in_contents(3);
  ONNXC_ASSIGN(const auto axes, resize_axes(c.node));
  Shape out;
  for (size_t d = 0; d < c.shape(0).size(); ++d)
    out.push_back(axes ? (*axes)[d].out : c.unknown("d" + std::to_string(d)));
  c.set(0, c.elem(0), std::move(out));
  return ok();
}

// Where output coordinate i falls in the input.
double source(const std::string& mode, double i, double scale, int64_t in, int64_t out, const Axis& a) {
  const double n = static_cast<double>(in), m = static_cast<double>(out);
  if (mode == "align_corners") return out == 1 ? 0 : i * (n - 1) / (m - 1);
  if (mode == "asymmetric") return i / scale;
  if (mode == "tf_half_pixel_for_nn") return (i + 0.5) / scale;
  if (mode == "pytorch_half_pixel") return out == 1 ? 0 : (i + 0.5) / scale - 0.5;
  if (mode == "tf_crop_and_resize")
    return out == 1 ? 0.5 * (a.roi_begin + a.roi_end) * (n - 1)
                    : a.roi_begin * (n - 1) + i * (a.roi_end - a.roi_begin) * (n - 1) / (m - 1);
  if (mode == "half_pixel_symmetric") {
    const double centre = n / 2, adjustment = m / (scale * n);
    return centre * (1 - adjustment) + (i + 0.5) / scale - 0.5;
  }
  return (i + 0.5) / scale - 0.5;
}

double nearest(const std::string& mode, double x, double scale) {
  if (mode == "floor") return std::floor(x);
  if (mode == "ceil") return std::ceil(x);
  if (mode == "round_prefer_ceil") return std::floor(x + 0.5);
  if (mode == "simple") return scale < 1 ? std::ceil(x) : std::floor(x);
  return std::ceil(x - 0.5);
}

double cubic_weight(double x, double a) {
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((x - 5) * x + 8) * x * a - 4 * a;
  return 0;
}

// Taps of one axis: index and weight are [out][taps].
struct Taps {
  int64_t taps = 1;
  std::vector<int64_t> index;
  std::vector<float> weight;
  bool weighted = false;         // some weight is not 1
  std::vector<int64_t> outside;  // [out]: 1 where extrapolation_value stands; empty: nowhere
};

Taps make_taps(const Node& n, const Axis& a, int64_t in) {
  const std::string kind = n.attr_string("mode", "nearest"),
                    where = n.attr_string("coordinate_transformation_mode", "half_pixel");
  const bool smooth = n.attr_int("antialias", 0) != 0 && a.scale < 1;
  const bool exclude = n.attr_int("exclude_outside", 0) != 0;
  const double cubic_a = n.attr_float("cubic_coeff_a", -0.75f), shrink = smooth ? a.scale : 1.0;
  const int64_t out = a.out.value();
  const double reach = kind == "cubic" ? 2 : 1;
  const int64_t first = kind == "nearest" ? 0 : static_cast<int64_t>(std::floor(-reach / shrink)) + 1;
  Taps t;
  t.taps = kind == "nearest" ? 1 : 2 - 2 * first;
  t.weighted = kind != "nearest";
  for (int64_t i = 0; i < out; ++i) {
    const double x = source(where, static_cast<double>(i), a.scale, in, out, a);
    if (where == "tf_crop_and_resize") t.outside.push_back(x < 0 || x > static_cast<double>(in - 1));
    if (kind == "nearest") {
      t.index.push_back(std::clamp<int64_t>(
          static_cast<int64_t>(nearest(n.attr_string("nearest_mode", "round_prefer_floor"), x, a.scale)), 0, in - 1));
      t.weight.push_back(1);
      continue;
    }
    const double base = std::ceil(x) - 1, ratio = x - base;  // in (0, 1]: the left neighbour is preferred
    std::vector<double> w;
    double sum = 0;
    for (int64_t k = 0; k < t.taps; ++k) {
      const double distance = (static_cast<double>(first + k) - ratio) * shrink;
      double v = kind == "cubic" ? cubic_weight(distance, cubic_a) : std::max(0.0, 1 - std::abs(distance));
      const int64_t at = static_cast<int64_t>(base) + first + k;
      if (exclude && (at < 0 || at >= in)) v = 0;
      w.push_back(v);
      sum += v;
      t.index.push_back(std::clamp<int64_t>(at, 0, in - 1));
    }
    const bool normalise = smooth || exclude;
    for (double v : w) t.weight.push_back(static_cast<float>(normalise ? v / sum : v));
  }
  return t;
}

// An axis that is resized, with its tables in the Program; or, `factor` > 0, element i is element i / factor of the
// input.
struct Resized {
  size_t axis;
  int64_t taps;
  BufferId index, weight, outside;
  int64_t factor = 0;
};

// The factor by which the axis repeats elements, whatever its extent; 0 where it does something else. The rounding of
// positions has the period of the factor, so a short axis tells.
int64_t repeats(const Node& n, const Axis& a) {
  constexpr int64_t kShort = 4;
  if (n.attr_string("mode", "nearest") != "nearest" || a.scale < 1 || a.scale > 64 || a.scale != std::floor(a.scale))
    return 0;
  if (n.attr_string("coordinate_transformation_mode", "half_pixel") == "align_corners") return 0;  // has no period
  const auto factor = static_cast<int64_t>(a.scale);
  Axis sample = a;
  sample.out = Dim(kShort * factor);
  const Taps t = make_taps(n, sample, kShort);
  if (!t.outside.empty()) return 0;
  for (int64_t i = 0; i < kShort * factor; ++i)
    if (t.index[static_cast<size_t>(i)] != i / factor) return 0;
  return factor;
}

Status lower_resize(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  ONNXC_ASSIGN(const auto axes, resize_axes(c.node()));
  if (!axes)
    return c.unsupported("the output size depends on values that are known only at run time",
                         "fix the input's dimensions by --dim or --shape");
  std::vector<Resized> resized;
  int64_t combinations = 1;
  for (size_t d = 0; d < x.size(); ++d) {
    const Axis& a = (*axes)[d];
    if (!a.resized) continue;
    if (!a.out.is_const() || !x[d].is_const()) {
      const int64_t factor = a.out == x[d] * Dim(static_cast<int64_t>(a.scale)) ? repeats(c.node(), a) : 0;
      if (factor == 0)
        return c.unsupported("axis " + std::to_string(d) + " has the free extent " + x[d].str(),
                             "fix it by --dim or --shape");
      resized.push_back({d, 1, kNoBuffer, kNoBuffer, kNoBuffer, factor});
      continue;
    }
    const Taps t = make_taps(c.node(), a, x[d].value());
    const int64_t out = a.out.value();
    Resized r{d, t.taps, c.constant_buffer(Tensor::i64({out, t.taps}, t.index), {}, ""), kNoBuffer, kNoBuffer};
    if (t.weighted) r.weight = c.constant_buffer(Tensor::f32({out, t.taps}, t.weight), {}, "");
    if (!t.outside.empty()) r.outside = c.constant_buffer(Tensor::i64({out}, t.outside), {}, "");
    combinations *= t.taps;
    resized.push_back(r);
  }
  const Elem elem = c.in_elem(0), type = expr::arithmetic_type(elem);
  const Layout lies = c.layout_of(0);
  const bool blocked = !lies.plain() && (resized.empty() || resized[0].axis >= 2);
  const Layout layout = blocked ? lies : Layout{};
  ONNXC_ASSIGN(const BufferId in, c.in(0, layout));
  const BufferId out = c.out(0, layout);
  const Elem work = is_float(type) ? type : Elem::F32;
  const double fill = c.node().attr_float("extrapolation_value", 0);
  c.emit(make_nest(c, c.program().buffers[out].dims, [&](std::span<const Expr> idx) {
    const std::vector<Expr> to(idx.begin(), idx.end());
    Block b;
    // The term of one choice of taps.
    auto term = [&](const std::vector<Expr>& tap) {
      std::vector<Expr> at = to;
      Expr weight;
      for (size_t i = 0; i < resized.size(); ++i) {
        const Resized& r = resized[i];
        at[r.axis] = r.factor > 0 ? expr::index(Dim::floor_div(to[r.axis]->dim, r.factor))
                                  : expr::load(r.index, Elem::I64, {to[r.axis], tap[i]});
        if (r.weight == kNoBuffer) continue;
        const Expr w = expr::cast(expr::load(r.weight, Elem::F32, {to[r.axis], tap[i]}), work);
        weight = weight ? weight * w : w;
      }
      const Expr value = expr::load(in, elem, at);
      return weight ? expr::cast(value, work) * weight : value;
    };
    Expr value;
    if (combinations <= 16) {
      for (int64_t i = 0; i < combinations; ++i) {
        std::vector<Expr> tap;
        int64_t rest = i;
        for (const Resized& r : resized) {
          tap.push_back(expr::index(Dim(rest % r.taps)));
          rest /= r.taps;
        }
        const Expr e = term(tap);
        value = value ? value + e : e;
      }
    } else {
      Reduce r{c.fresh("sum"), ReduceOp::Add, {}, 1, false, nullptr};
      std::vector<Expr> tap;
      for (const Resized& axis : resized) {
        r.vars.push_back({c.fresh("k"), Dim(axis.taps)});
        tap.push_back(expr::index(Dim::symbol(r.vars.back().name)));
      }
      r.value = term(tap);
      value = expr::let(r.name, r.value->type);
      b.push_back(Stmt{std::move(r)});
    }
    for (const Resized& r : resized) {
      if (r.outside == kNoBuffer) continue;
      const Expr here =
          expr::binary(ExprOp::Ne, expr::load(r.outside, Elem::I64, {to[r.axis]}), expr::int_constant(Elem::I64, 0));
      value = expr::select(here,
                           is_float(value->type) ? expr::constant(value->type, fill)
                                                 : expr::int_constant(value->type, static_cast<int64_t>(fill)),
                           value);
    }
    if (value->type != type && !is_float(type)) value = expr::unary(ExprOp::Round, value);
    b.push_back(Stmt{Store{out, to, expr::cast(value, type), nullptr}});
    return b;
  }));
  return ok();
}

}  // namespace

OP(Resize) = [] {
  OpDef d;
  d.name = "Resize";
  d.infer = infer_resize;
  d.lower = lower_resize;
  d.upgrades = {{10, upgrade_resize_10}};
  d.layout = LayoutBehaviour::Mapped;
  d.accuracy = Accuracy::Accumulating;
  return d;
}();

OP(Upsample) = [] {
  OpDef d;
  d.name = "Upsample";
  d.upgrades = {{8, upgrade_upsample_8}, {9, upgrade_upsample_9}};
  return d;
}();

}  // namespace onnxc
