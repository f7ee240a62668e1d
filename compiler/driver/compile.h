// bytes -> Graph -> Program -> Plan -> object | sources -> artefact: calls the arrows in order. Read this room first.
#pragma once

#include <iosfwd>

#include "compiler/driver/progress.h"
#include "compiler/import/import.h"
#include "compiler/ir/plan.h"
#include "compiler/support/options.h"
#include "compiler/support/result.h"
#include "compiler/support/target.h"

namespace onnxc {

// The whole way, as `options` say. Prints what --emit asks for to standard output.
Status compile(const Options& options);

// The first half: a typed, optimised Graph.
Result<ImportedModel> load_model(const Options& options, Progress& progress);
// Graph -> Plan.
Result<Plan> plan_graph(const Graph& graph, const Target& target, const Options& options, Progress& progress);

}  // namespace onnxc
