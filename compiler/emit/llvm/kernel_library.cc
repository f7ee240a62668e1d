#include "compiler/emit/llvm/kernel_library.h"

#include <llvm/Bitcode/BitcodeReader.h>
#include <llvm/Linker/Linker.h>
#include <llvm/Support/MemoryBuffer.h>

#include <set>

#include "runtime_lib/kernels/bitcode.h"

namespace onnxc::emit {

namespace {

Result<std::unique_ptr<llvm::Module>> parse(llvm::LLVMContext& context, std::string_view bitcode, const char* name) {
  auto bytes = llvm::MemoryBuffer::getMemBuffer(llvm::StringRef(bitcode.data(), bitcode.size()), name, false);
  auto module = llvm::getOwningLazyBitcodeModule(std::move(bytes), context);
  if (!module) return Error(ErrorKind::Internal, std::string(name) + ": " + llvm::toString(module.takeError()));
  return std::move(*module);
}

}  // namespace

Result<KernelLibrary> KernelLibrary::open(llvm::LLVMContext& context, Level level, bool sanitize) {
  KernelLibrary library;
  library.level_ = level == Level::X86V2 ? 2 : level == Level::X86V3 ? 3 : 4;
  ONNXC_ASSIGN(library.kernels_, parse(context, kernel_bitcode(library.level_), "kernels"));
  ONNXC_ASSIGN(library.text_kernels_, parse(context, text_kernel_bitcode(), "text kernels"));
  ONNXC_ASSIGN(library.entry_, parse(context, entry_bitcode(sanitize), "entry"));
  return library;
}

const llvm::Function* KernelLibrary::find(const std::string& name) const {
  for (const auto* module : {kernels_.get(), text_kernels_.get(), entry_.get()})
    if (const llvm::Function* function = module->getFunction(name); function && !function->isDeclaration())
      return function;
  return nullptr;
}

llvm::Function* KernelLibrary::declare(llvm::Module& module, const std::string& name) const {
  if (llvm::Function* known = module.getFunction(name)) return known;
  const llvm::Function* function = find(name);
  if (!function) return nullptr;
  auto* made = llvm::Function::Create(function->getFunctionType(), llvm::GlobalValue::ExternalLinkage, name, module);
  made->copyAttributesFrom(function);
  return made;
}

llvm::Function* KernelLibrary::declare_any_size(llvm::Module& module, const std::string& kernel) const {
  const llvm::Function* function = is_any_size_kernel(kernel) ? find("onnxc_" + kernel) : nullptr;
  if (!function) return nullptr;
  const std::string name = std::string(kAnySizePrefix) + std::to_string(level_) + "_" + kernel;
  if (llvm::Function* known = module.getFunction(name)) return known;
  auto* made = llvm::Function::Create(function->getFunctionType(), llvm::GlobalValue::ExternalLinkage, name, module);
  made->setVisibility(llvm::GlobalValue::HiddenVisibility);
  made->addFnAttr(llvm::Attribute::NoUnwind);
  return made;
}

static Status link(llvm::Module& module, std::unique_ptr<llvm::Module> library, unsigned flags) {
  library->setTargetTriple(module.getTargetTriple());
  library->setDataLayout(module.getDataLayout());
  if (llvm::Linker::linkModules(module, std::move(library), flags))
    return Error(ErrorKind::Internal, "linking the kernels' bitcode failed");
  return ok();
}

Status KernelLibrary::link_kernels(llvm::Module& module, const std::function<void(llvm::Function&)>& on_kernel) {
  std::set<std::string> before;
  for (const llvm::Function& f : module)
    if (!f.isDeclaration()) before.insert(f.getName().str());
  ONNXC_TRY(link(module, std::move(kernels_), llvm::Linker::LinkOnlyNeeded));
  ONNXC_TRY(link(module, std::move(text_kernels_), llvm::Linker::LinkOnlyNeeded));
  for (llvm::Function& f : module)
    if (!f.isDeclaration() && !before.contains(f.getName().str())) on_kernel(f);
  return ok();
}

// What runs once per create or run. The entry is optimised already; its machine code is made the fast way.
static bool runs_rarely(const llvm::Function& f) { return !f.isDeclaration() && f.getName().contains("entry"); }

Status KernelLibrary::link_entry(llvm::Module& module) {
  if (auto error = entry_->materializeAll())
    return Error(ErrorKind::Internal, "the entry's bitcode: " + llvm::toString(std::move(error)));
  for (llvm::Function& f : *entry_) {
    if (!runs_rarely(f)) continue;
    f.removeFnAttr(llvm::Attribute::OptimizeForSize);
    f.removeFnAttr(llvm::Attribute::AlwaysInline);
    f.removeFnAttr(llvm::Attribute::InlineHint);
    f.addFnAttr(llvm::Attribute::NoInline);
    f.addFnAttr(llvm::Attribute::OptimizeNone);
  }
  return link(module, std::move(entry_), llvm::Linker::Flags::None);
}

}  // namespace onnxc::emit
