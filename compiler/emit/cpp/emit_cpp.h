// Plan -> readable C++17 sources, made from codegen_templates/. Prints the Plan; decides nothing.
#pragma once

#include <map>
#include <string>

#include "compiler/emit/llvm/emit_llvm.h"
#include "compiler/ir/plan.h"

namespace onnxc {

// File name -> text of the emitted project: <name>.h (typed header, shapes as constexpr), <name>.cc, the runtime
// headers that it needs, CMakeLists.txt. The weights are apart: write_blob gives <name>.weights.bin, which CMake turns
// into an object.
Result<std::map<std::string, std::string>> emit_cpp(const Plan& plan, const ModelIdentity& identity,
                                                    const Target& target, const Options& options);
// Only the C/C++ header <name>.h: also goes beside model.a.
Result<std::string> emit_header(const Plan& plan, const ModelIdentity& identity);
// Writes it beside an archive: model.h for model.a.
Status write_header(const Plan& plan, const ModelIdentity& identity, const std::string& archive);

// Writes the project and its weights into `directory` (made when absent; nothing is left behind on failure).
Status write_cpp_project(const Plan& plan, const ModelIdentity& identity, const Target& target, const Options& options,
                         const std::string& directory);
// --backend=cpp: the project in a temporary folder, built by the host's C++ compiler into model.so / model.a (+
// header).
Status build_cpp_shared(const Plan& plan, const ModelIdentity& identity, const Target& target, const Options& options,
                        const std::string& path);
Status build_cpp_archive(const Plan& plan, const ModelIdentity& identity, const Target& target, const Options& options,
                         const std::string& path);

}  // namespace onnxc
