// KernelCall -> call of a specialised kernel: an internal, never inlined function that calls onnxc_<kernel> with the
// constant arguments of the call, into which LLVM inlines the kernel. Calls with the same kernel and constants share
// one. Tested in tests/unit/emit_llvm_test.cc.
#pragma once

#include <string>

#include "compiler/emit/llvm/expr_emitter.h"

namespace onnxc::emit {

// The range of a partition's axis that this thread runs, as i64 values; and the frame, where threads meet in the call.
struct Share {
  llvm::Value *begin = nullptr, *end = nullptr, *team = nullptr;
};

class CallEmitter {
 public:
  explicit CallEmitter(EmitContext& context) : context_(context) {}
  // What calls that take memory of the run, or call linked functions, pass.
  void set_frame(llvm::Value* frame) { frame_ = frame; }

  // The call at the builder's place; the value is the kernel's status, or null when it returns none. A partitioned call
  // runs `share`, or the whole axis when null.
  llvm::Value* emit(const KernelCall& call, const std::optional<Partition>& partition, const Share* share,
                    llvm::IRBuilder<>& builder, ExprEmitter& exprs);
  // A call within a nest, which cannot fail.
  void emit_in_nest(const KernelCall& call, llvm::IRBuilder<>& builder, ExprEmitter& exprs);

 private:
  // What one call passes: run-time values to the specialised function, constants and nulls into it.
  struct Actual {
    llvm::Value* value = nullptr;        // run time
    llvm::Constant* constant = nullptr;  // else
  };
  std::vector<Actual> actuals(const KernelCall& call, const std::optional<Partition>& partition, const Share* share,
                              const llvm::Function& kernel, llvm::IRBuilder<>& builder, ExprEmitter& exprs);
  // A call of a kernel that calls a function of the user's (KernelCall::function).
  llvm::Value* emit_linked(const KernelCall& call, llvm::IRBuilder<>& builder, ExprEmitter& exprs);
  llvm::Function* declare_linked(const std::string& symbol);
  llvm::Value* array_of(const std::vector<llvm::Value*>& values, llvm::Type* element, llvm::IRBuilder<>& builder);
  llvm::Function* specialise(const std::string& name, llvm::Function& kernel, const std::vector<Actual>& actuals);

  EmitContext& context_;
  llvm::Value* frame_ = nullptr;
};

}  // namespace onnxc::emit
