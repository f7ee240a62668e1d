// An emitted module -> optimised machine code or text. No fast-math, no contraction: what rounds is what the Program
// says.
#pragma once

#include <llvm/IR/Module.h>
#include <llvm/Target/TargetMachine.h>

#include <memory>
#include <string>

#include "compiler/emit/llvm/emit_llvm.h"

namespace onnxc::emit {

// For the architecture's baseline: each function carries the CPU that it is for.
Result<std::unique_ptr<llvm::TargetMachine>> make_target_machine(const Target& target, int opt_level);

// Every function that is defined but `public_names` becomes internal; then the passes of -O<level>, and
// AddressSanitizer when asked for.
void optimise(llvm::Module& module, llvm::TargetMachine& machine, const Options& options,
              const std::vector<std::string>& public_names);

// Makes everything but `public_names` internal, and removes what nothing uses; keeps memcpy and its kin.
void drop_unused(llvm::Module& module, const std::vector<std::string>& public_names);

Result<std::string> write_code(llvm::Module& module, llvm::TargetMachine& machine, LlvmOutput output);

}  // namespace onnxc::emit
