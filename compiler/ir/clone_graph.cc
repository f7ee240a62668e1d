// Tested in tests/unit/graph_test.cc.
#include "compiler/ir/clone_graph.h"

namespace onnxc {
namespace {

Value* translated(Value* v, const ValueMap& map) {
  if (!v) return nullptr;
  const auto it = map.find(v);
  return it == map.end() ? v : it->second;
}

bool name_taken(const Graph* g, const std::string& name) {
  for (; g; g = g->parent) {
    if (g->find_value(name)) return true;
  }
  return false;
}

std::string free_name(Graph& to, const std::string& name) { return name_taken(&to, name) ? to.fresh_name(name) : name; }

void copy_into(const Graph& from, Graph& to, ValueMap& map);

std::shared_ptr<Graph> copy_subgraph(const Graph& from, Graph& parent, ValueMap& map) {
  auto g = std::make_shared<Graph>(from.name);
  g->parent = &parent;
  copy_into(from, *g, map);
  return g;
}

Attr copy_attr(const Attr& attr, Graph& to, ValueMap& map) {
  if (const auto* g = std::get_if<std::shared_ptr<Graph>>(&attr)) return copy_subgraph(**g, to, map);
  if (const auto* list = std::get_if<std::vector<std::shared_ptr<Graph>>>(&attr)) {
    std::vector<std::shared_ptr<Graph>> copies;
    for (const auto& g : *list) copies.push_back(copy_subgraph(*g, to, map));
    return copies;
  }
  return attr;
}

Value* copy_value(const Value& v, Graph& to, ValueMap& map) {
  Value* copy = to.add_value(free_name(to, v.name), v.type);
  copy->constant = v.constant;
  copy->contents = v.contents;
  copy->declared_rank = v.declared_rank;
  return map[&v] = copy;
}

void copy_into(const Graph& from, Graph& to, ValueMap& map) {
  to.metadata = from.metadata;
  for (const Value* v : from.inputs) to.inputs.push_back(copy_value(*v, to, map));
  for (const auto& v : from.values()) {
    if (v->is_constant() && !v->producer && !map.contains(v.get())) copy_value(*v, to, map);
  }
  for (const auto& n : from.nodes()) copy_node(*n, to, map);
  for (Value* v : from.outputs) to.outputs.push_back(translated(v, map));
}

}  // namespace

std::unique_ptr<Graph> clone_graph(const Graph& graph) {
  auto g = std::make_unique<Graph>(graph.name);
  g->parent = graph.parent;
  ValueMap map;
  copy_into(graph, *g, map);
  return g;
}

Node* copy_node(const Node& node, Graph& to, ValueMap& map, Node* before) {
  std::vector<Value*> inputs, outputs;
  for (Value* v : node.inputs()) inputs.push_back(translated(v, map));
  for (const Value* v : node.outputs()) outputs.push_back(v ? copy_value(*v, to, map) : nullptr);
  Node* n = to.add_node_to(node.op, std::move(inputs), std::move(outputs), before, node.domain);
  n->name = node.name;
  n->origins = node.origins;
  for (const auto& [key, attr] : node.attrs) n->attrs.emplace(key, copy_attr(attr, to, map));
  return n;
}

Value* copy_constant(const Value& constant, Graph& to, ValueMap& map) { return copy_value(constant, to, map); }

std::vector<Value*> inline_graph(const Graph& body, Graph& to, const std::vector<Value*>& inputs, Node* before) {
  ValueMap map;
  for (size_t i = 0; i < body.inputs.size(); ++i) map[body.inputs[i]] = i < inputs.size() ? inputs[i] : nullptr;
  for (const auto& v : body.values()) {
    if (v->is_constant() && !v->producer && !map.contains(v.get())) copy_value(*v, to, map);
  }
  for (const auto& n : body.nodes()) copy_node(*n, to, map, before);
  std::vector<Value*> outputs;
  for (Value* v : body.outputs) outputs.push_back(translated(v, map));
  return outputs;
}

}  // namespace onnxc
