// Resize and Upsample (onnx/docs/Operators.md, Resize 19). Every mode becomes, per resized axis, a table of taps (input
// index, weight), made at compile time where the extents are known; the output is the weighted sum over the taps of all
// axes. Works on the blocked layout as it is when only space is resized. Tested by tests/conformance.
#include <algorithm>
#include <cmath>

#include "compiler/ops/indexing.h"
#include "runtime_lib/kernels/resize_taps.h"

namespace onnxc {
namespace {

using expr::operator*;
using expr::operator+;
using expr::operator/;

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
Status upgrade_upsample_6(Graph&, Node& n) {
  if (!n.has("height_scale")) return ok();
  n.attrs["scales"] = std::vector<float>{1, 1, n.attr_float("height_scale", 1), n.attr_float("width_scale", 1)};
  n.attrs.erase("height_scale");
  n.attrs.erase("width_scale");
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

// What is known of one axis before the run. `in_run`: its scale, and where its extents are not known its tables, are
// computed in the run.
struct Axis {
  bool resized = false, in_run = false;
  double scale = 1, roi_begin = 0, roi_end = 1;
  Dim out;
};

std::string where_of(const Node& n) { return n.attr_string("coordinate_transformation_mode", "half_pixel"); }
bool crops(const Node& n) { return where_of(n) == "tf_crop_and_resize"; }
std::string policy_of(const Node& n) { return n.attr_string("keep_aspect_ratio_policy", "stretch"); }

Result<std::vector<size_t>> resized_axes(const Node& n, size_t rank) {
  std::vector<size_t> axes;
  for (int64_t a : n.attr_ints("axes")) {
    ONNXC_ASSIGN(const int64_t axis, normal_axis(n, a, rank));
    axes.push_back(static_cast<size_t>(axis));
  }
  for (size_t d = 0; d < rank && !n.has("axes"); ++d) axes.push_back(d);
  return axes;
}

// The extents of the output that elements or aspect ratios tell in the run.
Dim unknown_extent(const Node& n, size_t axis) {
  return Dim::symbol("n" + std::to_string(n.id) + ".d" + std::to_string(axis));
}

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

Status check_length(const Node& n, const Value& v, size_t wanted, const char* what) {
  const auto length = v.type.shape ? numel(*v.type.shape).constant() : std::nullopt;
  if (length && *length != static_cast<int64_t>(wanted))
    return Error(ErrorKind::InvalidModel, std::string(what) + " does not have one entry per axis", n.where());
  return length ? ok()
                : Status(Error(ErrorKind::Unsupported, std::string("the number of ") + what + " is not known",
                               n.where(), "give its shape"));
}

Status set_sizes(const Node& n, const std::vector<size_t>& axes, const Shape& x, std::vector<Axis>& out) {
  const auto wanted = indexing::contents_of(n.input(3));
  const std::string policy = policy_of(n);
  bool known = wanted.has_value();
  for (size_t i = 0; i < axes.size(); ++i) {
    Axis& a = out[axes[i]];
    a.out = wanted ? (*wanted)[i] : unknown_extent(n, axes[i]);
    a.resized = !(a.out == x[axes[i]]) || crops(n) || policy != "stretch";
    a.in_run = a.resized && !(a.out.is_const() && x[axes[i]].is_const());
    if (a.in_run) a.scale = whole_factor(x[axes[i]], a.out);
    known &= !a.in_run;
    if (!a.in_run)
      a.scale =
          static_cast<float>(a.out.constant().value_or(1)) / static_cast<float>(x[axes[i]].constant().value_or(1));
  }
  if (policy == "stretch") return ok();
  double common = axes.empty() ? 1 : out[axes[0]].scale;
  for (size_t d : axes)
    common = policy == "not_larger" ? std::min(common, out[d].scale) : std::max(common, out[d].scale);
  for (size_t d : axes) {
    out[d].scale = common;
    out[d].in_run = !known;
    out[d].out = known ? Dim(static_cast<int64_t>(std::floor(common * static_cast<double>(x[d].value()) + 0.5)))
                       : unknown_extent(n, d);
    out[d].resized = !(out[d].out == x[d]) || crops(n);
  }
  return ok();
}

// Multiples of 1 / kParts scale a free extent exactly.
constexpr int64_t kParts = 64;

Status set_scales(const Node& n, const std::vector<size_t>& axes, const Shape& x, std::vector<Axis>& out) {
  const Value& scales = *n.input(2);
  const bool roi_known = !crops(n) || !present(n.input(1)) || n.input(1)->constant;
  for (size_t i = 0; i < axes.size(); ++i) {
    Axis& a = out[axes[i]];
    const Dim& in = x[axes[i]];
    if (scales.constant) {
      a.scale = scales.constant->float_at(static_cast<int64_t>(i));
      if (!(a.scale > 0)) return Error(ErrorKind::InvalidModel, "a scale is not positive", n.where());
      if (a.scale == 1 && !crops(n)) continue;
    }
    a.resized = true;
    a.in_run = !scales.constant || !roi_known || !in.is_const();
    const double span = crops(n) ? a.roi_end - a.roi_begin : 1.0;
    if (!a.in_run)
      a.out = Dim(static_cast<int64_t>(std::floor(static_cast<double>(in.value()) * span * a.scale)));
    else if (scales.constant && span == 1 && roi_known && a.scale * kParts == std::floor(a.scale * kParts))
      a.out = Dim::floor_div(in * Dim(static_cast<int64_t>(a.scale * kParts)), Dim(kParts));
    else
      a.out = unknown_extent(n, axes[i]);
  }
  return ok();
}

Result<std::vector<Axis>> resize_axes(const Node& n) {
  const Shape& x = *n.input(0)->type.shape;
  std::vector<Axis> out(x.size());
  for (size_t d = 0; d < x.size(); ++d) out[d].out = x[d];
  ONNXC_ASSIGN(const std::vector<size_t> axes, resized_axes(n, x.size()));
  const Value *roi = n.input(1), *scales = n.input(2), *sizes = n.input(3);
  if (present(roi) && crops(n)) {
    ONNXC_TRY(check_length(n, *roi, 2 * axes.size(), "roi"));
    for (size_t i = 0; roi->constant && i < axes.size(); ++i) {
      out[axes[i]].roi_begin = roi->constant->float_at(static_cast<int64_t>(i));
      out[axes[i]].roi_end = roi->constant->float_at(static_cast<int64_t>(i + axes.size()));
    }
  }
  if (present(sizes)) {
    ONNXC_TRY(check_length(n, *sizes, axes.size(), "sizes"));
    ONNXC_TRY(set_sizes(n, axes, x, out));
  } else if (present(scales)) {
    ONNXC_TRY(check_length(n, *scales, axes.size(), "scales"));
    ONNXC_TRY(set_scales(n, axes, x, out));
  } else {
    return Error(ErrorKind::InvalidModel, "neither scales nor sizes is given", n.where());
  }
  if (present(roi) && crops(n) && !roi->constant)
    for (size_t d : axes) out[d].in_run = true;
  return out;
}

Status infer_resize(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  ONNXC_ASSIGN(const auto resized, resized_axes(c.node, c.shape(0).size()));
  if (crops(c.node)) ONNXC_TRY(c.settle_length(1, 2 * resized.size()));
  for (size_t i : {2, 3}) ONNXC_TRY(c.settle_length(i, resized.size()));
  (void)c.in_contents(3);
  ONNXC_ASSIGN(const auto axes, resize_axes(c.node));
  Shape out;
  for (const Axis& a : axes) out.push_back(a.out);
  c.set(0, c.elem(0), std::move(out));
  return ok();
}

// Scale of the i-th of `axes` in the run, in double.
template <class Context>
Expr scale_in_run(Context& c, const std::vector<size_t>& axes, size_t i) {
  const Node& n = c.node();
  const auto number = [](const Dim& d, Elem type) { return expr::cast(expr::index(d), type); };
  const auto element = [&](size_t input, size_t at) {
    return c.load(input, std::vector<Expr>{expr::index(Dim(static_cast<int64_t>(at)))});
  };
  if (!present(n.input(3))) return expr::cast(element(2, i), Elem::F64);
  const auto ratio = [&](size_t k) {
    const Expr wanted = expr::cast(expr::cast(element(3, k), Elem::I64), Elem::F32);
    return expr::cast(expr::binary(ExprOp::Div, wanted, number(c.in_shape(0)[axes[k]], Elem::F32)), Elem::F64);
  };
  const std::string policy = policy_of(n);
  if (policy == "stretch") return ratio(i);
  Expr common = ratio(0);
  for (size_t k = 1; k < axes.size(); ++k)
    common = expr::binary(policy == "not_larger" ? ExprOp::Min : ExprOp::Max, common, ratio(k));
  return common;
}

Result<std::vector<std::pair<Dim, Expr>>> resize_dims(ComputeContext& c) {
  const Node& n = c.node();
  const Shape& x = c.in_shape(0);
  ONNXC_ASSIGN(const auto all, resize_axes(n));
  ONNXC_ASSIGN(const auto axes, resized_axes(n, x.size()));
  const auto number = [](double v) { return expr::constant(Elem::F64, v); };
  std::vector<std::pair<Dim, Expr>> dims;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (!(all[axes[i]].out == unknown_extent(n, axes[i]))) continue;
    Expr extent = expr::cast(expr::index(x[axes[i]]), Elem::F64);
    if (crops(n) && present(n.input(1)) && !present(n.input(3))) {
      const auto roi = [&](size_t at) {
        return expr::cast(c.load(1, std::vector<Expr>{expr::index(Dim(static_cast<int64_t>(at)))}), Elem::F64);
      };
      extent = extent * expr::binary(ExprOp::Sub, roi(i + axes.size()), roi(i));
    }
    extent = extent * scale_in_run(c, axes, i);
    if (present(n.input(3))) extent = extent + number(0.5);
    extent = expr::binary(ExprOp::Max, expr::unary(ExprOp::Floor, extent), number(0));
    dims.emplace_back(all[axes[i]].out, expr::cast(extent, Elem::I64));
  }
  return dims;
}

// The attributes as the kernel takes them.
struct Modes {
  int64_t kind, where, rounding, flags;
  double cubic;
};

int64_t place_in(const std::string& name, std::initializer_list<const char*> names) {
  const auto at = std::find(names.begin(), names.end(), name);
  return at == names.end() ? 0 : at - names.begin();
}

Modes modes_of(const Node& n) {
  using namespace onnxc_kernels;
  const std::string kind = n.attr_string("mode", "nearest");
  const bool antialias = n.attr_int("antialias", 0) != 0, exclude = n.attr_int("exclude_outside", 0) != 0;
  return {place_in(kind, {"nearest", "linear", "cubic"}),
          place_in(where_of(n), {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                                 "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"}),
          place_in(n.attr_string("nearest_mode", "round_prefer_floor"),
                   {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", "simple"}),
          (antialias ? kResizeAntialias : 0) | (exclude ? kResizeExcludeOutside : 0),
          n.attr_float("cubic_coeff_a", -0.75f)};
}

int64_t reach_of(const Modes& m) { return m.kind == onnxc_kernels::kResizeCubic ? 2 : 1; }

int64_t taps_of(const Modes& m, double scale) {
  if (m.kind == onnxc_kernels::kResizeNearest) return 1;
  const double shrink = onnxc_kernels::resize_shrink(scale, m.kind, m.flags);
  return 2 * static_cast<int64_t>(std::ceil(static_cast<double>(reach_of(m)) / shrink));
}

// Taps of one axis: index and weight are [out][taps].
struct Taps {
  int64_t taps = 1;
  std::vector<int64_t> index;
  std::vector<float> weight;
  std::vector<int64_t> outside;  // [out]: 1 where extrapolation_value stands
};

Taps make_taps(const Node& n, const Axis& a, int64_t in) {
  const Modes m = modes_of(n);
  const int64_t out = a.out.value();
  Taps t;
  t.taps = taps_of(m, a.scale);
  t.index.resize(static_cast<size_t>(out * t.taps));
  t.weight.resize(t.index.size());
  t.outside.resize(static_cast<size_t>(out));
  const double roi[] = {a.roi_begin, a.roi_end};
  onnxc_resize_taps(t.index.data(), t.weight.data(), t.outside.data(), &a.scale, roi, 0, 1, in, out, t.taps, m.kind,
                    m.where, m.rounding, m.flags, m.cubic);
  return t;
}

// An axis that is resized, with its tables in the Program; or, `factor` > 0, element i is element i / factor of the
// input.
struct Resized {
  size_t axis;
  Dim taps;
  BufferId index, weight, outside;
  int64_t factor = 0;
};

// The factor by which the axis repeats elements, whatever its extent; 0 where it does something else. The rounding of
// positions has the period of the factor, so a short axis tells.
int64_t repeats(const Node& n, const Axis& a) {
  constexpr int64_t kShort = 4;
  if (n.attr_string("mode", "nearest") != "nearest" || a.scale < 1 || a.scale > 64 || a.scale != std::floor(a.scale))
    return 0;
  if (where_of(n) == "align_corners" || crops(n)) return 0;  // have no period
  const auto factor = static_cast<int64_t>(a.scale);
  Axis sample = a;
  sample.out = Dim(kShort * factor);
  const Taps t = make_taps(n, sample, kShort);
  for (int64_t i = 0; i < kShort * factor; ++i)
    if (t.index[static_cast<size_t>(i)] != i / factor) return 0;
  return factor;
}

// Numbers (I64 or F64) that are computed in the run.
BufferId store_numbers(LowerContext& c, Elem elem, std::span<const Expr> values) {
  const BufferId buffer = c.temporary(elem, {Dim(static_cast<int64_t>(values.size()))});
  for (size_t i = 0; i < values.size(); ++i)
    c.emit(make_nest(c, {Dim(1)}, [&](std::span<const Expr> idx) {
      const Expr at = expr::index(idx[0]->dim + Dim(static_cast<int64_t>(i)));
      return Block{Stmt{Store{buffer, {at}, values[i], nullptr}}};
    }));
  return buffer;
}

// What the axes that are resized in the run share.
struct InRun {
  std::vector<size_t> axes;
  BufferId scale = kNoBuffer, roi = kNoBuffer;
};

Result<InRun> numbers_in_run(LowerContext& c) {
  InRun run;
  ONNXC_ASSIGN(run.axes, resized_axes(c.node(), c.in_shape(0).size()));
  std::vector<Expr> scales, roi;
  for (size_t i = 0; i < run.axes.size(); ++i) scales.push_back(scale_in_run(c, run.axes, i));
  run.scale = store_numbers(c, Elem::F64, scales);
  if (!crops(c.node()) || !present(c.node().input(1))) return run;
  for (size_t i = 0; i < 2 * run.axes.size(); ++i)
    roi.push_back(expr::cast(c.load(1, std::vector<Expr>{expr::index(Dim(static_cast<int64_t>(i)))}), Elem::F64));
  run.roi = store_numbers(c, Elem::F64, roi);
  return run;
}

Dim taps_in_run(LowerContext& c, const InRun& run, size_t i, const Modes& m) {
  using namespace onnxc_kernels;
  if (m.kind == kResizeNearest || !(m.flags & kResizeAntialias)) return taps_of(m, 1);
  const auto number = [](double v) { return expr::constant(Elem::F64, v); };
  const Expr scale = expr::load(run.scale, Elem::F64, {expr::index(Dim(static_cast<int64_t>(i)))});
  const Expr least = expr::binary(ExprOp::Max, expr::binary(ExprOp::Min, scale, number(1)), number(1e-9));
  const Expr half = expr::unary(ExprOp::Ceil, number(static_cast<double>(reach_of(m))) / least);
  const Expr taps[] = {expr::cast(half * number(2), Elem::I64)};
  const BufferId buffer = store_numbers(c, Elem::I64, taps);
  const Dim symbol = Dim::symbol("n" + std::to_string(c.node().id) + ".taps" + std::to_string(i));
  c.define(symbol, buffer);
  return symbol;
}

Result<Resized> tables_in_run(LowerContext& c, const InRun& run, size_t axis, const Dim& extent) {
  const Modes m = modes_of(c.node());
  const size_t i = static_cast<size_t>(std::find(run.axes.begin(), run.axes.end(), axis) - run.axes.begin());
  Resized r{axis, taps_in_run(c, run, i, m), kNoBuffer, kNoBuffer, kNoBuffer};
  r.index = c.temporary(Elem::I64, {extent, r.taps});
  if (m.kind != onnxc_kernels::kResizeNearest) r.weight = c.temporary(Elem::F32, {extent, r.taps});
  if (crops(c.node())) r.outside = c.temporary(Elem::I64, {extent});
  const Dim& in = c.in_shape(0)[axis];
  ONNXC_TRY(require_non_negative(c.node(), in - Dim::min(extent, 1), "axis " + std::to_string(axis) + " is empty"));
  Call call("resize_taps");
  call.out(r.index).out(r.weight).out(r.outside).in(run.scale).in(run.roi);
  call.arg("axis", static_cast<int64_t>(i)).arg("axes", static_cast<int64_t>(run.axes.size())).arg("in", in);
  call.arg("out", extent).arg("taps", r.taps).arg("kind", m.kind).arg("where", m.where).arg("rounding", m.rounding);
  c.emit(call.arg("flags", m.flags).arg("cubic", m.cubic).op());
  return r;
}

Status lower_resize(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  ONNXC_ASSIGN(const auto axes, resize_axes(c.node()));
  std::vector<Resized> resized;
  std::optional<InRun> run;
  Dim combinations = 1;
  for (size_t d = 0; d < x.size(); ++d) {
    const Axis& a = axes[d];
    if (!a.resized) continue;
    if (a.in_run) {
      const bool whole = a.scale >= 1 && a.out == x[d] * Dim(static_cast<int64_t>(a.scale));
      if (const int64_t factor = whole ? repeats(c.node(), a) : 0; factor > 0) {
        resized.push_back({d, 1, kNoBuffer, kNoBuffer, kNoBuffer, factor});
        continue;
      }
      if (!run) {
        ONNXC_ASSIGN(run, numbers_in_run(c));
      }
      ONNXC_ASSIGN(const Resized r, tables_in_run(c, *run, d, a.out));
      combinations = combinations * r.taps;
      resized.push_back(r);
      continue;
    }
    const Taps t = make_taps(c.node(), a, x[d].value());
    const int64_t out = a.out.value();
    Resized r{d, t.taps, c.constant_buffer(Tensor::i64({out, t.taps}, t.index), {}, ""), kNoBuffer, kNoBuffer};
    if (modes_of(c.node()).kind != onnxc_kernels::kResizeNearest)
      r.weight = c.constant_buffer(Tensor::f32({out, t.taps}, t.weight), {}, "");
    if (crops(c.node())) r.outside = c.constant_buffer(Tensor::i64({out}, t.outside), {}, "");
    combinations = combinations * r.taps;
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
    if (combinations.is_const() && combinations.value() <= 16) {
      for (int64_t i = 0; i < combinations.value(); ++i) {
        std::vector<Expr> tap;
        int64_t rest = i;
        for (const Resized& r : resized) {
          tap.push_back(expr::index(Dim(rest % r.taps.value())));
          rest /= r.taps.value();
        }
        const Expr e = term(tap);
        value = value ? value + e : e;
      }
    } else {
      Reduce r{c.fresh("sum"), ReduceOp::Add, {}, 1, false, nullptr};
      std::vector<Expr> tap;
      for (const Resized& axis : resized) {
        r.vars.push_back({c.fresh("k"), axis.taps});
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
  d.dims = resize_dims;
  d.lower = lower_resize;
  d.upgrades = {{10, upgrade_resize_10}};
  d.layout = LayoutBehaviour::Mapped;
  d.accuracy = Accuracy::Accumulating;
  return d;
}();

OP(Upsample) = [] {
  OpDef d;
  d.name = "Upsample";
  d.upgrades = {{6, upgrade_upsample_6}, {8, upgrade_upsample_8}, {9, upgrade_upsample_9}};
  d.accuracy = Accuracy::Accumulating;
  return d;
}();

}  // namespace onnxc
