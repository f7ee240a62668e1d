// ShortList (domain onnxc, made by decompositions): the entries of a list of free length, and a fill. No entry is read
// that is not there: each place sums over the list. Tested by the form `dynamic` of tests/conformance (Reduce*, Slice,
// Pad, Expand).
#include "compiler/ops/short_list.h"

#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

Status infer_short_list(InferContext& c) {
  ONNXC_TRY(indexing::require_inputs(c, 1));
  const int64_t length = c.node.attr_int("length", 0);
  if (!c.has_shape(0) || c.shape(0).size() != 1) return c.invalid("the input must be a list");
  ONNXC_TRY(require_non_negative(c.node, Dim(length) - c.shape(0)[0],
                                 "a list has more than " + std::to_string(length) + " entries"));
  return c.set(0, Elem::I64, {Dim(length)}), ok();
}

Status lower_short_list(LowerContext& c) {
  const Dim given = c.in_shape(0)[0];
  const bool positions = c.node().attr_int("positions", 0) != 0;
  const Dim before = c.node().attr_int("at_end", 0) != 0 ? c.out_shape()[0] - given : Dim(0);
  const bool all_when_empty = c.node().attr_int("all_when_empty", 0) != 0;
  const Expr fill = expr::int_constant(Elem::I64, c.node().attr_int("fill", 0));
  const Expr zero = expr::int_constant(Elem::I64, 0);
  const BufferId out = c.out(0);
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    Block b;
    const std::string k = c.fresh("k");
    const Expr here = expr::index(Dim::symbol(k));
    const Expr place = expr::index(idx[0]->dim - before);
    const Expr entry = positions ? here : indexing::to_index(c.load(0, std::vector<Expr>{here}));
    Reduce r{c.fresh("entry"),
             ReduceOp::Add,
             {{k, given}},
             1,
             false,
             expr::select(expr::binary(ExprOp::Eq, here, place), entry, zero)};
    const Expr found = expr::let(r.name, Elem::I64);
    b.push_back(Stmt{std::move(r)});
    const Expr is_there = expr::binary(ExprOp::And, expr::binary(ExprOp::Ge, place, zero),
                                       expr::binary(ExprOp::Lt, place, expr::index(given)));
    Expr value = expr::select(is_there, found, fill);
    if (all_when_empty)
      value = expr::select(expr::binary(ExprOp::Eq, expr::index(given), expr::index(Dim(0))), idx[0], value);
    b.push_back(Stmt{Store{out, {idx.begin(), idx.end()}, value, nullptr}});
    return b;
  }));
  return ok();
}

}  // namespace

bool has_free_length(const Value* list) {
  return list && list->type.shape && list->type.shape->size() == 1 && !(*list->type.shape)[0].is_const();
}

Value* short_list(GraphWriter& writer, Value* list, size_t length, const ShortListAttrs& attrs) {
  return writer
      .node("ShortList", {list},
            {{"length", static_cast<int64_t>(length)},
             {"fill", attrs.fill},
             {"positions", int64_t{attrs.positions}},
             {"at_end", int64_t{attrs.at_end}},
             {"all_when_empty", int64_t{attrs.all_when_empty}}},
            1, std::string(kOwnDomain))
      ->output();
}

OP(ShortList) = [] {
  OpDef d;
  d.name = "ShortList";
  d.domain = kOwnDomain;
  d.infer = infer_short_list;
  d.lower = lower_short_list;
  return d;
}();

}  // namespace onnxc
