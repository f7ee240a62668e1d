// What every emitter of this room shares while one module is made. The first error wins: emitters go on with poison
// values after `fail`, and emit_llvm() returns that error instead of the module.
#pragma once

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <optional>
#include <string>

#include "compiler/emit/llvm/emit_llvm.h"
#include "compiler/emit/llvm/kernel_library.h"

namespace onnxc::emit {

struct EmitContext {
  const Plan& plan;
  const ModelIdentity& identity;
  const Target& target;
  const Options& options;
  llvm::Module& module;
  const KernelLibrary& kernels;
  std::optional<Error> error;

  llvm::LLVMContext& llvm() const { return module.getContext(); }
  const Program& program() const { return plan.program; }
  const Buffer& buffer(BufferId id) const { return plan.program.buffers[id]; }

  void fail(ErrorKind kind, std::string message, std::string advice = {}) {
    if (!error) error = Error(kind, std::move(message), plan.program.name, std::move(advice));
  }

  // An element as it lies in memory, and as expressions hold it: bool is i1, narrow floats are float, sub-byte ints
  // i32.
  llvm::Type* storage_type(Elem elem) const;
  llvm::Type* register_type(Elem elem) const;

  // Marks a function as code of the target's level (the CPU check in `create` is not).
  void set_target_attributes(llvm::Function& function) const;
};

}  // namespace onnxc::emit
