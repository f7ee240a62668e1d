#include "compiler/passes/rewrite.h"

#include <algorithm>
#include <cstring>

namespace onnxc {

bool each_graph(Graph& graph, const std::function<bool(Graph&)>& f) {
  bool changed = false;
  for (Node* n : nodes_of(graph)) {
    for (Graph* s : n->subgraphs()) changed |= each_graph(*s, f);
  }
  return f(graph) || changed;
}

bool each_node(const Graph& graph, const std::function<bool(Node*)>& f) {
  bool changed = false;
  size_t i = 0;
  while (i < graph.nodes().size()) changed |= f(graph.nodes()[i++].get());
  return changed;
}

std::vector<Node*> nodes_of(const Graph& graph) {
  std::vector<Node*> list;
  list.reserve(graph.nodes().size());
  for (const auto& n : graph.nodes()) list.push_back(n.get());
  return list;
}

bool single_use(const Value* value) { return value && value->users.size() == 1 && !value->graph->is_output(value); }

bool same_shape(const Value* a, const Value* b) {
  return a && b && a->type.is_tensor() && b->type.is_tensor() && a->type.shape && b->type.shape &&
         *a->type.shape == *b->type.shape;
}

bool is_float_tensor(const Value* value) {
  return value && value->type.is_tensor() && value->type.shape &&
         (value->type.elem == Elem::F32 || value->type.elem == Elem::F64);
}

namespace {

bool is_splat(const Tensor& t) {
  const size_t size = elem_size(t.elem());
  if (t.numel() < 1 || size == 0) return false;
  return t.bytes() == size || std::memcmp(t.raw(), t.raw() + size, t.bytes() - size) == 0;
}

}  // namespace

std::optional<double> splat_float(const Value* value) {
  if (!value || !value->constant || !is_float(value->constant->elem()) || !is_splat(*value->constant))
    return std::nullopt;
  return value->constant->float_at(0);
}

std::optional<int64_t> splat_int(const Value* value) {
  if (!value || !value->constant) return std::nullopt;
  const Elem e = value->constant->elem();
  if ((!is_int(e) && e != Elem::Bool) || !is_splat(*value->constant)) return std::nullopt;
  return value->constant->int_at(0);
}

std::optional<std::vector<int64_t>> known_ints(const Value* value) {
  if (!value) return std::nullopt;
  if (value->constant) {
    const Elem e = value->constant->elem();
    if (!is_int(e) && e != Elem::Bool) return std::nullopt;
    return value->constant->to_ints();
  }
  if (!value->contents || is_float(value->type.elem)) return std::nullopt;
  std::vector<int64_t> ints;
  for (const Dim& d : *value->contents) {
    if (!d.is_const()) return std::nullopt;
    ints.push_back(d.value());
  }
  return ints;
}

std::vector<double> to_doubles(const Tensor& tensor) {
  std::vector<double> values(tensor.numel());
  for (size_t i = 0; i < values.size(); ++i) values[i] = tensor.float_at(i);
  return values;
}

Tensor from_doubles(Elem elem, std::vector<int64_t> dims, const std::vector<double>& values) {
  if (elem == Elem::F64) return Tensor::of(elem, std::move(dims), values);
  return Tensor::f32(std::move(dims), std::vector<float>(values.begin(), values.end()));
}

std::optional<std::vector<double>> per_channel(const Value* value, size_t rank, size_t axis, int64_t channels) {
  if (!value || !value->constant) return std::nullopt;
  const Tensor& t = *value->constant;
  if (t.elem() != Elem::F32 && t.elem() != Elem::F64) return std::nullopt;
  const size_t own = t.dims().size();
  if (own > rank) return std::nullopt;
  for (size_t i = 0; i < own; ++i) {
    const bool is_channel = i + rank - own == axis;
    if (t.dims()[i] != 1 && !(is_channel && t.dims()[i] == channels)) return std::nullopt;
  }
  const std::vector<double> values = to_doubles(t);
  return values.size() == 1 ? std::vector<double>(channels, values[0]) : values;
}

void merge_origins(Node* into, const Node* from) {
  for (const std::string& o : from->origins) {
    if (std::find(into->origins.begin(), into->origins.end(), o) == into->origins.end()) into->origins.push_back(o);
  }
}

void replace_node(Node* node, Value* with) {
  node->graph->replace_uses(node->output(), with);
  node->graph->remove_node(node);
}

bool must_stay_output(const Value* output, const Value* with) {
  const Graph* g = output->graph;
  return g->is_output(output) && (with->graph != g || !with->producer || g->is_output(with));
}

Node* add_like(Node* like, std::string op, std::vector<Value*> inputs, Node* before) {
  Node* n = like->graph->add_node(std::move(op), std::move(inputs), 1, before);
  n->output()->type = like->output()->type;
  n->output()->contents = like->output()->contents;
  n->name = like->name;
  n->origins = like->origins;
  return n;
}

}  // namespace onnxc
