// recognise_hard_swish: x * Clip(x + 3, 0, 6) / 6, divided anywhere and by Mul too, becomes HardSwish. Equal up to
// rounding. Tested in tests/lit/passes/recognise_hard_swish.txt.
#include <cmath>

#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

bool is_near(const Value* v, double expected) {
  const auto s = splat_float(v);
  return s && v->constant->numel() == 1 && std::fabs(*s - expected) <= 1e-6 * std::fabs(expected);
}

// x, if `v` is x / 6.
Value* sixth_of(const Value* v) {
  const Node* n = v ? v->producer : nullptr;
  if (is_op(n, "Div") && is_near(n->input(1), 6)) return n->input(0);
  if (!is_op(n, "Mul")) return nullptr;
  if (is_near(n->input(1), 1.0 / 6)) return n->input(0);
  return is_near(n->input(0), 1.0 / 6) ? n->input(1) : nullptr;
}

// x, if `clip` is Clip(x + 3, 0, 6).
Value* shifted_argument(const Node* clip) {
  if (!is_op(clip, "Clip") || !is_near(clip->input(1), 0) || !is_near(clip->input(2), 6)) return nullptr;
  const Node* add = made_by(clip->input(0), "Add");
  if (!add || !single_use(add->output())) return nullptr;
  if (is_near(add->input(1), 3)) return add->input(0);
  return is_near(add->input(0), 3) ? add->input(1) : nullptr;
}

bool recognise(Node* clip) {
  Value* x = shifted_argument(clip);
  if (!x || !is_float_tensor(x) || !same_shape(x, clip->output())) return false;
  Node* last = clip;
  bool by_x = false, by_sixth = false;
  while (!(by_x && by_sixth)) {
    Value* v = last->output();
    if (!single_use(v) || v->users[0]->graph != v->graph) return false;
    Node* next = v->users[0];
    if (!by_sixth && sixth_of(next->output()) == v) {
      by_sixth = true;
    } else if (!by_x && is_op(next, "Mul")) {
      Value* other = next->input(0) == v ? next->input(1) : next->input(0);
      if (!by_sixth && sixth_of(other) == x) {
        by_sixth = true;
      } else if (other != x) {
        return false;
      }
      by_x = true;
    } else {
      return false;
    }
    last = next;
  }
  if (!same_shape(last->output(), x)) return false;
  Node* swish = add_like(last, "HardSwish", {x}, last);
  merge_origins(swish, clip);
  replace_node(last, swish->output());
  return true;
}

}  // namespace

Result<bool> recognise_hard_swish(Graph& graph, PassContext&) {
  return each_graph(graph, [](Graph& g) { return each_node(g, recognise); });
}

}  // namespace onnxc
