#include "compiler/emit/llvm/abi_types.h"

#include <llvm/IR/IRBuilder.h>
#include <onnxc/onnxc.h>

namespace onnxc::emit {

AbiTypes::AbiTypes(llvm::LLVMContext& c) {
  llvm::Type *p = llvm::PointerType::get(c, 0), *i8 = llvm::Type::getInt8Ty(c), *i32 = llvm::Type::getInt32Ty(c),
             *i64 = llvm::Type::getInt64Ty(c);
  frame = llvm::StructType::get(c, {p, p, p, p, p, p, p, p, p, p, i32, i32, i32, p, p, p, p, p});
  code = llvm::StructType::get(c, {p, p, i32, i32, i32, p, i32});
  special = llvm::StructType::get(c, {p, p, i64, code});
  value = llvm::StructType::get(c, {i32, i32, i32, i32, llvm::ArrayType::get(i64, ONNXC_MAX_RANK), p, i64, p});
  value_info = llvm::StructType::get(c, {i32, i32, p, i32, i32, p, p, i32, i32});
  metadata = llvm::StructType::get(c, {p, p});
  model_info = llvm::StructType::get(
      c, {i32, i32, p, p, p, i64, llvm::ArrayType::get(i8, 32), i64, i64, p, i64, i64, i32, i32, i32, i32, p, p, p, p});
  model = llvm::StructType::get(c, {i32, i32, p, p, p, p});
  debug_buffer = llvm::StructType::get(c, {p, i64, i64, i32, i32});
  debug_plan = llvm::StructType::get(c, {p, i64, i64});
}

}  // namespace onnxc::emit
