// Pooling over windows and over all of space (onnx/docs/Operators.md: MaxPool, AveragePool, LpPool, Global*). Kernels
// on the blocked layout, of maxima on the plain one too; loop nests otherwise. And MaxUnpool, which puts maxima back
// where they came from. Tested by tests/conformance.
#include "runtime_lib/kernels/pool.h"

#include <limits>

#include "compiler/ops/indexing.h"
#include "compiler/ops/window.h"

namespace onnxc {
namespace {

using expr::binary;
using expr::operator+;
using expr::operator*;
using expr::operator/;

Result<Window> pool_window(const Node& node, const Shape& x) {
  const auto kernel = node.attr_ints("kernel_shape");
  return make_window(node, spatial_of(x), Shape(kernel.begin(), kernel.end()));
}

Status infer_pool(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  for (size_t o = 0; o < c.node.num_outputs(); ++o) c.set_unranked(o, o == 0 ? c.elem(0) : Elem::I64);
  if (!c.has_shape(0)) return ok();
  const Shape& x = c.shape(0);
  if (x.size() < 3) return c.invalid("the input " + shape_str(x) + " has no spatial axis");
  ONNXC_ASSIGN(const Window w, pool_window(c.node, x));
  Shape out{x[0], x[1]};
  out.insert(out.end(), w.out.begin(), w.out.end());
  for (size_t o = 0; o < c.node.num_outputs(); ++o) c.set(o, o == 0 ? c.elem(0) : Elem::I64, out);
  return ok();
}

Status infer_global(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  Shape out = c.shape(0);
  if (out.size() < 2) return c.invalid("the input " + shape_str(out) + " has no channel axis");
  for (size_t a = 2; a < out.size(); ++a) out[a] = Dim(1);
  c.set(0, c.elem(0), std::move(out));
  return ok();
}

enum class Kind { Max, Average, Lp };

// Extents of the window as loops over taps, and the input indices that they read.
struct Taps {
  std::vector<LoopVar> vars;
  std::vector<Expr> at;
};
Taps make_taps(LowerContext& c, const Window& w, std::span<const Expr> idx) {
  Taps t;
  t.at = {idx[0], idx[1]};
  for (size_t a = 0; a < w.axes(); ++a) {
    t.vars.push_back({c.fresh("k"), w.kernel[a]});
    t.at.push_back(expr::index(w.position(a, idx[2 + a]->dim, Dim::symbol(t.vars[a].name))));
  }
  return t;
}

// How many taps count for the average: those inside the input, or inside input and padding.
Dim tap_count(const Window& w, const Shape& spatial, std::span<const Expr> idx, bool include_pad) {
  Dim count(1);
  for (size_t a = 0; a < w.axes(); ++a) {
    const Dim begin = w.position(a, idx[2 + a]->dim, Dim(0)), d(w.dilations[a]);
    const Dim low = include_pad ? Dim(0) - w.pads_begin[a] : Dim(0);
    const Dim high = include_pad ? spatial[a] + w.pads_end[a] : spatial[a];
    const Dim first = Dim::max(Dim(0), Dim::ceil_div(low - begin, d));
    const Dim last = Dim::min(w.kernel[a], Dim::ceil_div(high - begin, d));
    count = count * (last - first);
  }
  return count;
}

Expr lowest(Elem type) {
  if (is_float(type)) return expr::constant(type, -std::numeric_limits<double>::infinity());
  switch (type) {
    case Elem::I8: return expr::int_constant(type, std::numeric_limits<int8_t>::min());
    case Elem::I16: return expr::int_constant(type, std::numeric_limits<int16_t>::min());
    case Elem::I32: return expr::int_constant(type, std::numeric_limits<int32_t>::min());
    case Elem::I64: return expr::int_constant(type, std::numeric_limits<int64_t>::min());
    default: return expr::int_constant(type, 0);
  }
}

// Indices output of MaxPool: the flat index of the maximum in the whole input tensor.
Expr flat_index(LowerContext& c, const Window& w, std::span<const Expr> idx, const Expr& best) {
  const Shape& x = c.in_shape(0);
  const bool column_major = c.node().attr_int("storage_order", 0) != 0;
  Expr flat = expr::index(idx[0]->dim * x[1] + idx[1]->dim);
  Expr rest = best;
  std::vector<Expr> position(w.axes());
  for (size_t a = w.axes(); a-- > 0;) {
    const Expr k = expr::index(w.kernel[a]);
    Expr tap = a == 0 ? rest : binary(ExprOp::Rem, rest, k);
    rest = binary(ExprOp::Div, rest, k);
    position[a] =
        expr::index(w.position(a, idx[2 + a]->dim, Dim(0))) + tap * expr::int_constant(Elem::I64, w.dilations[a]);
  }
  Expr within = nullptr;
  for (size_t i = 0; i < w.axes(); ++i) {
    const size_t a = column_major ? w.axes() - 1 - i : i;
    within = within ? within * expr::index(x[2 + a]) + position[a] : position[a];
  }
  return flat * expr::index(numel(spatial_of(x))) + within;
}

Status lower_pool_nest(LowerContext& c, const Window& w, Kind kind) {
  const Elem elem = c.in_elem(0), type = expr::arithmetic_type(elem);
  const Shape spatial = spatial_of(c.in_shape(0));
  ONNXC_ASSIGN(const BufferId in, c.in(0));
  const BufferId out = c.out(0);
  const bool indices = kind == Kind::Max && c.node().num_outputs() > 1 && c.node().output(1);
  const BufferId index_out = indices ? c.out(1) : kNoBuffer;
  const int64_t p = c.node().attr_int("p", 2);
  const bool include_pad = c.node().attr_int("count_include_pad", 0) != 0;
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    const std::vector<Expr> at(idx.begin(), idx.end());
    Block b;
    auto reduce = [&](ReduceOp op, const Expr& outside, const std::function<Expr(Expr)>& map) {
      Taps t = make_taps(c, w, idx);
      Reduce r{c.fresh("r"), op, t.vars, 1, false, map(load_padded(c, in, elem, t.at, spatial, outside))};
      const Expr value = expr::let(r.name, op == ReduceOp::ArgMax ? Elem::I64 : r.value->type);
      b.push_back(Stmt{std::move(r)});
      return value;
    };
    auto same = [](Expr e) { return e; };
    Expr value;
    if (kind == Kind::Max) {
      value = reduce(ReduceOp::Max, lowest(type), same);
      if (indices)
        b.push_back(
            Stmt{Store{index_out, at, flat_index(c, w, idx, reduce(ReduceOp::ArgMax, lowest(type), same)), nullptr}});
    } else if (kind == Kind::Average) {
      const Expr sum = reduce(ReduceOp::Add, expr::constant(type, 0), same);
      value = sum / expr::cast(expr::index(tap_count(w, spatial, idx, include_pad)), type);
    } else {
      const Expr power = expr::constant(type, static_cast<double>(p));
      const Expr sum = reduce(ReduceOp::Add, expr::constant(type, 0), [&](Expr e) {
        e = expr::unary(ExprOp::Abs, e);
        return p == 1 ? e : p == 2 ? e * e : binary(ExprOp::Pow, e, power);
      });
      value = p == 1   ? sum
              : p == 2 ? expr::unary(ExprOp::Sqrt, sum)
                       : binary(ExprOp::Pow, sum, expr::constant(type, 1.0 / p));
    }
    b.push_back(Stmt{Store{out, at, value, nullptr}});
    return b;
  }));
  return ok();
}

// A plain input with enough channels is worth blocking where the kernel reads its elements once for each tap.
Layout average_layout(const LowerContext& c) {
  return fills_channel_blocks(c) ? Layout::channels(c.channel_block()) : c.layout_of(0);
}

// The kernel that pools so, and the layout that it asks for.
struct PoolKernel {
  std::string name;
  Layout layout;
};
std::optional<PoolKernel> pool_kernel(const LowerContext& c, const Window& w, Kind kind) {
  const bool indices = c.node().num_outputs() > 1 && c.node().output(1);
  if (c.in_elem(0) != Elem::F32 || kind == Kind::Lp || indices) return {};
  if (kind == Kind::Max && c.layout_of(0).plain() && w.axes() <= 2) {
    const Dim reach = (w.kernel.back() - Dim(1)) * Dim(w.dilations.back()) + Dim(1);
    const bool fits = reach.is_const() && reach.value() <= onnxc_kernels::kPlainPoolReach;
    if (fits) return PoolKernel{"max_pool_plain_f32", Layout{}};
  }
  const Layout layout = kind == Kind::Max ? c.layout_of(0) : average_layout(c);
  if (layout.plain() || w.axes() != 2) return {};
  if (kind == Kind::Max) return PoolKernel{"max_pool_blocked_f32", layout};
  const bool simple = w.dilations == std::vector<int64_t>(w.axes(), 1) && !c.node().attr_int("ceil_mode", 0);
  return simple ? std::optional(PoolKernel{"avg_pool_blocked_f32", layout}) : std::nullopt;
}

template <Kind kKind>
Status lower_pool(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  ONNXC_ASSIGN(const Window w, pool_window(c.node(), x));
  const auto kernel = pool_kernel(c, w, kKind);
  if (!kernel) return lower_pool_nest(c, w, kKind);
  ONNXC_ASSIGN(const BufferId in, c.in(0, kernel->layout));
  Call call(kernel->name);
  call.out(c.out(0, kernel->layout)).in(in).arg("n", x[0]).arg("c", x[1]);
  const size_t last = w.axes() - 1;
  const auto geometry = [&](const char* of_rows, const char* of_columns, const auto& values) {
    call.arg(of_rows, last == 0 ? Dim(1) : Dim(values[0])).arg(of_columns, Dim(values[last]));
  };
  geometry("ih", "iw", spatial_of(x));
  geometry("oh", "ow", w.out);
  geometry("kh", "kw", w.kernel);
  geometry("stride_h", "stride_w", w.strides);
  call.arg("pad_top", last == 0 ? Dim(0) : w.pads_begin[0]).arg("pad_left", w.pads_begin[last]);
  if (kKind == Kind::Max)
    geometry("dil_h", "dil_w", w.dilations);
  else
    call.arg("count_include_pad", c.node().attr_int("count_include_pad", 0));
  const bool by_rows = last > 0 && has_rows_to_share(c, w.out[0]);
  call.arg("by_rows", by_rows ? 1 : 0);
  c.emit(call.slices(numel(c.out_shape()) * numel(w.kernel) * Dim(8)).op());
  return ok();
}

template <Kind kKind>
Status lower_global(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  const Layout layout = c.layout_of(0);
  if (c.in_elem(0) == Elem::F32 && !layout.plain() && kKind != Kind::Lp) {
    ONNXC_ASSIGN(const BufferId in, c.in(0, layout));
    Call call(kKind == Kind::Max ? "global_max_pool_blocked_f32" : "global_avg_pool_blocked_f32");
    const Dim planes = x[0] * Dim::ceil_div(x[1], Dim(layout.block));
    call.out(c.out(0, layout)).in(in).arg("hw", numel(spatial_of(x)));
    c.emit(call.partition("planes", planes, numel(x) * Dim(8)).op());
    return ok();
  }
  const Elem type = expr::arithmetic_type(c.in_elem(0));
  const Shape spatial = spatial_of(x);
  const int64_t p = c.node().attr_int("p", 2);
  const BufferId out = c.out(0);
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    Reduce r{c.fresh("r"), kKind == Kind::Max ? ReduceOp::Max : ReduceOp::Add, {}, 1, false, nullptr};
    std::vector<Expr> at{idx[0], idx[1]};
    for (const Dim& d : spatial) {
      r.vars.push_back({c.fresh("k"), d});
      at.push_back(expr::index(Dim::symbol(r.vars.back().name)));
    }
    if (!spatial.empty() && is_float(type)) r.lanes = 8;
    Expr e = c.load(0, at);
    if (kKind == Kind::Lp) {
      e = expr::unary(ExprOp::Abs, e);
      e = p == 1 ? e : p == 2 ? e * e : binary(ExprOp::Pow, e, expr::constant(type, static_cast<double>(p)));
    }
    r.value = e;
    Expr value = expr::let(r.name, type);
    if (kKind == Kind::Average) value = value / expr::cast(expr::index(numel(spatial)), type);
    if (kKind == Kind::Lp && p == 2) value = expr::unary(ExprOp::Sqrt, value);
    if (kKind == Kind::Lp && p > 2) value = binary(ExprOp::Pow, value, expr::constant(type, 1.0 / p));
    Block b;
    b.push_back(Stmt{std::move(r)});
    b.push_back(Stmt{Store{out, {idx.begin(), idx.end()}, value, nullptr}});
    return b;
  }));
  return ok();
}

// ---- MaxUnpool

// What the pool read, as far as its attributes tell: the indices count its elements.
Result<Shape> unpooled_shape(const Node& n, const Shape& x) {
  const size_t axes = x.size() - 2;
  const auto kernel = n.attr_ints("kernel_shape"), strides = n.attr_ints("strides", std::vector<int64_t>(axes, 1)),
             pads = n.attr_ints("pads", std::vector<int64_t>(2 * axes, 0));
  if (kernel.size() != axes || strides.size() != axes || pads.size() != 2 * axes)
    return Error(ErrorKind::InvalidModel, "kernel_shape, strides or pads do not fit the input " + shape_str(x),
                 n.where());
  Shape out{x[0], x[1]};
  for (size_t a = 0; a < axes; ++a)
    out.push_back((x[2 + a] - Dim(1)) * Dim(strides[a]) + Dim(kernel[a] - pads[a] - pads[a + axes]));
  return out;
}

Status infer_unpool(InferContext& c) {
  ONNXC_TRY(indexing::require_inputs(c, 2));
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  const Shape& x = c.shape(0);
  if (x.size() < 3) return c.invalid("the input " + shape_str(x) + " has no spatial axis");
  if (c.has_shape(1))
    ONNXC_TRY(indexing::require_same_shape(c.node, x, c.shape(1), "values and indices have different shapes"));
  ONNXC_ASSIGN(Shape out, unpooled_shape(c.node, x));
  for (const Dim& d : out)
    ONNXC_TRY(indexing::require_some(c.node, d, numel(x), "what was pooled, " + shape_str(out) + ", has no element"));
  if (c.has_input(2)) {
    ONNXC_TRY(c.settle_length(2, x.size()));
    const auto& wanted = c.in_contents(2);
    if (wanted && wanted->size() != x.size())
      return c.invalid("output_shape " + shape_str(*wanted) + " must have the input's rank");
    for (size_t d = 0; d < out.size(); ++d) out[d] = wanted ? (*wanted)[d] : c.unknown("d" + std::to_string(d));
  }
  return c.set(0, c.elem(0), std::move(out)), ok();
}

// Zeros, into which one thread writes the values in order: indices may come twice. Where output_shape is another one
// than the pool read, both lie corner on corner.
Status lower_unpool(LowerContext& c) {
  ONNXC_ASSIGN(const Shape pooled, unpooled_shape(c.node(), c.in_shape(0)));
  const Shape& shape = c.out_shape();
  const Expr zero = expr::int_constant(Elem::I64, 0);
  const BufferId out = c.out(0);
  c.emit(make_nest(c, shape, [&](std::span<const Expr> idx) {
    Block b;
    b.push_back(Stmt{Store{out, {idx.begin(), idx.end()}, indexing::scalar(c.in_elem(0), 0), nullptr}});
    return b;
  }));
  Operation op = make_nest(c, c.in_shape(0), [&](std::span<const Expr> idx) {
    Expr rest = indexing::to_index(c.load(1, idx));
    Expr inside = binary(ExprOp::Ge, rest, zero);
    std::vector<Expr> at(shape.size());
    for (size_t d = shape.size(); d-- > 0;) {
      const Expr extent = expr::index(pooled[d]);
      const Expr i = d == 0 ? rest : binary(ExprOp::Rem, rest, extent);
      rest = binary(ExprOp::Div, rest, extent);
      inside = binary(ExprOp::And, inside, binary(ExprOp::Lt, i, expr::index(shape[d])));
      at[d] = indexing::clamp(i, shape[d]);
    }
    Block b;
    b.push_back(Stmt{Store{out, std::move(at), c.load(0, idx), inside}});
    return b;
  });
  op.partition.reset();
  c.emit(std::move(op));
  return ok();
}

OpDef pool(std::string_view name, InferFn infer, LowerFn lower) {
  OpDef d;
  d.name = name;
  d.infer = infer;
  d.lower = lower;
  d.layout = LayoutBehaviour::Mapped;
  d.accuracy = Accuracy::Accumulating;
  return d;
}

}  // namespace

OP(MaxPool) = pool("MaxPool", infer_pool, lower_pool<Kind::Max>);
OP(MaxUnpool) = {.name = "MaxUnpool", .infer = infer_unpool, .lower = lower_unpool};
OP(AveragePool) = pool("AveragePool", infer_pool, lower_pool<Kind::Average>);
OP(LpPool) = pool("LpPool", infer_pool, lower_pool<Kind::Lp>);
OP(GlobalMaxPool) = pool("GlobalMaxPool", infer_global, lower_global<Kind::Max>);
OP(GlobalAveragePool) = pool("GlobalAveragePool", infer_global, lower_global<Kind::Average>);
OP(GlobalLpPool) = pool("GlobalLpPool", infer_global, lower_global<Kind::Lp>);

}  // namespace onnxc
