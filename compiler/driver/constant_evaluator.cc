#include "compiler/driver/constant_evaluator.h"

#include "compiler/emit/llvm/in_process.h"
#include "compiler/lower/lower.h"
#include "compiler/plan/make_plan.h"

namespace onnxc {

Result<std::vector<Tensor>> ConstantEvaluator::evaluate(const Graph& graph) {
  const Options options = in_process_options();
  ONNXC_ASSIGN(const Target target, Target::from_options(options));
  ONNXC_ASSIGN(Program program, lower(graph, target, options));
  ONNXC_ASSIGN(const Plan plan, make_plan(std::move(program), options));
  return run_in_process(plan);
}

}  // namespace onnxc
