// onnxc.Refuse: refuses the run with its `message`. It stands for a branch of an If that cannot be run, and has the
// types of the results that the other branch has (control_flow.cc). Tested by
// tests/differential/test_varying_shapes.py.
#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using namespace indexing;

// As they were given.
Status infer_refuse(InferContext& c) {
  for (size_t i = 0; i < c.node.num_outputs(); ++i) c.outputs[i] = c.node.output(i)->type;
  return ok();
}

Status lower_refuse(LowerContext& c) {
  c.emit(Operation{Require{Dim(-1), c.node().attr_string("message", "")}, std::nullopt, {}, {}, {}});
  for (size_t i = 0; i < c.node().num_outputs(); ++i) {
    const BufferId out = c.out(i);
    const Elem type = expr::arithmetic_type(c.out_elem(i));
    const Expr zero = is_float(type) ? expr::constant(type, 0) : expr::int_constant(type, 0);
    c.emit(make_nest(c, c.out_shape(i), [&](std::span<const Expr> idx) {
      return Block{Stmt{Store{out, to_vector(idx), zero, nullptr}}};
    }));
  }
  return ok();
}

}  // namespace

OP(Refuse) = {.name = "Refuse", .domain = kOwnDomain, .infer = infer_refuse, .lower = lower_refuse, .random = true};

}  // namespace onnxc
