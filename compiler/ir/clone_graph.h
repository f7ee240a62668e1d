// Copies of graphs and parts of them. Tested in tests/unit/graph_test.cc.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "compiler/ir/graph.h"

namespace onnxc {

// What stands for which value in the copy. Values that are not in the map stand for themselves (graphs around).
using ValueMap = std::map<const Value*, Value*>;

// The whole graph, names included, subgraphs copied too. `parent` is the same.
std::unique_ptr<Graph> clone_graph(const Graph& graph);

// Copies a node, with its attributes and origins, to the end of `to` (or before `before`). Outputs are new values, of
// the same type and contents, named alike where the name is free; the map learns them.
Node* copy_node(const Node& node, Graph& to, ValueMap& map, Node* before = nullptr);
// A constant of another graph as one of `to`; the map learns it.
Value* copy_constant(const Value& constant, Graph& to, ValueMap& map);

// Puts the nodes and constants of `body` into `to` before `before`, its inputs replaced by `inputs` (null: absent,
// which nodes then see as absent inputs). Returns what stands for its outputs.
std::vector<Value*> inline_graph(const Graph& body, Graph& to, const std::vector<Value*>& inputs,
                                 Node* before = nullptr);

}  // namespace onnxc
