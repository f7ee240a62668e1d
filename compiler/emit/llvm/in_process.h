// Runs a compiled model in the compiler's own process, through the C ABI: for constant folding, and for tests. Nothing
// is written to disk. Tested in tests/unit/emit_llvm_test.cc.
#pragma once

#include <onnxc/onnxc.h>

#include <memory>
#include <string>
#include <vector>

#include "compiler/emit/llvm/emit_llvm.h"
#include "compiler/ir/tensor.h"

namespace onnxc {

class InProcessModel {
 public:
  // Compiles `plan` and loads the code. Target and options as for emit_llvm.
  static Result<std::unique_ptr<InProcessModel>> load(const Plan& plan, const Target& target, const Options& options);
  virtual ~InProcessModel() = default;

  virtual const onnxc_model& model() const = 0;
  // One run with inputs in the model's order; every shape must be static. A failing run is an error with the model's
  // message.
  virtual Result<std::vector<Tensor>> run(const std::vector<Tensor>& inputs) = 0;
};

// The options that the next function compiles with, for whoever makes the plan.
Options in_process_options();
// Always for x86-64-v2 (no FMA), so that the results do not depend on the machine: what constant folding needs.
Result<std::vector<Tensor>> run_in_process(const Plan& plan, const std::vector<Tensor>& inputs = {});

}  // namespace onnxc
