// fold_constants: computes what depends on constants only. What merely moves elements is done here; all else of a round
// is put into one graph and run by the Evaluator. Never random operators, never nodes with subgraphs, never a result
// larger than twice its node's inputs + 1 MB, or + 16 MB where costly operators work on it (a filter of sines: reading
// it is faster than making it). What the evaluator cannot run stays. Tested in tests/lit/passes/fold_constants.txt.
#include <algorithm>
#include <cstring>
#include <set>

#include "compiler/ir/clone_graph.h"
#include "compiler/ops/op.h"
#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

constexpr int64_t kMostGrowth = 1 << 20, kMostCostlyGrowth = 16 << 20;
constexpr int64_t kMostCostlyBytes = 64 << 20;  // of all such results of a round

int64_t bytes_of(const Type& t) {
  return t.is_static_tensor()
             ? checked_numel(static_dims(*t.shape)).value_or(0) * static_cast<int64_t>(elem_size(t.elem))
             : 0;
}

// ---- folded here ----

Tensor transposed(const Tensor& t, const std::vector<int64_t>& perm) {
  const size_t rank = perm.size(), size = elem_size(t.elem());
  std::vector<int64_t> strides(rank, 1), dims(rank), steps(rank), at(rank, 0);
  for (size_t i = rank; i-- > 1;) strides[i - 1] = strides[i] * t.dims()[i];
  for (size_t i = 0; i < rank; ++i) dims[i] = t.dims()[perm[i]], steps[i] = strides[perm[i]];
  std::shared_ptr<std::byte> data(new std::byte[std::max<size_t>(t.bytes(), 1)], std::default_delete<std::byte[]>());
  int64_t source = 0;
  const int64_t n = t.numel();
  for (int64_t i = 0; i < n; ++i) {
    std::memcpy(data.get() + i * size, t.raw() + source * size, size);
    for (size_t d = rank; d-- > 0;) {
      source += steps[d];
      if (++at[d] < dims[d]) break;
      source -= steps[d] * dims[d];
      at[d] = 0;
    }
  }
  return Tensor(t.elem(), std::move(dims), std::move(data), t.bytes());
}

std::optional<Tensor> constant_attribute(const Node& n) {
  if (const Tensor* t = n.attr_tensor("value")) return *t;
  if (n.has("value_float")) return Tensor::f32({}, {n.attr_float("value_float", 0)});
  if (n.has("value_int")) return Tensor::i64({}, {n.attr_int("value_int", 0)});
  if (n.has("value_string")) return Tensor::strings({}, {n.attr_string("value_string", "")});
  if (n.has("value_floats")) {
    const std::vector<float> v = n.attr_floats("value_floats");
    return Tensor::f32({static_cast<int64_t>(v.size())}, v);
  }
  if (n.has("value_ints")) {
    const std::vector<int64_t> v = n.attr_ints("value_ints");
    return Tensor::i64({static_cast<int64_t>(v.size())}, v);
  }
  if (n.has("value_strings")) {
    const std::vector<std::string> v = n.attr_strings("value_strings");
    return Tensor::strings({static_cast<int64_t>(v.size())}, v);
  }
  return std::nullopt;
}

// ConstantOfShape, within the limit on growth.
std::optional<Tensor> filled(const Node& n) {
  const Type& type = n.output()->type;
  if (!type.is_static_tensor() || type.elem == Elem::String || !known_ints(n.input(0))) return std::nullopt;
  const std::vector<int64_t> dims = static_dims(*type.shape);
  const int64_t count = checked_numel(dims).value_or(0);
  const size_t size = elem_size(type.elem);
  if (count * static_cast<int64_t>(size) > kMostGrowth) return std::nullopt;
  const Tensor* value = n.attr_tensor("value");
  if (!value) return Tensor::zeros(type.elem, dims);
  if (value->numel() != 1 || value->elem() != type.elem) return std::nullopt;
  std::vector<std::byte> bytes(count * size);
  for (int64_t i = 0; i < count; ++i) std::memcpy(bytes.data() + i * size, value->raw(), size);
  return Tensor::of<std::byte>(type.elem, dims, bytes);
}

bool keeps_elements(const Node& n) {
  for (const char* op : {"Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"}) {
    if (is_op(&n, op)) return true;
  }
  return false;
}

std::optional<Tensor> fold_by_moving(const Node& n) {
  if (is_op(&n, "Constant")) return constant_attribute(n);
  if (is_op(&n, "ConstantOfShape") && n.output()) return filled(n);
  const Value* in = n.input(0);
  const Value* out = n.output();
  if (!in || !in->is_constant() || !out || !out->type.is_static_tensor()) return std::nullopt;
  const std::vector<int64_t> dims = static_dims(*out->type.shape);
  if (keeps_elements(n) && checked_numel(dims) == in->constant->numel()) return in->constant->reshaped(dims);
  if (is_op(&n, "Transpose") && in->constant->elem() != Elem::String) {
    std::vector<int64_t> perm(dims.size());
    for (size_t i = 0; i < perm.size(); ++i) perm[i] = static_cast<int64_t>(perm.size() - 1 - i);
    return transposed(*in->constant, n.attr_ints("perm", perm));
  }
  return std::nullopt;
}

bool fold_moves(Graph& g) {
  bool changed = false;
  for (Node* n : nodes_of(g)) {
    const bool stays = is_op(n, "Identity") && n->input(0) && must_stay_output(n->output(), n->input(0));
    if (stays || n->num_outputs() != 1) continue;
    auto t = fold_by_moving(*n);
    if (!t) continue;
    replace_node(n, g.add_constant(std::move(*t)));
    changed = true;
  }
  return changed;
}

// ---- folded by running ----

// A part of a graph that depends on constants only. `results` are the values that the rest of the graph reads.
struct Island {
  std::vector<Node*> nodes;
  std::vector<Value*> results;
};

using Nodes = std::set<const Node*>;

int64_t bytes_made(const Node& n) {
  int64_t bytes = 0;
  for (const Value* v : n.outputs()) bytes += v ? bytes_of(v->type) : 0;
  return bytes;
}

bool may_run(const Node& n, const Nodes& inside, const PassContext& context, int64_t most_growth) {
  const OpDef* def = find_op(n.domain, n.op);
  if (!def || def->random || context.unfoldable.contains(n.id) || !n.subgraphs().empty()) return false;
  if (is_op(&n, "Identity")) return false;
  const WayDown way = way_down(def, n);
  if (way == WayDown::Decompose || way == WayDown::Body) return false;  // its parts are folded later
  int64_t in = 0;
  for (const Value* v : n.inputs()) {
    if (!v) continue;
    if (!v->is_constant() && !inside.contains(v->producer)) return false;
    if (!v->type.is_static_tensor()) return false;
    in += bytes_of(v->type);
  }
  for (const Value* v : n.outputs()) {
    if (!v) continue;
    const bool sized = v->type.is_static_tensor() || (def->defines_dims && v->type.is_tensor() && v->type.shape);
    if (!sized) return false;
  }
  return bytes_made(n) <= 2 * in + most_growth;
}

// Those of the graph's nodes that depend on constants only and that a costly operator needs, or that are one.
Nodes costly_nodes(const Graph& g, const PassContext& context) {
  Nodes inside, costly;
  std::vector<const Node*> order;
  for (Node* n : nodes_of(g))
    if (may_run(*n, inside, context, kMostCostlyGrowth)) inside.insert(n), order.push_back(n);
  for (auto n = order.rbegin(); n != order.rend(); ++n) {
    const OpDef* def = find_op((*n)->domain, (*n)->op);
    bool found = def->expensive || def->accuracy == Accuracy::Accumulating;
    for (const Value* v : (*n)->outputs())
      found |= v && std::any_of(v->users.begin(), v->users.end(), [&](const Node* u) { return costly.contains(u); });
    if (found) costly.insert(*n);
  }
  return costly;
}

bool is_read_outside(const Value& v, const Nodes& inside) {
  if (v.graph->is_output(&v)) return true;
  return std::any_of(v.users.begin(), v.users.end(), [&](const Node* user) { return !inside.contains(user); });
}

Island find_island(const Graph& g, const PassContext& context) {
  Island island;
  const Nodes costly = costly_nodes(g, context);
  Nodes inside;
  int64_t left = kMostCostlyBytes;
  for (Node* n : nodes_of(g)) {
    if (!may_run(*n, inside, context, costly.contains(n) ? std::min(left, kMostCostlyGrowth) : kMostGrowth)) continue;
    if (const int64_t made = bytes_made(*n); made > kMostGrowth) left = std::max(left - made, kMostGrowth);
    inside.insert(n);
    island.nodes.push_back(n);
  }
  for (Node* n : island.nodes) {
    for (Value* v : n->outputs()) {
      if (v && is_read_outside(*v, inside)) island.results.push_back(v);
    }
  }
  return island;
}

// The nodes of `island` that `result` needs.
Island part_for(const Island& island, Value* result) {
  Island part;
  part.results = {result};
  Nodes needed = {result->producer};
  for (auto it = island.nodes.rbegin(); it != island.nodes.rend(); ++it) {
    if (!needed.contains(*it)) continue;
    part.nodes.push_back(*it);
    for (const Value* v : (*it)->inputs()) {
      if (v && v->producer) needed.insert(v->producer);
    }
  }
  std::reverse(part.nodes.begin(), part.nodes.end());
  return part;
}

std::unique_ptr<Graph> to_graph(const Island& island) {
  auto g = std::make_unique<Graph>("constants");
  ValueMap map;
  for (const Node* n : island.nodes) {
    for (const Value* v : n->inputs()) {
      if (v && v->is_constant() && !map.contains(v)) copy_constant(*v, *g, map);
    }
    copy_node(*n, *g, map);
  }
  for (const Value* v : island.results) g->outputs.push_back(map.at(v));
  return g;
}

// False when the evaluator cannot run it.
Result<bool> run(const Island& island, Graph& g, Evaluator& evaluator) {
  const std::unique_ptr<Graph> constants = to_graph(island);
  auto values = evaluator.evaluate(*constants);
  if (!values) {
    const ErrorKind kind = values.error().kind();
    if (kind == ErrorKind::InvalidModel || kind == ErrorKind::Environment) return std::move(values).error();
    return false;
  }
  if (values->size() != island.results.size()) return Error(ErrorKind::Internal, "the evaluator lost results");
  for (size_t i = 0; i < values->size(); ++i)
    g.replace_uses(island.results[i], g.add_constant(std::move((*values)[i])));
  return true;
}

Result<bool> fold_island(Graph& g, PassContext& context) {
  const Island island = find_island(g, context);
  if (island.results.empty()) return false;
  ONNXC_ASSIGN(const bool whole, run(island, g, *context.evaluator));
  if (whole) return true;
  bool changed = false;
  for (Value* result : island.results) {
    Node* maker = result->producer;
    ONNXC_ASSIGN(const bool done, run(part_for(island, result), g, *context.evaluator));
    if (!done) context.unfoldable.insert(maker->id);
    changed |= done;
  }
  return changed;
}

Result<bool> fold_islands(Graph& g, PassContext& context) {
  bool changed = false;
  for (Node* n : nodes_of(g)) {
    for (Graph* s : n->subgraphs()) {
      ONNXC_ASSIGN(const bool inner, fold_islands(*s, context));
      changed |= inner;
    }
  }
  ONNXC_ASSIGN(const bool outer, fold_island(g, context));
  return changed || outer;
}

}  // namespace

Result<bool> fold_constants(Graph& graph, PassContext& context) {
  const bool moved = each_graph(graph, fold_moves);
  if (!context.evaluator) return moved;
  ONNXC_ASSIGN(const bool folded, fold_islands(graph, context));
  return moved || folded;
}

}  // namespace onnxc
