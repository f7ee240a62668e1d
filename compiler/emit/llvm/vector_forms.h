// AVX-512 scales by a power of two in one instruction, which no scalar code becomes when LLVM vectorises it. So the
// kernels' onnxc_scale_f32 (runtime_lib/kernels/math.h) stays a call until loops are vectorised, and has forms for
// vectors, made here. They give the same bits. Tested by tests/unit/emit_llvm_test.cc.
#pragma once

#include <llvm/IR/Module.h>
#include <llvm/IR/PassManager.h>

namespace onnxc::emit {

// Where the module has the function: adds its forms, and tells LLVM of them.
void add_vector_forms(llvm::Module& module);

// Inlines the function and its forms. After the vectorisers.
void inline_vector_forms(llvm::ModulePassManager& passes);

}  // namespace onnxc::emit
