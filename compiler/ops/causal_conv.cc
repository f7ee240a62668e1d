// CausalConvWithState (onnx/docs/Operators.md, opset 27): a depthwise convolution over what went before. A kernel of
// known size takes the function body that ONNX gives, with its Conv; else a nest. Tested by tests/conformance.
#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::operator+;
using expr::operator*;

enum Input { kX, kWeight, kBias, kPast };

Status infer_causal_conv(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 2));
  for (size_t o = 0; o < c.node.num_outputs(); ++o) c.set_unranked(o, c.elem(kX));
  const std::string activation = c.node.attr_string("activation", "none");
  if (activation != "none" && activation != "silu" && activation != "swish")
    return c.invalid("there is no activation \"" + activation + "\"");
  if (!c.has_shape(kX) || !c.has_shape(kWeight)) return ok();
  const Shape &x = c.shape(kX), &w = c.shape(kWeight);
  if (x.size() != 3 || w.size() != 3)
    return c.invalid("the input and the kernel must have three axes, not " + shape_str(x) + " and " + shape_str(w));
  ONNXC_TRY(c.require_equal(x[1], w[0], "the channels of the input and of the kernel"));
  ONNXC_TRY(c.require_equal(w[1], Dim(1), "the kernel's input channels of a group"));
  ONNXC_TRY(require_non_negative(c.node, w[2] - Dim(1), "the kernel is empty"));
  const Shape state{x[0], x[1], w[2] - Dim(1)};
  if (c.has_shape(kBias)) {
    if (c.shape(kBias).size() != 1) return c.invalid("the bias must have one axis");
    ONNXC_TRY(c.require_equal(c.shape(kBias)[0], x[1], "the numbers of the bias and the channels"));
  }
  if (c.has_shape(kPast)) {
    if (c.shape(kPast).size() != 3) return c.invalid("past_state must have three axes");
    for (size_t d = 0; d < 3; ++d)
      ONNXC_TRY(c.require_equal(c.shape(kPast)[d], state[d], "dim " + std::to_string(d) + " of past_state"));
  }
  c.set(0, c.elem(kX), x);
  if (c.node.num_outputs() > 1) c.set(1, c.elem(kX), state);
  return ok();
}

bool has_free_kernel(const Node& node) {
  for (size_t i = 0; i < node.num_inputs(); ++i)
    if (node.input(i) && !node.input(i)->type.shape) return false;
  return !is_static(*node.input(kWeight)->type.shape);
}

class CausalConv {
 public:
  explicit CausalConv(LowerContext& c) : c_(c), elem_(c.in_elem(kX)), type_(expr::arithmetic_type(elem_)) {}

  Status lower() {
    const Shape& x = c_.in_shape(kX);
    kernel_ = c_.in_shape(kWeight)[2];
    ONNXC_ASSIGN(weight_, c_.in(kWeight));
    ONNXC_ASSIGN(bias_, c_.in(kBias));
    // past_state and the input, one behind the other.
    const Dim past = kernel_ - Dim(1);
    all_ = c_.temporary(elem_, {x[0], x[1], past + x[2]});
    put({x[0], x[1], past}, Dim(0), kPast);
    put(x, past, kX);
    if (c_.node().output(0)) {
      const BufferId y = c_.out(0);
      c_.emit(make_nest(c_, x, [&](std::span<const Expr> idx) { return element(y, idx); }));
    }
    if (c_.node().output(1)) {
      const BufferId state = c_.out(1);
      c_.emit(make_nest(c_, c_.out_shape(1), [&](std::span<const Expr> idx) {
        const Expr value = expr::load(all_, elem_, {idx[0], idx[1], idx[2] + extent(x[2])});
        return Block{Stmt{Store{state, to_vector(idx), value, nullptr}}};
      }));
    }
    return ok();
  }

 private:
  void put(const Shape& shape, const Dim& at, size_t input) {
    c_.emit(make_nest(c_, shape, [&](std::span<const Expr> idx) {
      const Expr value = c_.has_input(input) ? c_.load(input, idx) : scalar(elem_, 0);
      return Block{Stmt{Store{all_, {idx[0], idx[1], idx[2] + extent(at)}, value, nullptr}}};
    }));
  }
  Block element(BufferId y, std::span<const Expr> idx) {
    Reduce sum{c_.fresh("sum"), ReduceOp::Add, {{c_.fresh("k"), kernel_}}, 1, false, nullptr};
    const Expr k = expr::index(Dim::symbol(sum.vars[0].name));
    sum.value =
        expr::load(all_, elem_, {idx[0], idx[1], idx[2] + k}) * expr::load(weight_, elem_, {idx[1], constant(0), k});
    Expr value = expr::let(sum.name, type_);
    if (bias_ != kNoBuffer) value = value + expr::load(bias_, elem_, {idx[1]});
    if (c_.node().attr_string("activation", "none") != "none") value = value * expr::unary(ExprOp::Sigmoid, value);
    return Block{Stmt{std::move(sum)}, Stmt{Store{y, to_vector(idx), value, nullptr}}};
  }

  LowerContext& c_;
  const Elem elem_, type_;
  BufferId weight_ = kNoBuffer, bias_ = kNoBuffer, all_ = kNoBuffer;
  Dim kernel_;
};

Status lower_causal_conv(LowerContext& c) { return CausalConv(c).lower(); }

}  // namespace

OP(CausalConvWithState) = {.name = "CausalConvWithState",
                           .infer = infer_causal_conv,
                           .lower = lower_causal_conv,
                           .lower_if = has_free_kernel,
                           .accuracy = Accuracy::Accumulating};

}  // namespace onnxc
