// object + weights -> shared library. lld sees the weights as a reserved range of addresses only; their bytes are
// streamed behind what it wrote, and the segment's headers then point there: memory use does not depend on their size.
#include <lld/Common/Driver.h>
#include <llvm/Support/MemoryBuffer.h>

#include <algorithm>
#include <filesystem>

#include "compiler/link/link.h"
#include "compiler/link/temporary_file.h"
#include "compiler/link/undefined_symbols.h"
#include "compiler/link/weights_object.h"
#include "compiler/plan/make_plan.h"
#include "compiler/support/images_library.h"
#include "compiler/support/linked_files.h"

LLD_HAS_DRIVER(elf)

namespace onnxc {

namespace {

Status run_lld(const std::vector<std::string>& arguments, const LinkedFunctions& functions) {
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  std::string output, problems;
  llvm::raw_string_ostream out(output), err(problems);
  const lld::Result result = lld::lldMain(argv, out, err, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode == 0) return ok();
  while (!problems.empty() && problems.back() == '\n') problems.pop_back();
  if (!functions.empty()) return link_failure(problems, functions);
  return Error(ErrorKind::Environment, "the linker failed: " + problems, arguments.back());
}

Result<TemporaryFile> write_temporary(const std::string& path, const std::string& bytes) {
  ONNXC_ASSIGN(TemporaryFile file, TemporaryFile::create(path));
  ONNXC_TRY(file.write(bytes));
  ONNXC_TRY(file.close());
  return file;
}

// Gives the reserved segment its bytes, at the end of the file.
Status append_weights(TemporaryFile& library, const Plan& plan) {
  ONNXC_TRY(library.reopen());
  ONNXC_ASSIGN(const uint64_t size, library.size());
  auto contents = llvm::MemoryBuffer::getFile(library.name(), false, false);
  if (!contents) return Error(ErrorKind::Environment, "cannot read: " + contents.getError().message(), library.name());
  const std::string file = (*contents)->getBuffer().str();
  const uint64_t offset = (size + kWeightsAlignment - 1) / kWeightsAlignment * kWeightsAlignment;
  ONNXC_ASSIGN(const std::vector<Patch> patches, place_weights(file, offset));
  for (const Patch& patch : patches)
    ONNXC_TRY(library.write_at(patch.at, std::as_bytes(std::span(patch.bytes.data(), patch.bytes.size()))));
  ONNXC_TRY(library.seek(offset));
  return write_blob(plan, [&](std::span<const std::byte> piece) { return library.write(piece); });
}

// What links a library that the artefact finds beside itself, where one of the names is its.
Result<std::vector<std::string>> images_arguments(const std::vector<std::string>& undefined) {
  const bool wanted = std::ranges::any_of(undefined, [](const auto& name) { return name.starts_with(kImagesPrefix); });
  if (!wanted) return std::vector<std::string>{};
  ONNXC_ASSIGN(const std::string library, find_images_library());
  return std::vector<std::string>{library, "--enable-new-dtags", "-rpath", "$ORIGIN"};
}

// Links the files of --link, of which nothing is shown.
Status add_linked_files(const Options& options, const ModelIdentity& identity, const LinkedFunctions& functions,
                        const std::string& path, std::vector<std::string>& arguments,
                        std::vector<TemporaryFile>& parts) {
  ONNXC_ASSIGN(const LinkedFiles files, find_linked_files(options.link, functions));
  if (files.arguments.empty()) return ok();
  ONNXC_ASSIGN(TemporaryFile script,
               write_temporary(path + ".map", export_only({"onnxc_get_model", identity.name + "_get_model"})));
  arguments.insert(arguments.end(), {"--as-needed", "--version-script", script.name()});
  arguments.insert(arguments.end(), files.arguments.begin(), files.arguments.end());
  if (files.found_at_run_time) arguments.insert(arguments.end(), {"--enable-new-dtags", "-rpath", "$ORIGIN"});
  parts.push_back(std::move(script));
  return ok();
}

}  // namespace

Status link_shared(const std::string& object, const Plan& plan, const ModelIdentity& identity, const Options& options,
                   const std::string& path) {
  ONNXC_ASSIGN(const std::vector<std::string> undefined, undefined_symbols(object));
  // Everything a model needs is in it, but for the decoding of pictures, and unless it is instrumented.
  const bool instrumented = std::find(undefined.begin(), undefined.end(), "__asan_init") != undefined.end();
  ONNXC_ASSIGN(const std::vector<std::string> images, images_arguments(undefined));
  const LinkedFunctions functions = linked_functions(plan.program.ops);
  ONNXC_ASSIGN(const TemporaryFile code, write_temporary(path + ".o", object));
  std::vector<std::string> arguments = {"ld.lld",
                                        "-shared",
                                        "--gc-sections",
                                        "--hash-style=gnu",
                                        "--build-id=none",
                                        "--threads=1",
                                        "-z",
                                        "max-page-size=4096",
                                        "-z",
                                        "noexecstack",
                                        "-z",
                                        "now",
                                        "-z",
                                        instrumented ? "undefs" : "defs",
                                        "-soname",
                                        std::filesystem::path(path).filename().string(),
                                        code.name()};
  arguments.insert(arguments.end(), images.begin(), images.end());
  const bool weights = identity.embed_weights && plan.blob_bytes > 0;
  std::vector<TemporaryFile> parts;
  ONNXC_TRY(add_linked_files(options, identity, functions, path, arguments, parts));
  if (const std::string_view kernels = any_size_kernels_of(undefined); !kernels.empty()) {
    ONNXC_ASSIGN(TemporaryFile part, write_temporary(path + ".kernels.o", std::string(kernels)));
    arguments.push_back(part.name());
    parts.push_back(std::move(part));
  }
  if (weights) {
    ONNXC_ASSIGN(TemporaryFile reserved,
                 write_temporary(path + ".weights.o", weights_object(identity.name, plan.blob_bytes, false)));
    ONNXC_ASSIGN(TemporaryFile script,
                 write_temporary(path + ".ld",
                                 "SECTIONS { .onnxc_weights : ALIGN(4096) { *(.onnxc_weights) } } "
                                 "INSERT AFTER .bss;\n"));
    arguments.push_back(reserved.name());
    arguments.insert(arguments.end(), {"-T", script.name()});
    parts.push_back(std::move(reserved));
    parts.push_back(std::move(script));
  }
  ONNXC_ASSIGN(TemporaryFile library, TemporaryFile::create(path));
  ONNXC_TRY(library.close());
  arguments.insert(arguments.end(), {"-o", library.name()});
  ONNXC_TRY(run_lld(arguments, functions));
  if (weights)
    ONNXC_TRY(append_weights(library, plan));
  else
    ONNXC_TRY(library.reopen());
  return library.commit(0777);
}

Status write_weights(const Plan& plan, const std::string& path) {
  ONNXC_ASSIGN(TemporaryFile file, TemporaryFile::create(path));
  ONNXC_TRY(write_blob(plan, [&](std::span<const std::byte> piece) { return file.write(piece); }));
  return file.commit(0666);
}

}  // namespace onnxc
