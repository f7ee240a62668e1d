// Statements of a loop nest -> basic blocks. Loops are rotated and counted from 0 by 1, so that LLVM vectorises them;
// reductions keep the lanes and the combine tree that the Program states. Tested in tests/unit/emit_llvm_test.cc.
#pragma once

#include <functional>

#include "compiler/emit/llvm/call_emitter.h"
#include "compiler/emit/llvm/expr_emitter.h"

namespace onnxc::emit {

class NestEmitter {
 public:
  NestEmitter(EmitContext& context, CallEmitter& calls, llvm::IRBuilder<>& builder, Scope& scope)
      : context_(context), calls_(calls), b_(builder), scope_(scope), exprs_(context, builder, scope) {}

  void emit(const Block& block);
  // Turns begin .. end - 1 of the nest's only outermost loop.
  void emit_share(const Block& nest, const Share& share);

 private:
  void emit_stmt(const For& node);
  void emit_stmt(const Let& let);
  void emit_stmt(const Reduce& as_written);
  void emit_stmt(const Store& store);
  void emit_stmt(const KernelCall& call);

  // Runs `body` with the loop variable in scope for begin .. end - 1. `metadata`: of the back edge, may be null.
  void loop(const std::string& name, llvm::Value* begin, llvm::Value* end, const std::function<void()>& body,
            llvm::MDNode* metadata = nullptr);
  void loops(const std::vector<LoopVar>& vars, size_t first, size_t last, const std::function<void()>& body);

  // Turns begin .. end - 1 of a loop whose body begins with a serial reduction, side by side.
  void emit_columns(const For& node, llvm::Value* begin, llvm::Value* end);
  void emit_strip(const std::string& column, const Block& body, llvm::Value* first, llvm::Value* columns);
  // A value per column of a strip, in memory.
  struct ColumnValues {
    llvm::Value* memory;
    llvm::Type *type, *stored;  // Bools are stored as bytes
    void store(llvm::IRBuilder<>& b, llvm::Value* column, llvm::Value* value) const;
    llvm::Value* load(llvm::IRBuilder<>& b, llvm::Value* column) const;
  };
  ColumnValues column_values(llvm::Type* type, int64_t most);

  // Accumulators live in memory while the reduction runs; LLVM promotes them.
  llvm::Value* slot(llvm::Type* type, uint64_t count);
  llvm::Value* combine(const Reduce& reduce, llvm::Value* a, llvm::Value* b);
  llvm::Constant* neutral(const Reduce& reduce);
  void accumulate(const Reduce& reduce, llvm::Value* accumulators, llvm::Value* lane);
  llvm::Value* reduce_serially(const Reduce& reduce);
  llvm::Value* reduce_in_lanes(const Reduce& reduce);
  void reduce_rows(const Reduce& reduce, llvm::Value* accumulators);
  void reduce_by_position(const Reduce& reduce, llvm::Value* accumulators);
  // The results of at most `most` columns. `each_column` runs its argument, given the number of a column, for all of
  // them in a loop.
  ColumnValues reduce_columns(const Reduce& reduce, int64_t most,
                              const std::function<void(const std::function<void(llvm::Value*)>&)>& each_column);
  llvm::Value* combine_lanes(const Reduce& reduce, llvm::Value* accumulators);
  llvm::Value* reduce_position(const Reduce& reduce);  // ArgMin, ArgMax

  EmitContext& context_;
  CallEmitter& calls_;
  llvm::IRBuilder<>& b_;
  Scope& scope_;
  ExprEmitter exprs_;
};

}  // namespace onnxc::emit
