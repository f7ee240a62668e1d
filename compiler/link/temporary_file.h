// A file that appears only when it is whole: written under a temporary name in the folder of its final name, renamed by
// commit(), removed by the destructor and by SIGINT, SIGTERM and the like (unless the process ignores them) otherwise.
// Every write and close is checked, since that is where a full disk shows. Tested in tests/unit/link_test.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "compiler/support/result.h"

namespace onnxc {

class TemporaryFile {
 public:
  // `path`: the final name. Fails when its folder cannot be written.
  static Result<TemporaryFile> create(const std::string& path);
  TemporaryFile(TemporaryFile&& other) noexcept;
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  ~TemporaryFile();

  const std::string& name() const { return name_; }  // the temporary one
  Status write(std::span<const std::byte> bytes);
  Status write(std::string_view text);
  Status write_at(uint64_t offset, std::span<const std::byte> bytes);
  Result<uint64_t> size() const;
  Status seek(uint64_t offset);
  Status close();
  // Another program has replaced the file of this name: continue with that one.
  Status reopen();
  // Closes, and gives the file its final name and `mode` (less the user's umask).
  Status commit(unsigned mode);

 private:
  TemporaryFile(std::string path, std::string name, int descriptor);
  Error failure(const char* what) const;

  std::string path_, name_;
  int descriptor_ = -1;
};

}  // namespace onnxc
