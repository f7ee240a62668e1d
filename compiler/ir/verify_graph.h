// What holds for every Graph between passes. Tested in tests/unit/verify_graph_test.cc.
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/support/result.h"

namespace onnxc {

// Checks, in the graph and those within it:
//  - a node uses only values of its graph, or of graphs around it, that are defined before it (inputs, constants,
//  outputs of
//    nodes that stand earlier); graph outputs are such values of the graph itself;
//  - a value has one producer, which lists it; users lists hold one entry per use, and no other;
//  - names are not empty, and unique in a graph and those around it;
//  - constants agree with their types, contents with their shapes; no dim overflowed or is negative;
//  - a node has an operator; graph, parent and node pointers are right.
// With `typed`: every value has a type as well. Errors are internal ones: a bug in what made the graph.
Status verify_graph(const Graph& graph, bool typed = false);

}  // namespace onnxc
