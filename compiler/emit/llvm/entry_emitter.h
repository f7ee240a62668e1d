// The descriptor of a model (onnxc_model, onnxc_model_info, names, metadata) as constant data, and its public
// functions. Tested in tests/unit/emit_llvm_test.cc.
#pragma once

#include "compiler/emit/llvm/emit_context.h"

namespace onnxc::emit {

struct EmittedBody {
  EmitContext* context;
  llvm::Function* function;
  std::vector<llvm::Function*> layouts;  // none where all dims are fixed
};

// The general body first, whose context gets the errors.
void emit_entry(const std::vector<EmittedBody>& bodies);

}  // namespace onnxc::emit
