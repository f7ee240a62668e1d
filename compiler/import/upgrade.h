// Old opsets end here: every node is brought to the meaning of the newest opset by the rows of its operator
// (OpDef::upgrades). Below opset 7 onnx's version converter comes first. Tested in tests/unit/import_test.cc.
#pragma once

#include "compiler/import/onnx_schemas.h"
#include "compiler/import/proto.h"
#include "compiler/ir/graph.h"
#include "compiler/support/result.h"

namespace onnxc {

// The oldest opset that the operators' own rows start from.
inline constexpr int kOldestOpset = 6;

// Brings `model` (without model-local functions) to opset 7 when it is older; else leaves it alone.
Status convert_ancient(onnx::ModelProto& model);

// All nodes of `graph` and its subgraphs. `opsets`: what they mean now, by domain. Rewrites keep the node they are
// given; nodes that they add have the newest meaning already.
Status upgrade_graph(Graph& graph, const Opsets& opsets);

}  // namespace onnxc
