// Softmax, LogSoftmax, Hardmax along one axis (onnx/docs/Operators.md, opset 13). Tested by tests/conformance.
#include "compiler/ops/axes.h"
#include "compiler/ops/elementwise.h"

namespace onnxc {
namespace {

using expr::operator-;
using expr::operator/;

Status infer_softmax(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  c.outputs[0] = c.in(0);
  if (c.has_shape(0))
    ONNXC_TRY([&]() -> Status {
      if (c.shape(0).empty() && c.node.attr_int("axis", -1) == -1) return ok();
      auto axis = normal_axis(c.node, c.node.attr_int("axis", -1), c.shape(0).size());
      return axis.ok() ? ok() : Status(axis.error());
    }());
  return ok();
}

// Up to opset 12 the input counts as the matrix [product of dims before axis, product of the rest].
Status upgrade_softmax_12(Graph& g, Node& n) {
  Value* x = n.input(0);
  Node* shape = g.add_node("Shape", {x}, 1, &n);
  Node* flat = g.add_node("Flatten", {x}, 1, &n);
  flat->attrs["axis"] = n.attr_int("axis", 1);
  Value* y = n.output();
  Node* back = g.add_node("Reshape", {x, shape->output()}, 1);
  g.replace_uses(y, back->output());
  back->set_input(0, y);
  n.set_input(0, flat->output());
  n.attrs["axis"] = int64_t{-1};
  return ok();
}

enum class Kind { Softmax, LogSoftmax, Hardmax };

Status lower_nest(LowerContext& c, Kind kind, size_t axis) {
  const Elem elem = c.in_elem(0);
  const Shape& shape = c.in_shape(0);
  ONNXC_ASSIGN(const BufferId in, c.in(0));
  const BufferId out = c.out(0);
  Shape outer = shape;
  if (!shape.empty()) outer.erase(outer.begin() + static_cast<std::ptrdiff_t>(axis));
  const Dim extent = shape.empty() ? Dim(1) : shape[axis];
  c.emit(make_nest(c, outer, [&](std::span<const Expr> idx) {
    auto at = [&](const std::string& var) {
      std::vector<Expr> full(idx.begin(), idx.end());
      if (!shape.empty()) full.insert(full.begin() + static_cast<std::ptrdiff_t>(axis), expr::index(Dim::symbol(var)));
      return full;
    };
    Block b;
    auto reduce = [&](ReduceOp op, const std::function<Expr(Expr)>& map, int lanes) {
      const std::string k = c.fresh("k");
      Reduce r{c.fresh("r"), op, {{k, extent}}, lanes, false, map(expr::load(in, elem, at(k)))};
      Expr value = expr::let(r.name, op == ReduceOp::ArgMax ? Elem::I64 : r.value->type);
      b.push_back(Stmt{std::move(r)});
      return value;
    };
    const std::string k = c.fresh("k");
    const Expr x = expr::load(in, elem, at(k));
    Expr value;
    if (kind == Kind::Hardmax) {
      const Expr best = reduce(ReduceOp::ArgMax, [](Expr e) { return e; }, 1);
      value = expr::cast(expr::binary(ExprOp::Eq, best, expr::index(Dim::symbol(k))), x->type);
    } else {
      const Expr top = reduce(ReduceOp::Max, [](Expr e) { return e; }, 1);
      const Expr sum = reduce(ReduceOp::Add, [&](Expr e) { return expr::unary(ExprOp::Exp, e - top); }, 1);
      value = kind == Kind::Softmax ? expr::unary(ExprOp::Exp, x - top) / sum : x - top - expr::unary(ExprOp::Log, sum);
    }
    Block inner;
    inner.push_back(Stmt{Store{out, at(k), value, nullptr}});
    b.push_back(Stmt{For{{k, extent}, std::move(inner)}});
    return b;
  }));
  return ok();
}

template <Kind kKind>
Status lower_softmax(LowerContext& c) {
  const Shape& shape = c.in_shape(0);
  if (shape.empty()) return lower_nest(c, kKind, 0);
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node(), c.node().attr_int("axis", -1), shape.size()));
  const bool last = axis + 1 == static_cast<int64_t>(shape.size());
  if (kKind == Kind::Hardmax || c.in_elem(0) != Elem::F32 || !last)
    return lower_nest(c, kKind, static_cast<size_t>(axis));
  ONNXC_ASSIGN(const BufferId in, c.in(0));
  const BufferId out = c.out(0);
  Call call(kKind == Kind::Softmax ? "softmax_f32" : "log_softmax_f32");
  c.emit(call.out(out)
             .in(in)
             .arg("cols", shape.back())
             .partition("rows", product(shape, 0, shape.size() - 1), numel(shape) * Dim(32))
             .in_place(out, in)
             .op());
  return ok();
}

OpDef softmax(std::string_view name, LowerFn lower) {
  OpDef d;
  d.name = name;
  d.infer = infer_softmax;
  d.lower = lower;
  d.upgrades = {{12, upgrade_softmax_12}};
  d.accuracy = Accuracy::Accumulating;
  return d;
}

}  // namespace

OP(Softmax) = softmax("Softmax", lower_softmax<Kind::Softmax>);
OP(LogSoftmax) = softmax("LogSoftmax", lower_softmax<Kind::LogSoftmax>);
OP(Hardmax) = softmax("Hardmax", lower_softmax<Kind::Hardmax>);

}  // namespace onnxc
