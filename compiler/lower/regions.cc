// Bodies of loops and branches: their nodes are lowered like any others, into a list of operations of their own. What
// is made within is not there after it: homes and pending values are as before. See graph_lowering.h.
#include <algorithm>

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
  around_.push_back({std::move(program_.ops), pending_, homes_, main_layout_, required_within_});
  program_.ops.clear();
  return ok();
}

bool GraphLowering::is_told_within(const Dim& dim) const {
  std::set<std::string> symbols;
  dim.collect_symbols(symbols);
  return std::ranges::any_of(symbols, [this](const std::string& s) { return told_within_.contains(s); });
}

bool GraphLowering::is_sized_within(const Buffer& buffer) const {
  return std::ranges::any_of(buffer.dims, [this](const Dim& dim) { return is_told_within(dim); });
}

void GraphLowering::allocate_within(const Operation& op) {
  for (const BufferId id : effects_of(op).writes) {
    const BufferId root = storage_root(program_, id);
    Buffer& buffer = program_.buffers[root];
    if (buffer.storage != Buffer::Storage::Arena || !is_sized_within(buffer)) continue;
    buffer.storage = Buffer::Storage::Dynamic;
    Operation alloc;
    alloc.node = Alloc{root};
    alloc.origins = op.origins;
    program_.ops.push_back(std::move(alloc));
  }
}

void GraphLowering::require_within() {
  for (const auto& [value, message] : graph_.requirements) {
    std::set<std::string> symbols;
    value.collect_symbols(symbols);
    const auto told = [this](const std::string& s) {
      return told_within_.contains(s) || symbols_.contains(s) || element_names_.contains(s);
    };
    const bool of_branch = !required_at_root_.contains(value);
    if ((of_branch || is_told_within(value)) && std::ranges::all_of(symbols, told)) require_here(value, message);
  }
}

void GraphLowering::require_here(const Dim& value, const std::string& message) {
  if (value.known_non_negative() || !required_within_.insert(value.str()).second) return;
  Operation op;
  op.node = Require{value, message};
  program_.ops.push_back(std::move(op));
}

std::vector<Operation> GraphLowering::end_region() {
  std::vector<Operation> ops = std::move(program_.ops);
  Around around = std::move(around_.back());
  around_.pop_back();
  program_.ops = std::move(around.ops);
  pending_ = std::move(around.pending);
  homes_ = std::move(around.homes);
  main_layout_ = std::move(around.main_layout);
  required_within_ = std::move(around.required);
  return ops;
}

Result<std::vector<BufferId>> GraphLowering::lower_body(const Graph& body, const std::vector<BufferId>& inputs) {
  for (size_t i = 0; i < body.inputs.size(); ++i)
    set_home(body.inputs[i], {}, body.inputs[i]->type.stored().shape->size(), inputs[i]);
  require_within();
  for (const Value* v : body.inputs) ONNXC_TRY(define_elements(*v));
  for (const auto& node : body.nodes()) {
    ONNXC_TRY(lower_node(*node));
    for (const Value* v : node->outputs())
      if (v) ONNXC_TRY(define_elements(*v));
  }
  std::vector<BufferId> outputs;
  for (const Value* v : body.outputs) {
    ONNXC_ASSIGN(const BufferId b, home(v, {}));
    outputs.push_back(b);
  }
  return outputs;
}

}  // namespace onnxc
