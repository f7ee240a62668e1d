// Graph -> Program: layouts, fusion into loop nests and epilogues, kernel selection.
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/ir/program.h"
#include "compiler/support/options.h"
#include "compiler/support/result.h"
#include "compiler/support/target.h"

namespace onnxc {

// The Graph is typed and verified. All operators without a lowering are reported together, as one Unsupported error.
Result<Program> lower(const Graph& graph, const Target& target, const Options& options);

}  // namespace onnxc
