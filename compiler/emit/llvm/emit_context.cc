#include "compiler/emit/llvm/emit_context.h"

#include "compiler/ir/expr.h"

namespace onnxc::emit {

llvm::Type* EmitContext::storage_type(Elem elem) const {
  llvm::LLVMContext& c = llvm();
  if (elem == Elem::F32) return llvm::Type::getFloatTy(c);
  if (elem == Elem::F64) return llvm::Type::getDoubleTy(c);
  const size_t bytes = elem_size(elem);
  return llvm::Type::getIntNTy(c, bytes == 0 || bytes > 16 ? 8 : static_cast<unsigned>(bytes) * 8);
}

llvm::Type* EmitContext::register_type(Elem elem) const {
  if (elem == Elem::Bool) return llvm::Type::getInt1Ty(llvm());
  return storage_type(expr::arithmetic_type(elem));
}

void EmitContext::set_target_attributes(llvm::Function& function) const {
  const std::string width = std::to_string(target.vector_bytes * 8);
  function.addFnAttr("target-cpu", target.cpu);
  function.removeFnAttr("tune-cpu");
  function.removeFnAttr("target-features");
  if (!target.features.empty()) function.addFnAttr("target-features", target.features);
  function.addFnAttr("prefer-vector-width", width);
  function.addFnAttr("min-legal-vector-width", width);
}

}  // namespace onnxc::emit
