// eliminate_dead_code: removes nodes none of whose outputs is used, outputs of branches that nobody reads, and
// constants. Graph inputs stay. Tested in tests/lit/passes/eliminate_dead_code.txt.
#include <algorithm>
#include <utility>

#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

bool is_used(const Value* v) { return v && (!v->users.empty() || v->graph->is_output(v)); }

// An If that gives only what is used, in the place of one that gives more.
bool drop_unused_results(Graph& g, Node* n) {
  if (n->op != "If" || !n->domain.empty() || std::ranges::all_of(n->outputs(), is_used)) return false;
  std::vector<size_t> kept;
  for (size_t i = 0; i < n->num_outputs(); ++i)
    if (is_used(n->output(i))) kept.push_back(i);
  for (Graph* branch : n->subgraphs()) {
    if (branch->outputs.size() < n->num_outputs()) return false;
    std::vector<Value*> outputs;
    for (size_t i : kept) outputs.push_back(branch->outputs[i]);
    branch->outputs = std::move(outputs);
  }
  Node* less = g.add_node(n->op, n->inputs(), kept.size(), n);
  less->name = n->name;
  less->origins = n->origins;
  less->attrs = std::exchange(n->attrs, {});
  for (size_t i = 0; i < kept.size(); ++i) {
    Value *before = n->output(kept[i]), *after = less->output(i);
    after->type = before->type;
    after->contents = before->contents;
    g.replace_uses(before, after);
  }
  g.remove_node(n);
  return true;
}

bool sweep(Graph& g) {
  bool changed = false;
  const std::vector<Node*> nodes = nodes_of(g);
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
    bool used = false;
    for (const Value* v : (*it)->outputs()) used = used || is_used(v);
    if (used) {
      changed |= drop_unused_results(g, *it);
      continue;
    }
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
