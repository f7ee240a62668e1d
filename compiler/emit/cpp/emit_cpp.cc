#include "compiler/emit/cpp/emit_cpp.h"

#include "codegen_templates/embedded_files.h"
#include "compiler/emit/cpp/project_data.h"

namespace onnxc {
namespace {

// The runtime headers keep their places relative to each other: runtime/include/onnxc/onnxc.h, runtime/abi/frame.h ...
constexpr std::string_view kRuntime = "runtime_lib/";

}  // namespace

Result<std::map<std::string, std::string>> emit_cpp(const Plan& plan, const ModelIdentity& identity,
                                                    const Target& target, const Options& options) {
  std::map<std::string, std::string> files;
  const std::string& name = identity.name;
  ONNXC_ASSIGN(files[name + ".cc"], cpp::render_operations(plan, identity, target));
  ONNXC_ASSIGN(files[name + "_model.cc"], cpp::render_entry(plan, identity, target));
  files[name + ".h"] = cpp::render_header(plan, identity);
  files["CMakeLists.txt"] = cpp::render_cmake(plan, identity, target, options);
  if (plan.blob_bytes && identity.embed_weights) files[name + "_weights.S"] = cpp::render_weights(identity, target);
  for (const EmbeddedFile& file : embedded_files())
    if (file.path.starts_with(kRuntime)) files["runtime/" + std::string(file.path.substr(kRuntime.size()))] = file.text;
  files["runtime/support.h"] = embedded_template("support.h");
  return files;
}

Result<std::string> emit_header(const Plan& plan, const ModelIdentity& identity) {
  return cpp::render_header(plan, identity);
}

}  // namespace onnxc
