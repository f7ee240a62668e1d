// TopK (onnx/docs/Operators.md). Each element's rank along the axis is counted, and those of rank < k store themselves
// at their rank: no order of evaluation matters, equal elements keep their order. NaN counts as the largest value.
// Tested by tests/conformance.
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
  for (size_t o = 0; o < c.node.num_outputs(); ++o) c.set(o, o == 0 ? c.elem(0) : Elem::I64, out);
  return ok();
}

// Whether a (at index i) stands before b (at j).
Expr comes_first(const Expr& a, const Expr& i, const Expr& b, const Expr& j, bool largest) {
  Expr more = binary(largest ? ExprOp::Gt : ExprOp::Lt, a, b), equal = binary(ExprOp::Eq, a, b);
  if (is_float(a->type)) {
    const Expr a_nan = expr::unary(ExprOp::IsNan, a), b_nan = expr::unary(ExprOp::IsNan, b);
    const Expr nan_first = largest ? binary(ExprOp::And, a_nan, expr::unary(ExprOp::Not, b_nan))
                                   : binary(ExprOp::And, b_nan, expr::unary(ExprOp::Not, a_nan));
    more = binary(ExprOp::Or, more, nan_first);
    equal = binary(ExprOp::Or, equal, binary(ExprOp::And, a_nan, b_nan));
  }
  return binary(ExprOp::Or, more, binary(ExprOp::And, equal, binary(ExprOp::Lt, i, j)));
}

Status lower_top_k(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node(), c.node().attr_int("axis", -1), x.size()));
  const size_t a = static_cast<size_t>(axis);
  const bool largest = c.node().attr_int("largest", 1) != 0;
  const Elem elem = c.in_elem(0);
  ONNXC_ASSIGN(const BufferId in, c.in(0));
  const BufferId values = c.node().output(0) ? c.out(0) : kNoBuffer;
  const BufferId indices = c.node().output(1) ? c.out(1) : kNoBuffer;
  const size_t shown = values == kNoBuffer ? 1 : 0;
  const Dim k = c.out_shape(shown)[a];
  c.emit(make_nest(c, x, [&](std::span<const Expr> idx) {
    const std::vector<Expr> here = to_vector(idx);
    std::vector<Expr> other = here;
    const std::string j = c.fresh("j");
    other[a] = expr::index(Dim::symbol(j));
    const Expr mine = expr::load(in, elem, here), theirs = expr::load(in, elem, other);
    const Expr before = comes_first(theirs, other[a], mine, here[a], largest);
    Reduce count{c.fresh("rank"), ReduceOp::Add, {{j, x[a]}}, 1, false, expr::cast(before, Elem::I64)};
    const Expr rank = expr::let(count.name, Elem::I64), kept = binary(ExprOp::Lt, rank, extent(k));
    std::vector<Expr> place = here;
    place[a] = clamp(rank, k);
    Block block;
    block.push_back(Stmt{std::move(count)});
    if (values != kNoBuffer) block.push_back(Stmt{Store{values, place, mine, kept}});
    if (indices != kNoBuffer) block.push_back(Stmt{Store{indices, place, here[a], kept}});
    return block;
  }));
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
