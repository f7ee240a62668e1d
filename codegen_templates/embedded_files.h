// Files that travel inside the compiler: templates of emitted projects, and the headers of runtime_lib/ that emitted
// code includes. Named by their path from the root of the sources. Tested in tests/unit/emit_cpp_test.cc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace onnxc {

struct EmbeddedFile {
  std::string_view path;  // "runtime_lib/abi/frame.h"
  std::string_view text;
};

std::vector<EmbeddedFile> embedded_files();
// The text of codegen_templates/project/<name>; an internal error of the build when there is none.
std::string embedded_template(std::string_view name);

}  // namespace onnxc
