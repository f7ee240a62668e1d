// Expr -> LLVM values, with the meaning that ir/expr.h gives each operation. Operations that are one or two
// instructions are emitted as such; all others call the kernels' scalar function onnxc_<op>_<elem>, which LLVM inlines
// and vectorises. Tested in tests/unit/emit_llvm_test.cc.
#pragma once

#include <llvm/IR/Intrinsics.h>

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "compiler/emit/llvm/emit_context.h"

namespace onnxc::emit {

// A 64-bit index. `non_negative` lets divisions be unsigned.
struct IndexValue {
  llvm::Value* value = nullptr;
  bool non_negative = false;
};

// The names that are in scope while a function is emitted, and the pointers to its buffers.
struct Scope {
  std::map<std::string, IndexValue> symbols;  // loop variables and scalars
  std::map<std::string, llvm::Value*> lets;   // Let and Reduce
  std::map<BufferId, llvm::Value*> pointers;  // by storage root: logical element 0 of the root
};

class ExprEmitter {
 public:
  ExprEmitter(EmitContext& context, llvm::IRBuilder<>& builder, Scope& scope)
      : context_(context), b_(builder), scope_(scope) {}

  // The value in its register type. Values are remembered per node until `forget()`, which every statement calls.
  llvm::Value* emit(const Expr& e);
  void forget() { memo_.clear(); }
  IndexValue emit_dim(const Dim& dim);
  // From now on sums and products of dims that overflow are INT64_MAX: where nobody has checked the dims of a run yet.
  void saturate() { saturate_ = true; }
  // The integer that the Scalar takes.
  IndexValue element(const ScalarDef::Element& element);
  // The address of an element of `buffer`, in bytes arithmetic of the buffer's strides (views followed).
  llvm::Value* address(BufferId id, const std::vector<Expr>& at);
  // Register value of type `from` -> memory, and back.
  void store(llvm::Value* value, Elem from, BufferId id, const std::vector<Expr>& at);
  llvm::Value* widen(llvm::Value* stored, Elem elem);

  llvm::Value* binary(ExprOp op, Elem type, llvm::Value* a, llvm::Value* b);

 private:
  llvm::Value* emit_node(const ExprNode& e);
  llvm::Value* constant(const ExprNode& e);
  llvm::Value* load(const ExprNode& e);
  llvm::Value* select(const ExprNode& e);
  llvm::Value* unary(ExprOp op, Elem type, Elem argument, llvm::Value* a);
  llvm::Value* float_binary(ExprOp op, Elem type, llvm::Value* a, llvm::Value* b);
  llvm::Value* int_binary(ExprOp op, Elem type, llvm::Value* a, llvm::Value* b);
  llvm::Value* int_divide(ExprOp op, Elem type, llvm::Value* a, llvm::Value* b);
  llvm::Value* shift(ExprOp op, Elem type, llvm::Value* a, llvm::Value* b);
  llvm::Value* compare(ExprOp op, Elem type, llvm::Value* a, llvm::Value* b);
  llvm::Value* equal_strings(llvm::Value* a, llvm::Value* b);
  llvm::Value* cast(llvm::Value* value, Elem from, Elem to);
  llvm::Value* cast_to_few_bits(llvm::Value* value, Elem to);
  llvm::Value* bit_cast(llvm::Value* value, Elem from, Elem to);
  llvm::Value* narrow(llvm::Value* value, Elem elem);  // register -> storage type
  llvm::Value* call(const std::string& name, std::vector<llvm::Value*> args, llvm::Type* result);
  bool loads_anew(const Expr& e) const;
  // A dim that a run may make 0 before it is refused for that.
  IndexValue divisor(IndexValue y);
  llvm::Value* saturating(llvm::Intrinsic::ID operation, llvm::Value* a, llvm::Value* b);

  EmitContext& context_;
  llvm::IRBuilder<>& b_;
  Scope& scope_;
  bool saturate_ = false;
  std::unordered_map<const ExprNode*, llvm::Value*> memo_;
};

}  // namespace onnxc::emit
