// The function that computes, before a run, what follows from the dims of its inputs: the prologue of the Program, the
// bytes of the arena and the places in it, the dims of outputs (onnxc_layout_fn of runtime_lib/abi/frame.h).
#pragma once

#include "compiler/emit/llvm/emit_context.h"

namespace onnxc::emit {

// int32_t <name>_layout(inputs, outputs, table, message), internal.
llvm::Function* emit_layout(EmitContext& context);

}  // namespace onnxc::emit
