// Loops and branches whose tensors do not keep one shape: such a tensor goes in and out as a sequence of one element,
// which has memory of its own; what reads a tensor of one rank or another moves into the branches.
#pragma once

#include "compiler/ops/op.h"

namespace onnxc {

// Whether a carried value changes its shape from turn to turn, or what is stacked has a shape or a number of turns that
// nothing outside of the body tells; and the Loop that carries sequences instead.
bool loop_varies(const Node& loop);
Status box_loop(Graph& graph, Node& loop);

// Whether an output of a branch has another shape than the other branch's; and the If that gives sequences instead, or,
// where the ranks differ, takes over the nodes that read them.
bool if_varies(const Node& branch);
// Whether it has another rank, and what reads it cannot move.
bool has_two_ranks(const Node& branch, size_t output);
Status box_if(Graph& graph, Node& branch);

}  // namespace onnxc
