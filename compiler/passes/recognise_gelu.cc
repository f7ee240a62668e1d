// recognise_gelu: x * 0.5 * (1 + Erf(x / sqrt(2))), in the orders in which exporters multiply, becomes Gelu. Equal up
// to rounding. Tested in tests/lit/passes/recognise_gelu.txt.
#include <cmath>

#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

bool is_near(const Value* v, double expected) {
  const auto s = splat_float(v);
  return s && std::fabs(*s - expected) < 1e-5 * expected && v->constant->numel() == 1;
}

// The one operand that is not the constant `c`, if `n` is an `op` with it.
Value* other_than(const Node* n, std::string_view op, double c) {
  if (!is_op(n, op)) return nullptr;
  if (is_near(n->input(1), c)) return n->input(0);
  return is_near(n->input(0), c) && op != "Div" ? n->input(1) : nullptr;
}

Node* only_reader(const Value* v) { return single_use(v) && v->users[0]->graph == v->graph ? v->users[0] : nullptr; }

// x, if `v` is x / sqrt(2).
Value* scaled_argument(const Value* v) {
  const Node* n = v->producer;
  if (!n || !single_use(v)) return nullptr;
  if (Value* x = other_than(n, "Div", std::sqrt(2.0))) return x;
  return other_than(n, "Mul", std::sqrt(0.5));
}

// Follows the two multiplications that remain after 1 + Erf(..): by x and by 0.5, in any order. The last one, or null.
Node* last_of(Value* sum, Value* x) {
  Node* m = only_reader(sum);
  if (!is_op(m, "Mul")) return nullptr;
  Value* other = m->input(0) == sum ? m->input(1) : m->input(0);
  if (other_than(other->producer, "Mul", 0.5) == x) return m;
  Node* last = only_reader(m->output());
  if (other == x) return other_than(last, "Mul", 0.5) == m->output() ? last : nullptr;
  if (!is_near(other, 0.5) || !is_op(last, "Mul")) return nullptr;
  const bool by_x =
      (last->input(0) == x && last->input(1) == m->output()) || (last->input(1) == x && last->input(0) == m->output());
  return by_x ? last : nullptr;
}

bool recognise(Node* erf) {
  if (!is_op(erf, "Erf") || !is_float_tensor(erf->output())) return false;
  Value* x = scaled_argument(erf->input(0));
  Node* add = x ? only_reader(erf->output()) : nullptr;
  if (!add || other_than(add, "Add", 1.0) != erf->output()) return false;
  Node* last = last_of(add->output(), x);
  if (!last || !same_shape(last->output(), x)) return false;
  Node* gelu = add_like(last, "Gelu", {x}, last);
  merge_origins(gelu, erf);
  replace_node(last, gelu->output());
  return true;
}

}  // namespace

Result<bool> recognise_gelu(Graph& graph, PassContext&) {
  return each_graph(graph, [](Graph& g) { return each_node(g, recognise); });
}

}  // namespace onnxc
