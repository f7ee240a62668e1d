#include "compiler/import/external_data.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace onnxc {
namespace {

namespace fs = std::filesystem;

// The real path of `location` below `folder`, or why not.
Result<fs::path> confined_path(const std::string& folder, const std::string& location, const std::string& where) {
  const auto refuse = [&](const std::string& why) {
    return Error(ErrorKind::InvalidModel, "external data \"" + location + "\" " + why, where,
                 "External data must lie in the model's own folder, named by a relative path.");
  };
  if (location.empty()) return refuse("has no file name");
  if (location.find('\0') != std::string::npos) return refuse("has a zero byte in its name");
  const fs::path relative(location);
  if (relative.is_absolute()) return refuse("is an absolute path");
  for (const auto& part : relative)
    if (part == "..") return refuse("contains \"..\"");
  std::error_code ec;
  const fs::path root = fs::canonical(folder, ec);
  if (ec) return Error(ErrorKind::Environment, "cannot resolve the model's folder: " + ec.message(), folder);
  const fs::path full = fs::canonical(root / relative, ec);
  if (ec)
    return Error(ErrorKind::Environment, "external data \"" + location + "\" cannot be opened: " + ec.message(), where,
                 "Put the file beside the model, in " + root.string() + ".");
  const fs::path inside = full.lexically_relative(root);
  if (inside.empty() || *inside.begin() == "..") return refuse("leads out of the model's folder");
  return full;
}

}  // namespace

Result<ExternalData::Mapping> ExternalData::open_file(const std::string& location, const std::string& where) {
  if (auto it = files_.find(location); it != files_.end()) return it->second;
  ONNXC_ASSIGN(const fs::path path, confined_path(folder_, location, where));
  const auto fail = [&](const std::string& what) {
    return Error(ErrorKind::Environment, "external data \"" + location + "\": " + what + ": " + std::strerror(errno),
                 where);
  };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return fail("open");
  struct stat st = {};
  if (::fstat(fd, &st) != 0) {
    Error error = fail("stat");
    ::close(fd);
    return error;
  }
  if (!S_ISREG(st.st_mode)) {
    ::close(fd);
    return Error(ErrorKind::InvalidModel, "external data \"" + location + "\" is not a regular file", where);
  }
  Mapping mapping;
  mapping.size = static_cast<uint64_t>(st.st_size);
  if (mapping.size > 0) {
    const size_t size = mapping.size;
    void* p = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
      Error error = fail("mmap");
      ::close(fd);
      return error;
    }
    mapping.data = std::shared_ptr<const std::byte>(
        static_cast<const std::byte*>(p), [size](const std::byte* q) { ::munmap(const_cast<std::byte*>(q), size); });
  }
  ::close(fd);
  files_[location] = mapping;
  return mapping;
}

Result<std::shared_ptr<const std::byte>> ExternalData::map(const std::string& location, uint64_t offset, uint64_t bytes,
                                                           const std::string& where) {
  ONNXC_ASSIGN(const Mapping mapping, open_file(location, where));
  if (offset > mapping.size || bytes > mapping.size - offset)
    return Error(ErrorKind::InvalidModel,
                 "external data \"" + location + "\" is too short: it has " + std::to_string(mapping.size) +
                     " bytes, the tensor takes " + std::to_string(bytes) + " from offset " + std::to_string(offset),
                 where, "Copy the data file again; it may have been cut off.");
  return std::shared_ptr<const std::byte>(mapping.data, mapping.data.get() + offset);
}

}  // namespace onnxc
