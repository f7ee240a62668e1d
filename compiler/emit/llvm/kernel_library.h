// The kernels' and the ABI's bitcode, embedded in the compiler per ISA level, loaded lazily: only functions that a
// model uses are materialised and linked. A file of bitcode is parsed once per module made.
#pragma once

#include <llvm/IR/Module.h>

#include <functional>
#include <memory>
#include <string>

#include "compiler/support/result.h"
#include "compiler/support/target.h"

namespace onnxc::emit {

class KernelLibrary {
 public:
  static Result<KernelLibrary> open(llvm::LLVMContext& context, Level level, bool sanitize);

  // The function as the library declares it; null when there is none of that name.
  const llvm::Function* find(const std::string& name) const;
  // A declaration in `module` of the same type and attributes; null when there is none.
  llvm::Function* declare(llvm::Module& module, const std::string& name) const;

  // A declaration of the kernel's machine code for calls of any size (runtime_lib/kernels/bitcode.h), which the linker
  // brings; null when there is none.
  llvm::Function* declare_any_size(llvm::Module& module, const std::string& kernel) const;

  // Links what `module` needs of the kernels, and calls `on_kernel` with each function that came. Once.
  Status link_kernels(llvm::Module& module, const std::function<void(llvm::Function&)>& on_kernel);
  // Links create, run and destroy and the memory functions, which are optimised already. Once, after the kernels.
  Status link_entry(llvm::Module& module);

 private:
  int level_ = 0;
  std::unique_ptr<llvm::Module> kernels_, text_kernels_, entry_;
};

}  // namespace onnxc::emit
