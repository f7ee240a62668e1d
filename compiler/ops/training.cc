// Steps of training that ONNX defines (ai.onnx.preview.training: Adagrad, Adam, Momentum; onnx/docs/Operators.md).
// Their inputs are R (learning rate), T (update count), then the tensors, all of the first kind before all of the
// second; outputs likewise. Expressions, one per output. Tested by tests/conformance.
#include "compiler/ops/elementwise.h"
#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using expr::binary;
using expr::operator+;
using expr::operator-;
using expr::operator*;
using expr::operator/;

constexpr std::string_view kDomain = "ai.onnx.preview.training";

// kKinds tensors per variable (value, gradient, state ..), of which the outputs update all but the gradient.
template <size_t kKinds>
Status infer_step(InferContext& c) {
  const size_t n = c.node.num_inputs();
  if (n < 2 + kKinds || (n - 2) % kKinds != 0)
    return c.invalid("the inputs do not come in groups of " + std::to_string(kKinds));
  ONNXC_TRY(indexing::require_inputs(c, n));
  const size_t variables = (n - 2) / kKinds;
  for (size_t i : {0, 1}) ONNXC_TRY(indexing::require_scalar(c, i));
  for (size_t i = 2 + variables; i < n; ++i)
    if (const size_t first = 2 + (i - 2) % variables; c.has_shape(i) && c.has_shape(first))
      ONNXC_TRY(indexing::require_same_shape(c.node, c.shape(first), c.shape(i),
                                             "the tensors of a variable have different shapes"));
  for (size_t o = 0; o < c.node.num_outputs(); ++o) {
    const size_t kind = o / variables, input = 2 + (kind == 0 ? 0 : kind + 1) * variables + o % variables;
    if (input >= n) return c.invalid("there are more outputs than variables");
    c.outputs[o] = c.in(input);
  }
  return ok();
}

// What the formulas speak of, for one variable.
struct Step {
  Expr rate, count, x, gradient, state, second;
  Expr num(double v) const { return expr::constant(x->type, v); }
};

Expr scalar_input(ComputeContext& c, size_t i) {
  const std::vector<Expr> at(c.in_shape(i).size(), indexing::constant(0));
  return c.load(i, at);
}

Step make_step(ComputeContext& c, size_t kinds, std::span<const Expr> idx) {
  const size_t variables = (c.node().num_inputs() - 2) / kinds, which = c.output % variables;
  const auto tensor = [&](size_t kind) { return c.load(2 + kind * variables + which, idx); };
  Step s;
  s.x = tensor(0);
  s.rate = expr::cast(scalar_input(c, 0), s.x->type);
  s.count = expr::cast(scalar_input(c, 1), s.x->type);
  s.gradient = s.num(c.node().attr_float("norm_coefficient", 0)) * s.x + tensor(1);
  s.state = tensor(2);
  if (kinds > 3) s.second = tensor(3);
  return s;
}

size_t output_kind(const ComputeContext& c, size_t kinds) { return c.output / ((c.node().num_inputs() - 2) / kinds); }

Result<Expr> compute_adagrad(ComputeContext& c, std::span<const Expr> idx) {
  const Step s = make_step(c, 3, idx);
  const Expr rate = s.rate / (s.num(1) + s.count * s.num(c.node().attr_float("decay_factor", 0)));
  const Expr squares = s.state + s.gradient * s.gradient;
  if (output_kind(c, 3) == 1) return squares;
  return s.x - rate * s.gradient / (expr::unary(ExprOp::Sqrt, squares) + s.num(c.node().attr_float("epsilon", 1e-6f)));
}

Result<Expr> compute_adam(ComputeContext& c, std::span<const Expr> idx) {
  const Step s = make_step(c, 4, idx);
  const Expr alpha = s.num(c.node().attr_float("alpha", 0.9f)), beta = s.num(c.node().attr_float("beta", 0.999f));
  const Expr mean = alpha * s.state + (s.num(1) - alpha) * s.gradient;
  const Expr square = beta * s.second + (s.num(1) - beta) * (s.gradient * s.gradient);
  if (output_kind(c, 4) == 1) return mean;
  if (output_kind(c, 4) == 2) return square;
  const Expr corrected = s.rate * expr::unary(ExprOp::Sqrt, s.num(1) - binary(ExprOp::Pow, beta, s.count)) /
                         (s.num(1) - binary(ExprOp::Pow, alpha, s.count));
  const Expr rate = expr::select(binary(ExprOp::Gt, s.count, s.num(0)), corrected, s.rate);
  const Expr x = s.x - rate * mean / (expr::unary(ExprOp::Sqrt, square) + s.num(c.node().attr_float("epsilon", 1e-6f)));
  return (s.num(1) - s.num(c.node().attr_float("norm_coefficient_post", 0))) * x;
}

Result<Expr> compute_momentum(ComputeContext& c, std::span<const Expr> idx) {
  const Step s = make_step(c, 3, idx);
  const Expr alpha = s.num(c.node().attr_float("alpha", 0)), beta = s.num(c.node().attr_float("beta", 0));
  const Expr damping =
      expr::select(binary(ExprOp::Gt, s.count, s.num(0)), beta, s.num(1));  // the first gradient counts in full
  const Expr velocity = alpha * s.state + damping * s.gradient;
  if (output_kind(c, 3) == 1) return velocity;
  const bool nesterov = c.node().attr_string("mode", "standard") == "nesterov";
  return s.x - s.rate * (nesterov ? s.gradient + alpha * velocity : velocity);
}

OpDef step(std::string_view name, InferFn infer, ComputeFn compute) {
  OpDef d = elementwise::make(name, infer, compute, Accuracy::Rounding, true);
  d.domain = kDomain;
  d.layout = LayoutBehaviour::Opaque;
  return d;
}

}  // namespace

OP(Adagrad) = step("Adagrad", infer_step<3>, compute_adagrad);
OP(Adam) = step("Adam", infer_step<4>, compute_adam);
OP(Momentum) = step("Momentum", infer_step<3>, compute_momentum);

}  // namespace onnxc
