// A pass changes a Graph. The ordered table of all passes is in pipeline.cc; how to add one: README.md here.
#pragma once

#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "compiler/ir/graph.h"
#include "compiler/support/options.h"
#include "compiler/support/result.h"

namespace onnxc {

// Runs a constant subgraph (all of whose leaves are constants). Injected by the driver.
class Evaluator {
 public:
  virtual ~Evaluator() = default;
  // Values of graph.outputs, in order.
  virtual Result<std::vector<Tensor>> evaluate(const Graph& graph) = 0;
};

// Bodies of operators that ONNX defines as functions. Injected by the driver.
class FunctionBodies {
 public:
  virtual ~FunctionBodies() = default;
  // The body of `node` (its input types known) as a Graph at the newest opset whose inputs and outputs correspond to
  // the node's; nothing (null) when ONNX gives none.
  virtual Result<std::unique_ptr<Graph>> body(const Node& node) = 0;
};

struct PassContext {
  const Options& options;
  Evaluator* evaluator = nullptr;       // null: no folding by execution
  FunctionBodies* functions = nullptr;  // null: no expansion
  std::set<uint32_t> unfoldable;        // ids of nodes that the evaluator could not run: kept by fold_constants
};

struct Pass {
  const char* name;                                         // file = function = flag = test of that name
  const char* description;                                  // one line for --help-passes
  Result<bool> (*run)(Graph& graph, PassContext& context);  // true: something changed
  bool settled = false;  // waits for a round in which the passes before it change nothing
};

// All passes in the order in which run_passes applies them (some stand there more than once).
std::span<const Pass> pass_pipeline();
const Pass* find_pass(std::string_view name);
// The whole pipeline to a fixpoint, with --disable-pass, --opt-bisect, --dump-after, --time-passes and --verify-each.
Status run_passes(Graph& graph, PassContext& context);

}  // namespace onnxc
