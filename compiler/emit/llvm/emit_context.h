// What every emitter of this room shares while one body of a module is made. The first error wins: emitters go on with
// poison values after `fail`, and emit_llvm() returns that error instead of the module.
#pragma once

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <map>
#include <optional>
#include <string>

#include "compiler/emit/llvm/emit_llvm.h"
#include "compiler/emit/llvm/kernel_library.h"

namespace onnxc::emit {

// Kernels specialised so far by the constants of their calls: shared by all bodies of a module.
struct SpecialisedKernels {
  std::map<std::string, llvm::Function*> made;  // by kernel and constants
  std::map<std::string, int> count;             // per kernel
};

struct EmitContext {
  const Plan& plan;
  const ModelIdentity& identity;
  const Target& target;
  const Options& options;
  llvm::Module& module;
  const KernelLibrary& kernels;
  SpecialisedKernels& specialised;
  size_t number = 0;           // of the body: 0 is the general one
  size_t first_operation = 0;  // of the body, as profiles count them: those of the bodies before come first
  std::optional<Error> error;

  llvm::LLVMContext& llvm() const { return module.getContext(); }
  const Program& program() const { return plan.program; }
  const Buffer& buffer(BufferId id) const { return plan.program.buffers[id]; }

  void fail(ErrorKind kind, std::string message, std::string advice = {}) {
    if (!error) error = Error(kind, std::move(message), plan.program.name, std::move(advice));
  }

  // The name of a function of the body: <name>_body, of a special one <name>_body_1.
  std::string function_name(const std::string& part) const {
    return identity.name + "_" + part + (number ? "_" + std::to_string(number) : "");
  }

  // An element as it lies in memory, and as expressions hold it: bool is i1, narrow floats are float, sub-byte ints
  // i32.
  llvm::Type* storage_type(Elem elem) const;
  llvm::Type* register_type(Elem elem) const;

  // Marks a function as code of the target's level (the CPU check in `create` is not).
  void set_target_attributes(llvm::Function& function) const;
};

}  // namespace onnxc::emit
