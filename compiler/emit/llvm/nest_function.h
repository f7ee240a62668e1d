// A Nest as an internal function of the pointers that it works on, and the call of it. Buffers in one place are one
// parameter (so that LLVM sees the dependence of an operation in place), all others are noalias (so that loops
// vectorise unguarded). `share`: what the call runs of the outermost loop; null: all of it.
#pragma once

#include <string>

#include "compiler/emit/llvm/call_emitter.h"

namespace onnxc::emit {

void emit_nest_call(EmitContext& context, CallEmitter& calls, const Nest& nest, const Operation& op,
                    const std::string& name, const Share* share, llvm::IRBuilder<>& at, const Scope& outer);

}  // namespace onnxc::emit
