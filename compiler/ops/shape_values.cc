// Operators about shapes, and those that make tensors of a given shape: Shape, Size, ConstantOfShape, Range
// (onnx/docs/Operators.md). Tested by tests/conformance.
#include <cmath>

#include "compiler/ops/indexing.h"
#include "compiler/ops/whole_floats.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;

// Shape: dims start .. end - 1, both counted from the end when negative, clamped.
Status shape_range(const Node& node, size_t rank, int64_t* first, int64_t* last) {
  const int64_t r = static_cast<int64_t>(rank);
  auto bound = [&](int64_t v) { return std::min(std::max(v < 0 ? v + r : v, int64_t{0}), r); };
  *first = bound(node.attr_int("start", 0));
  *last = std::max(bound(node.attr_int("end", r)), *first);
  return ok();
}

Status infer_shape(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  if (!c.has_shape(0)) return c.set(0, Elem::I64, {c.unknown("rank")}), ok();
  int64_t first = 0, last = 0;
  ONNXC_TRY(shape_range(c.node, c.shape(0).size(), &first, &last));
  c.set(0, Elem::I64, {Dim(last - first)});
  c.contents[0] = Contents(c.shape(0).begin() + first, c.shape(0).begin() + last);
  return ok();
}

// Element idx of a list of dims. The list is short: a chain of selects.
Expr pick(const Contents& values, const Expr& idx) {
  if (values.empty()) return constant(0);
  if (idx->op == ExprOp::Index && idx->dim.is_const() && idx->dim.value() < static_cast<int64_t>(values.size()))
    return extent(values[static_cast<size_t>(idx->dim.value())]);
  Expr e = extent(values.back());
  for (size_t i = values.size() - 1; i-- > 0;)
    e = expr::select(binary(ExprOp::Eq, idx, constant(static_cast<int64_t>(i))), extent(values[i]), e);
  return e;
}

Result<Expr> compute_shape(ComputeContext& c, std::span<const Expr> idx) {
  return pick(*c.node().output()->contents, idx[0]);
}
bool has_contents(const Node& n) { return n.output()->contents.has_value(); }

Status infer_size(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  c.set(0, Elem::I64, {});
  c.contents[0] = Contents{c.has_shape(0) ? numel(c.shape(0)) : c.unknown("size")};
  return ok();
}
Result<Expr> compute_size(ComputeContext& c, std::span<const Expr>) { return extent(numel(c.in_shape(0))); }

// The output's shape from a tensor that holds it.
Status set_shape_from(InferContext& c, size_t input, Elem elem) {
  if (const auto rank = c.declared_rank(0)) ONNXC_TRY(c.settle_length(input, *rank));
  if (const auto& dims = c.in_contents(input)) {
    for (const Dim& d : *dims)
      if (d.is_const() && d.value() < 0)
        return c.invalid("the shape " + shape_str(*dims) + " has a negative dimension");
    return c.set(0, elem, *dims), ok();
  }
  if (!c.has_shape(input) || c.shape(input).size() != 1 || !c.shape(input)[0].is_const())
    return c.set_unranked(0, elem), ok();
  Shape out;
  for (int64_t i = 0; i < c.shape(input)[0].value(); ++i) out.push_back(c.unknown("d" + std::to_string(i)));
  return c.set(0, elem, std::move(out)), ok();
}

Status infer_constant_of_shape(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  const Tensor* value = c.node.attr_tensor("value");
  if (value && value->numel() != 1) return c.invalid("attribute `value` must hold one element");
  const Elem elem = value ? value->elem() : Elem::F32;
  ONNXC_TRY(set_shape_from(c, 0, elem));
  const Type& out = c.outputs[0];
  if (!is_int(elem) || !out.shape || out.shape->size() > 1 || !is_static(*out.shape)) return ok();
  const auto n = numel(*out.shape).value();
  if (n <= static_cast<int64_t>(kMaxContents)) c.contents[0] = Contents(static_cast<size_t>(n), Dim(value->int_at(0)));
  return ok();
}
Result<Expr> compute_constant_of_shape(ComputeContext& c, std::span<const Expr>) {
  const Tensor* value = c.node().attr_tensor("value");
  return value ? element_constant(*value, 0) : expr::constant(Elem::F32, 0);
}

// max(0, ceil((limit - start) / delta)), for constants of any type and for Dims.
Result<Dim> range_length(InferContext& c) {
  const Tensor *start = c.in_constant(0), *limit = c.in_constant(1), *delta = c.in_constant(2);
  if (start && limit && delta && is_float(c.elem(0))) {
    const double step = delta->float_at(0), n = std::ceil((limit->float_at(0) - start->float_at(0)) / step);
    if (!(step != 0) || !(n < 1e15)) return c.invalid("the range has no end");
    return Dim(n > 0 ? static_cast<int64_t>(n) : 0);
  }
  for (size_t i = 0; i < 3; ++i) (void)c.in_contents(i);
  ONNXC_ASSIGN(const auto a, exact_contents(c.node, 0));
  ONNXC_ASSIGN(const auto b, exact_contents(c.node, 1));
  ONNXC_ASSIGN(const auto d, exact_contents(c.node, 2));
  if (!a || !b || !d || a->size() != 1 || b->size() != 1 || d->size() != 1 || !(*d)[0].is_const())
    return c.unknown("length");
  const int64_t step = (*d)[0].value();
  if (step == 0) return c.invalid("the step of the range is 0");
  const Dim distance = step > 0 ? (*b)[0] - (*a)[0] : (*a)[0] - (*b)[0];
  const Dim n = Dim::ceil_div(distance, Dim(step > 0 ? step : -step));
  if (n.is_const()) return Dim(std::max<int64_t>(n.value(), 0));
  return n.known_non_negative() ? n : Dim::max(n, Dim(0));
}

Status infer_range(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 3));
  for (size_t i = 0; i < 3; ++i) ONNXC_TRY(require_scalar(c, i));
  ONNXC_ASSIGN(const Dim n, range_length(c));
  c.set(0, c.elem(0), {n});
  const auto &a = c.in_contents(0), &d = c.in_contents(2);
  if (!a || !d || !n.is_const() || n.value() > static_cast<int64_t>(kMaxContents)) return ok();
  Contents out;
  for (int64_t i = 0; i < n.value(); ++i) out.push_back((*a)[0] + Dim(i) * (*d)[0]);
  c.contents[0] = std::move(out);
  return ok();
}
// start, delta are scalars, or tensors of one element in old files.
Expr scalar_input(ComputeContext& c, size_t i) {
  const std::vector<Expr> at(c.in_shape(i).size(), constant(0));
  return c.load(i, at);
}
// max(0, ceil((limit - start) / delta)), of elements.
Result<std::vector<std::pair<Dim, Expr>>> range_dims(ComputeContext& c) {
  const Expr start = scalar_input(c, 0), limit = scalar_input(c, 1), delta = scalar_input(c, 2);
  const auto wide = [](const Expr& e) { return expr::cast(e, Elem::F64); };
  const Expr turns =
      expr::unary(ExprOp::Ceil, binary(ExprOp::Div, wide(binary(ExprOp::Sub, limit, start)), wide(delta)));
  const Expr none = constant(0);
  return std::vector{std::pair(c.out_shape()[0], binary(ExprOp::Max, expr::cast(turns, Elem::I64), none))};
}
Result<Expr> compute_range(ComputeContext& c, std::span<const Expr> idx) {
  const Expr start = scalar_input(c, 0), delta = scalar_input(c, 2);
  return binary(ExprOp::Add, start, binary(ExprOp::Mul, expr::cast(idx[0], start->type), delta));
}

OpDef make(std::string_view name, InferFn infer, ComputeFn compute, ConditionFn condition = nullptr) {
  OpDef d;
  d.name = name;
  d.infer = infer;
  d.compute = compute;
  d.compute_if = condition;
  return d;
}

}  // namespace

OP(Shape) = make("Shape", infer_shape, compute_shape, has_contents);
OP(Size) = make("Size", infer_size, compute_size);
OP(ConstantOfShape) = make("ConstantOfShape", infer_constant_of_shape, compute_constant_of_shape);
OP(Range) = [] {
  OpDef d = make("Range", infer_range, compute_range);
  d.dims = range_dims;
  return d;
}();

}  // namespace onnxc
