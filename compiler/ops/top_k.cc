// TopK (onnx/docs/Operators.md). A nest writes integers in the order of the values, with the axis last, of which a
// kernel finds the greatest; equal elements keep their order, `sorted` or not. NaN counts as the largest value. Tested
// by tests/conformance and tests/differential; the kernel by tests/unit/kernels/selection_test.cc.
#include <algorithm>
#include <limits>

#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;

Status infer_top_k(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 2));
  for (size_t o = 0; o < c.node.num_outputs(); ++o) c.set_unranked(o, o == 0 ? c.elem(0) : Elem::I64);
  if (!c.has_shape(0)) return ok();
  Shape out = c.shape(0);
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node, c.node.attr_int("axis", -1), out.size()));
  ONNXC_TRY(c.settle_length(1, 1));
  const auto& k = c.in_contents(1);
  Dim& extent = out[static_cast<size_t>(axis)];
  if (!k || k->size() != 1) {
    extent = c.unknown("k");
  } else {
    ONNXC_TRY(require_non_negative(
        c.node, Dim::min((*k)[0], extent - (*k)[0]),
        "k = " + (*k)[0].str() + " is outside of axis " + std::to_string(axis) + " of " + shape_str(c.shape(0))));
    extent = (*k)[0];
  }
  ONNXC_TRY(require_non_negative(
      c.node, Dim(int64_t{std::numeric_limits<uint32_t>::max()}) - c.shape(0)[static_cast<size_t>(axis)],
      "TopK of an axis of more than 2^32 - 1 elements is not supported"));
  for (size_t o = 0; o < c.node.num_outputs(); ++o) c.set(o, o == 0 ? c.elem(0) : Elem::I64, out);
  return ok();
}

// The indices with that of axis `a` at the end.
std::vector<Expr> axis_last(std::span<const Expr> idx, size_t a) {
  std::vector<Expr> at = to_vector(idx);
  std::rotate(at.begin() + static_cast<std::ptrdiff_t>(a), at.begin() + static_cast<std::ptrdiff_t>(a) + 1, at.end());
  return at;
}
// And back.
std::vector<Expr> axis_at(std::span<const Expr> idx, size_t a) {
  std::vector<Expr> at = to_vector(idx);
  std::rotate(at.begin() + static_cast<std::ptrdiff_t>(a), at.end() - 1, at.end());
  return at;
}

// Keys of the input, of which the greatest come first: [the other axes ..][the axis].
BufferId order_keys(LowerContext& c, BufferId in, size_t a, bool largest) {
  const auto key = [&](std::span<const Expr> idx) {
    const Expr greatest_last = order_key(expr::load(in, c.in_elem(0), axis_at(idx, a)));
    return largest ? greatest_last : binary(ExprOp::Xor, greatest_last, expr::int_constant(greatest_last->type, -1));
  };
  Shape rows = c.in_shape(0);
  std::rotate(rows.begin() + static_cast<std::ptrdiff_t>(a), rows.begin() + static_cast<std::ptrdiff_t>(a) + 1,
              rows.end());
  const std::vector<Expr> zeros(rows.size(), constant(0));
  const BufferId keys = c.temporary(key(zeros)->type, rows);
  c.emit(make_nest(
      c, rows, [&](std::span<const Expr> idx) { return Block{Stmt{Store{keys, to_vector(idx), key(idx), nullptr}}}; }));
  return keys;
}

Status lower_top_k(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node(), c.node().attr_int("axis", -1), x.size()));
  const auto a = static_cast<size_t>(axis);
  const bool is_last = a + 1 == x.size();
  ONNXC_ASSIGN(const BufferId in, c.in(0));
  const BufferId keys = order_keys(c, in, a, c.node().attr_int("largest", 1) != 0);
  const Shape rows = c.program().buffers[keys].dims;
  const bool is_short = c.program().buffers[keys].elem == Elem::I32;

  const Shape& y = c.out_shape(c.node().output(0) ? 0 : 1);
  const Dim k = y[a], count = product(rows, 0, rows.size() - 1), shares = Dim::min(count, kShares);
  const BufferId indices = c.node().output(1) ? c.out(1) : kNoBuffer;
  Shape found_shape = rows;
  found_shape.back() = k;
  const BufferId found = is_last && indices != kNoBuffer ? indices : c.temporary(Elem::I64, found_shape);
  const Dim slot = (k * Dim(2) + Dim(64)) * Dim(is_short ? 1 : 2);
  Call call(is_short ? "top_k_i32" : "top_k_i64");
  call.out(found).in(keys).scratch(c.temporary(Elem::I64, {shares, slot}));
  call.arg("n", x[a]).arg("k", k).arg("rows", count).arg("shares", shares);
  c.emit(call.partition("shares", shares, numel(x) * Dim(8)).op());

  const auto place = [&](std::span<const Expr> idx) { return expr::load(found, Elem::I64, axis_last(idx, a)); };
  if (c.node().output(0)) {
    const BufferId values = c.out(0);
    c.emit(make_nest(c, y, [&](std::span<const Expr> idx) {
      std::vector<Expr> at = to_vector(idx);
      at[a] = clamp(place(idx), x[a]);
      return Block{Stmt{Store{values, to_vector(idx), expr::load(in, c.in_elem(0), at), nullptr}}};
    }));
  }
  if (indices != kNoBuffer && indices != found) {
    c.emit(make_nest(c, y, [&](std::span<const Expr> idx) {
      return Block{Stmt{Store{indices, to_vector(idx), place(idx), nullptr}}};
    }));
  }
  return ok();
}

// Up to opset 9 k is an attribute.
Status upgrade_top_k_9(Graph& graph, Node& node) {
  attribute_to_input(graph, node, "k", 1);
  return ok();
}

OpDef make_top_k() {
  OpDef d;
  d.name = "TopK";
  d.infer = infer_top_k;
  d.lower = lower_top_k;
  d.upgrades = {{9, upgrade_top_k_9}};
  return d;
}

}  // namespace

OP(TopK) = make_top_k();

}  // namespace onnxc
