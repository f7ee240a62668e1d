// Runs constant subgraphs by compiling them in process: the Evaluator of the pass fold_constants. Always for x86-64-v2
// and without contraction, so that folded constants do not depend on the machine that compiles.
#pragma once

#include "compiler/passes/pass.h"

namespace onnxc {

class ConstantEvaluator final : public Evaluator {
 public:
  Result<std::vector<Tensor>> evaluate(const Graph& graph) override;
};

}  // namespace onnxc
