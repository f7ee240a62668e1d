// What passes share: walking graphs, asking about values, replacing nodes. Tested through the passes.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "compiler/ir/graph.h"
#include "compiler/support/result.h"

namespace onnxc {

// Calls `f` on the graphs within `graph`, innermost first, then on it; true when any call says so.
bool each_graph(Graph& graph, const std::function<bool(Graph&)>& f);
// The nodes as they are now, so that they may be changed on the way (a node that was removed must not be met again).
std::vector<Node*> nodes_of(const Graph& graph);

// Calls `f` on the nodes one after the other, by their place, so that it may remove nodes further on; true when any
// call says so.
bool each_node(const Graph& graph, const std::function<bool(Node*)>& f);

// An operator of ONNX's own domain.
inline bool is_op(const Node* node, std::string_view op) { return node && node->op == op && node->domain.empty(); }
bool single_use(const Value* value);  // by one node, once, and not an output of a graph
// The node that makes `value`, if it is an `op`.
inline Node* made_by(const Value* value, std::string_view op) {
  return value && is_op(value->producer, op) ? value->producer : nullptr;
}
bool same_shape(const Value* a, const Value* b);  // both known and equal, dim by dim
bool is_float_tensor(const Value* value);         // f32 or f64, of known rank

// The value that every element of a constant has.
std::optional<double> splat_float(const Value* value);
std::optional<int64_t> splat_int(const Value* value);
// Integer inputs that are known: constants, or contents that are all constant. `values` may be null.
std::optional<std::vector<int64_t>> known_ints(const Value* value);

// The constant as one factor per channel of a tensor of rank `rank` and `channels` channels at `axis`: a scalar, or of
// extent 1 everywhere but there. f32 and f64.
std::optional<std::vector<double>> per_channel(const Value* value, size_t rank, size_t axis, int64_t channels);
std::vector<double> to_doubles(const Tensor& tensor);
Tensor from_doubles(Elem elem, std::vector<int64_t> dims, const std::vector<double>& values);  // f32 or f64

// `into` does the work of `from` too.
void merge_origins(Node* into, const Node* from);
// Lets `with` stand for the only output of `node` and removes the node.
void replace_node(Node* node, Value* with);
// Whether replace_node would only put an Identity in its place: an output that a graph input, a constant, or another
// output would have to become.
bool must_stay_output(const Value* output, const Value* with);
// As add_node before `before`, with one output of the type and the origins of `like`.
Node* add_like(Node* like, std::string op, std::vector<Value*> inputs, Node* before);

}  // namespace onnxc
