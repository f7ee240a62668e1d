// Gradient names tensors of the graph around it.
#pragma once

#include "compiler/ir/graph.h"

namespace onnxc {

// Replaces the graph's Gradients by what they compute: before any pass changes what they name.
Status expand_gradients(Graph& graph);

}  // namespace onnxc
