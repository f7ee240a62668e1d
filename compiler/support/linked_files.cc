#include "compiler/support/linked_files.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace onnxc {
namespace {

namespace fs = std::filesystem;

const char* const kAdvice =
    "give the object, archive or shared library that defines it by --link FILE (in C++ the function is extern \"C\"); "
    "an archive (-o NAME.a) and C++ sources leave it to your own linker";

Error missing(const std::string& function, const std::string& node, const char* where) {
  return Error(ErrorKind::Environment,
               "the function " + function + ", which the custom operator " + node + " calls, is in " + where,
               "--custom-op", kAdvice);
}

enum class FileKind { Other, Archive, Object, SharedLibrary };

Result<FileKind> kind_of(const std::string& path) {
  constexpr size_t kHeader = 18;  // up to e_type
  constexpr char kRelocatable = 1, kDynamic = 3;
  std::ifstream in(path, std::ios::binary);
  std::array<char, kHeader> header = {};
  std::error_code code;
  if (!in || fs::is_directory(path, code))
    return Error(ErrorKind::Environment, std::string("cannot be read: ") + std::strerror(in ? EISDIR : errno),
                 "--link " + path);
  in.read(header.data(), kHeader);
  if (std::memcmp(header.data(), "!<arch>\n", 8) == 0) return FileKind::Archive;
  if (in.gcount() < std::streamsize(kHeader) || std::memcmp(header.data(), "\177ELF", 4) != 0) return FileKind::Other;
  return header[16] == kRelocatable ? FileKind::Object
         : header[16] == kDynamic   ? FileKind::SharedLibrary
                                    : FileKind::Other;
}

// A linker takes from these only what it needs.
void add_c_library(std::vector<std::string>& arguments) {
  std::error_code code;
  for (const char* name : {"libm.so.6", "libc.so.6"})
    for (const char* folder : {"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64"})
      if (const fs::path path = fs::path(folder) / name; fs::exists(path, code)) {
        arguments.push_back(path);
        break;
      }
}

bool names(const std::string& said, const std::string& before, const std::string& function) {
  for (size_t at = said.find(before + function); at != std::string::npos; at = said.find(before + function, at + 1)) {
    const size_t end = at + before.size() + function.size();
    if (end == said.size() || (!std::isalnum(static_cast<unsigned char>(said[end])) && said[end] != '_')) return true;
  }
  return false;
}

}  // namespace

Result<LinkedFiles> find_linked_files(const std::vector<std::string>& files, const LinkedFunctions& functions) {
  LinkedFiles linked;
  if (functions.empty()) return linked;
  if (files.empty()) return missing(functions.begin()->first, functions.begin()->second, "no file that was given");
  for (const std::string& path : files) {
    ONNXC_ASSIGN(const FileKind kind, kind_of(path));
    if (kind == FileKind::Other)
      return Error(ErrorKind::Environment, "is neither an object, an archive nor a shared library", "--link " + path,
                   "compile it first, for example cc -c -O2 -fPIC");
    if (kind == FileKind::SharedLibrary) {  // by its name, since it need not lie there when it is loaded
      const fs::path file(path);
      linked.arguments.push_back("-L" + (file.has_parent_path() ? file.parent_path().string() : "."));
      linked.arguments.push_back("-l:" + file.filename().string());
      linked.found_at_run_time = true;
    } else {
      linked.arguments.push_back(path);
    }
  }
  add_c_library(linked.arguments);
  return linked;
}

Error link_failure(const std::string& said, const LinkedFunctions& functions) {
  for (const auto& [function, node] : functions)
    if (names(said, "undefined symbol: ", function) || names(said, "undefined reference to `", function))
      return missing(function, node, "none of the linked files");
  return Error(ErrorKind::Environment, "the linker failed: " + said, "--link",
               "what the files call themselves must be linked too: --link FILE for each library");
}

std::string export_only(const std::vector<std::string>& names) {
  std::string text = "{ global:";
  for (const std::string& name : names) text += " " + name + ";";
  return text + " local: *; };\n";
}

}  // namespace onnxc
