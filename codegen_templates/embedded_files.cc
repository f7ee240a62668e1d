#include "codegen_templates/embedded_files.h"

extern "C" {
struct OnnxcEmbeddedRow {
  const char *name, *begin, *end;
};
// Written by the assembler file that CMake makes; ends with a row of nulls.
__attribute__((visibility("hidden"))) extern const OnnxcEmbeddedRow onnxc_embedded_file_table[];
}

namespace onnxc {

std::vector<EmbeddedFile> embedded_files() {
  std::vector<EmbeddedFile> files;
  for (const OnnxcEmbeddedRow* row = onnxc_embedded_file_table; row->name; ++row)
    files.push_back({row->name, {row->begin, static_cast<size_t>(row->end - row->begin)}});
  return files;
}

std::string embedded_template(std::string_view name) {
  const std::string path = "codegen_templates/project/" + std::string(name);
  for (const EmbeddedFile& file : embedded_files())
    if (file.path == path) return std::string(file.text);
  return {};
}

}  // namespace onnxc
