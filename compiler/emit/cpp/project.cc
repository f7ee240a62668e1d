// Emitted sources on disk, and built by the host's compiler. Whatever goes wrong, nothing is left behind: files are
// made in a temporary folder and renamed when they are whole.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "compiler/emit/cpp/build_process.h"
#include "compiler/emit/cpp/compiler_flags.h"
#include "compiler/emit/cpp/emit_cpp.h"
#include "compiler/emit/cpp/project_data.h"
#include "compiler/plan/make_plan.h"
#include "compiler/support/images_library.h"
#include "compiler/support/linked_files.h"

namespace onnxc {
namespace {

namespace fs = std::filesystem;

Error file_error(const std::string& path) {
  const int code = errno;
  return Error(ErrorKind::Environment, std::string("cannot write: ") + std::strerror(code), path,
               code == ENOSPC ? "make room on that disk, or write elsewhere with -o" : "");
}

class OutputFile {
 public:
  explicit OutputFile(std::string path) : path_(std::move(path)), file_(std::fopen(path_.c_str(), "wb")) {}
  ~OutputFile() {
    if (file_) std::fclose(file_);
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  Status write(const void* data, size_t bytes) {
    if (!file_ || std::fwrite(data, 1, bytes, file_) != bytes) return file_error(path_);
    return ok();
  }
  Status close() {
    FILE* file = file_;
    file_ = nullptr;
    if (!file || std::fclose(file) != 0) return file_error(path_);
    return ok();
  }

 private:
  std::string path_;
  FILE* file_;
};

Status write_file(const std::string& path, const std::string& text) {
  std::error_code code;
  fs::create_directories(fs::path(path).parent_path(), code);
  OutputFile file(path);
  ONNXC_TRY(file.write(text.data(), text.size()));
  return file.close();
}

Status write_weights(const Plan& plan, const std::string& path) {
  OutputFile file(path);
  ONNXC_TRY(write_blob(plan, [&](std::span<const std::byte> bytes) { return file.write(bytes.data(), bytes.size()); }));
  return file.close();
}

Status move_file(const std::string& from, const std::string& to) {
  std::error_code code;
  fs::create_directories(fs::path(to).parent_path(), code);
  fs::rename(from, to, code);
  if (!code) return ok();
  return Error(ErrorKind::Environment, "cannot write: " + code.message(), to);
}

// All files of the project, weights included, in an existing folder.
Status write_files(const Plan& plan, const ModelIdentity& identity, const Target& target, const Options& options,
                   const std::string& folder) {
  ONNXC_ASSIGN(const auto files, emit_cpp(plan, identity, target, options));
  for (const auto& [name, text] : files) ONNXC_TRY(write_file(folder + "/" + name, text));
  if (plan.blob_bytes) ONNXC_TRY(write_weights(plan, folder + "/" + identity.name + ".weights.bin"));
  return ok();
}

std::string temporary_prefix() {
  const char* folder = std::getenv("TMPDIR");
  return std::string(folder && *folder ? folder : "/tmp") + "/onnxc";
}

// Compiles the project in `folder`: paths of the objects.
Result<std::vector<std::string>> compile_files(const Plan& plan, const ModelIdentity& identity, const Target& target,
                                               const Options& options, const std::string& compiler,
                                               const std::string& folder) {
  ONNXC_TRY(write_files(plan, identity, target, options, folder));
  std::vector<std::string> base = {compiler};
  for (const std::string& flag : cpp::common_flags(options)) base.push_back(flag);
  base.insert(base.end(),
              {"-w", "-fPIC", "-I" + folder, "-I" + folder + "/runtime", "-I" + folder + "/runtime/include"});
  struct Unit {
    std::string source;
    std::vector<std::string> flags;
  };
  std::vector<Unit> units = {{identity.name + ".cc", cpp::code_flags(target)}, {identity.name + "_model.cc", {}}};
  const std::string weights = identity.name + "_weights.S";
  if (plan.blob_bytes && identity.embed_weights)
    units.push_back({weights, {"-DONNXC_WEIGHTS_FILE=\"" + folder + "/" + identity.name + ".weights.bin\""}});
  std::vector<cpp::Child> children;
  std::vector<std::string> objects;
  std::optional<Error> error;
  for (const Unit& unit : units) {
    std::vector<std::string> command = unit.source == weights ? std::vector<std::string>{compiler} : base;
    command.insert(command.end(), unit.flags.begin(), unit.flags.end());
    objects.push_back(folder + "/" + unit.source + ".o");
    command.insert(command.end(), {"-c", folder + "/" + unit.source, "-o", objects.back()});
    auto child = cpp::Child::start(command, objects.back() + ".log");
    if (child.ok())
      children.push_back(std::move(*child));
    else
      error = child.error();
  }
  for (cpp::Child& child : children) {
    const Status status = child.wait();
    if (!status.ok() && !error) error = status.error();
  }
  if (error) return *error;
  return objects;
}

// Builds in a temporary folder by `finish`(compiler, folder, objects), which makes folder/result; then puts that at
// `path`.
template <class Finish>
Status build(const Plan& plan, const ModelIdentity& identity, const Target& target, const Options& options,
             const std::string& path, Finish finish) {
  const cpp::HeldSignals held;
  ONNXC_ASSIGN(const std::string compiler, cpp::find_cxx_compiler());
  // Beside the output too, so that the last step is a rename within one file system.
  ONNXC_ASSIGN(const cpp::TemporaryFolder folder, cpp::TemporaryFolder::create(temporary_prefix()));
  ONNXC_ASSIGN(const cpp::TemporaryFolder beside, cpp::TemporaryFolder::create(path));
  ONNXC_ASSIGN(const auto objects, compile_files(plan, identity, target, options, compiler, folder.path()));
  const std::string result = beside.path() + "/result";
  ONNXC_TRY(finish(compiler, folder.path(), objects, result));
  if (plan.blob_bytes && !identity.embed_weights)
    ONNXC_TRY(
        move_file(folder.path() + "/" + identity.name + ".weights.bin", fs::path(path).replace_extension(".weights")));
  return move_file(result, path);
}

// The files of --link, of which nothing is shown.
Status add_linked_files(const Options& options, const ModelIdentity& identity, const LinkedFunctions& functions,
                        const std::string& folder, std::vector<std::string>& command) {
  ONNXC_ASSIGN(const LinkedFiles files, find_linked_files(options.link, functions));
  if (files.arguments.empty()) return ok();
  const std::string script = folder + "/exports.map";
  ONNXC_TRY(write_file(script, export_only({"onnxc_get_model", identity.name + "_get_model"})));
  command.insert(command.end(), {"-Wl,--as-needed", "-Wl,--version-script," + script});
  command.insert(command.end(), files.arguments.begin(), files.arguments.end());
  if (files.found_at_run_time) command.insert(command.end(), {"-Wl,--enable-new-dtags", "-Wl,-rpath,$ORIGIN"});
  return ok();
}

}  // namespace

Status write_cpp_project(const Plan& plan, const ModelIdentity& identity, const Target& target, const Options& options,
                         const std::string& directory) {
  const cpp::HeldSignals held;
  std::string path = directory;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  ONNXC_ASSIGN(const cpp::TemporaryFolder folder, cpp::TemporaryFolder::create(path));
  ONNXC_TRY(write_files(plan, identity, target, options, folder.path()));
  if (cpp::HeldSignals::came()) return Error(ErrorKind::Environment, "interrupted", path);
  std::error_code code;
  for (const auto& entry : fs::recursive_directory_iterator(folder.path(), code))
    if (entry.is_regular_file())
      ONNXC_TRY(move_file(entry.path(), path + "/" + fs::relative(entry.path(), folder.path()).string()));
  return ok();
}

Status build_cpp_shared(const Plan& plan, const ModelIdentity& identity, const Target& target, const Options& options,
                        const std::string& path) {
  return build(plan, identity, target, options, path,
               [&](const std::string& compiler, const std::string& folder, std::vector<std::string> objects,
                   const std::string& result) -> Status {
                 std::vector<std::string> command = {compiler, "-shared", "-o", result, "-Wl,--build-id=none"};
                 command.insert(command.end(), objects.begin(), objects.end());
                 if (options.sanitize_address)
                   command.push_back("-fsanitize=address");
                 else
                   command.insert(command.end(), {"-nostdlib", "-Wl,-z,defs", "-Wl,-soname," + identity.name + ".so"});
                 if (cpp::decodes_images(plan.program)) {
                   ONNXC_ASSIGN(const std::string library, find_images_library());
                   command.insert(command.end(), {library, "-Wl,--enable-new-dtags", "-Wl,-rpath,$ORIGIN"});
                 }
                 const LinkedFunctions functions = linked_functions(plan.program.ops);
                 ONNXC_TRY(add_linked_files(options, identity, functions, folder, command));
                 Status linked = cpp::run_program(command, folder + "/link.log");
                 if (linked.ok() || functions.empty() || cpp::HeldSignals::came()) return linked;
                 return link_failure(linked.error().diagnostics().front().message, functions);
               });
}

Status build_cpp_archive(const Plan& plan, const ModelIdentity& identity, const Target& target, const Options& options,
                         const std::string& path) {
  ONNXC_TRY(build(plan, identity, target, options, path,
                  [&](const std::string& compiler, const std::string& folder, std::vector<std::string> objects,
                      const std::string& result) -> Status {
                    // One object that shows nothing but <name>_get_model, so that models never clash in a program.
                    const std::string object = folder + "/" + identity.name + ".o", log = folder + "/link.log";
                    std::vector<std::string> command = {compiler, "-r", "-nostdlib", "-o", object};
                    command.insert(command.end(), objects.begin(), objects.end());
                    ONNXC_TRY(cpp::run_program(command, log));
                    ONNXC_TRY(cpp::run_program(
                        {"objcopy", "--keep-global-symbol=" + identity.name + "_get_model", object}, log));
                    return cpp::run_program({"ar", "rcsD", result, object}, log);
                  }));
  return write_header(plan, identity, path);
}

Status write_header(const Plan& plan, const ModelIdentity& identity, const std::string& archive) {
  ONNXC_ASSIGN(const std::string text, emit_header(plan, identity));
  const std::string path = fs::path(archive).replace_extension(".h");
  ONNXC_ASSIGN(const cpp::TemporaryFolder beside, cpp::TemporaryFolder::create(path));
  ONNXC_TRY(write_file(beside.path() + "/header", text));
  return move_file(beside.path() + "/header", path);
}

}  // namespace onnxc
