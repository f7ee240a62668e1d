// The descriptor of a model (onnxc_model, onnxc_model_info, names, metadata) as constant data, and its public
// functions. Tested in tests/unit/emit_llvm_test.cc.
#pragma once

#include "compiler/emit/llvm/emit_context.h"

namespace onnxc::emit {

// `layout`: null where all dims are fixed.
void emit_entry(EmitContext& context, llvm::Function& body, const std::vector<llvm::Function*>& layouts);

}  // namespace onnxc::emit
