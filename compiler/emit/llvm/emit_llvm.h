// Plan -> LLVM module -> object. Prints the Plan; decides nothing.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "compiler/ir/plan.h"
#include "compiler/support/options.h"
#include "compiler/support/result.h"
#include "compiler/support/target.h"

namespace onnxc {

struct ModelIdentity {
  std::string name;  // C identifier; the public symbol is <name>_get_model, and onnxc_get_model when `shared`
  std::vector<uint8_t> sha256;  // of the .onnx file, 32 bytes
  bool shared = true;
  bool embed_weights = true;  // the symbol <name>_weights is defined by the linker step
};

enum class LlvmOutput { Object, Assembly, IrText };

// The relocatable object (or text). It refers to the weights blob by the hidden symbol `<name>_weights`, which link/
// provides. `plans`: of the general body, then of those for certain dims, which use its blob (share_blob).
Result<std::string> emit_llvm(std::span<const Plan> plans, const ModelIdentity& identity, const Target& target,
                              const Options& options, LlvmOutput output);
inline Result<std::string> emit_llvm(const Plan& plan, const ModelIdentity& identity, const Target& target,
                                     const Options& options, LlvmOutput output) {
  return emit_llvm(std::span(&plan, 1), identity, target, options, output);
}

}  // namespace onnxc
