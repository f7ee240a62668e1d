// infer_shapes: runs every operator's shape rule, with the contents of small integer tensors followed as Dims, and
// makes a constant of each integer value whose contents turn out to be one. Tested in
// tests/lit/passes/infer_shapes.txt.
#include "compiler/ops/op.h"
#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

using Known = std::pair<Type, std::optional<Contents>>;

void collect_known(const Graph& g, std::vector<Known>& known) {
  for (const auto& v : g.values()) known.push_back({v->type, v->contents});
  for (const auto& n : g.nodes()) {
    for (const Graph* s : n->subgraphs()) collect_known(*s, known);
  }
}

bool materialise(Graph& g, Value* v) {
  if (!v->producer || v->users.empty() || !v->contents || !v->type.is_static_tensor()) return false;
  if (!is_int(v->type.elem) && v->type.elem != Elem::Bool) return false;
  const auto ints = known_ints(v);
  const std::vector<int64_t> dims = static_dims(*v->type.shape);
  if (!ints || checked_numel(dims) != static_cast<int64_t>(ints->size())) return false;
  const std::vector<Node*> users = v->users;
  Value* c = g.add_constant(Tensor::ints(v->type.elem, dims, *ints));
  for (Node* user : users) {
    for (size_t i = 0; i < user->num_inputs(); ++i) {
      if (user->input(i) == v) user->set_input(i, c);
    }
  }
  return true;
}

}  // namespace

Result<bool> infer_shapes(Graph& graph, PassContext&) {
  std::vector<Known> before, after;
  collect_known(graph, before);
  ONNXC_TRY(infer_graph(graph));
  collect_known(graph, after);
  bool changed = before != after;
  changed |= each_graph(graph, [](Graph& g) {
    bool any = false;
    for (Node* n : nodes_of(g)) {
      for (Value* v : n->outputs()) any |= v && materialise(g, v);
    }
    return any;
  });
  return changed;
}

}  // namespace onnxc
