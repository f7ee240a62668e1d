// QuantizeLinear, DequantizeLinear (onnx/docs/Operators.md), with one scale, one per axis, or one per block;
// DynamicQuantizeLinear; QLinearMatMul, QLinearConv, made of products of integers. Tested by tests/conformance.
#include "runtime_lib/kernels/quantize.h"

#include "compiler/ops/elementwise.h"
#include "compiler/ops/indexing.h"
#include "compiler/ops/integer_products.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;
using expr::cast;
using expr::operator*;
using expr::operator+;
using expr::operator-;

// ---- scales

// `at` where a parameter has an element for each of `all`; 0 where it has one for all of them, which the run tells.
Expr within(const Expr& at, const Dim& own, const Dim& all) {
  if (is_one(own)) return constant(0);
  return own == all || own.is_const() ? at : binary(ExprOp::Min, at, extent(own - Dim(1)));
}

// Where the scale (or zero point, whose rank may differ where there is one only) of the element `idx` of x stands.
// `block_size`: of the attribute; 0: each scale serves ceil(extent / scales) elements.
std::vector<Expr> scale_place(const Shape& scale, const Shape& x, int64_t axis, int64_t block_size,
                              std::span<const Expr> idx) {
  if (scale.empty()) return {};
  if (scale.size() == 1 && is_one(scale[0])) return {constant(0)};
  if (scale.size() == 1) {
    if (axis < 0 || axis >= static_cast<int64_t>(idx.size())) return {constant(0)};  // the scale is a scalar
    return {within(idx[static_cast<size_t>(axis)], scale[0], x[static_cast<size_t>(axis)])};
  }
  std::vector<Expr> at = to_vector(idx);
  const size_t a = static_cast<size_t>(axis);
  if (scale[a] != x[a]) {
    const Dim block = block_size > 0 ? Dim(block_size) : Dim::ceil_div(x[a], scale[a]);
    at[a] = binary(ExprOp::Div, idx[a], extent(block));
  }
  return at;
}

// The zero point has the scale's shape, or one element.
Status check_zero_point(InferContext& c) {
  if (!c.has_shape(1) || !c.has_shape(2) || c.shape(2).empty()) return ok();
  const Shape &scale = c.shape(1), &zero = c.shape(2);
  const std::string what = "the zero point " + shape_str(zero) + " does not fit the scale " + shape_str(scale);
  if (zero.size() == 1) return require_one_or(c.node, zero[0], scale.size() == 1 ? scale[0] : Dim(1), what);
  if (zero.size() != scale.size()) return c.invalid(what);
  for (size_t d = 0; d < zero.size(); ++d) ONNXC_TRY(c.require_equal(zero[d], scale[d], what));
  return ok();
}

Status check_scale(InferContext& c) {
  ONNXC_TRY(check_zero_point(c));
  if (!c.has_shape(0) || !c.has_shape(1)) return ok();
  const Shape &x = c.shape(0), &scale = c.shape(1);
  if (scale.empty() || (scale.size() == 1 && is_one(scale[0]))) return ok();
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node, c.node.attr_int("axis", 1), x.size()));
  const Dim& along = x[static_cast<size_t>(axis)];
  if (scale.size() == 1) {
    return require_one_or(c.node, scale[0], along,
                          "there is not one scale for each element of axis " + std::to_string(axis));
  }
  if (scale.size() != x.size())
    return c.invalid("the scale " + shape_str(scale) + " does not fit the input " + shape_str(x));
  for (size_t d = 0; d < x.size(); ++d)
    if (static_cast<int64_t>(d) != axis)
      ONNXC_TRY(c.require_equal(scale[d], x[d], "the scales do not fit the input in axis " + std::to_string(d)));
  const Dim& blocks = scale[static_cast<size_t>(axis)];
  ONNXC_TRY(require_non_negative(c.node, blocks - Dim(1), "there are no scales"));
  const int64_t block_size = c.node.attr_int("block_size", 0);
  if (block_size <= 0) return ok();
  return c.require_equal(blocks, Dim::ceil_div(along, block_size),
                         "the scales do not serve " + std::to_string(block_size) + " elements each");
}

int64_t scale_axis(const Node& node, size_t rank) {
  const int64_t axis = node.attr_int("axis", 1);
  return axis < 0 ? axis + static_cast<int64_t>(rank) : axis;
}

// The shape of input 0, and the attribute output_dtype or else `otherwise`.
Status infer_scaled(InferContext& c, Elem otherwise) {
  Elem elem = static_cast<Elem>(c.node.attr_int("output_dtype", 0));
  if (elem == Elem::Undefined) elem = otherwise;
  if (c.has_shape(0))
    c.set(0, elem, c.shape(0));
  else
    c.set_unranked(0, elem);
  return check_scale(c);
}

// The element of the scale or of the zero point (input i) that belongs to the element of input 0 at `idx`.
Expr load_scale(ComputeContext& c, size_t i, std::span<const Expr> idx) {
  return c.load(i, scale_place(c.in_shape(i), c.in_shape(0), scale_axis(c.node(), c.in_shape(0).size()),
                               c.node().attr_int("block_size", 0), idx));
}

// ---- QuantizeLinear

Status infer_quantize(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 2));
  return infer_scaled(c, c.has_input(2) ? c.elem(2) : Elem::U8);
}

// In f32, or f64 for doubles: round(x / scale) to even, plus the zero point, saturated.
Result<Expr> compute_quantize(ComputeContext& c, std::span<const Expr> idx) {
  Expr x = c.load(0, idx), scale = load_scale(c, 1, idx);
  const Elem wide = x->type == Elem::F64 ? Elem::F64 : Elem::F32;
  x = cast(x, wide);
  scale = cast(scale, wide);
  Expr q = binary(ExprOp::Div, x, scale);
  const Elem out = c.out_elem();
  if (is_float(out)) {
    if (c.has_input(2)) q = q + cast(load_scale(c, 2, idx), wide);
    if (elementwise::is_float8(out)) q = elementwise::limit_float8(q, out, c.node().attr_int("saturate", 1) != 0);
    return cast(q, expr::arithmetic_type(out));
  }
  q = expr::unary(ExprOp::Round, q);
  if (c.has_input(2)) q = q + cast(load_scale(c, 2, idx), wide);
  return cast(q, out);
}

// ---- DequantizeLinear

Status infer_dequantize(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 2));
  return infer_scaled(c, c.elem(1));
}

Result<Expr> compute_dequantize(ComputeContext& c, std::span<const Expr> idx) {
  Expr x = c.load(0, idx), scale = load_scale(c, 1, idx);
  if (is_float(c.in_elem(0))) {
    if (c.has_input(2)) x = x - load_scale(c, 2, idx);
  } else {
    x = cast(x, Elem::I32);
    if (c.has_input(2)) x = x - cast(load_scale(c, 2, idx), Elem::I32);
  }
  const Elem wide = scale->type == Elem::F64 ? Elem::F64 : Elem::F32;
  return cast(cast(x, wide) * cast(scale, wide), expr::arithmetic_type(c.out_elem()));
}

// ---- DynamicQuantizeLinear: to U8, by the range of the input and 0.

Status infer_dynamic_quantize(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  if (c.has_shape(0))
    c.set(0, Elem::U8, c.shape(0));
  else
    c.set_unranked(0, Elem::U8);
  c.set(1, Elem::F32, {});
  c.set(2, Elem::U8, {});
  return ok();
}

// Where all elements are 0 the scale is 1, as ONNX Runtime has it.
Status lower_dynamic_quantize(LowerContext& c) {
  constexpr int64_t kElementsOfShare = 4096;
  const Dim count = numel(c.in_shape(0)), shares = Dim::min(Dim::ceil_div(count, kElementsOfShare), kShares);
  ONNXC_ASSIGN(const BufferId x, c.in(0));
  const BufferId y = c.out(0), scale = c.out(1), zero = c.out(2);
  const BufferId pairs = c.temporary(Elem::F32, {shares, Dim(2)});
  Call range("extremes_f32");
  range.out(pairs).in(x).arg("count", count).arg("shares", shares);
  c.emit(range.partition("shares", shares, count * Dim(2)).op());

  c.emit(make_nest(c, {}, [&](std::span<const Expr>) {
    Block b;
    const auto name = [&](Expr value) {
      const std::string let = c.fresh("v");
      const Elem type = value->type;
      b.push_back(Stmt{Let{let, std::move(value)}});
      return expr::let(let, type);
    };
    const Expr none = expr::constant(Elem::F32, 0), top = expr::constant(Elem::F32, 255);
    const auto extreme = [&](ReduceOp op, ExprOp with_zero, int64_t which) {
      const std::string s = c.fresh("s");
      Reduce r{c.fresh("r"),  op,
               {{s, shares}}, 1,
               false,         expr::load(pairs, Elem::F32, {expr::index(Dim::symbol(s)), constant(which)})};
      const Expr value = expr::let(r.name, Elem::F32);
      b.push_back(Stmt{std::move(r)});
      return name(binary(with_zero, value, none));
    };
    const Expr least = extreme(ReduceOp::Min, ExprOp::Min, 0), greatest = extreme(ReduceOp::Max, ExprOp::Max, 1);
    const Expr step = name(expr::select(binary(ExprOp::Eq, least, greatest), expr::constant(Elem::F32, 1),
                                        binary(ExprOp::Div, greatest - least, top)));
    const Expr place = binary(ExprOp::Min, binary(ExprOp::Max, none - binary(ExprOp::Div, least, step), none), top);
    b.push_back(Stmt{Store{scale, {}, step, nullptr}});
    b.push_back(Stmt{Store{zero, {}, cast(expr::unary(ExprOp::Round, place), Elem::U8), nullptr}});
    return b;
  }));

  Call quantize("quantize_u8_f32");
  quantize.out(y).in(x).in(scale).in(zero).arg("count", count);
  c.emit(quantize.partition("blocks", Dim::ceil_div(count, Dim(onnxc_kernels::kQuantizeBlock)), count * Dim(4)).op());
  return ok();
}

// One scale, or one for each of `all` rows, columns or channels.
Status check_scales(InferContext& c, size_t i, const Dim& all) {
  if (!c.has_shape(i) || c.shape(i).size() != 1) return ok();
  return require_one_or(c.node, c.shape(i)[0], all, "the scales of input " + std::to_string(i) + " do not fit");
}

// ---- QLinear*: the integer product, scaled by a_scale * b_scale, quantised.

Status infer_qlinear_matmul(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 8));
  if (!c.has_shape(0) || !c.has_shape(3)) return c.set_unranked(0, c.elem(7)), ok();
  ONNXC_ASSIGN(const Product p, product_of(c.node, c.shape(0), c.shape(3)));
  ONNXC_TRY(check_matrix_zero_points(c, 2, 3, 5));
  const Shape &a = c.shape(0), &b = c.shape(3);
  ONNXC_TRY(check_scales(c, 1, a.size() == 1 ? Dim(1) : a[a.size() - 2]));
  ONNXC_TRY(check_scales(c, 4, b.size() == 1 ? Dim(1) : b.back()));
  ONNXC_TRY(require_scalar(c, 6));
  return c.set(0, c.elem(7), p.out()), ok();
}

struct Maker {
  Graph& graph;
  Node& node;
  Value* operator()(const char* op, std::vector<Value*> inputs) {
    Node* n = graph.add_node(op, std::move(inputs), 1, &node);
    n->origins = node.origins;
    return n->output();
  }
  Value* reshape(Value* v, const std::vector<int64_t>& dims) {
    return (*this)("Reshape", {v, graph.add_constant(Tensor::i64({static_cast<int64_t>(dims.size())}, dims))});
  }
  // Scales may be narrower floats: the arithmetic is f32.
  Value* f32(Value* v) {
    if (v->type.elem == Elem::F32) return v;
    Value* out = (*this)("Cast", {v});
    out->producer->attrs["to"] = static_cast<int64_t>(Elem::F32);
    return out;
  }
  void finish(Value* sum, Value* scale, Value* y_scale, Value* y_zero) {
    Value* wide = (*this)("Cast", {sum});
    wide->producer->attrs["to"] = static_cast<int64_t>(Elem::F32);
    Value* out = (*this)("QuantizeLinear", {(*this)("Mul", {wide, scale}), f32(y_scale), y_zero});
    graph.replace_uses(node.output(), out);
    graph.remove_node(&node);
  }
};

bool vector_of_many(const Value* v) {
  return v->type.shape && v->type.shape->size() == 1 && !is_one((*v->type.shape)[0]);
}

Status decompose_qlinear_matmul(Graph& graph, Node& n) {
  Maker make{graph, n};
  Value* a_scale = make.f32(n.input(1));
  if (vector_of_many(n.input(1))) a_scale = make.reshape(a_scale, {-1, 1});  // one per row of a
  Value* scale = make("Mul", {a_scale, make.f32(n.input(4))});
  Value* sum = make("MatMulInteger", {n.input(0), n.input(3), n.input(2), n.input(5)});
  make.finish(sum, scale, n.input(6), n.input(7));
  return ok();
}

Status infer_qlinear_conv(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 8));
  for (size_t i : {1, 2, 6, 7}) ONNXC_TRY(require_scalar(c, i));
  if (c.has_shape(3) && !c.shape(3).empty()) {
    ONNXC_TRY(check_scales(c, 4, c.shape(3)[0]));
    ONNXC_TRY(check_zero_points(c, 3, 5, 0));
  }
  return infer_product_of_windows(c, 3, 8, c.elem(7));
}

Status decompose_qlinear_conv(Graph& graph, Node& n) {
  Maker make{graph, n};
  const size_t axes = n.input(0)->type.shape->size() - 2;
  std::vector<int64_t> per_channel(axes + 1, 1);
  per_channel[0] = -1;
  Value* w_scale = make.f32(n.input(4));
  if (vector_of_many(n.input(4))) w_scale = make.reshape(w_scale, per_channel);
  Value* scale = make("Mul", {make.f32(n.input(1)), w_scale});
  Value* sum = make("ConvInteger", {n.input(0), n.input(3), n.input(2), n.input(5)});
  sum->producer->attrs = n.attrs;
  if (n.input(8)) sum = make("Add", {sum, make.reshape(n.input(8), per_channel)});
  make.finish(sum, scale, n.input(6), n.input(7));
  return ok();
}

}  // namespace

OP(QuantizeLinear) = {
    .name = "QuantizeLinear", .infer = infer_quantize, .compute = compute_quantize, .accuracy = Accuracy::Rounding};
OP(DequantizeLinear) = {.name = "DequantizeLinear",
                        .infer = infer_dequantize,
                        .compute = compute_dequantize,
                        .accuracy = Accuracy::Rounding};
OP(DynamicQuantizeLinear) = {
    .name = "DynamicQuantizeLinear", .infer = infer_dynamic_quantize, .lower = lower_dynamic_quantize};
OP(QLinearMatMul) = {.name = "QLinearMatMul",
                     .infer = infer_qlinear_matmul,
                     .decompose = decompose_qlinear_matmul,
                     .accuracy = Accuracy::Rounding};
OP(QLinearConv) = {.name = "QLinearConv",
                   .infer = infer_qlinear_conv,
                   .decompose = decompose_qlinear_conv,
                   .accuracy = Accuracy::Rounding};

}  // namespace onnxc
