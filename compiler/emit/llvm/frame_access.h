// What a function reads of its frame (runtime_lib/abi/frame.h).
#pragma once

#include <map>

#include "compiler/emit/llvm/expr_emitter.h"

namespace onnxc::emit {

class FrameAccess {
 public:
  FrameAccess(EmitContext& context, llvm::IRBuilder<>& b, llvm::Value* frame, ExprEmitter& exprs)
      : context_(context), b_(b), frame_(frame), exprs_(exprs) {}

  llvm::Value* field(unsigned index, llvm::Type* type);
  // Of the dims of the run's input `index`.
  llvm::Value* input_dim(uint64_t index, uint64_t axis);
  // What stage `stage` has put into the table, as symbols.
  void load_table(size_t stage, Scope& scope);
  // Where the memory of `buffer` begins; null where it has none of its own or the program cannot be emitted.
  llvm::Value* storage(BufferId buffer);

 private:
  llvm::Value* pointer(unsigned index);  // loaded once
  llvm::Value* arena(size_t stage);

  EmitContext& context_;
  llvm::IRBuilder<>& b_;
  llvm::Value* frame_;
  ExprEmitter& exprs_;
  std::map<unsigned, llvm::Value*> pointers_;
  std::map<size_t, llvm::Value*> arenas_;
};

}  // namespace onnxc::emit
