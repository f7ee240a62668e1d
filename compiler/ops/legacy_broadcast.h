// Broadcasting up to opset 6: dim 0 of the second operand is put on a named axis of the first.
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/support/result.h"

namespace onnxc {

// For Upgrade rows: attributes `broadcast` and `axis` go.
Status upgrade_broadcast_6(Graph& graph, Node& node);
// The slope of PRelu has one entry for each channel, axis 1, or one for all.
Status upgrade_channel_slope_6(Graph& graph, Node& node);

}  // namespace onnxc
