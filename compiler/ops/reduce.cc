// Reduce*, ArgMax, ArgMin, CumSum (onnx/docs/Operators.md). One nest: for each kept index, a Reduce statement;
// element-wise producers of the input are fused into it. Tested by tests/conformance.
#include <algorithm>

#include "compiler/ops/axes.h"
#include "compiler/ops/indexing.h"
#include "compiler/ops/short_list.h"

namespace onnxc {
using indexing::ints_of;

namespace {

using expr::operator+;
using expr::operator-;
using expr::operator*;
using expr::operator/;

// How the columns along the axis lie.
struct Columns {
  Dim extent, inner, count;
};

Columns columns_along(const Shape& x, size_t axis) {
  const Dim inner = product(x, axis + 1, x.size());
  return {x[axis], inner, product(x, 0, axis) * inner};
}

// The suffix of kernels that exist for these types; empty for others.
std::string_view kernel_suffix(Elem elem, std::initializer_list<Elem> known) {
  return std::ranges::find(known, elem) == known.end() ? std::string_view{} : elem_name(elem);
}

// Up to opset 17 (12 for ReduceSum) the axes are an attribute.
Status upgrade_axes_attribute(Graph& g, Node& n) {
  if (!n.has("axes")) return ok();
  const auto axes = n.attr_ints("axes");
  n.set_input(1, g.add_constant(Tensor::i64({static_cast<int64_t>(axes.size())}, axes)));
  n.attrs.erase("axes");
  return ok();
}

// For each dim of input 0 whether it is reduced: 1, or 0. Nothing when it is not known how many axes there are.
Result<std::optional<std::vector<Dim>>> reduced_axes(const Node& node, size_t rank) {
  const auto axes = indexing::contents_of(node.input(1));
  if (node.input(1) && !axes) return std::optional<std::vector<Dim>>();
  const bool noop = node.attr_int("noop_with_empty_axes", 0) != 0;
  if (!axes || axes->empty()) return std::optional(std::vector<Dim>(rank, Dim(noop ? 0 : 1)));
  ONNXC_ASSIGN(auto reduced, indexing::chosen_axes(node, *axes, rank));
  return std::optional(std::move(reduced));
}

// Dims of the output; how many there are follows from the number of axes.
Result<Shape> reduced_shape(const Node& node, const Shape& x, const std::vector<Dim>& reduced, bool keep) {
  Shape out;
  for (size_t d = 0; d < x.size() && keep; ++d) out.push_back(reduced[d] + (Dim(1) - reduced[d]) * x[d]);
  if (keep) return out;
  Dim count(0);
  for (const Dim& r : reduced) count = count + r;
  if (count.is_const()) return indexing::shape_without(x, reduced, x.size() - static_cast<size_t>(count.value()));
  const size_t axes = indexing::contents_of(node.input(1))->size();
  if (axes > x.size()) return Error(ErrorKind::InvalidModel, "there are more axes than dims", node.where());
  ONNXC_TRY(
      require_equal(node, count, static_cast<int64_t>(axes), "an axis is named twice, or is outside of the rank"));
  return indexing::shape_without(x, reduced, x.size() - axes);
}

std::optional<std::vector<int64_t>> constant_axes(const Node& node) { return ints_of(node.input(1)); }

Status infer_reduce(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  const bool keep = c.node.attr_int("keepdims", 1) != 0;
  const auto rank = c.declared_rank(0);
  if (!keep && rank && *rank <= c.shape(0).size()) ONNXC_TRY(c.settle_length(1, c.shape(0).size() - *rank));
  ONNXC_ASSIGN(const auto reduced, reduced_axes(c.node, c.shape(0).size()));
  if (!reduced) {
    if (!keep) return c.set_unranked(0, c.elem(0)), ok();
    Shape out;
    for (size_t d = 0; d < c.shape(0).size(); ++d) out.push_back(c.unknown("d" + std::to_string(d)));
    return c.set(0, c.elem(0), std::move(out)), ok();
  }
  ONNXC_ASSIGN(Shape out, reduced_shape(c.node, c.shape(0), *reduced, keep));
  c.set(0, c.elem(0), std::move(out));
  return ok();
}

// Without keepdims their number tells the rank.
bool has_axes_of_free_length(const Node& n) {
  return n.input(0)->type.shape && n.attr_int("keepdims", 1) != 0 && has_free_length(n.input(1));
}

Status settle_axes(Graph& g, Node& n) {
  GraphWriter writer(g, n);
  const bool all_when_empty = n.attr_int("noop_with_empty_axes", 0) == 0;
  const size_t rank = n.input(0)->type.shape->size();
  n.set_input(1, short_list(writer, n.input(1), rank, {.fill = kNoAxis, .all_when_empty = all_when_empty}));
  return ok();
}

enum class Kind { Sum, Mean, Max, Min, Prod, L1, L2, LogSum, LogSumExp, SumSquare };

// The pieces of a nest that reduces input 0.
struct Walk {
  std::vector<LoopVar> vars;  // of the reduced axes
  std::vector<Expr> at;       // of input 0
};
Walk walk(LowerContext& c, const std::vector<Dim>& reduced, std::span<const Expr> idx, bool keep) {
  const Shape& x = c.in_shape(0);
  const std::vector<Dim> places = indexing::places_without(reduced);
  Walk w;
  for (size_t d = 0; d < x.size(); ++d) {
    Dim at(0);
    if (reduced[d] != Dim(0)) {
      w.vars.push_back({c.fresh("k"), reduced[d] * x[d] + (Dim(1) - reduced[d])});
      at = Dim::symbol(w.vars.back().name);
    }
    for (size_t e = 0; e < idx.size() && reduced[d] != Dim(1); ++e) {
      const Dim here = keep ? Dim(e == d) : Dim::equals(places[d], static_cast<int64_t>(e));
      at = at + (Dim(1) - reduced[d]) * here * idx[e]->dim;
    }
    w.at.push_back(expr::index(at));
  }
  return w;
}

// Lanes pay when the innermost axis is reduced and long enough; sums over few elements stay sequential. Each further
// step waits for the one before, so extremes, which are as exact in any order, take more lanes.
int lanes_for(Kind kind, const Shape& x, const std::vector<Dim>& reduced, Elem type) {
  if (x.empty() || reduced.back() != Dim(1) || !is_float(type)) return 1;
  const bool extreme = kind == Kind::Max || kind == Kind::Min;
  if (extreme && x.back().is_const() && x.back().value() >= 128) return 32;
  return x.back().is_const() && x.back().value() < 16 ? 1 : 8;
}

template <Kind kKind>
Status lower_reduce(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  const Elem type = expr::arithmetic_type(c.in_elem(0));
  const bool keep = c.node().attr_int("keepdims", 1) != 0;
  ONNXC_ASSIGN(const auto reduced, reduced_axes(c.node(), x.size()));
  if (!reduced) return c.unsupported("the number of axes is not known", "make them constant");
  // Several passes over the input read it from memory.
  BufferId stored = kNoBuffer;
  if (kKind == Kind::LogSumExp) {
    ONNXC_ASSIGN(stored, c.in(0));
  }
  const BufferId out = c.out(0);
  const int lanes = lanes_for(kKind, x, *reduced, type);
  auto number = [&](double v) {
    return is_float(type) ? expr::constant(type, v) : expr::int_constant(type, static_cast<int64_t>(v));
  };
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    Block b;
    auto reduce = [&](ReduceOp op, const std::function<Expr(Expr)>& map) {
      Walk w = walk(c, *reduced, idx, keep);
      const Expr e = stored == kNoBuffer ? c.load(0, w.at) : expr::load(stored, c.in_elem(0), w.at);
      Reduce r{c.fresh("r"), op, w.vars, lanes, false, map(e)};
      Expr value = expr::let(r.name, type);
      b.push_back(Stmt{std::move(r)});
      return value;
    };
    auto same = [](Expr e) { return e; };
    auto square = [](Expr e) { return e * e; };
    auto float_fn = [&](ExprOp op, Expr e) {  // integers go through f64, as ONNX Runtime does
      if (is_float(type)) return expr::unary(op, e);
      return expr::cast(expr::unary(op, expr::cast(e, Elem::F64)), type);
    };
    Expr y;
    switch (kKind) {
      case Kind::Sum: y = reduce(ReduceOp::Add, same); break;
      case Kind::Mean: {
        Dim count(1);
        for (size_t d = 0; d < x.size(); ++d) count = count * ((*reduced)[d] * x[d] + Dim(1) - (*reduced)[d]);
        const Expr n = expr::cast(expr::index(count), type);
        y = reduce(ReduceOp::Add, same) / n;
        break;
      }
      case Kind::Max: y = reduce(type == Elem::Bool ? ReduceOp::Or : ReduceOp::Max, same); break;
      case Kind::Min: y = reduce(type == Elem::Bool ? ReduceOp::And : ReduceOp::Min, same); break;
      case Kind::Prod: y = reduce(ReduceOp::Mul, same); break;
      case Kind::L1: y = reduce(ReduceOp::Add, [](Expr e) { return expr::unary(ExprOp::Abs, e); }); break;
      case Kind::L2: y = float_fn(ExprOp::Sqrt, reduce(ReduceOp::Add, square)); break;
      case Kind::SumSquare: y = reduce(ReduceOp::Add, square); break;
      case Kind::LogSum: y = float_fn(ExprOp::Log, reduce(ReduceOp::Add, same)); break;
      case Kind::LogSumExp: {
        const Expr top = reduce(ReduceOp::Max, same);
        // An infinite maximum must not give inf - inf.
        const std::string name = c.fresh("t");
        b.push_back(Stmt{Let{name, expr::select(expr::unary(ExprOp::IsInf, top), number(0), top)}});
        const Expr shift = expr::let(name, type);
        const Expr sum = reduce(ReduceOp::Add, [&](Expr e) { return expr::unary(ExprOp::Exp, e - shift); });
        y = expr::unary(ExprOp::Log, sum) + shift;
        break;
      }
    }
    b.push_back(Stmt{Store{out, {idx.begin(), idx.end()}, y, nullptr}});
    return b;
  }));
  return ok();
}

// ---- ArgMax, ArgMin

Status infer_arg(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  if (!c.has_shape(0)) return c.set_unranked(0, Elem::I64), ok();
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node, c.node.attr_int("axis", 0), c.shape(0).size()));
  std::vector<Dim> reduced(c.shape(0).size(), Dim(0));
  reduced[axis] = Dim(1);
  ONNXC_ASSIGN(Shape out, reduced_shape(c.node, c.shape(0), reduced, c.node.attr_int("keepdims", 1) != 0));
  c.set(0, Elem::I64, std::move(out));
  return ok();
}

template <ReduceOp kOp>
Status lower_arg(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node(), c.node().attr_int("axis", 0), x.size()));
  const auto suffix = kernel_suffix(c.in_elem(0), {Elem::F32, Elem::F64, Elem::I32, Elem::I64, Elem::I8, Elem::U8});
  if (!suffix.empty()) {
    const Columns columns = columns_along(x, static_cast<size_t>(axis));
    ONNXC_ASSIGN(const BufferId in, c.in(0));
    Call call("arg_max_" + std::string(suffix));
    call.out(c.out(0)).in(in).arg("n", columns.extent).arg("inner", columns.inner);
    call.arg("least", kOp == ReduceOp::ArgMin ? 1 : 0);
    call.arg("last", c.node().attr_int("select_last_index", 0) != 0 ? 1 : 0);
    c.emit(call.partition("columns", columns.count, numel(x) * Dim(4)).op());
    return ok();
  }
  const bool keep = c.node().attr_int("keepdims", 1) != 0;
  std::vector<Dim> reduced(x.size(), Dim(0));
  reduced[axis] = Dim(1);
  const BufferId out = c.out(0);
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    Walk w = walk(c, reduced, idx, keep);
    Reduce r{c.fresh("r"), kOp, w.vars, 1, c.node().attr_int("select_last_index", 0) != 0, c.load(0, w.at)};
    const Expr value = expr::let(r.name, Elem::I64);
    Block b;
    b.push_back(Stmt{std::move(r)});
    b.push_back(Stmt{Store{out, {idx.begin(), idx.end()}, value, nullptr}});
    return b;
  }));
  return ok();
}

// ---- CumSum, CumProd: a serial loop along the axis that adds to the element before; for common types by a kernel,
// many columns at once.

Status infer_cumulative(InferContext& c) {
  if (!c.has_input(0) || !c.has_input(1)) return c.invalid("input and axis are needed");
  if (c.has_shape(1)) ONNXC_TRY(c.require_equal(numel(c.shape(1)), Dim(1), "the axis must be one number"));
  c.outputs[0] = c.in(0);
  return ok();
}
// Where only the run tells the axis.
Result<Columns> columns_of_run(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  ONNXC_ASSIGN(const BufferId given, c.in(1));
  const Dim axis = Dim::symbol(c.fresh("~axis"));
  c.define(axis, given);
  Columns all{Dim(0), Dim(0), Dim(0)};
  Dim named(0);
  for (size_t d = 0; d < x.size(); ++d) {
    const Dim front(static_cast<int64_t>(d)), back = front - Dim(static_cast<int64_t>(x.size()));
    const Dim here = Dim::equals(axis, front) + Dim::equals(axis, back);
    const Columns own = columns_along(x, d);
    named = named + here;
    all = {all.extent + here * own.extent, all.inner + here * own.inner, all.count + here * own.count};
  }
  const std::string range = std::to_string(x.size());
  c.emit(Operation{Require{named - Dim(1), "the axis is outside of a rank of " + range}, std::nullopt, {}, {}, {}});
  return all;
}

template <ExprOp kOp>
Status call_cumulative(LowerContext& c, std::string_view suffix, const Columns& columns) {
  const auto flag = [&](const char* name) { return c.node().attr_int(name, 0) != 0 ? 1 : 0; };
  ONNXC_ASSIGN(const BufferId in, c.in(0));
  const BufferId out = c.out(0);
  Call call("cumulative_" + std::string(suffix));
  call.out(out).in(in).arg("n", columns.extent).arg("inner", columns.inner);
  call.arg("multiply", kOp == ExprOp::Mul ? 1 : 0);
  call.arg("exclusive", flag("exclusive")).arg("reverse", flag("reverse"));
  c.emit(call.partition("columns", columns.count, numel(c.in_shape(0)) * Dim(4)).in_place(out, in).op());
  return ok();
}

// The axis is known at run time only: each element reduces along every axis, and the right result is taken.
template <ExprOp kOp>
Status lower_cumulative_any_axis(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  const Elem elem = c.in_elem(0), type = expr::arithmetic_type(elem);
  const bool exclusive = c.node().attr_int("exclusive", 0) != 0, reverse = c.node().attr_int("reverse", 0) != 0;
  const ExprOp within = reverse ? (exclusive ? ExprOp::Gt : ExprOp::Ge) : (exclusive ? ExprOp::Lt : ExprOp::Le);
  ONNXC_ASSIGN(const BufferId in, c.in(0));
  const BufferId out = c.out(0);
  const double neutral = kOp == ExprOp::Mul ? 1 : 0;
  const Expr start =
      is_float(type) ? expr::constant(type, neutral) : expr::int_constant(type, static_cast<int64_t>(neutral));
  const auto number = [](size_t i) { return expr::int_constant(Elem::I64, static_cast<int64_t>(i)); };
  c.emit(make_nest(c, x, [&](std::span<const Expr> idx) {
    const std::vector<Expr> zeros(c.in_shape(1).size(), expr::index(Dim(0)));
    const Expr given = expr::cast(c.load(1, zeros), Elem::I64);
    const Expr axis = expr::select(expr::binary(ExprOp::Lt, given, number(0)), given + number(x.size()), given);
    Block b;
    Expr value = start;
    for (size_t d = 0; d < x.size(); ++d) {
      const std::string k = c.fresh("k");
      std::vector<Expr> at(idx.begin(), idx.end());
      at[d] = expr::index(Dim::symbol(k));
      const Expr taken = expr::select(expr::binary(within, at[d], idx[d]), expr::load(in, elem, at), start);
      Reduce along{c.fresh("along"), kOp == ExprOp::Mul ? ReduceOp::Mul : ReduceOp::Add, {{k, x[d]}}, 1, false, taken};
      value = expr::select(expr::binary(ExprOp::Eq, axis, number(d)), expr::let(along.name, type), value);
      b.push_back(Stmt{std::move(along)});
    }
    b.push_back(Stmt{Store{out, {idx.begin(), idx.end()}, value, nullptr}});
    return b;
  }));
  return ok();
}

template <ExprOp kOp>
Status lower_cumulative(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  const Elem elem = c.in_elem(0), type = expr::arithmetic_type(elem);
  const auto axes = constant_axes(c.node());
  const auto suffix = kernel_suffix(elem, {Elem::F32, Elem::F64, Elem::I32, Elem::I64});
  if (!axes && !suffix.empty()) {
    ONNXC_ASSIGN(const Columns columns, columns_of_run(c));
    return call_cumulative<kOp>(c, suffix, columns);
  }
  if (!axes) return lower_cumulative_any_axis<kOp>(c);
  if (axes->size() != 1) return c.invalid("the axis must be one number");
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node(), (*axes)[0], x.size()));
  if (!suffix.empty()) return call_cumulative<kOp>(c, suffix, columns_along(x, static_cast<size_t>(axis)));
  const bool exclusive = c.node().attr_int("exclusive", 0) != 0, reverse = c.node().attr_int("reverse", 0) != 0;
  ONNXC_ASSIGN(const BufferId in, c.in(0));
  const BufferId out = c.out(0);
  Shape outer = x;
  outer.erase(outer.begin() + axis);
  const Dim last = x[axis] - Dim(1);
  const double neutral = kOp == ExprOp::Mul ? 1 : 0;
  c.emit(make_nest(c, outer, [&](std::span<const Expr> idx) {
    auto at = [&](const Dim& along) {
      std::vector<Expr> full(idx.begin(), idx.end());
      full.insert(full.begin() + axis, expr::index(along));
      return full;
    };
    const std::string k = c.fresh("k");
    const Dim step = Dim::symbol(k), before = Dim::max(step - Dim(1), Dim(0));
    const Dim here = reverse ? last - step : step, previous = reverse ? last - before : before;
    const Expr start =
        is_float(type) ? expr::constant(type, neutral) : expr::int_constant(type, static_cast<int64_t>(neutral));
    const Expr is_first = expr::binary(ExprOp::Eq, expr::index(step), expr::index(Dim(0)));
    const Expr sum = expr::load(out, elem, at(previous));
    const Expr value = exclusive
                           ? expr::select(is_first, start, expr::binary(kOp, sum, expr::load(in, elem, at(previous))))
                           : expr::binary(kOp, expr::select(is_first, start, sum), expr::load(in, elem, at(here)));
    Block inner, b;
    inner.push_back(Stmt{Store{out, at(here), value, nullptr}});
    b.push_back(Stmt{For{{k, x[axis]}, std::move(inner)}});
    return b;
  }));
  return ok();
}

OpDef reduction(std::string_view name, LowerFn lower, int axes_attribute_until = 17) {
  OpDef d;
  d.name = name;
  d.infer = infer_reduce;
  d.decompose = settle_axes;
  d.decompose_if = has_axes_of_free_length;
  d.lower = lower;
  d.upgrades = {{axes_attribute_until, upgrade_axes_attribute}};
  d.accuracy = Accuracy::Accumulating;
  return d;
}
OpDef plain(std::string_view name, InferFn infer, LowerFn lower) {
  OpDef d;
  d.name = name;
  d.infer = infer;
  d.lower = lower;
  return d;
}

}  // namespace

OP(ReduceSum) = reduction("ReduceSum", lower_reduce<Kind::Sum>, 12);
OP(ReduceMean) = reduction("ReduceMean", lower_reduce<Kind::Mean>);
OP(ReduceMax) = reduction("ReduceMax", lower_reduce<Kind::Max>);
OP(ReduceMin) = reduction("ReduceMin", lower_reduce<Kind::Min>);
OP(ReduceProd) = reduction("ReduceProd", lower_reduce<Kind::Prod>);
OP(ReduceL1) = reduction("ReduceL1", lower_reduce<Kind::L1>);
OP(ReduceL2) = reduction("ReduceL2", lower_reduce<Kind::L2>);
OP(ReduceLogSum) = reduction("ReduceLogSum", lower_reduce<Kind::LogSum>);
OP(ReduceLogSumExp) = reduction("ReduceLogSumExp", lower_reduce<Kind::LogSumExp>);
OP(ReduceSumSquare) = reduction("ReduceSumSquare", lower_reduce<Kind::SumSquare>);
OP(ArgMax) = plain("ArgMax", infer_arg, lower_arg<ReduceOp::ArgMax>);
OP(ArgMin) = plain("ArgMin", infer_arg, lower_arg<ReduceOp::ArgMin>);
OP(CumSum) = plain("CumSum", infer_cumulative, lower_cumulative<ExprOp::Add>);
OP(CumProd) = plain("CumProd", infer_cumulative, lower_cumulative<ExprOp::Mul>);

}  // namespace onnxc
