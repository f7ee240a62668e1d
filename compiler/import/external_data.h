// External data of tensors: files beside the model, mapped and not read. A model cannot name anything outside its own
// folder: absolute paths, "..", and symbolic links that lead out are refused.
// The files must not shrink while the compiler runs. Tested in tests/unit/import_test.cc and
// tests/api/test_bad_input.py.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "compiler/support/result.h"

namespace onnxc {

class ExternalData {
 public:
  // `folder`: of the model; "" is the current one.
  explicit ExternalData(std::string folder) : folder_(folder.empty() ? "." : std::move(folder)) {}

  // `bytes` bytes at `offset` of the file `location` (relative to the folder). The memory lives as long as the pointer.
  Result<std::shared_ptr<const std::byte>> map(const std::string& location, uint64_t offset, uint64_t bytes,
                                               const std::string& where);

 private:
  struct Mapping {
    std::shared_ptr<const std::byte> data;
    uint64_t size = 0;
  };
  Result<Mapping> open_file(const std::string& location, const std::string& where);

  std::string folder_;
  std::map<std::string, Mapping> files_;  // by location
};

}  // namespace onnxc
