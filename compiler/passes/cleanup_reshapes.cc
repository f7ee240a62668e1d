// cleanup_reshapes: Squeeze, Unsqueeze, Flatten and Reshapes with a computed shape become Reshapes to a constant shape
// where at most one dim is free; Reshape of Reshape is one; operators that give back their input (Reshape, Expand,
// Slice, Pad, Tile, Concat of one, Split into one) go. Exact. Tested in tests/lit/passes/cleanup_reshapes.txt.
#include <algorithm>

#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

bool is_view(const Node* n) {
  for (const char* op : {"Reshape", "Squeeze", "Unsqueeze", "Flatten"}) {
    if (is_op(n, op)) return true;
  }
  return false;
}

bool all_equal(const std::optional<std::vector<int64_t>>& v, int64_t to) {
  return v && std::all_of(v->begin(), v->end(), [&](int64_t x) { return x == to; });
}

// Whether `n`, whose output has the shape of its input, gives the input back.
bool repeats_input(const Node& n) {
  if (is_view(&n) || is_op(&n, "Expand") || is_op(&n, "Tile")) return true;
  if (is_op(&n, "Slice")) return !n.input(4) || all_equal(known_ints(n.input(4)), 1);
  if (is_op(&n, "Pad")) return all_equal(known_ints(n.input(1)), 0);
  return is_op(&n, "Concat") && n.num_inputs() == 1;
}

bool drop(Node* n) {
  if (n->num_outputs() != 1 || !n->input(0) || !same_shape(n->input(0), n->output())) {
    const bool split = is_op(n, "Split") && n->num_outputs() == 1;
    if (!split) return false;
  } else if (!repeats_input(*n)) {
    return false;
  }
  if (n->input(0)->producer) merge_origins(n->input(0)->producer, n);
  replace_node(n, n->input(0));
  return true;
}

// The shape input of a Reshape to the type of `v`: constants, and -1 for one dim that is free.
std::optional<std::vector<int64_t>> reshape_target(const Value& v) {
  if (!v.type.is_tensor() || !v.type.shape) return std::nullopt;
  std::vector<int64_t> target;
  int free = 0;
  for (const Dim& d : *v.type.shape) {
    if (!d.is_const()) ++free;
    if (d == Dim(0)) return std::nullopt;  // 0 means "copy" there
    target.push_back(d.is_const() ? d.value() : -1);
  }
  if (free > 1) return std::nullopt;
  return target;
}

Value* shape_constant(Graph& g, const std::vector<int64_t>& target) {
  return g.add_constant(Tensor::i64({static_cast<int64_t>(target.size())}, target));
}

bool canonicalise(Node* n) {
  if (!is_view(n)) return false;
  const auto target = reshape_target(*n->output());
  if (!target || !n->input(0)->type.is_tensor()) return false;
  if (is_op(n, "Reshape") && n->input(1)->is_constant() && n->input(1)->constant->to_ints() == *target) {
    return false;
  }
  replace_node(n, add_like(n, "Reshape", {n->input(0), shape_constant(*n->graph, *target)}, n)->output());
  return true;
}

// A view of a view is a view of the first.
bool join(Node* n) {
  if (!is_op(n, "Reshape") || !reshape_target(*n->output())) return false;
  Node* inner = n->input(0) ? n->input(0)->producer : nullptr;
  if (!is_view(inner) || !n->input(1)->is_constant() ||
      n->input(1)->constant->to_ints() != *reshape_target(*n->output()))
    return false;
  merge_origins(n, inner);
  n->set_input(0, inner->input(0));
  return true;
}

// Inputs of Concat without elements say nothing.
bool drop_empty_inputs(Node* n) {
  if (!is_op(n, "Concat") || n->num_inputs() < 2) return false;
  std::vector<Value*> kept;
  for (Value* v : n->inputs()) {
    const bool empty =
        v && v->type.is_tensor() && v->type.shape &&
        std::any_of(v->type.shape->begin(), v->type.shape->end(), [](const Dim& d) { return d == Dim(0); });
    if (!empty) kept.push_back(v);
  }
  if (kept.empty() || kept.size() == n->num_inputs()) return false;
  const size_t count = kept.size();
  for (size_t i = 0; i < count; ++i) n->set_input(i, kept[i]);
  n->resize_inputs(count);
  return true;
}

}  // namespace

Result<bool> cleanup_reshapes(Graph& graph, PassContext&) {
  return each_graph(graph, [](Graph& g) {
    bool changed = false;
    for (Node* n : nodes_of(g)) {
      changed |= drop_empty_inputs(n);
      if (n->num_outputs() > 0 && n->output()) changed |= drop(n) || canonicalise(n);
    }
    for (Node* n : nodes_of(g)) {
      while (join(n)) changed = true;
      if (is_op(n, "Reshape")) changed |= drop(n);
    }
    return changed;
  });
}

}  // namespace onnxc
