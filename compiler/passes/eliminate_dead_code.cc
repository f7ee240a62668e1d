// eliminate_dead_code: removes nodes none of whose outputs is used, and constants that nobody reads. Graph inputs stay.
// Tested in tests/lit/passes/eliminate_dead_code.txt.
#include <algorithm>

#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

bool is_used(const Value* v) { return v && (!v->users.empty() || v->graph->is_output(v)); }

bool sweep(Graph& g) {
  bool changed = false;
  const std::vector<Node*> nodes = nodes_of(g);
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
    bool used = false;
    for (const Value* v : (*it)->outputs()) used = used || is_used(v);
    if (used) continue;
    g.remove_node(*it);
    changed = true;
  }
  std::vector<Value*> unused;
  for (const auto& v : g.values()) {
    const bool is_input = std::find(g.inputs.begin(), g.inputs.end(), v.get()) != g.inputs.end();
    if (!v->producer && !is_input && !is_used(v.get())) unused.push_back(v.get());
  }
  for (Value* v : unused) g.remove_value(v);
  return changed || !unused.empty();
}

// From outside in: what an inner graph uses counts only while its node lives.
bool sweep_all(Graph& g) {
  bool changed = sweep(g);
  for (Node* n : nodes_of(g)) {
    for (Graph* s : n->subgraphs()) changed |= sweep_all(*s);
  }
  return changed;
}

}  // namespace

Result<bool> eliminate_dead_code(Graph& graph, PassContext&) {
  bool changed = false;
  while (sweep_all(graph)) changed = true;  // again: what inner graphs used may be dead now
  return changed;
}

}  // namespace onnxc
