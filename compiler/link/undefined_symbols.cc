#include "compiler/link/undefined_symbols.h"

#include <llvm/Object/ELFObjectFile.h>

#include "runtime_lib/kernels/bitcode.h"

namespace onnxc {

Result<std::vector<std::string>> undefined_symbols(const std::string& object) {
  std::vector<std::string> names;
  const llvm::MemoryBufferRef bytes(llvm::StringRef(object.data(), object.size()), "model.o");
  auto file = llvm::object::ObjectFile::createELFObjectFile(bytes);
  if (!file)
    return Error(ErrorKind::Internal, "the emitted object is not readable: " + llvm::toString(file.takeError()));
  for (const llvm::object::SymbolRef& symbol : (*file)->symbols()) {
    auto name = symbol.getName();
    auto flags = symbol.getFlags();
    if (name && flags && (*flags & llvm::object::SymbolRef::SF_Undefined) != 0) names.push_back(name->str());
    if (!name) llvm::consumeError(name.takeError());
    if (!flags) llvm::consumeError(flags.takeError());
  }
  return names;
}

bool is_any_size_kernel(const std::string& symbol) { return symbol.starts_with(kAnySizePrefix); }

std::string_view any_size_kernels_of(const std::vector<std::string>& undefined) {
  for (const std::string& name : undefined)
    if (is_any_size_kernel(name)) return any_size_kernels(name[kAnySizePrefix.size()] - '0');
  return {};
}

}  // namespace onnxc
