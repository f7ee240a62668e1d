// Det (onnx/docs/Operators.md): the product of the pivots of Gaussian elimination with partial pivoting, in a copy of
// each matrix. Tested by tests/conformance and tests/differential.
#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;
using expr::operator-;
using expr::operator*;
using expr::operator/;

Status infer_det(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  const Shape& x = c.shape(0);
  if (x.size() < 2) return c.invalid("the input " + shape_str(x) + " holds no matrix");
  const Dim &rows = x[x.size() - 2], &columns = x.back();
  ONNXC_TRY(c.require_equal(rows, columns, "the matrices of " + shape_str(x) + " are not square"));
  return c.set(0, c.elem(0), Shape(x.begin(), x.end() - 2)), ok();
}

Status lower_det(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  const Dim& n = x.back();
  const Elem type = expr::arithmetic_type(c.in_elem(0));
  const BufferId out = c.out(0), matrix = c.temporary(type, x), product = c.temporary(type, c.out_shape());
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    const std::string k = c.fresh("k");
    const Expr diagonal = expr::index(Dim::symbol(k));
    const auto at = [&](const Expr& row, const Expr& column) {
      std::vector<Expr> full = to_vector(idx);
      full.push_back(row);
      full.push_back(column);
      return full;
    };
    const auto element = [&](const Expr& row, const Expr& column) { return expr::load(matrix, type, at(row, column)); };
    const auto named = [&](Block& b, const Expr& e) {
      const std::string name = c.fresh("t");
      b.push_back(Stmt{Let{name, e}});
      return expr::let(name, e->type);
    };
    const auto over = [&](const std::function<Block(const Expr&)>& body) {
      const std::string i = c.fresh("i");
      return Stmt{For{{i, n}, body(expr::index(Dim::symbol(i)))}};
    };
    Block all;
    all.push_back(over([&](const Expr& i) {
      Block rows;
      rows.push_back(over([&](const Expr& j) {
        Block copy;
        copy.push_back(Stmt{Store{matrix, at(i, j), c.load(0, at(i, j)), nullptr}});
        return copy;
      }));
      return rows;
    }));
    all.push_back(Stmt{Store{product, to_vector(idx), expr::constant(type, 1), nullptr}});

    Block step;
    const std::string candidate = c.fresh("i");
    const Expr row = expr::index(Dim::symbol(candidate));
    Reduce largest{c.fresh("r"), ReduceOp::ArgMax, {{candidate, n}}, 1, false, nullptr};
    largest.value = expr::select(binary(ExprOp::Lt, row, diagonal), expr::constant(type, -1),
                                 expr::unary(ExprOp::Abs, element(row, diagonal)));
    const Expr chosen = clamp(expr::let(largest.name, Elem::I64), n);
    step.push_back(Stmt{std::move(largest)});
    const Expr pivot_row = named(step, chosen), pivot = named(step, element(pivot_row, diagonal));
    const Expr stays = binary(ExprOp::Eq, pivot_row, diagonal);
    const Expr factor = expr::select(stays, pivot, expr::unary(ExprOp::Neg, pivot));
    step.push_back(Stmt{Store{product, to_vector(idx), expr::load(product, type, to_vector(idx)) * factor, nullptr}});
    step.push_back(over([&](const Expr& j) {
      Block swap;
      const Expr upper = named(swap, element(diagonal, j)), lower = named(swap, element(pivot_row, j));
      swap.push_back(Stmt{Store{matrix, at(diagonal, j), lower, nullptr}});
      swap.push_back(Stmt{Store{matrix, at(pivot_row, j), upper, nullptr}});
      return swap;
    }));
    step.push_back(over([&](const Expr& i) {
      Block rows;
      const Expr zero = expr::constant(type, 0);
      const Expr times = named(rows, expr::select(binary(ExprOp::Eq, pivot, zero), zero, element(i, diagonal) / pivot));
      rows.push_back(over([&](const Expr& j) {
        const Expr remains = binary(ExprOp::And, binary(ExprOp::Gt, i, diagonal), binary(ExprOp::Gt, j, diagonal));
        Block eliminate;
        eliminate.push_back(Stmt{Store{matrix, at(i, j), element(i, j) - times * element(diagonal, j), remains}});
        return eliminate;
      }));
      return rows;
    }));
    all.push_back(Stmt{For{{k, n}, std::move(step)}});
    all.push_back(Stmt{Store{out, to_vector(idx), expr::load(product, type, to_vector(idx)), nullptr}});
    return all;
  }));
  return ok();
}

}  // namespace

OP(Det) = {.name = "Det", .infer = infer_det, .lower = lower_det, .accuracy = Accuracy::Accumulating};

}  // namespace onnxc
