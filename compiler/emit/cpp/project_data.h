// What the templates of codegen_templates/project/ are filled with. Tested in tests/unit/emit_cpp_test.cc.
#pragma once

#include <string>

#include "compiler/emit/cpp/emit_cpp.h"

namespace onnxc::cpp {

// The text of the template `name` for this model.
std::string render_header(const Plan& plan, const ModelIdentity& identity);
Result<std::string> render_entry(const Plan& plan, const ModelIdentity& identity, const Target& target);
Result<std::string> render_operations(const Plan& plan, const ModelIdentity& identity, const Target& target);
std::string render_weights(const ModelIdentity& identity, const Target& target);
std::string render_cmake(const Plan& plan, const ModelIdentity& identity, const Target& target, const Options& options);

// Whether it needs libonnxc_images.so.
bool decodes_images(const Program& program);

// Bytes that a run needs: the plan's arena, and staging for sub-byte inputs and outputs.
uint64_t run_arena_bytes(const Plan& plan);

}  // namespace onnxc::cpp
