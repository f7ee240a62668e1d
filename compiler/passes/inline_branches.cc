// inline_branches: an If whose condition is a constant is replaced by the nodes of its branch. Tested in
// tests/lit/passes/inline_branches.txt.
#include "compiler/ir/clone_graph.h"
#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

bool inline_branch(Graph& g, Node* n) {
  if (!is_op(n, "If")) return false;
  const auto condition = known_ints(n->input(0));
  if (!condition || condition->size() != 1) return false;
  const Graph* branch = n->attr_graph((*condition)[0] ? "then_branch" : "else_branch");
  if (!branch || branch->outputs.size() < n->num_outputs()) return false;
  const std::vector<Value*> results = inline_graph(*branch, g, {}, n);
  for (size_t i = 0; i < n->num_outputs(); ++i) {
    if (n->output(i)) g.replace_uses(n->output(i), results[i]);
  }
  g.remove_node(n);
  return true;
}

}  // namespace

Result<bool> inline_branches(Graph& graph, PassContext&) {
  return each_graph(graph, [](Graph& g) {
    bool changed = false;
    for (Node* n : nodes_of(g)) changed |= inline_branch(g, n);
    return changed;
  });
}

}  // namespace onnxc
