#include "compiler/link/temporary_file.h"

#include <fcntl.h>
#include <llvm/Support/FileSystem.h>
#include <llvm/Support/Signals.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace onnxc {

namespace {

// The file is removed when a signal ends the process. LLVM's handlers also take signals that the process was started to
// ignore (nohup, a job in the background), remove the file, and let the process go on without it: those stay ignored.
void remove_on_signal(const std::string& name) {
  constexpr std::array<int, 7> kIgnorable = {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR2, SIGXCPU, SIGXFSZ};
  std::array<struct sigaction, kIgnorable.size()> before;
  for (size_t i = 0; i < kIgnorable.size(); ++i) ::sigaction(kIgnorable[i], nullptr, &before[i]);
  llvm::sys::RemoveFileOnSignal(name);
  for (size_t i = 0; i < kIgnorable.size(); ++i)
    if (before[i].sa_handler == SIG_IGN) ::sigaction(kIgnorable[i], &before[i], nullptr);
}

}  // namespace

TemporaryFile::TemporaryFile(std::string path, std::string name, int descriptor)
    : path_(std::move(path)), name_(std::move(name)), descriptor_(descriptor) {}

TemporaryFile::TemporaryFile(TemporaryFile&& other) noexcept
    : path_(std::move(other.path_)), name_(std::move(other.name_)), descriptor_(other.descriptor_) {
  other.name_.clear();
  other.descriptor_ = -1;
}

TemporaryFile::~TemporaryFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (name_.empty()) return;
  ::unlink(name_.c_str());
  llvm::sys::DontRemoveFileOnSignal(name_);
}

Error TemporaryFile::failure(const char* what) const {
  const int code = errno;
  return Error(ErrorKind::Environment, std::string(what) + ": " + std::strerror(code), path_,
               code == ENOSPC ? "make room on that disk, or write elsewhere with -o" : "");
}

Result<TemporaryFile> TemporaryFile::create(const std::string& path) {
  int descriptor = -1;
  llvm::SmallString<128> name;
  if (const std::error_code code = llvm::sys::fs::createUniqueFile(path + ".%%%%%%.tmp", descriptor, name))
    return Error(ErrorKind::Environment, "cannot create a file here: " + code.message(), path,
                 "check that the folder exists and may be written");
  remove_on_signal(std::string(name));
  return TemporaryFile(path, std::string(name), descriptor);
}

Status TemporaryFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return failure("cannot write");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return ok();
}

Status TemporaryFile::write(std::string_view text) { return write(std::as_bytes(std::span(text.data(), text.size()))); }

Status TemporaryFile::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  ONNXC_TRY(seek(offset));
  return write(bytes);
}

Status TemporaryFile::seek(uint64_t offset) {
  if (::lseek(descriptor_, static_cast<off_t>(offset), SEEK_SET) < 0) return failure("cannot seek");
  return ok();
}

Result<uint64_t> TemporaryFile::size() const {
  struct stat info;
  if (::fstat(descriptor_, &info) != 0) return failure("cannot read the size");
  return static_cast<uint64_t>(info.st_size);
}

Status TemporaryFile::close() {
  if (descriptor_ < 0) return ok();
  const int result = ::close(descriptor_);
  descriptor_ = -1;
  if (result != 0) return failure("cannot close");
  return ok();
}

Status TemporaryFile::reopen() {
  ONNXC_TRY(close());
  descriptor_ = ::open(name_.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor_ < 0) return failure("cannot open");
  return ok();
}

Status TemporaryFile::commit(unsigned mode) {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  if (::fchmod(descriptor_, mode & ~mask) != 0) return failure("cannot set the permissions");
  ONNXC_TRY(close());
  if (::rename(name_.c_str(), path_.c_str()) != 0) return failure("cannot rename the finished file");
  llvm::sys::DontRemoveFileOnSignal(name_);
  name_.clear();
  return ok();
}

}  // namespace onnxc
