// The functions that compute what a stage defines: its Scalars, the bytes of its arena and the places in it, the dims
// of outputs that are known by then (onnxc_layout_fn of runtime_lib/abi/frame.h).
#pragma once

#include "compiler/emit/llvm/emit_context.h"

namespace onnxc::emit {

// int32_t <name>_layout_<stage>(onnxc_frame*), internal.
llvm::Function* emit_layout(EmitContext& context, size_t stage);

}  // namespace onnxc::emit
