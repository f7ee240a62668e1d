// eliminate_common_subexpressions: of equal nodes (operator, attributes, inputs) and of equal constants in a graph, the
// first stays. Random operators and nodes with subgraphs are left alone. Tested in
// tests/lit/passes/eliminate_common_subexpressions.txt.
#include <unordered_map>

#include "compiler/ops/op.h"
#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

bool same_attr(const Attr& a, const Attr& b) {
  if (a.index() != b.index()) return false;
  if (const auto* t = std::get_if<Tensor>(&a)) return t->equals(std::get<Tensor>(b));
  if (const auto* list = std::get_if<std::vector<Tensor>>(&a)) {
    const auto& other = std::get<std::vector<Tensor>>(b);
    bool same = list->size() == other.size();
    for (size_t i = 0; same && i < list->size(); ++i) same = (*list)[i].equals(other[i]);
    return same;
  }
  if (const auto* f = std::get_if<float>(&a))
    return Tensor::f32({}, {*f}).equals(Tensor::f32({}, {std::get<float>(b)}));
  if (const auto* i = std::get_if<int64_t>(&a)) return *i == std::get<int64_t>(b);
  if (const auto* s = std::get_if<std::string>(&a)) return *s == std::get<std::string>(b);
  if (const auto* v = std::get_if<std::vector<int64_t>>(&a)) return *v == std::get<std::vector<int64_t>>(b);
  if (const auto* v = std::get_if<std::vector<float>>(&a)) {
    const auto& w = std::get<std::vector<float>>(b);
    return v->size() == w.size() && Tensor::f32({}, *v).equals(Tensor::f32({}, w));
  }
  if (const auto* v = std::get_if<std::vector<std::string>>(&a)) return *v == std::get<std::vector<std::string>>(b);
  if (const auto* t = std::get_if<Type>(&a)) return *t == std::get<Type>(b);
  return false;  // graphs
}

bool same_node(const Node& a, const Node& b) {
  if (a.op != b.op || a.domain != b.domain || a.inputs() != b.inputs() || a.num_outputs() != b.num_outputs())
    return false;
  if (a.attrs.size() != b.attrs.size()) return false;
  for (size_t i = 0; i < a.num_outputs(); ++i) {
    if (!a.output(i) && b.output(i)) return false;  // a lacks what b has
  }
  for (auto x = a.attrs.begin(), y = b.attrs.begin(); x != a.attrs.end(); ++x, ++y) {
    if (x->first != y->first || !same_attr(x->second, y->second)) return false;
  }
  return true;
}

size_t hash_node(const Node& n) {
  size_t h = std::hash<std::string>()(n.op);
  for (const Value* v : n.inputs()) h = (h ^ (v ? v->id + 1 : 0)) * 0x9E3779B97F4A7C15ull;
  return h;
}

bool merge_constants(Graph& g) {
  bool changed = false;
  std::unordered_multimap<uint64_t, Value*> seen;
  std::vector<Value*> constants;
  for (const auto& v : g.values()) {
    if (v->is_constant() && !v->users.empty()) constants.push_back(v.get());
  }
  for (Value* v : constants) {
    const uint64_t h = v->constant->hash();
    Value* first = nullptr;
    for (auto [it, end] = seen.equal_range(h); it != end && !first; ++it) {
      if (it->second->constant->equals(*v->constant)) first = it->second;
    }
    if (!first) {
      seen.emplace(h, v);
      continue;
    }
    g.replace_uses(v, first);
    changed = true;
  }
  return changed;
}

bool merge_nodes(Graph& g) {
  bool changed = false;
  std::unordered_multimap<size_t, Node*> seen;
  for (Node* n : nodes_of(g)) {
    const OpDef* def = find_op(n->domain, n->op);
    if (!def || def->random || !n->subgraphs().empty()) continue;
    const size_t h = hash_node(*n);
    Node* first = nullptr;
    for (auto [it, end] = seen.equal_range(h); it != end && !first; ++it) {
      if (same_node(*it->second, *n)) first = it->second;
    }
    if (!first) {
      seen.emplace(h, n);
      continue;
    }
    bool stays = false;  // two outputs of the graph cannot be one value
    for (size_t i = 0; i < n->num_outputs(); ++i) {
      stays = stays || (n->output(i) && must_stay_output(n->output(i), first->output(i)));
    }
    if (stays) continue;
    for (size_t i = 0; i < n->num_outputs(); ++i) {
      if (n->output(i)) g.replace_uses(n->output(i), first->output(i));
    }
    merge_origins(first, n);
    g.remove_node(n);
    changed = true;
  }
  return changed;
}

}  // namespace

Result<bool> eliminate_common_subexpressions(Graph& graph, PassContext&) {
  return each_graph(graph, [](Graph& g) {
    const bool constants = merge_constants(g);
    return merge_nodes(g) || constants;
  });
}

}  // namespace onnxc
