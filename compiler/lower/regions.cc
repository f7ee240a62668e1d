// Bodies of loops and branches: their nodes are lowered like any others, into a list of operations of their own. What
// is made within is not there after it: homes and pending values are as before. See graph_lowering.h.
#include "compiler/lower/graph_lowering.h"

namespace onnxc {

namespace {

bool is_within(const Graph* g, const Graph& body) {
  for (; g; g = g->parent)
    if (g == &body) return true;
  return false;
}

// What the nodes of `graph` read from outside of `body`, in order of appearance.
void collect_captured(const Graph& graph, const Graph& body, std::vector<const Value*>& out) {
  for (const auto& node : graph.nodes()) {
    for (const Value* v : node->inputs())
      if (v && !v->is_constant() && !is_within(v->graph, body)) out.push_back(v);
    for (const Graph* inner : node->subgraphs()) collect_captured(*inner, body, out);
  }
}

}  // namespace

Status GraphLowering::begin_region(const Graph& body) {
  std::vector<const Value*> captured;
  collect_captured(body, body, captured);
  for (const Value* v : captured) ONNXC_TRY(home(v, {}));
  around_.push_back({std::move(program_.ops), pending_, homes_, main_layout_});
  program_.ops.clear();
  return ok();
}

std::vector<Operation> GraphLowering::end_region() {
  std::vector<Operation> ops = std::move(program_.ops);
  Around around = std::move(around_.back());
  around_.pop_back();
  program_.ops = std::move(around.ops);
  pending_ = std::move(around.pending);
  homes_ = std::move(around.homes);
  main_layout_ = std::move(around.main_layout);
  return ops;
}

Result<std::vector<BufferId>> GraphLowering::lower_body(const Graph& body, const std::vector<BufferId>& inputs) {
  for (size_t i = 0; i < body.inputs.size(); ++i)
    set_home(body.inputs[i], {}, body.inputs[i]->type.stored().shape->size(), inputs[i]);
  for (const auto& node : body.nodes()) ONNXC_TRY(lower_node(*node));
  std::vector<BufferId> outputs;
  for (const Value* v : body.outputs) {
    ONNXC_ASSIGN(const BufferId b, home(v, {}));
    outputs.push_back(b);
  }
  return outputs;
}

}  // namespace onnxc
