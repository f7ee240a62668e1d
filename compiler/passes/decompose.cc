// decompose: replaces operators that have no kernel and no expression of their own by simpler ones: by the operator's
// own rule (OpDef::decompose), or, where it has no way down at all, by the function body that ONNX gives for the node's
// types. Runs to its own fixpoint, since bodies hold operators that decompose in turn. Tested in
// tests/lit/passes/decompose.txt and decompose_dead_branch.txt.
#include "compiler/ir/clone_graph.h"
#include "compiler/ops/op.h"
#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

constexpr int kMostRounds = 32;

bool inputs_typed(const Node& n) {
  for (const Value* v : n.inputs()) {
    if (v && v->type.kind == Type::Kind::None) return false;
  }
  return true;
}

Result<bool> inline_body(Graph& g, Node* n, FunctionBodies* functions) {
  if (!functions) return false;
  ONNXC_ASSIGN(const std::unique_ptr<Graph> body, functions->body(*n));
  if (!body) return false;
  const size_t first_new = g.nodes().size();
  const std::vector<Value*> results = inline_graph(*body, g, n->inputs());
  for (size_t i = first_new; i < g.nodes().size(); ++i) {
    g.nodes()[i]->name = n->name;
    g.nodes()[i]->origins = n->origins;
    ONNXC_TRY(infer_node(*g.nodes()[i]));
  }
  for (size_t i = 0; i < n->num_outputs() && i < results.size(); ++i) {
    if (!n->output(i)) continue;
    if (!results[i])
      return Error(ErrorKind::Internal, "the function's body leaves output " + std::to_string(i) + " out", n->where());
    g.replace_uses(n->output(i), results[i]);
  }
  g.remove_node(n);
  return true;
}

// The node itself, when its types are known; true when another has taken its place.
Result<bool> expand(Graph& g, Node* n, bool retype, FunctionBodies* functions) {
  if (!inputs_typed(*n)) return false;
  if (retype) ONNXC_TRY(infer_node(*n));
  const OpDef* def = find_op(n->domain, n->op);
  const WayDown way = way_down(def, *n);
  if (way == WayDown::Compute || way == WayDown::Lower) return false;
  if (way != WayDown::Decompose) return inline_body(g, n, functions);
  ONNXC_TRY(def->decompose(g, *n));
  return true;
}

Result<bool> expand_once(Graph& g, FunctionBodies* functions) {
  bool changed = false;
  for (Node* n : nodes_of(g)) {
    // What an expansion before it has typed by now is passed on, so that a chain of functions takes one round.
    ONNXC_ASSIGN(const bool expanded, expand(g, n, changed, functions));
    changed |= expanded;
    // After the node itself: of an If whose condition is known only the branch that is taken needs to fit its inputs.
    if (expanded || n->subgraphs().empty()) continue;
    // What they require of a run they say again when they are inferred from without, if they may (infer_branch).
    Graph* root = g.root();
    const auto requirements = root->requirements;
    for (Graph* s : n->subgraphs()) {
      ONNXC_ASSIGN(const bool inner, expand_once(*s, functions));
      changed |= inner;
    }
    root->requirements = requirements;
  }
  return changed;
}

}  // namespace

Result<bool> decompose(Graph& graph, PassContext& context) {
  bool changed = false;
  for (int round = 0; round < kMostRounds; ++round) {
    ONNXC_ASSIGN(const bool again, expand_once(graph, context.functions));
    if (!again) return changed;
    changed = true;
    ONNXC_TRY(infer_graph(graph));
  }
  return Error(ErrorKind::Internal, "operators still decompose after " + std::to_string(kMostRounds) + " rounds");
}

}  // namespace onnxc
